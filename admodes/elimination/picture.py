"""The picture of a linearised graph: vertices in layers, each a layer behind the last of its predecessors."""

from __future__ import annotations

from typing import Any

from ..core.figures import figure
from .orders import Graph, Vertex

# Behind a number on an arrow.
_BARE = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"}


def draw(graph: Graph, path: Any = None) -> Any:
    """A figure of matplotlib; see `LinearizedGraph.draw`."""
    place = places(graph)
    wide, high = (1 + max((at[k] for at in place.values()), default=0) for k in (0, 1))
    drawn = figure(figsize=(min(1.2 + 1.5 * wide, 16), min(1 + 0.8 * high, 12)), layout="constrained")
    axes = drawn.add_subplot()
    outputs, inputs = set(graph.outputs), set(graph.inputs)
    boxes: dict[Vertex, Any] = {}
    for v, (x, y) in place.items():
        colour = "#fdae6b" if v in outputs else "#9ecae1" if v in inputs else "#eeeeee"
        box = {"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": "#555555"}
        text = axes.text(x, y, f"{graph.labels.get(v) or v}", ha="center", va="center", fontsize=9, bbox=box)
        boxes[v] = text.get_bbox_patch()
    for (i, j), c in graph.edges.items():
        arrow = {"arrowstyle": "-|>", "color": "#777777", "patchA": boxes[i], "patchB": boxes[j]}
        axes.annotate("", place[j], place[i], arrowprops={**arrow, "connectionstyle": "arc3,rad=0.08"})
        if c is not None:  # nearer to the target, where arrows from one vertex are apart
            x, y = (0.4 * a + 0.6 * b for a, b in zip(place[i], place[j], strict=True))
            axes.text(x, y, f"{c:.3g}", fontsize=8, ha="center", va="center", color="#333333", bbox=_BARE)
    axes.set(xlim=(-0.5, wide - 0.5), ylim=(high - 0.5, -0.5))
    axes.axis("off")
    if path is not None:
        drawn.savefig(path, dpi=160)
    return drawn


def places(graph: Graph) -> dict[Vertex, tuple[float, float]]:
    """Where each vertex stands: its layer, and its place in it, near those of its predecessors."""
    before: dict[Vertex, list[Vertex]] = {v: [] for v in graph.vertices}
    for i, j in graph.edges:
        before[j].append(i)
    layer: dict[Vertex, int] = {}
    for v in graph.vertices:
        layer[v] = max((1 + layer[i] for i in before[v]), default=0)
    place: dict[Vertex, tuple[float, float]] = {}
    tall = max((list(layer.values()).count(k) for k in set(layer.values())), default=1)
    for k in range(1 + max(layer.values(), default=-1)):
        here = [v for v in graph.vertices if layer[v] == k]
        if k:
            here.sort(key=lambda v: sum(place[i][1] for i in before[v]) / len(before[v]))
        for row, v in enumerate(here):
            place[v] = (float(k), row + (tall - len(here)) / 2)
    return place

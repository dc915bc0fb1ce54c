"""The graph of a program: as DOT text, and as the picture that lectures draw, values above, gradients below.

Operations are nodes, values the wires between them.  The layout is layered (Sugiyama, Tagawa & Toda 1981): longest
paths give the layers from left to right, barycentres the order within a layer.  Nothing beside matplotlib is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ...core.figures import figure
from ...core.registry import Op
from ...ops.index import INDEX
from ..recording import GUARD, MARKS, SEED, Instruction, Value, leaves
from ..straightline import StraightLine

# Signs for operations, by the function they compute; any other is drawn with its name.
SYMBOLS = {
    np.add: "+", np.subtract: "−", np.multiply: "×", np.divide: "÷", np.matmul: "@", np.dot: "·", np.negative: "×−1",
    np.sum: "Σ", np.prod: "Π", np.sqrt: "√", np.absolute: "|x|", np.square: "x²", np.reciprocal: "1/x", np.less: "<",
    np.less_equal: "≤", np.greater: ">", np.greater_equal: "≥", np.equal: "=", np.not_equal: "≠", np.transpose: "T",
    np.power: "^", np.remainder: "%", np.floor_divide: "⌊÷⌋", np.bitwise_and: "∧", np.bitwise_or: "∨",
    np.bitwise_xor: "⊻", np.left_shift: "≪", np.right_shift: "≫", np.maximum: "max",
    np.minimum: "min",
}  # fmt: skip
MOST_NODES = 500


@dataclass(eq=False)
class Node:
    """An operation, an input, a constant array or an output, and the nodes whose values it takes."""

    kind: str  # "input", "constant", "operation", "output", or "bend" where a long wire passes a layer
    label: str
    sources: list[Node]
    value: Value | np.ndarray | None = None
    backward: bool = False
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    targets: list[Node] = field(default_factory=list)

    @property
    def half_width(self) -> float:
        if self.kind == "operation":
            return max(0.42, 0.105 * len(self.label) + 0.12)
        return 0.09 * len(self.label)


# ---------------------------------------------------------------------------------------------------
# The graph
# ---------------------------------------------------------------------------------------------------


def graph(program: StraightLine, instructions: Sequence[Instruction], outputs: Sequence[Any]) -> list[Node]:
    """The nodes of some instructions of a program, sources before targets; inputs that nothing uses stand there too."""
    of = {v: Node("input", v.name or "x", [], v) for v in program.inputs}
    nodes = list(of.values())
    constants: dict[int, Node] = {}

    def source(x: Any) -> list[Node]:
        if isinstance(x, Value):
            return [of[x]]
        if not isinstance(x, np.ndarray) or not x.ndim:
            return []
        if id(x) not in constants:
            constants[id(x)] = Node("constant", program.captured.get(id(x), f"c{len(constants)}"), [], x)
            nodes.append(constants[id(x)])
        return [constants[id(x)]]

    for instruction in instructions:
        if instruction.op is GUARD:
            continue
        taken = [n for x in leaves((instruction.args, instruction.params)) for n in source(x)]
        node = Node("operation", label(instruction), taken, instruction.outs[0], instruction.backward)
        of.update(dict.fromkeys(instruction.outs, node))
        nodes.append(node)
    for k, v in enumerate(outputs):
        if isinstance(v, Value):
            nodes.append(Node("output", _output_name(program, v, k, len(outputs)), [of[v]], None, of[v].backward))
    return nodes


def _output_name(program: StraightLine, v: Value, k: int, count: int) -> str:
    of = [x.name for x in program.inputs if x.adjoint is v]
    return f"∂{', ∂'.join(of)}" if of else "out" if count == 1 else f"out {k}"


def label(instruction: Instruction) -> str:
    """A short sign for an operation; a constant number is part of it: +1, ×2, 1/x."""
    op, args = instruction.op, instruction.args
    if op is SEED:
        return "1" if np.ndim(args[0]) == 0 else "seed"
    if op is INDEX:
        return f"[{_index(args[1])}]"
    if len(args) == 2 and not all(isinstance(x, Value) or np.ndim(x) for x in args):
        return _with_number(op, *args)
    return SYMBOLS.get(op.fn, op.name)


def _with_number(op: Op, a: Any, b: Any) -> str:
    fn, sign = op.fn, SYMBOLS.get(op.fn, op.name)
    if fn is np.power and not isinstance(b, Value):
        return "x²" if b == 2 else f"x^{_short(b)}"
    if isinstance(b, Value) or np.ndim(b):
        if fn in (np.add, np.multiply):
            return f"{sign}{_short(a)}"
        return f"{_short(a)}/x" if fn is np.divide else f"{_short(a)} {sign} x"
    return f"{sign}{_short(b)}" if fn in SYMBOLS else f"{sign} {_short(b)}"


def _index(index: Any) -> str:
    def one(i: Any) -> str:
        if isinstance(i, slice):
            parts = ["" if e is None else one(e) for e in (i.start, i.stop, i.step)]
            return ":".join(parts[:2] if not parts[2] else parts)
        return "…" if i is Ellipsis else "i" if isinstance(i, Value | np.ndarray) else str(i)

    return ", ".join(map(one, index if isinstance(index, tuple) else (index,)))


def _short(x: Any) -> str:
    """A number as one writes it on a slide: two decimals, three digits where it is large or small."""
    if isinstance(x, complex | np.complexfloating):
        return f"{x:.2g}"
    if isinstance(x, bool | np.bool_ | int | np.integer):
        return str(x).replace("-", "−")
    size = abs(float(x))
    text = f"{float(x):.2f}" if size == 0 or 0.01 <= size < 1000 else f"{float(x):.3g}"
    return text.replace("-", "−")


def show(x: Any) -> str:
    """A value as a label: a number, or the shape of an array and its first elements."""
    if np.ndim(x) == 0:
        return _short(np.asarray(x)[()])
    x = np.asarray(x)
    first = ", ".join(_short(e) for e in x.ravel()[: 3 if x.size <= 3 else 2])
    return f"{_shape(x.shape)} [{first}{', …' if x.size > 3 else ''}]"


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) if len(shape) > 1 else f"({shape[0]})"


class Below(NamedTuple):
    """What stands below the values in a picture: the derivative that goes with each, and what it is called."""

    name: str
    of: Callable[[Value], Any]


GRADIENT = Below("gradient", lambda v: v.adjoint)
TANGENT = Below("tangent", lambda v: v.tangent)


def lecture_part(program: StraightLine) -> tuple[list[Instruction], list[Any], Below | None]:
    """What the lecture draws of a gradient, or of a push: the part that computes values, whose wires carry value and
    derivative. Else everything."""
    forward = [i for i in program.instructions if not i.backward and i.op not in MARKS]
    for below in (GRADIENT, TANGENT):
        carrying = [i for i in forward if any(below.of(v) is not None for v in i.outs)]
        used = {v for i in carrying for v in i.uses}
        results = [v for i in carrying for v in i.outs if below.of(v) is not None and v not in used]
        if results:
            needed = set(results)
            kept = []
            for instruction in reversed(forward):
                if any(v in needed for v in instruction.outs):
                    needed.update(instruction.uses)
                    kept.append(instruction)
            return kept[::-1], results, below
    return list(program.instructions), list(program.outputs), None


# ---------------------------------------------------------------------------------------------------
# DOT
# ---------------------------------------------------------------------------------------------------


def to_dot(program: StraightLine) -> str:
    """The graph in the DOT language of Graphviz: operations are nodes, values the edges with their dtypes and shapes.

    >>> from admodes.program import trace
    >>> print(to_dot(trace(lambda x, y: x * y, 2.0, 3.0)))
    digraph "f" {
      rankdir=LR;
      n0 [label="x", shape=plaintext];
      n1 [label="y", shape=plaintext];
      n2 [label="×", shape=box, style="rounded,filled", fillcolor="#dce9f7"];
      n3 [label="out", shape=plaintext];
      n0 -> n2 [label="float64"];
      n1 -> n2 [label="float64"];
      n2 -> n3 [label="float64"];
    }
    """
    nodes = graph(program, program.instructions, program.outputs)
    names = {node: f"n{k}" for k, node in enumerate(nodes)}
    name = program.name if program.name.isidentifier() else "f"
    lines = [f'digraph "{name}" {{', "  rankdir=LR;"]
    for node in nodes:
        style = f'box, style="rounded,filled", fillcolor="{_fill(node)}"' if node.kind == "operation" else "plaintext"
        lines.append(f'  {names[node]} [label="{_quoted(node.label)}", shape={style}];')
    for node in nodes:
        lines += [f'  {names[s]} -> {names[node]} [label="{_kind(s.value)}"];' for s in node.sources]
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _kind(v: Any) -> str:
    kind = f"{v.dtype}{list(v.shape) if v.shape else ''}"
    return f"{v.called}: {kind}" if isinstance(v, Value) and v.called else kind


def _fill(node: Node) -> str:
    return "#fbe3d0" if node.backward else "#dce9f7"


# ---------------------------------------------------------------------------------------------------
# Layout
# ---------------------------------------------------------------------------------------------------


def layout(nodes: list[Node]) -> list[list[Node]]:
    """The layers from left to right, top to bottom, with bends where a wire passes a layer; sets layer and y."""
    for node in nodes:
        node.layer = 1 + max((s.layer for s in node.sources), default=-1)
    last = max((node.layer for node in nodes), default=0)
    for node in nodes:
        if node.kind == "output":
            node.layer = last
        elif not node.sources and node.kind != "input":  # constants and seeds stand where they are needed
            node.layer = min((n.layer for n in nodes if node in n.sources), default=1) - 1
    layers: list[list[Node]] = [[] for _ in range(last + 1)]
    for node in nodes:
        layers[node.layer].append(node)
    for node in nodes:
        node.sources = [_bent(s, node.layer, layers) for s in node.sources]
    for node in (n for layer in layers for n in layer):
        for s in node.sources:
            s.targets.append(node)
    _order(layers)
    _heights(layers)
    return layers


def _bent(source: Node, layer: int, layers: list[list[Node]]) -> Node:
    """The last bend of a wire from `source` to a node of the layer; wires of one value share their bends."""
    while source.layer < layer - 1:
        bend = next((b for b in layers[source.layer + 1] if b.kind == "bend" and b.sources[0] is source), None)
        if bend is None:
            bend = Node("bend", "", [source], source.value, source.backward, source.layer + 1)
            layers[bend.layer].append(bend)
        source = bend
    return source


def _order(layers: list[list[Node]]) -> None:
    """Sort each layer by the mean place of its neighbours, to and fro, and keep the order with the fewest crossings."""
    best, fewest = [list(layer) for layer in layers], crossings(layers)
    for sweep in range(12):
        forth = sweep % 2 == 0
        for layer in layers if forth else reversed(layers):
            place = {n: k for other in layers for k, n in enumerate(other)}
            layer.sort(key=lambda n: _mean([place[m] for m in (n.sources if forth else n.targets)], place[n]))
        if crossings(layers) < fewest:
            best, fewest = [list(layer) for layer in layers], crossings(layers)
    for layer, order in zip(layers, best, strict=True):
        layer[:] = order


def crossings(layers: list[list[Node]]) -> int:
    """How many pairs of wires between neighbouring layers cross."""
    total = 0
    for left, right in pairwise(layers):
        place = {n: k for k, n in enumerate(left)}
        wires = [place[s] for node in right for s in sorted(node.sources, key=lambda s: place[s])]
        total += sum(a > b for k, b in enumerate(wires) for a in wires[:k])
    return total


def _mean(places: Sequence[float], default: float) -> float:
    return sum(places) / len(places) if places else default


def _heights(layers: list[list[Node]]) -> None:
    """Set y: each node as near to its neighbours' mean as a distance of at least one to the next lets it."""
    for layer in layers:
        for k, node in enumerate(layer):
            node.y = (len(layer) - 1) / 2 - k
    for sweep in range(24):
        for layer in layers if sweep % 2 else reversed(layers):
            neighbours: Callable[[Node], list[Node]] = (lambda n: n.sources) if sweep % 2 else (lambda n: n.targets)
            wanted = [_mean([m.y for m in neighbours(n)], n.y) for n in layer]
            for node, y in zip(layer, _apart(wanted), strict=True):
                node.y = y


def _apart(wanted: list[float]) -> list[float]:
    """The falling sequence with steps of at least one that is nearest to the wanted one (pool adjacent violators)."""
    blocks: list[list[float]] = []  # sum and number of the shifted heights that share one mean
    for k, y in enumerate(wanted):
        blocks.append([y + k, 1.0])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] < blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    heights = [total / count for total, count in blocks for _ in range(int(count))]
    return [y - k for k, y in enumerate(heights)]


# ---------------------------------------------------------------------------------------------------
# The picture
# ---------------------------------------------------------------------------------------------------

GREEN, RED, INK, WIRE = "#1f7a3a", "#c0281c", "#1b2733", "#6b7785"


def draw(program: StraightLine, *args: Any, path: Any = None) -> Any:
    """Draw the graph of a program with matplotlib.

    Parameters
    ----------
    *args : arguments to run it on; then the wires carry values, above them. Of a gradient the forward part is drawn,
        and below the values stand the gradients of its result by them, as in the lecture; of a push, the tangents.
        Without arguments the whole graph is drawn, the backward part in another colour, and wires carry the shapes of
        arrays.
    path : where to save the picture; its suffix says how (.svg, .png, .pdf).

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError : more than 500 nodes.  TypeError : arguments of another shape than it was traced for.

    Source: Galasso, "Neural Networks and Backpropagation" (2023), "Backpropagation: a simple example".

    >>> from admodes import grad
    >>> from admodes.program import trace
    >>> program = trace(grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2)), -2.0, 5.0, -4.0)
    >>> sorted(t.get_text() for t in draw(program, -2.0, 5.0, -4.0).axes[0].texts if "." in t.get_text())[:3]
    ['1.00', '3.00', '3.00']
    """
    known: dict[Value, Any] = {}
    if args or not program.inputs:
        known = program.values(dict(zip(program.inputs, program.checked(args), strict=True)))
    everything = (list(program.instructions), list(program.outputs), None)
    instructions, outputs, below = lecture_part(program) if known else everything
    nodes = graph(program, instructions, outputs)
    if len(nodes) > MOST_NODES:
        raise ValueError(
            f"draw: the graph of {program.name} has {len(nodes)} nodes, more than a picture can show ({MOST_NODES}). "
            "Trace the function at a smaller size, or give program.to_dot() to Graphviz."
        )
    layers = layout(nodes)
    labels = {n: _labels(n, known, below) for layer in layers for n in layer}
    _widths(layers, labels)
    drawn = _picture(layers, labels, below)
    if path is not None:
        drawn.savefig(path, dpi=160)
    return drawn


def _labels(node: Node, known: dict[Value, Any], below: Below | None) -> tuple[str, str]:
    """What stands above and below the wire that leaves a node."""
    v = node.value
    if node.kind in ("bend", "output") or v is None:
        return "", ""
    name = v.called if isinstance(v, Value) else ""
    if not known:
        return f"{name} {_shape(v.shape) if v.ndim else ''}".strip(), ""
    if isinstance(v, np.ndarray):
        return show(v), ""
    u = below.of(v) if below else None
    u = known.get(u) if isinstance(u, Value) else u
    return f"{name} = {show(known[v])}" if name else show(known[v]), "" if u is None else show(u)


def _widths(layers: list[list[Node]], labels: dict[Node, tuple[str, str]]) -> None:
    """Set x: a layer is as wide as its widest node and the labels behind it."""
    x = 0.0
    for layer in layers:
        half = max(n.half_width for n in layer)
        x += half
        for node in layer:
            node.x = x
        stub = max(_stub(labels[n]) for n in layer)
        x += half + stub + 0.55


def _stub(text: tuple[str, str]) -> float:
    """The length of the straight piece of wire that carries the labels."""
    longest = max(map(len, text))
    return 0.108 * longest + 0.2 if longest else 0.0


def _picture(layers: list[list[Node]], labels: dict[Node, tuple[str, str]], below: Below | None) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    nodes = [n for layer in layers for n in layer]
    right = max(n.x + n.half_width for n in nodes)
    low, high = min(n.y for n in nodes), max(n.y for n in nodes)
    left = min(n.x - n.half_width for n in nodes)
    base = low - (1.0 if below else 0.7)
    width, height = right - left + 0.5, high + 0.7 - base
    scale = min(1.0, 200 / width, 200 / height)
    drawn = figure(figsize=(scale * width, scale * height))
    FigureCanvasAgg(drawn)
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left - 0.25, right + 0.25), ylim=(base, high + 0.7))
    axes.set_axis_off()
    for node in nodes:
        _wires(axes, node, labels[node], 13 * scale)
    for node in nodes:
        _node(axes, node, 15 * scale)
    if below:
        axes.text(right, low - 0.62, "value above", color=GREEN, ha="right", va="bottom", fontsize=11 * scale)
        axes.text(right, low - 0.66, f"{below.name} below", color=RED, ha="right", va="top", fontsize=11 * scale)
    return drawn


def _wires(axes: Any, node: Node, text: tuple[str, str], size: float) -> None:
    """The straight piece behind a node with its labels, and from there a curve to each target."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    start = node.x + node.half_width + (0.06 if node.kind != "bend" else 0.0)
    end = node.x + node.half_width + _stub(text)
    for target in dict.fromkeys(node.targets):
        tip = target.x - target.half_width - (0.04 if target.kind != "bend" else 0.0)
        middle = (end + tip) / 2
        points = [(start, node.y), (end, node.y), (middle, node.y), (middle, target.y), (tip, target.y)]
        codes = [Path.MOVETO, Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
        style = "-" if target.kind == "bend" else "-|>"
        wire = Path(points, codes)
        axes.add_patch(FancyArrowPatch(path=wire, arrowstyle=style, mutation_scale=13, color=WIRE, lw=1.4))
    for label_text, colour, side in ((text[0], GREEN, "bottom"), (text[1], RED, "top")):
        shift = 0.06 if side == "bottom" else -0.08
        axes.text((start + end) / 2, node.y + shift, label_text, color=colour, ha="center", va=side, fontsize=size)


def _node(axes: Any, node: Node, size: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    if node.kind == "operation":
        half, round_part = node.half_width, 0.34
        axes.add_patch(
            FancyBboxPatch(
                (node.x - half, node.y - 0.34), 2 * half, 0.68, boxstyle=f"round,pad=0,rounding_size={round_part}",
                facecolor=_fill(node), edgecolor=INK, lw=1.3,
            )
        )  # fmt: skip
    style = "italic" if node.kind in ("input", "output") else "normal"
    axes.text(node.x, node.y, node.label, ha="center", va="center", color=INK, fontsize=size, style=style)

"""Graphs from outside and back: edge lists, `networkx`, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .orders import Graph, Vertex

# What a LinearizedGraph is made of: edges, inputs, outputs, labels.
Parts = tuple[Any, Iterable[Vertex] | None, Iterable[Vertex] | None, Mapping[Vertex, str] | None]
HEAD = ("kind", "from", "to", "partial")


def read_edges(
    edges: Any,
    inputs: Iterable[Vertex] | None,
    outputs: Iterable[Vertex] | None,
    labels: Mapping[Vertex, str] | None,
) -> Parts:
    """Edges in any form as a mapping, or as pairs where there are no partials."""
    if isinstance(edges, Mapping):
        return edges, inputs, outputs, labels
    if hasattr(edges, "adj") and hasattr(edges, "nodes"):
        inputs = edges.graph.get("inputs") if inputs is None else inputs
        outputs = edges.graph.get("outputs") if outputs is None else outputs
        labels = {v: text for v, text in edges.nodes(data="label") if text is not None} if labels is None else labels
        edges = [(i, j) if c is None else (i, j, c) for i, j, c in edges.edges(data="partial")]
    edges = [tuple(edge) if isinstance(edge, tuple | list) else edge for edge in edges]
    weighted = [edge for edge in edges if isinstance(edge, tuple) and len(edge) == 3]
    if not weighted:
        return edges, inputs, outputs, labels
    if len(weighted) < len(edges):
        without = next(edge for edge in edges if not (isinstance(edge, tuple) and len(edge) == 3))
        raise TypeError(
            f"some edges have partials, {without!r} has none: give all as (i, j, partial), or all as (i, j)."
        )
    total: dict[Any, Any] = {}
    for i, j, c in weighted:
        total[i, j] = total[i, j] + c if (i, j) in total else c
    return total, inputs, outputs, labels


def to_networkx(graph: Graph) -> Any:
    """The inputs and outputs, in order, are attributes of the graph."""
    import networkx

    found = networkx.DiGraph(inputs=graph.inputs, outputs=graph.outputs)
    found.add_nodes_from((*graph.inputs, *graph.outputs))
    found.add_edges_from((i, j, {} if c is None else {"partial": c}) for (i, j), c in graph.edges.items())
    networkx.set_node_attributes(found, graph.labels, "label")
    return found


def as_csv(graph: Graph) -> str:
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(HEAD)
    lines.writerows(("input", "", v, "") for v in graph.inputs)
    lines.writerows(("edge", i, j, "" if c is None else str(c)) for (i, j), c in graph.edges.items())
    lines.writerows(("output", v, "", "") for v in graph.outputs)
    return file.getvalue()


def read_csv(path: Any) -> Parts:
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows or tuple(rows[0]) != HEAD:
        raise ValueError(
            f"{path}: the first line of a graph is {','.join(HEAD)}, not {','.join(rows[0]) if rows else ''!r}."
        )
    edges: list[Any] = []
    inputs: list[Vertex] = []
    outputs: list[Vertex] = []
    for number, row in enumerate(rows[1:], 2):
        kind, i, j, c = row if len(row) == 4 else ("", "", "", "")
        if kind == "edge":
            edges.append((_vertex(i), _vertex(j), float(c)) if c else (_vertex(i), _vertex(j)))
        elif kind in ("input", "output"):
            (inputs if kind == "input" else outputs).append(_vertex(j if kind == "input" else i))
        else:
            raise ValueError(f"{path}, line {number}: {','.join(row)!r} is no input, edge or output of a graph.")
    return read_edges(edges, inputs or None, outputs or None, None)


def _vertex(text: str) -> Vertex:
    return int(text) if text.lstrip("-").isdecimal() else text

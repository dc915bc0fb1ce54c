"""The story as the JSON that is embedded in the page."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..program.recording import Instruction, Value, leaves
from ..program.show.draw import label
from .chain import chain_of
from .listing import Line, code, statements
from .local import COPY_SUMS, SAID
from .numbers import Arrays, number
from .places import columns
from .story import MOST_NUMBERS, Story
from .walk import Mode, Pass


def data(story: Story) -> dict[str, Any]:
    """All that the page shows."""
    with np.errstate(all="ignore"):
        return _Telling(story).whole()


class _Telling:
    def __init__(self, story: Story) -> None:
        self.story = story
        self.graph = story.graph
        self.program = story.problem.program
        graph, modes = self.graph, (story.forward, story.reverse)
        arrays = len(graph.known) + 2 * len(graph.edges)
        arrays += sum(len(mode.shown) for mode in modes) * (len(graph.known) + 2 * len(graph.edges))
        self.arrays = Arrays(min(1024, max(16, MOST_NUMBERS // arrays)))
        self.node_of: dict[Value, int] = {}
        self.nodes: list[dict[str, Any]] = []
        self.files: dict[Any, int] = {c: k for k, c in enumerate(story.sources)}

    def whole(self) -> dict[str, Any]:
        story, p = self.story, self.story.problem
        self._add_nodes()
        edges = [self._edge(e) for e in range(len(self.graph.edges))]
        return {
            "title": story.title,
            "name": p.name,
            "target": p.target,
            "n": p.n,
            "m": p.m,
            "nodes": self.nodes,
            "edges": [*edges, *self._constants()],
            "outputs": [self.node_of[v] for v in p.program.outputs if isinstance(v, Value)],
            "forward": self._mode(story.forward, code(story.forward.sweep, story.names, f"{p.name}_jvp", "dot_{}")),
            "reverse": self._mode(story.reverse, code(story.reverse.sweep, story.names, f"{p.name}_vjp", "grad_{}")),
            "sources": [{"name": t.name, "first": t.first, "lines": t.lines} for t in story.sources.values()],
            "said": SAID,
            "results": self._results(),
            "sentence": story.sentence,
            "chain": self._chain(),
            "arrays": self.arrays.kept,
        }

    # Nodes and edges ----------------------------------------------------------------------------------

    def _add_nodes(self) -> None:
        known = self.graph.known
        written = statements(self.program, self.story.names)
        active = {self.program.inputs[i] for i in self.story.problem.active}
        for v in self.program.inputs:
            self._node([v], "input", self.story.names[v], v in active, self.arrays.add(known[v]))
        for k in self.graph.steps:
            instruction = self.program.instructions[k]
            values = [self.arrays.add(known[v]) for v in instruction.outs]
            node = self._node(
                list(instruction.outs), "operation", ", ".join(self.story.names[v] for v in instruction.outs),
                bool(self.graph.outs(k)), values[0] if len(values) == 1 else values,
            )  # fmt: skip
            node |= {"sign": label(instruction).lstrip("_"), "op": instruction.op.name.strip("_"), "code": written[k]}
            name = self.graph.patterns.get(k)
            if name is not None:
                node["pattern"] = name
            place = self._place(instruction)
            if place is not None:
                node["place"] = place

    def _node(self, values: list[Value], kind: str, name: str, active: bool, value: Any) -> dict[str, Any]:
        self.node_of.update(dict.fromkeys(values, len(self.nodes)))
        node = {"kind": kind, "name": name, "active": active, "value": value, "shape": list(values[0].shape)}
        if any(self.graph.shared(v) for v in values):
            node["shared"] = COPY_SUMS
        self.nodes.append(node)
        return node

    def _place(self, instruction: Instruction) -> list[int] | None:
        """Of the user's code: which function, line, and columns."""
        place = self.story.problem.places.get(instruction.outs[0])
        if place is None or place.code not in self.files:
            return None
        text = self.story.sources[place.code]
        if not 0 <= place.line - text.first < len(text.lines):
            return None
        return [self.files[place.code], place.line, *columns(place, text)]

    def _edge(self, e: int) -> dict[str, Any]:
        edge = self.graph.edges[e]
        target = self.node_of[self.program.instructions[edge.instruction].outs[0]]
        found: dict[str, Any] = {"from": self.node_of[edge.source], "to": target}
        if edge.structure is not None:
            found["local"] = {"kind": edge.structure.kind, "m": edge.structure.m, "n": edge.structure.n}
            if edge.structure.numbers is not None:
                found["local"]["numbers"] = self.arrays.add(edge.structure.numbers)
        return found

    def _constants(self) -> list[dict[str, int]]:
        """Constant arrays as nodes of their own; single numbers stand in the sign of the operation."""
        places: dict[int, int] = {}
        edges = []
        for k in self.graph.steps:
            instruction = self.program.instructions[k]
            for x in leaves((instruction.args, instruction.params)):
                if isinstance(x, np.ndarray) and x.ndim and x.dtype.kind in "fciub":
                    if id(x) not in places:
                        places[id(x)] = len(self.nodes)
                        value = self.arrays.add(x)
                        name = self.program.captured.get(id(x), f"c{len(places) - 1}")
                        self.nodes.append(
                            {"kind": "constant", "name": name, "active": False, "value": value,
                             "shape": list(x.shape)}
                        )  # fmt: skip
                    edges.append({"from": places[id(x)], "to": self.node_of[instruction.outs[0]]})
        return edges

    # Modes --------------------------------------------------------------------------------------------

    def _mode(self, mode: Mode, lines: list[Line]) -> dict[str, Any]:
        order = {step: j for j, step in enumerate(dict.fromkeys(line.step for line in lines))}
        return {
            "passes": mode.passes,
            "shown": [self._pass(one) for one in mode.shown],
            "ticks": [
                {
                    "at": t.at, "pass": t.number, "node": self._node_at(t.instruction), "lines": order.get(t.step, -1),
                    "work": number(t.multiply_adds), "flops": number(t.flops), "memory": t.memory, "peak": t.peak,
                }
                for t in mode.ticks
            ],
            "code": [[order[line.step], line.text] for line in lines],
            "once": {"work": number(mode.sweep.cost.multiply_adds), "flops": number(mode.sweep.cost.flops),
                     "peak": mode.sweep.cost.peak_bytes},
            "total": {"work": number(mode.multiply_adds), "flops": number(mode.flops), "peak": mode.peak},
        }  # fmt: skip

    def _node_at(self, instruction: int) -> int:
        return -1 if instruction < 0 else self.node_of[self.program.instructions[instruction].outs[0]]

    def _pass(self, one: Pass) -> dict[str, Any]:
        carried: dict[int, Any] = {}
        for v, t in one.carried.items():
            node = self.node_of[v]
            made = self.arrays.add(t)
            carried[node] = [*carried[node], made] if node in carried else [made]
        return {
            "seed": one.seed,
            "carried": {node: found[0] if len(found) == 1 else found for node, found in carried.items()},
            "parts": {e: self._part(t) for e, t in one.parts.items()},
            "sums": {e: self.arrays.add(t) for e, t in one.sums.items()},
        }

    def _part(self, t: Any) -> Any:
        return [self.arrays.add(part) for part in t] if isinstance(t, list) else self.arrays.add(t)

    def _chain(self) -> dict[str, Any] | None:
        """The product of local Jacobians, and its bracketings."""
        chain = chain_of(self.story)
        if chain is None:
            return None
        return {
            "factors": [{"m": f.m, "n": f.n, "kind": f.structure, "cost": cost}
                        for f, cost in zip(chain.chain.factors, chain.accumulation, strict=True)],
            "blocks": {f"{i} {j}": self.arrays.add(block) for (i, j), block in chain.blocks.items()},
            "orders": [{"text": order.text, "cost": order.cost,
                        "products": [[one.first, one.middle, one.last, one.cost] for one in order.products]}
                       for order in chain.orders],
            "sweeps": chain.sweeps,
        }  # fmt: skip

    def _results(self) -> list[dict[str, Any]]:
        """The derivative itself, block by block, as each mode gives it."""
        story, p = self.story, self.story.problem
        if p.target == "jacobian":
            shown = story.by_forward is not None
            labels = [f"J, {p.m:,} × {p.n:,}{'' if shown else ': too large for a page'}"]
        elif p.target == "jvp":
            labels = [f"J·t{_of(i, p.results)}" for i in range(len(p.results))]
        else:
            sign = "Jᵀ·u, " if p.target == "vjp" else f"∂{p.name}/∂"
            labels = [f"{sign}{story.names[p.program.inputs[i]]}" for i in p.active]
        rows = []
        for k, text in enumerate(labels):
            row = {"label": text}
            for name, found in (("forward", story.by_forward), ("reverse", story.by_reverse)):
                if found is not None:
                    row[name] = self.arrays.add(found[k])
            rows.append(row)
        return rows


def _of(i: int, several: list[Any]) -> str:
    return f", result {i}" if len(several) > 1 else ""

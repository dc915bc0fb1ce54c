"""What a plan for a chain of Jacobians is: its factors, its steps, its cost, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..core.figures import figure, svg
from ..core.tables import Column, Record, Table, Tabular, whole
from .structure import Structure

ACCUMULATE, MULTIPLY, TANGENT, ADJOINT = "accumulate", "multiply", "tangent", "adjoint"


_MOST_LINES = 60


class Link(NamedTuple):
    """One factor: m × n, and the multiply-adds of one tangent (`push`) and of one adjoint (`pull`).

    Of a diagonal the n numbers are kept: they are n multiply-adds a direction, and one direction (of ones) makes them.
    Of a sparse factor (`sparse`, its structure) the entries are kept, and as many directions as colours make them.
    """

    m: int
    n: int
    push: int
    pull: int
    diagonal: bool = False
    sparse: Structure | None = None

    @property
    def structure(self) -> Structure:
        return self.sparse or Structure(self.m, self.n, self.diagonal)

    def accumulation(self, mode: str) -> int:
        """Multiply-adds of the local Jacobian by tangents or by adjoints."""
        made = self.structure
        return made.columns * self.push if mode == TANGENT else made.rows * self.pull

    def cheaper(self) -> str:
        """How the local Jacobian is accumulated with fewer multiply-adds."""
        return ADJOINT if self.accumulation(ADJOINT) < self.accumulation(TANGENT) else TANGENT


class Step(NamedTuple):
    """One operation of a plan: its node of the tree, its multiply-adds, the worker that does it, and when it starts."""

    node: tuple[Any, ...]
    cost: int
    worker: int
    start: int


_COLUMNS = (
    Column("order", side="<"),
    Column("multiply_adds", whole, head="multiply-adds"),
    Column("times_the_best", "{:.3g}".format, head="times the best"),
)


@dataclass(frozen=True, repr=False)
class Bracketing(Tabular):
    """An order of a Jacobian chain product, and what it costs beside the plain ones, in multiply-adds.

    cost : multiply-adds; with several workers the makespan.
    tree : (“accumulate”, i, mode) for factor i by mode “tangent” or “adjoint”; (“multiply”, left, right) for a product
        of two sub-chains, left the nearer to the output; (“tangent”, part, (k, j)) for a sub-chain carried forward
        through factors k … j; (“adjoint”, part, (i, k)) for one carried back through factors k … i.
    steps : the nodes in an order to carry them out, each with its cost, worker and start.
    factors : (m, n, edges) as given.
    tangent, adjoint : one homogeneous sweep over the whole chain, on one worker; adjoint is None where its tape is
        larger than `memory`. Of matrices: the products from the input's and from the output's side.
    preaccumulation : every factor accumulated, followed by the best products, on one worker.
    workers : the machines among which the steps are divided.
    bound : what no order (no schedule on the workers) can undercut; None where it is not known (several workers, and
        factors that are sparse or diagonal).

    Source: Naumann, "Matrix-free Jacobian chaining" (arXiv 2406.11862), section 3.

    >>> from admodes import optimal_bracketing
    >>> plan = optimal_bracketing([(3, 3, 29), (1, 3, 14), (2, 1, 7)])
    >>> plan.cost, plan.adjoint, [step.node[0] for step in plan.steps]
    (56, 100, ['accumulate', 'adjoint', 'accumulate', 'multiply'])
    """

    cost: int
    tree: Any
    steps: tuple[Step, ...]
    factors: tuple[tuple[int, int, int], ...]
    tangent: int
    adjoint: int | None
    preaccumulation: int
    workers: int = 1
    bound: int | None = None

    @property
    def proven(self) -> bool:
        """Whether no order, and no schedule, costs less."""
        return self.bound == self.cost

    def table(self) -> Table:
        """The plain orders, and this one."""
        name = "optimal" if self.workers == 1 else f"makespan on {self.workers} workers"
        found = {
            "homogeneous tangent": self.tangent,
            "homogeneous adjoint": self.adjoint,
            "preaccumulation": self.preaccumulation,
            name: self.cost,
        }
        records: list[Record] = [
            {"order": order, "multiply_adds": work, "times_the_best": work / self.cost if work and self.cost else None}
            for order, work in found.items()
        ]
        notes = ["homogeneous adjoint: its tape is larger than the memory"] if self.adjoint is None else []
        if self.workers > 1 and self.bound is not None:
            notes.append("no schedule is shorter" if self.proven else f"no schedule is below {self.bound:,}")
        title = f"Bracketing of {len(self.factors)} factors, {self.factors[-1][0]} × {self.factors[0][1]}"
        return Table(_COLUMNS, records, title, notes, best=len(records) - 1, drawing=[*self._drawing()])

    def picture(self) -> str:
        """The tree, or on several workers the schedule."""
        return svg(self.draw() if self.workers == 1 else self.gantt())

    def _drawing(self) -> Iterator[str]:
        """One line a node, its parts below it, as far as a screen goes."""
        own = {id(step.node): step for step in self.steps}
        stack = [(self.tree, "", "")]
        for _ in range(min(len(self.steps), _MOST_LINES)):
            node, before, below = stack.pop()
            yield f"{before}{_label(node, own[id(node)], self.workers)}"
            parts = _parts(node)
            for k, part in reversed(list(enumerate(parts, 1))):
                branch, line = ("├─ ", "│  ") if k < len(parts) else ("└─ ", "   ")
                stack.append((part, below + branch, below + line))
        if len(self.steps) > _MOST_LINES:
            yield f"… {len(self.steps) - _MOST_LINES} steps more"

    def draw(self, path: Any = None) -> Any:
        """The tree with matplotlib: a bar spans the factors of a sub-chain, and rests on those that it is made of.

        Parameters
        ----------
        path : where to save the picture; its suffix says how (.svg, .png, .pdf).

        Returns
        -------
        matplotlib.figure.Figure

        >>> from admodes import optimal_bracketing
        >>> figure = optimal_bracketing([(3, 3, 29), (1, 3, 14), (2, 1, 7)]).draw()
        >>> len(figure.axes[0].patches)
        4
        """
        from matplotlib.patches import Patch, Rectangle
        from matplotlib.ticker import MaxNLocator

        height, q = _heights(self.steps), len(self.factors)
        top = max(height.values()) + 1
        drawn = figure(figsize=(min(3 + 0.6 * q, 14), min(2 + 0.3 * top, 12)), layout="constrained")
        axes = drawn.add_subplot()
        for step in self.steps:
            first, last = span(step.node)
            corner, colour = (first - 0.45, height[id(step.node)]), _COLOURS[_by(step.node)]
            axes.add_patch(Rectangle(corner, last - first + 0.9, 0.85, color=colour))
            if q <= 20:
                middle = ((first + last) / 2, corner[1] + 0.42)
                axes.annotate(f"{step.cost:,}", middle, ha="center", va="center", fontsize=8)
        axes.set(xlim=(-0.6, q - 0.4), ylim=(0, top), yticks=[], xlabel="factor, from the input to the output")
        name = "multiply-adds" if self.workers == 1 else f"makespan on {self.workers} workers"
        axes.set_title(f"cheapest order: {name} {self.cost:,}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        handles = [Patch(color=colour, label=kind) for kind, colour in _COLOURS.items()]
        drawn.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        if path is not None:
            drawn.savefig(path, dpi=160)
        return drawn

    def gantt(self, path: Any = None) -> Any:
        """The schedule with matplotlib: a row a worker, a bar a step, time in multiply-adds.

        Parameters
        ----------
        path : where to save the picture; its suffix says how (.svg, .png, .pdf).

        Returns
        -------
        matplotlib.figure.Figure

        >>> from admodes import optimal_bracketing
        >>> plan = optimal_bracketing([(21, 19, 3674), (35, 21, 6973), (22, 35, 3390)], workers=2)
        >>> plan.cost, plan.proven
        (171381, True)
        >>> len(plan.gantt().axes[0].patches)
        5
        """
        from matplotlib.patches import Patch, Rectangle
        from matplotlib.ticker import MaxNLocator

        drawn = figure(figsize=(9, min(2 + 0.5 * self.workers, 12)), layout="constrained")
        axes = drawn.add_subplot()
        for step in self.steps:
            corner, colour = (step.start, step.worker - 0.4), _COLOURS[_by(step.node)]
            axes.add_patch(Rectangle(corner, step.cost, 0.8, facecolor=colour, edgecolor="black", linewidth=0.8))
            if step.cost > 0.06 * self.cost:
                middle = (step.start + step.cost / 2, step.worker)
                axes.annotate(_name(*span(step.node)), middle, ha="center", va="center", fontsize=9)
        if self.bound is not None:
            axes.axvline(self.bound, color="black", linestyle="dashed", linewidth=1)
            axes.annotate(" lower bound", (self.bound, -0.45), fontsize=9, ha="right", va="top")
        axes.set(xlim=(0, 1.02 * max(self.cost, 1)), ylim=(self.workers - 0.5, -0.7), xlabel="time in multiply-adds")
        axes.set_ylabel("worker")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        end = "no schedule is shorter" if self.proven else "the shortest found"
        axes.set_title(f"{len(self.factors)} factors on {self.workers} workers end after {self.cost:,}: {end}")
        handles = [Patch(color=colour, label=kind) for kind, colour in _COLOURS.items()]
        drawn.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        if path is not None:
            drawn.savefig(path, dpi=160)
        return drawn


_COLOURS = {TANGENT: "#9ecae1", ADJOINT: "#fdae6b", MULTIPLY: "#bdbdbd"}


def _parts(node: tuple[Any, ...]) -> tuple[Any, ...]:
    """The sub-chains that a node is made of, the one nearer to the output first."""
    return {ACCUMULATE: (), MULTIPLY: node[1:], TANGENT: node[1:2], ADJOINT: node[1:2]}[node[0]]


def _by(node: tuple[Any, ...]) -> str:
    """Tangent, adjoint or multiply: how a node comes about."""
    return str(node[2]) if node[0] == ACCUMULATE else str(node[0])


def span(node: tuple[Any, ...]) -> tuple[int, int]:
    """First and last factor of the sub-chain that a node stands for."""
    return _end(node, 0), _end(node, 1)


def _end(node: tuple[Any, ...], side: int) -> int:
    """The factor at one end: 0 nearest the input, 1 nearest the output."""
    extends = (ADJOINT, TANGENT)[side]  # adjoints add factors nearer the input, tangents nearer the output
    while node[0] != ACCUMULATE:
        if node[0] == extends:
            return int(node[2][side])
        parts = _parts(node)
        node = parts[0] if side else parts[-1]
    return int(node[1])


def _heights(steps: Sequence[Step]) -> dict[int, int]:
    """How many steps lie below each node; the parts of a step come before it."""
    height: dict[int, int] = {}
    for step in steps:
        height[id(step.node)] = max((1 + height[id(part)] for part in _parts(step.node)), default=0)
    return height


def _label(node: tuple[Any, ...], step: Step, workers: int) -> str:
    """What a node yields, how, and for how many multiply-adds."""
    first, last = span(node)
    how = MULTIPLY
    if node[0] == ACCUMULATE:
        how = f"accumulate by {node[2]}s"
    elif node[0] != MULTIPLY:
        how = f"carry {_name(*span(node[1]))} by {node[0]}s through {_name(*node[2])}"
    at = f"  worker {step.worker} from {step.start:,}" if workers > 1 else ""
    return f"{_name(first, last)}  {how}  {step.cost:,}{at}"


def _name(first: int, last: int) -> str:
    """A sub-chain as the product it is: F2·F1·F0, or F9 … F0."""
    return f"F{last} … F{first}" if last - first > 2 else "·".join(f"F{i}" for i in range(last, first - 1, -1))

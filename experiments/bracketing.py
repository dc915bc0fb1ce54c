"""How much cheaper is a Jacobian in the best order of its chain, and is what the count predicts what runs?

The chains: the instances of the literature; random ones; compositions of real functions, dense layers of random widths
with elementwise ones between; and short ones on several workers, with published schedules (schedules.py).

How it is measured.  Multiply-adds of four orders: homogeneous tangents, homogeneous adjoints, every factor accumulated
and the matrices multiplied in their best order (preaccumulation), and the optimum found by `optimal_bracketing`; of
the instances also with a limit of the adjoints' tape, and on several workers.  Random chains are drawn as those of the
instances (Naumann, arXiv 2003.05755, reference implementation): dimensions d uniform in 1 … 100, edges of a factor
m × n uniform in m + n … (m + n)²; the gain is the cost of the best of the three plain orders over the optimum.  Real
chains are carried out by `JacobianChain.jacobian`: multiply-adds predicted from dimensions and edges beside those
counted in the traced run, which must be equal, and seconds, medians of interleaved calls on one thread, the plan made
before.  Schedules: the makespan beside that of the published dynamic program, and beside the best that is known.

What to expect, and why.  A homogeneous sweep carries the ends of the chain, n tangents or m cotangents, through every
edge, min(n, m)·Σ edges.  Any order passes every edge in at least as many directions as the narrowest place of the chain
is wide, so the gain is at most min(n, m) / min d.  A long random chain has a narrow place somewhere, and the optimum
works outwards from it: the gain grows with the length, until preaccumulation, which does not see how wide the ends are,
is the best of the plain orders.  Adjoints may go through one factor after another, each with its own tape, so that a
memory for the largest factor loses nothing.  On w workers the makespan is at least optimum / w, and at least what one
worker for every factor needs.  By the clock a multiply-add in a product of large matrices costs less than one in a
narrow sweep or in an elementwise layer, so that orders whose counts are near may change places.
"""

from __future__ import annotations

import itertools
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from admodes import Bracketing, JacobianChain, optimal_bracketing
from admodes.chains.chain import OrderName

from . import schedules, style
from .frame import SEED, Row, Study
from .timing import interleaved

Chain = list[tuple[int, int, int]]

INSTANCES = Path(__file__).resolve().parent / "data" / "jacobian_chains"

LIMITED, FULL_LIMITED = ("p_50_50.1",), ("p_50_50.1", "p_100_100.1", "p_250_250.1")
SHARED, FULL_SHARED = "p_50_50.1", "p_100_100.1"
WORKERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)

LENGTHS = (5, 10, 20, 50, 100)
WIDEST = 100
BLOCK = 20  # random chains drawn at once

PLAIN = ("tangent", "adjoint", "preaccumulation")
ORDERS: tuple[OrderName, ...] = ("forward", "reverse", "optimal")
LOOKS: Mapping[str, Mapping[str, Any]] = {
    "tangent": {"color": style.VERMILION, "marker": "s"},
    "adjoint": {"color": style.BLUE, "marker": "o"},
    "preaccumulation": {"color": style.GREEN, "marker": "^"},
    "forward": {"color": style.VERMILION, "marker": "s"},
    "reverse": {"color": style.BLUE, "marker": "o"},
    "optimal": {"color": style.BLACK, "marker": "D"},
}
RAMP = (style.SKY, style.ORANGE, style.GREEN, style.BLUE, style.BLACK)
DASHES = ((0, (1, 1)), (0, (3, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (8, 2)), "-")

NOISE = 1.1  # an order that is faster by less than this is not reliably so
NEAR = 1.1  # a gain that is less than its bound by no more is as large as it can be
SHORT_CALL = 1e-3  # seconds; a shorter call is mostly the starting of operations


# ---------------------------------------------------------------------------------------------------
# The instances of the literature
# ---------------------------------------------------------------------------------------------------


def instances() -> dict[str, Chain]:
    """The chains by name, the shortest first; an error if the repository's data are not there."""
    files = sorted(INSTANCES.glob("*.txt"))
    if not files:
        raise FileNotFoundError(f"no *.txt in {INSTANCES}: run this experiment in a checkout of the whole repository")
    chains = {path.stem: parsed(path.read_text(encoding="utf-8")) for path in files}
    return dict(sorted(chains.items(), key=lambda item: len(item[1])))


def parsed(text: str) -> Chain:
    """A line q, then q lines `m n edges`."""
    numbers = [int(word) for word in text.split()]
    return [(numbers[k], numbers[k + 1], numbers[k + 2]) for k in range(1, 3 * numbers[0] + 1, 3)]


def priced(name: str, chain: Chain) -> dict[str, Any]:
    """The four orders of one instance, and the seconds of the search."""
    start = time.process_time()
    plan = optimal_bracketing(chain)
    seconds = time.process_time() - start
    costs = plain(plan)
    return {
        "instance": name,
        "factors": len(chain),
        **costs,
        "optimal": plan.cost,
        "gain": min(costs.values()) / plan.cost,
        "seconds_of_search": seconds,
    }


def plain(plan: Bracketing) -> dict[str, int]:
    """The orders that need no search; without a limit of memory there always is an adjoint."""
    assert plan.adjoint is not None
    return {"tangent": plan.tangent, "adjoint": plan.adjoint, "preaccumulation": plan.preaccumulation}


def limited(name: str, chain: Chain, points: int) -> list[dict[str, Any]]:
    """The optimum under limits of the tape, from none at all to the whole chain's.

    Adjoints may go through one factor after another, so the cost changes only where the tape of one more factor fits;
    the least limit that loses nothing is found among these by bisection.
    """
    edges = sorted({e for _, _, e in chain})
    whole = sum(e for _, _, e in chain)
    free = optimal_bracketing(chain).cost
    first = bisect_left([0, *edges], True, key=lambda limit: optimal_bracketing(chain, memory=limit).cost <= free)
    enough = [0, *edges][first]
    limits = sorted({0, enough, whole, *(int(x) for x in np.geomspace(edges[0], whole, points))})
    costs = [optimal_bracketing(chain, memory=limit).cost for limit in limits]
    return [
        {
            "instance": name,
            "memory": limit,
            "share_of_edges": limit / whole,
            "cost": cost,
            "over_unlimited": cost / free,
            "least_that_loses_nothing": int(limit == enough),
        }
        for limit, cost in zip(limits, costs, strict=True)
    ]


def makespan(job: tuple[Chain, int]) -> int:
    """Of the best schedule on some workers."""
    chain, workers = job
    return optimal_bracketing(chain, workers=workers).cost


def shared(name: str, workers: Sequence[int], makespans: Sequence[int]) -> list[dict[str, Any]]:
    """One row a number of workers, from 1 to one a factor, with the two lower bounds: equal parts, the longest way."""
    one, longest = makespans[0], makespans[-1]
    return [
        {
            "instance": name,
            "workers": w,
            "makespan": span,
            "over_one_worker": span / one,
            "bound": max(one / w, longest) / one,
        }
        for w, span in zip(workers, makespans, strict=True)
    ]


# ---------------------------------------------------------------------------------------------------
# Random chains
# ---------------------------------------------------------------------------------------------------


def random_chain(length: int, rng: np.random.Generator) -> Chain:
    """Dimensions uniform in 1 … WIDEST, edges uniform in m + n … (m + n)²."""
    sizes = [int(d) for d in rng.integers(1, WIDEST + 1, size=length + 1)]
    return [(m, n, int(rng.integers(m + n, (m + n) ** 2 + 1))) for n, m in itertools.pairwise(sizes)]


def gains(block: tuple[int, int]) -> list[dict[str, Any]]:
    """One row a chain, of a block of random chains of one length."""
    length, number = block
    rng = np.random.default_rng([SEED, length, number])
    return [gain(random_chain(length, rng)) for _ in range(BLOCK)]


def gain(chain: Chain) -> dict[str, Any]:
    """The gain of the optimum over the best plain order, and its bound."""
    plan = optimal_bracketing(chain)
    n, m = chain[0][1], chain[-1][0]
    costs = plain(plan)
    best = min(costs, key=lambda order: costs[order])
    narrowest = min(n, *(factor[0] for factor in chain))
    return {
        "length": len(chain),
        "n": n,
        "m": m,
        "narrowest": narrowest,
        **costs,
        "optimal": plan.cost,
        "best_plain": best,
        "gain": costs[best] / plan.cost,
        "bound": min(n, m) / narrowest,
    }


# ---------------------------------------------------------------------------------------------------
# Chains of real functions
# ---------------------------------------------------------------------------------------------------


def layered(number: int, widest: int) -> JacobianChain:
    """Dense layers, three to eight, of widths from 8 to `widest`, each but the last with an elementwise one behind."""
    rng = np.random.default_rng([SEED, number])
    widths = [int(w) for w in np.exp(rng.uniform(np.log(8), np.log(widest), size=int(rng.integers(4, 10))))]
    layers: list[Callable[[Any], Any]] = []
    for n, m in itertools.pairwise(widths):
        layers += [dense(rng.normal(size=(m, n)) / np.sqrt(n)), (np.tanh, np.sin, np.arctan)[int(rng.integers(3))]]
    return JacobianChain(layers[:-1], rng.normal(size=widths[0]))


def dense(W: np.ndarray) -> Callable[[Any], Any]:
    """The layer x ↦ W x."""
    W.flags.writeable = False
    return lambda x: W @ x


def executed(job: tuple[int, int]) -> list[dict[str, Any]]:
    """One row an order: multiply-adds predicted and counted."""
    number, widest = job
    chain = layered(number, widest)
    m, n = chain.shape
    return [
        {
            "chain": number,
            "layers": len(chain),
            "n": n,
            "m": m,
            "order": order,
            "predicted": chain.cost(order),
            "counted": int(chain.counted(order).multiply_adds),
        }
        for order in ORDERS
    ]


def timed(job: tuple[int, int], rows: Sequence[Row], rounds: int, seconds: float) -> list[dict[str, Any]]:
    """The rows of one chain with their seconds, and both as ratios to the optimum."""
    chain = layered(*job)
    tasks = {order: partial(chain.jacobian, order) for order in ORDERS[:2]}
    tasks["optimal"] = partial(chain.jacobian, chain.bracketing())
    J = tasks["optimal"]()
    for order in ORDERS[:2]:
        np.testing.assert_allclose(tasks[order](), J, rtol=1e-8, atol=1e-12 * float(np.max(np.abs(J))))
    taken = interleaved(tasks, rounds, seconds)
    least = next(row["counted"] for row in rows if row["order"] == "optimal")
    return [
        {
            **row,
            "seconds": taken[row["order"]],
            "counted_over_optimal": row["counted"] / least,
            "seconds_over_optimal": taken[row["order"]] / taken["optimal"],
        }
        for row in rows
    ]


# ---------------------------------------------------------------------------------------------------
# What is found
# ---------------------------------------------------------------------------------------------------


def found_in_instances(rows: Sequence[Row], memory: Sequence[Row], workers: Sequence[Row]) -> str:
    """The gain on the longest instance; what memory suffices; what the workers give."""
    largest = max(rows, key=lambda row: row["factors"])
    share = max(row["share_of_edges"] for row in memory if row["least_that_loses_nothing"])
    least = min(row["over_one_worker"] for row in workers)
    fewest = min(row["workers"] for row in workers if row["over_one_worker"] == least)
    return (
        f"the best order of {largest['instance']} is {largest['gain']:,.0f}× cheaper than the best plain one, "
        f"found in {largest['seconds_of_search']:.2g} s; "
        f"memory for {share:.1%} of the edges loses nothing, {fewest} workers take {least:.2f}× the time of one"
    )


def medians(rows: Sequence[Row]) -> dict[int, float]:
    """The median gain by length."""
    lengths = sorted({row["length"] for row in rows})
    return {length: float(np.median([row["gain"] for row in rows if row["length"] == length])) for length in lengths}


def found_in_random(rows: Sequence[Row]) -> str:
    """The median gain at both ends of the lengths, and how many chains reach their bound or gain nothing."""
    middle = medians(rows)
    short, long = min(middle), max(middle)
    near = np.mean([row["gain"] * NEAR >= row["bound"] for row in rows])
    optimal = np.mean([row["gain"] == 1 for row in rows if row["length"] == short])
    return (
        f"random chains: the median gain over the best plain order grows from {middle[short]:.2g}× for {short} "
        f"factors to {middle[long]:.2g}× for {long}; {near:.0%} of all are within {NEAR - 1:.0%} of what their "
        f"narrowest place allows; a plain order is optimal in {optimal:.0%} of the chains of {short}"
    )


def found_in_executed(rows: Sequence[Row]) -> str:
    """Whether prediction and count are equal, and whether the cheapest by count wins by the clock."""
    exact = sum(row["predicted"] == row["counted"] for row in rows)
    lost, short = slowdowns(rows), brief(rows)
    sides = {"above": [lost[k] for k in lost if k not in short], "below": [lost[k] for k in lost if k in short]}
    clock = ", ".join(
        f"in {sum(x <= NOISE for x in those)} of {len(those)} chains {side} {SHORT_CALL * 1e3:g} ms "
        f"(at most {max(those):.2f}× slower)"
        for side, those in sides.items()
        if those
    )
    return (
        f"executed: multiply-adds as predicted in {exact} of {len(rows)} runs; "
        f"the cheapest by count is the fastest, or within {NOISE - 1:.0%} of it, {clock}"
    )


def brief(rows: Sequence[Row]) -> set[int]:
    """The chains whose optimum takes so short a time that it is mostly the starting of operations."""
    return {row["chain"] for row in rows if row["order"] == "optimal" and row["seconds"] < SHORT_CALL}


def slowdowns(rows: Sequence[Row]) -> dict[int, float]:
    """Seconds of the cheapest order by count over those of the fastest, by chain."""
    fastest: dict[int, float] = {}
    for row in rows:
        ratio = float(row["seconds_over_optimal"])
        fastest[row["chain"]] = min(ratio, fastest.get(row["chain"], ratio))
    return {chain: 1 / ratio for chain, ratio in fastest.items()}


# ---------------------------------------------------------------------------------------------------
# Pictures
# ---------------------------------------------------------------------------------------------------


@style.styled
def draw(rows: Sequence[Row]) -> Any:
    """The plain orders of every instance, over the best one."""
    largest = max(rows, key=lambda row: row["factors"])
    title = (
        f"The best order of {largest['factors']} Jacobians takes {largest['gain']:,.0f}× fewer multiply-adds than the\n"
        f"best plain one, and is found in {largest['seconds_of_search']:.2g} s"
    )
    made = style.figure(style.WIDE, 7.2, title)
    _orders(made.subplots(), rows)
    return made


@style.styled
def detail(memory: Sequence[Row], workers: Sequence[Row]) -> Any:
    """What limits of memory cost on the left, what workers give on the right."""
    share = max(row["share_of_edges"] for row in memory if row["least_that_loses_nothing"])
    least = min(row["over_one_worker"] for row in workers)
    fewest = min(row["workers"] for row in workers if row["over_one_worker"] == least)
    title = (
        f"Memory for {share:.1%} of the edges loses nothing,\nand {fewest} workers take {least:.2f}× the time of one"
    )
    made = style.figure(style.WIDE, 5.2, title)
    left, right = made.subplots(1, 2)
    _memory(left, memory)
    _workers(right, workers)
    return made


def _orders(ax: Any, rows: Sequence[Row]) -> None:
    places = np.arange(len(rows))[::-1]
    for order, shift in zip(PLAIN, (0.25, 0.0, -0.25), strict=True):
        ratios = [row[order] / row["optimal"] for row in rows]
        ax.hlines(places + shift, 1, ratios, color=LOOKS[order]["color"], linewidth=1.6)
        ax.plot(ratios, places + shift, linestyle="", label=order, markersize=8, **LOOKS[order])
    ax.axvline(1, color=style.BLACK, linewidth=2, label="optimal")
    ax.set_yticks(places, [f"{row['instance']}\noptimal {row['optimal']:,}" for row in rows], fontsize=10)
    ax.set(xscale="log", xlabel="multiply-adds / optimal", title="Plain orders, over the best one", xlim=(0.85, None))
    style.plain_numbers(ax.xaxis, unit="×")
    ax.grid(visible=False, axis="y")
    ax.legend(loc="upper right")


def _memory(ax: Any, rows: Sequence[Row]) -> None:
    looks = zip("os^", RAMP[2:], DASHES[2:], strict=True)
    for (name, mine), (marker, colour, dashes) in zip(_by(rows, "instance"), looks, strict=False):
        kept = [row for row in mine if row["memory"]]
        share, cost = ([row[key] for row in kept] for key in ("share_of_edges", "over_unlimited"))
        ax.step(share, cost, where="post", color=colour, linestyle=dashes)
        ax.annotate(name, (share[0], cost[0]), (0, 5), textcoords="offset points", color=colour)
        enough = next(row for row in mine if row["least_that_loses_nothing"])
        ax.plot([enough["share_of_edges"]], [1], linestyle="", marker=marker, color=colour, markersize=9, zorder=3)
    ax.set(xscale="log", yscale="log", xlabel="memory of one adjoint / Σ edges", ylabel="optimum / without a limit")
    ax.set_title("Limited memory (marked: loses nothing)")
    ax.margins(y=0.12)
    style.plain_numbers(ax.yaxis, unit="×")


def _workers(ax: Any, rows: Sequence[Row]) -> None:
    x = [row["workers"] for row in rows]
    ax.plot(x, [row["bound"] for row in rows], linestyle="--", label="lower bound: work/w, longest way", **style.THEORY)
    ax.plot(x, [row["over_one_worker"] for row in rows], label=f"makespan, {rows[0]['instance']}", **LOOKS["optimal"])
    ax.set(xscale="log", yscale="log", xlabel="workers w", ylabel="makespan / on one worker", title="Workers")
    ax.set_xticks(x, [str(w) for w in x], fontsize=10)
    ax.minorticks_off()
    style.plain_numbers(ax.yaxis, unit="×")
    ax.legend(fontsize=9.5)


def _by(rows: Sequence[Row], key: str) -> Iterable[tuple[Any, list[Row]]]:
    """The rows by the value of one column, in their order."""
    return ((value, list(mine)) for value, mine in itertools.groupby(rows, key=lambda row: row[key]))


@style.styled
def draw_random(rows: Sequence[Row]) -> Any:
    """The distribution of the gain on the left; on the right each chain's beside its bound."""
    middle = medians(rows)
    short, long = min(middle), max(middle)
    title = (
        "The longer a chain, the more its best order gains over the best plain one:\n"
        f"in the median {middle[short]:.2g}× for {short} random factors, {middle[long]:.2g}× for {long}"
    )
    made = style.figure(style.WIDE, 5.4, title)
    left, right = made.subplots(1, 2)
    for (length, mine), colour, dashes in zip(_by(rows, "length"), RAMP, DASHES, strict=False):
        values = sorted(row["gain"] for row in mine)
        share = np.arange(1, len(values) + 1) / len(values)
        left.step([1, *values], [0, *share], where="post", color=colour, linestyle=dashes, label=f"{length} factors")
    left.axhline(0.5, linestyle=":", label="median", **style.THEORY)
    left.set(xscale="log", xlabel="gain: best plain order / optimal", ylabel="share of chains with at most this gain")
    left.set(title="Distribution of the gain", ylim=(0, 1.02))
    left.legend(loc="lower right")
    _bounded(right, rows)
    style.plain_numbers(left.xaxis, right.xaxis, right.yaxis, unit="×")
    return made


def _bounded(ax: Any, rows: Sequence[Row]) -> None:
    for (length, mine), colour, marker in zip(_by(rows, "length"), RAMP, "os^Dx", strict=False):
        bound, gained = ([row[key] for row in mine] for key in ("bound", "gain"))
        ax.plot(bound, gained, linestyle="", color=colour, marker=marker, markersize=3.5, alpha=0.6, label=str(length))
    most = max(row["bound"] for row in rows)
    ax.plot([1, most], [1, most], linestyle="--", label="bound", **style.THEORY)
    ax.set(xscale="log", yscale="log", xlabel="bound: min(n, m) / narrowest dimension", ylabel="gain")
    ax.set_title("Each chain's gain, and how large it could be")
    ax.legend(loc="upper left", title="factors", markerscale=2)


@style.styled
def draw_executed(rows: Sequence[Row]) -> Any:
    """Multiply-adds predicted and counted on the left; the clock against the count on the right."""
    exact, lost = sum(row["predicted"] == row["counted"] for row in rows), slowdowns(rows)
    near = sum(ratio <= NOISE for ratio in lost.values())
    title = (
        f"Multiply-adds are as predicted in {exact} of {len(rows)} runs; the order that takes fewest\n"
        f"is the fastest, or within {NOISE - 1:.0%} of it, in {near} of {len(lost)} chains"
    )
    made = style.figure(style.WIDE, 5.8, title)
    left, right = made.subplots(1, 2)
    sizes = {"forward": 10, "reverse": 7, "optimal": 4}
    for order in ORDERS:
        mine = [row for row in rows if row["order"] == order]
        x, y = ([row[key] for row in mine] for key in ("predicted", "counted"))
        left.plot(x, y, linestyle="", markersize=sizes[order], alpha=0.8, label=order, **LOOKS[order])
    _diagonal(left, [row["predicted"] for row in rows], "predicted = counted")
    left.set(xlabel="multiply-adds predicted, chain.cost(order)", ylabel="multiply-adds counted in the run")
    left.set_title("Predicted and counted")
    _clock(right, rows)
    return made


def _diagonal(ax: Any, values: Sequence[float], label: str) -> None:
    ends = [min(values) / 1.2, max(values) * 1.2]
    ax.plot(ends, ends, linestyle="--", zorder=1, label=label, **style.THEORY)
    ax.set(xscale="log", yscale="log")
    ax.legend(loc="upper left")


def _clock(ax: Any, rows: Sequence[Row]) -> None:
    """Filled where the optimum takes long enough to be more than the starting of operations."""
    hollow = brief(rows)
    for order, short in itertools.product(ORDERS[:2], (False, True)):
        mine = [row for row in rows if row["order"] == order and (row["chain"] in hollow) == short]
        x, y = ([row[key] for row in mine] for key in ("counted_over_optimal", "seconds_over_optimal"))
        label = f"{order}, optimum {'below' if short else 'above'} {SHORT_CALL * 1e3:g} ms"
        ax.plot(x, y, linestyle="", label=label, fillstyle="none" if short else "full", **LOOKS[order])
    ax.axhline(1, color=style.BLACK, linewidth=1.4, label="as fast as the cheapest by count")
    ratios = [row[key] for row in rows for key in ("counted_over_optimal", "seconds_over_optimal")]
    _diagonal(ax, ratios, "seconds as multiply-adds")
    ax.set(xlabel="multiply-adds / those of the optimal order", ylabel="seconds / those of the optimal order")
    ax.set_title("The clock: below the line, the count misleads")
    style.plain_numbers(ax.xaxis, ax.yaxis, unit="×")


# ---------------------------------------------------------------------------------------------------
# The run
# ---------------------------------------------------------------------------------------------------


def run(study: Study) -> str:
    return "; ".join(part(study) for part in (run_instances, run_random, run_executed, run_scheduled))


def run_instances(study: Study) -> str:
    chains = instances()
    rows = [priced(name, chain) for name, chain in study.track(list(chains.items()), "instances")]
    memory = [
        row
        for name in study.track(FULL_LIMITED if study.full else LIMITED, "limits of memory")
        for row in limited(name, chains[name], 40 if study.full else 15)
    ]
    name = FULL_SHARED if study.full else SHARED
    counts = [*WORKERS, len(chains[name])]
    workers = shared(name, counts, study.map(makespan, [(chains[name], w) for w in counts], "workers"))
    study.table(rows)
    study.table(memory, "memory")
    study.table(workers, "workers")
    study.picture(draw(rows))
    study.picture(detail(memory, workers), "detail")
    return found_in_instances(rows, memory, workers)


def run_random(study: Study) -> str:
    blocks = [(length, number) for length in LENGTHS for number in range(10 if study.full else 3)]
    rows = [row for block in study.map(gains, blocks, "random chains") for row in block]
    study.table(rows, "random")
    study.picture(draw_random(rows), "random")
    return found_in_random(rows)


def run_executed(study: Study) -> str:
    jobs = [(number, 2000 if study.full else 800) for number in range(40 if study.full else 8)]
    counts = study.map(executed, jobs, "chains, counted")
    rounds, seconds = (15, 0.15) if study.full else (5, 0.03)
    todo = list(zip(jobs, counts, strict=True))
    rows = [row for job, counted in study.track(todo, "chains, timed") for row in timed(job, counted, rounds, seconds)]
    study.table(rows, "executed")
    study.picture(draw_executed(rows), "executed")
    return found_in_executed(rows)


def run_scheduled(study: Study) -> str:
    # Here, not on other workers: the search ends by the clock.
    rows = [row for job in study.track(schedules.jobs(study.full), "schedules") for row in schedules.schedules(job)]
    study.table(rows, "scheduled")
    study.picture(schedules.draw(rows), "scheduled")
    return schedules.found(rows)

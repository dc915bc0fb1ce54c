"""What does memory cost in time: reversing a recurrence of 10,000 steps with all, some or two of its states kept?

The recurrence: 500 sites of the weather on a circle, ḣ_j = (h_{j+1} − h_{j−2}) h_{j−1} − h_j + F (Lorenz 1996), by
Euler steps, F changing with the time of the year.  The scalar is Σ h² at the end; it is differentiated by where the
weather starts and by the strength of F.

How it is measured.  `checkpoint_scan` with s snapshots, from two to as many as there are steps, and a plain tape.
Seconds of one call; bytes, the most that `tracemalloc` sees alive at once in another call, up to 50 snapshots on the
first 1,000 steps, since what they take does not depend on how many follow; steps, the calls of the step function.
Every gradient must be that of the plain tape.  Predicted: t(l, s) = r·l − C(s + r, s + 1) steps without a tape and l
on one, at the seconds of either on a chain of 400 steps; and s states besides what that chain takes beside its three.
Two levels: two snapshots in memory, others on disk.  Online: the same steps from an iterator, whose end is not known.

What to expect, and why.  With s snapshots and r sweeps over each step C(s + r, s) steps can be reversed (Griewank and
Walther 2000), so memory and time both need grow like the logarithm of l only: at s = r = 8 all of 10,000 steps.
Halving the memory costs little until a handful of states is left; with two, each step is run about 100 times.  A
plain tape keeps what every operation made, several times the states; but it records a step once, without the price of
setting up a tape and finding its arguments for each step, which states of 4 KB hardly hide.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import admodes
from admodes.transforms.revolve import forward_steps

from . import style
from .frame import Row, Study
from .memory import peak

SITES, DT = 500, 1e-3
STEPS, FULL_STEPS = 300, 10_000
SNAPSHOTS = (2, 3, 5, 10, 50, 300)
FULL_SNAPSHOTS = (2, 3, 5, 10, 50, 300, 1000, 10_000)
DISK, FULL_DISK = (8, 30), (8, 48)  # beside two in memory
SEEN = 1000  # steps on which the memory of at most FEW snapshots is seen
FEW = 50
ONLINE = 5  # snapshots, at least, where the steps of an iterator are counted
CALIBRATED = 400  # steps of the chain on which a step is timed, and its memory seen
MARKED = (2, 3, 5, 10, 50, 300, 10_000)

KEPT = {"snapshots": "snapshots in memory", "disk": "two in memory, others on disk", "tape": "plain tape, all kept"}
LOOKS: dict[str, dict[str, Any]] = {
    "snapshots": {"color": style.BLUE, "marker": "o"},
    "disk": {"color": style.GREEN, "marker": "^"},
    "tape": {"color": style.VERMILION, "marker": "s"},
}


def weather(h: Any, forcing: Any) -> Any:
    """One Euler step of Lorenz' model of 1996."""
    around = np.concatenate([h[-2:], h, h[:1]])
    return h + DT * ((around[3:] - around[:-3]) * around[1:-2] - h + forcing)


class Recurrence:
    """The energy at the end, by each way of keeping states; steps are counted."""

    def __init__(self, steps: int, sites: int, rng: np.random.Generator) -> None:
        self.h = rng.normal(size=sites)
        self.strength = np.float64(8.0)
        self.seasons = 1 + 0.2 * np.sin(np.linspace(0, 2 * np.pi, steps))
        self.calls = 0

    def first(self, steps: int) -> Recurrence:
        """The same, ending earlier."""
        short = copy.copy(self)
        short.seasons = self.seasons[:steps]
        return short

    def step(self, h: Any, season: Any, strength: Any) -> Any:
        self.calls += 1
        return weather(h, season * strength)

    def plain(self, h: Any, strength: Any) -> Any:
        """Every operation on one tape."""
        for season in self.seasons:
            h = self.step(h, season, strength)
        return np.sum(h**2)

    def kept(self, snapshots: int, disk: int = 0, online: bool = False) -> Callable[[Any, Any], Any]:
        """With so many snapshots in memory and on disk."""

        def energy(h: Any, strength: Any) -> Any:
            if online:
                source = iter([(season, None) for season in self.seasons])
                start = (h, strength)
                (h, _), _ = admodes.checkpoint_scan(
                    lambda c, x: ((self.step(c[0], x[0], c[1]), c[1]), None), start, source, snapshots=snapshots
                )
            else:
                h, _ = admodes.checkpoint_scan(
                    lambda h, x: (self.step(h, x, strength), None), h, self.seasons, snapshots=snapshots, disk=disk
                )
            return np.sum(h**2)

        return energy

    def gradient(self, f: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
        found: tuple[Any, Any] = admodes.grad(f, argnums=(0, 1))(self.h, self.strength)
        return found


def seconds_of(call: Callable[[], Any], rounds: int) -> float:
    """The least of some calls."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


class Prediction:
    """Seconds and bytes of any number of snapshots, from one step's."""

    def __init__(self, rng: np.random.Generator, sites: int) -> None:
        short = Recurrence(CALIBRATED, sites, rng)
        few, all_ = 3, CALIBRATED

        def seconds(s: int) -> float:
            return seconds_of(lambda: short.gradient(short.kept(s)), 9)

        seconds(few)
        fewest, most = seconds(few), seconds(all_)
        without = forward_steps(CALIBRATED, few) - forward_steps(CALIBRATED, all_)
        self.step = (fewest - most) / without
        self.taped = (most - forward_steps(CALIBRATED, all_) * self.step) / CALIBRATED
        self.state = short.h.nbytes
        self.base = peak(short.gradient, (short.kept(few),)) - few * self.state

    def seconds(self, steps: int, snapshots: int) -> float:
        return forward_steps(steps, snapshots) * self.step + steps * self.taped

    def bytes(self, snapshots: int) -> float:
        return self.base + snapshots * self.state


def measured(recurrence: Recurrence, prediction: Prediction, snapshots: int, disk: int, right: Any) -> dict[str, Any]:
    """One row: seconds, bytes and steps, predicted and measured; an error for a wrong gradient."""
    steps, total = len(recurrence.seasons), snapshots + disk
    energy = recurrence.kept(snapshots, disk)
    recurrence.calls = 0
    start = time.process_time()
    found = recurrence.gradient(energy)
    seconds = time.process_time() - start
    calls = recurrence.calls
    for mine, theirs in zip(found, right, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-10 * float(np.max(np.abs(theirs))))
    seen = recurrence.first(SEEN if total <= FEW else steps)
    return {
        "kept": "disk" if disk else "snapshots",
        "snapshots": snapshots,
        "on_disk": disk,
        "steps": steps,
        "steps_run": calls,
        "steps_predicted": forward_steps(steps, total) + steps,
        "seconds": seconds,
        "seconds_predicted": None if disk else prediction.seconds(steps, total),
        "bytes": peak(seen.gradient, (seen.kept(snapshots, disk),)),
        "bytes_predicted": prediction.bytes(snapshots),
    }


def taped(recurrence: Recurrence, rounds: int) -> tuple[dict[str, Any], Any]:
    """The row of the plain tape, and the gradient."""
    steps = len(recurrence.seasons)
    right = recurrence.gradient(recurrence.plain)
    row = {
        "kept": "tape",
        "snapshots": steps,
        "on_disk": 0,
        "steps": steps,
        "steps_run": steps,
        "steps_predicted": steps,
        "seconds": seconds_of(lambda: recurrence.gradient(recurrence.plain), rounds),
        "seconds_predicted": None,
        "bytes": peak(recurrence.gradient, (recurrence.plain,)),
        "bytes_predicted": None,
    }
    return row, right


def online(steps: int, snapshots: Sequence[int], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Steps of one site from an iterator, counted."""
    rows = []
    for s in snapshots:
        recurrence = Recurrence(steps, 4, rng)
        recurrence.gradient(recurrence.kept(s, online=True))
        rows.append({"snapshots": s, "steps_run": recurrence.calls, "steps_offline": forward_steps(steps, s) + steps})
    return rows


def finding(rows: Sequence[Row], streamed: Sequence[Row]) -> str:
    """The answer, in one line, from the data."""
    tape = next(row for row in rows if row["kept"] == "tape")
    mine = [row for row in rows if row["kept"] == "snapshots"]
    two = min(mine, key=lambda row: row["snapshots"])
    some = next(row for row in mine if row["snapshots"] == 50)
    exact = sum(row["steps_run"] == row["steps_predicted"] for row in rows)
    seconds = [
        max(row["seconds"], row["seconds_predicted"]) / min(row["seconds"], row["seconds_predicted"]) for row in mine
    ]
    memory = [max(row["bytes"], row["bytes_predicted"]) / min(row["bytes"], row["bytes_predicted"]) for row in mine]
    worst = max(row["steps_run"] / row["steps_offline"] for row in streamed)
    return (
        f"of {tape['steps']:,} steps 50 snapshots take {some['bytes'] / tape['bytes']:.2%} of the plain tape's memory "
        f"and {some['seconds'] / tape['seconds']:.1f}× its time, two {two['bytes'] / tape['bytes']:.2%} and "
        f"{two['seconds'] / tape['seconds']:.0f}×; steps run as few as can be in {exact} of {len(rows)} runs, online "
        f"at most {worst:.2f}× as many; predicted seconds within {max(seconds):.2f}×, bytes within {max(memory):.2f}×"
    )


@style.styled
def draw(rows: Sequence[Row], streamed: Sequence[Row], prediction: Prediction) -> Any:
    """Seconds over bytes on the left; steps run over snapshots on the right."""
    tape = next(row for row in rows if row["kept"] == "tape")
    some = next(row for row in rows if row["kept"] == "snapshots" and row["snapshots"] == 50)
    made = style.figure(
        style.WIDE,
        5.6,
        f"Fifty states of {tape['steps']:,} reverse the recurrence in {some['bytes'] / tape['bytes']:.1%} of the "
        f"tape's memory\nfor {some['seconds'] / tape['seconds']:.1f}× its time",
    )
    left, right = made.subplots(1, 2)
    _pareto(left, rows, prediction)
    _steps(right, rows, streamed)
    return made


def _pareto(ax: Any, rows: Sequence[Row], prediction: Prediction) -> None:
    steps = rows[0]["steps"]
    every = np.unique(np.geomspace(2, steps, 200).astype(int))
    ax.plot(
        [prediction.bytes(int(s)) / 1e6 for s in every],
        [prediction.seconds(steps, int(s)) for s in every],
        label="predicted from one step",
        **style.THEORY,
    )
    for kept, look in LOOKS.items():
        mine = [row for row in rows if row["kept"] == kept]
        ax.plot(
            [row["bytes"] / 1e6 for row in mine],
            [row["seconds"] for row in mine],
            linestyle="",
            label=KEPT[kept],
            **look,
        )
        for row in mine:
            marked = kept == "disk" or (kept == "snapshots" and row["snapshots"] in MARKED)
            if marked:
                text = f"2 + {row['on_disk']}" if kept == "disk" else f"{row['snapshots']:,}"
                place = {"xytext": (-8, -4), "ha": "right"} if kept == "disk" else {"xytext": (7, 4)}
                at = row["bytes"] / 1e6, row["seconds"]
                ax.annotate(text, at, textcoords="offset points", fontsize=10, **place)
    ax.set(xscale="log", yscale="log", xlabel="peak memory, MB", ylabel="seconds for one gradient")
    ax.set_xlim(min(row["bytes"] for row in rows) / 5e6, max(row["bytes"] for row in rows) / 4e5)
    ax.set_title("Time against memory (numbers: states kept)")
    style.plain_numbers(ax.xaxis, ax.yaxis)
    ax.legend(loc="upper right")


def _steps(ax: Any, rows: Sequence[Row], streamed: Sequence[Row]) -> None:
    steps = rows[0]["steps"]
    every = np.unique(np.geomspace(2, steps, 200).astype(int))
    ax.plot(
        every,
        [(forward_steps(steps, int(s)) + steps) / steps for s in every],
        label="fewest, (t(l, s) + l) / l",
        **style.THEORY,
    )
    mine = [row for row in rows if row["kept"] == "snapshots"]
    ax.plot(
        [r["snapshots"] for r in mine],
        [r["steps_run"] / steps for r in mine],
        linestyle="",
        label="counted",
        **LOOKS["snapshots"],
    )
    ax.plot(
        [r["snapshots"] for r in streamed],
        [r["steps_run"] / steps for r in streamed],
        linestyle="",
        marker="x",
        color=style.VERMILION,
        markeredgewidth=2,
        label="counted, length not known before",
    )
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="snapshots s",
        ylabel="runs of each step",
        title="Steps run, predicted and counted",
    )
    style.plain_numbers(ax.xaxis, ax.yaxis)
    ax.legend()


def run(study: Study) -> str:
    steps = FULL_STEPS if study.full else STEPS
    rng = study.rng()
    prediction = Prediction(rng, SITES)
    recurrence = Recurrence(steps, SITES, rng)
    tape, right = taped(recurrence, 3 if study.full else 1)
    jobs = [(s, 0) for s in (FULL_SNAPSHOTS if study.full else SNAPSHOTS)]
    jobs += [(2, disk) for disk in (FULL_DISK if study.full else DISK)]
    rows = [measured(recurrence, prediction, s, disk, right) for s, disk in study.track(jobs, "snapshots")]
    rows.append(tape)
    streamed = online(steps, [s for s, disk in jobs if not disk and s >= ONLINE], rng)
    study.table(rows)
    study.table(streamed, "online")
    study.picture(draw(rows, streamed, prediction))
    return finding(rows, streamed)

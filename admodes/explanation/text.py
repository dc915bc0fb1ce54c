"""The story as text: the table of both sweeps, and the sentence at the end."""

from __future__ import annotations

from ..core.tables import columns
from ..program.recording import Value
from ..program.show.draw import label, show
from .story import Story
from .walk import Mode, Tick

# Steps that are printed of one sweep.
MOST_LINES = 60


def text(story: Story) -> str:
    """Both sweeps, a line a step, and what follows from the counts."""
    forward = _table(story, story.forward, "tangent")
    reverse = _table(story, story.reverse, "adjoint")
    return "\n".join([story.title, "", "forward mode", *forward, "", "reverse mode", *reverse, "", story.sentence])


def _table(story: Story, mode: Mode, what: str) -> list[str]:
    rows: list[tuple[str, ...]] = [("step", "value", what, "multiply-adds", "bytes")]
    ticks = [tick for tick in mode.ticks if tick.at != "end" and tick.number == 0]
    rows += [_row(story, mode, tick) for tick in ticks[:MOST_LINES]]
    lines = columns(rows, "<>>>>")
    if len(ticks) > MOST_LINES:
        lines.append(f"… {len(ticks) - MOST_LINES} steps more")
    if mode.passes > 1:
        lines.append(f"… {mode.passes - 1} passes more, {mode.multiply_adds:,.0f} multiply-adds in all")
    return lines


def _row(story: Story, mode: Mode, tick: Tick) -> tuple[str, ...]:
    counts = f"{tick.multiply_adds:,.0f}", f"{tick.memory:,}"
    if tick.at == "seed":
        return (f"seed: {mode.shown[tick.number].seed}", "", "1", *counts)
    instruction = story.problem.program.instructions[tick.instruction]
    v = instruction.outs[0]
    carried = mode.shown[tick.number].carried.get(v) if tick.at == "step" else None
    back = " back" if tick.step[0] == "back" else ""
    return (
        f"{story.names[v]} = {label(instruction)}{_given(story, instruction.uses)}{back}",
        show(story.graph.known[v]),
        "" if carried is None else show(carried),
        *counts,
    )


def _given(story: Story, values: list[Value]) -> str:
    return f" of {', '.join(story.names[v] for v in values)}" if values else ""

"""A bar for long work, where a person looks at a terminal; nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic as clock

Step = Callable[[str], None]


@contextmanager
def bar(title: str, total: int, after: float = 0.0) -> Iterator[Step]:
    """step(what): one of `total` steps begins.

    The bar is drawn when a step begins and by no thread of its own, so that it takes no time from what is measured;
    after : so many seconds, so that what is done sooner shows none.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with ExitStack() as shown:
        yield _step(title, total, clock() + after, shown)


def _step(title: str, total: int, first: float, shown: ExitStack) -> Step:
    draw: Step | None = None
    done = 0

    def step(what: str) -> None:
        nonlocal draw, done
        done += 1
        if draw is None and clock() >= first:
            draw = _drawn(title, total, done - 1, shown)
        if draw is not None:
            draw(what)

    return step


def _drawn(title: str, total: int, done: int, shown: ExitStack) -> Step:
    """A bar on which so many steps are done; `shown` ends it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    doing = TextColumn("{task.description}")
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), doing)
    progress = shown.enter_context(Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False))
    task = progress.add_task("", total=total, completed=done)

    def draw(what: str) -> None:
        progress.update(task, description=what, advance=1)
        progress.refresh()

    return draw


# What takes longer than so many seconds unasked shows that it goes on.
PATIENCE = 1.0

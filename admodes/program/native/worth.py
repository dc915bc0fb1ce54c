"""When native kernels pay: what compiling them takes, against what each call then saves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from ...ops.assignment import SETITEM
from ...ops.index import INDEX, SCATTER
from ..algebra import signs, sums_as_products
from ..memory import changes_in_place, results_in_place, workspace
from ..passes import common_subexpressions, constant_folding, contraction_order, dead_code, identities
from ..recording import Instruction, Value
from ..rolling import SHORTEST, Make, roll
from ..straightline import StraightLine
from .calls import usable
from .complexes import is_complex, is_complex_native, rule_of
from .gathers import gathering
from .group import count, kernels
from .joins import is_join
from .nodes import entry_of, is_native
from .products import is_small_product
from .rolled import accepts, instructions_of
from .rows import REDUCTIONS
from .table import runs_of_words, tables

P = TypeVar("P", bound=StraightLine)

# Seconds that compiling a kernel takes, and more for each instruction; that NumPy takes for a call; for an addition.
COMPILING, EACH, CALL, ADDITION = 8e-3, 5e-4, 4e-7, 4e-10

# Seconds that an assignment to elements, and what its derivative does, take longer beside kernels.
ASSIGNED = 2e-6

# Seconds that NumPy's call is in a table; those of compiling up to which kernels take its place, and more for so many
# calls that are saved.
WORD, LONGER, FOR_GOOD = 1e-8, 0.5, 1e4

# Seconds of compiling from which on a program stays flat code.
LONGEST = 3.0

# Seconds that NumPy takes for an element at an index of an index array.
FAR = 5e-9

# Instructions, elements that their usual one has, and the part of them in tables from where on few passes pay.
LONG, SMALL, NEARLY = 1000, 64, 0.9

FEW_PASSES = (
    constant_folding, identities, dead_code, common_subexpressions, changes_in_place, dead_code, results_in_place,
    workspace,
)  # fmt: skip

# The part of NumPy's time that kernels save.
SAVED = 0.7


def with_loops(program: P, passes: Sequence[Callable[[Any], Any]], make: Make = instructions_of) -> P:
    """The program with its loops rolled; itself where there are none."""
    if len(program.instructions) < SHORTEST or not usable():
        return program
    return roll(program, accepts, make, passes[: list(passes).index(signs) + 1])


def with_tables(passes: Sequence[Callable[[Any], Any]], taken: Callable[[Any], Any] = tables) -> tuple[Any, ...]:
    """The passes with tables taken out of the program once it is known what is written in place."""
    if workspace not in passes or not usable():
        return tuple(passes)
    at = list(passes).index(workspace)
    return (*passes[:at], taken, *passes[at:])


def on_tables_alone(program: StraightLine, passes: Sequence[Callable[[Any], Any]], native: bool) -> tuple[Any, ...]:
    """The few passes that a long program of short instructions needs, where nearly all of it is better in tables, or,
    where no kernels are wanted yet, can be in some: what others spare there is less than what they take."""
    count = len(program.instructions)
    if count < LONG or contraction_order in passes or not usable():
        return tuple(passes)
    places = left_to_tables(program) if native else [k for run in runs_of_words(program) for k in run]
    usual = np.median([v.size for i in program.instructions for v in i.outs])
    return FEW_PASSES if usual <= SMALL and len(places) >= NEARLY * count else tuple(passes)


def with_kernels(
    passes: Sequence[Callable[[Any], Any]], taken: Callable[..., Any] = kernels
) -> tuple[Callable[[Any], Any], ...]:
    """The passes with kernels taken out of the program once steps of loops are stacked, and before memory is planned;
    sums that no kernel takes become products behind that."""
    kept = [one for one in passes if one is not sums_as_products]
    at = kept.index(changes_in_place)
    return (*kept[:at], lambda program: taken(program, left=left_to_tables(program)), sums_as_products, *kept[at:])


def calls_until_native(program: StraightLine) -> int:
    """At which call kernels have been worth their compilation, 1 being the first; 0 where they never are.

    By then as much has been lost by waiting as compiling takes: at most twice the best that could be done.  A kernel
    is a call again, and an assignment to an element that flat code makes in place is a copy of the array where a kernel
    reads it later: many small kernels between assignments save nothing.  Beside a table they save little.
    """
    if not usable():
        return 0
    runs = runs_of_words(program)
    tabled = {k for run in runs for k in run}
    left = _left(program, runs)
    body = program.instructions
    counted = [k for k, i in enumerate(body) if k not in left and _seconds(i)]
    if len(counted) < 2:
        return 0
    made, different = count(program, left)
    compiling = COMPILING * max(1, different) + EACH * len(counted)
    assigned = sum(i.op is SETITEM for k, i in enumerate(body) if k not in left)
    saved = SAVED * sum(_seconds(body[k], WORD if k in tabled else CALL) for k in counted)
    saved -= CALL * max(0, made - 1) + ASSIGNED * assigned
    if saved <= 0 or compiling > LONGEST:
        return 0
    return max(1, math.ceil(compiling / saved))


def left_to_tables(program: StraightLine) -> frozenset[int]:
    """The places of the instructions that are better in a table than in kernels: these would be many, of few
    instructions each, or long to compile."""
    return _left(program, runs_of_words(program)) if usable() else frozenset()


def _left(program: StraightLine, runs: Sequence[range]) -> frozenset[int]:
    found: set[int] = set()
    for run in runs:
        part = program.with_(instructions=program.instructions[run.start : run.stop])
        saved, compiling = SAVED * sum(_seconds(i, WORD) for i in part.instructions), EACH * len(run)
        if compiling > min(LONGEST, LONGER + FOR_GOOD * saved) or saved <= CALL * count(part)[0]:
            found.update(run)
    return frozenset(found)


def _seconds(i: Instruction, call: float = CALL) -> float:
    """What NumPy takes, or a table by its own `call`, for an instruction that a kernel would compute; 0 for others."""
    if isinstance(i.out, tuple) or not i.outs:
        return 0.0
    if any(map(is_complex, (*i.args, i.out))):
        rule = rule_of(i)
        work = rule[1] if rule is not None else 2.0
        return CALL + ADDITION * work * i.out.size if is_complex_native(i) else 0.0
    entry = entry_of(i)
    if entry is not None or i.op.fn is np.where:
        return call + ADDITION * (entry.work if entry is not None else 1.0) * i.out.size
    if is_small_product(i):
        return 2 * call
    if is_join(i):
        return 2 * call + ADDITION * i.out.size
    if i.op.fn in REDUCTIONS and isinstance(i.args[0], Value):
        return call + ADDITION * i.args[0].size
    if i.op in (INDEX, SCATTER):
        return 2 * call + FAR * max(i.out.size, i.args[0].size) if is_native(i) and gathering(i) is not None else 0.0
    return 0.0

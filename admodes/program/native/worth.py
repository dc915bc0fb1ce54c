"""When native kernels pay: what compiling them takes, against what each call then saves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from ...ops.assignment import SETITEM
from ...ops.index import INDEX, SCATTER
from ..algebra import signs, sums_as_products
from ..memory import changes_in_place
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

P = TypeVar("P", bound=StraightLine)

# Seconds that compiling a kernel takes, and more for each instruction; that NumPy takes for a call; for an addition.
COMPILING, EACH, CALL, ADDITION = 8e-3, 5e-4, 4e-7, 4e-10

# Seconds that an assignment to elements, and what its derivative does, take longer beside kernels.
ASSIGNED = 2e-6

# Seconds of compiling from which on a program stays flat code.
LONGEST = 3.0

# Seconds that NumPy takes for an element at an index of an index array.
FAR = 5e-9

# The part of NumPy's time that kernels save.
SAVED = 0.7


def with_loops(program: P, passes: Sequence[Callable[[Any], Any]], make: Make = instructions_of) -> P:
    """The program with its loops rolled; itself where there are none."""
    if len(program.instructions) < SHORTEST or not usable():
        return program
    return roll(program, accepts, make, passes[: list(passes).index(signs) + 1])


def with_kernels(
    passes: Sequence[Callable[[Any], Any]], taken: Callable[[Any], Any] = kernels
) -> tuple[Callable[[Any], Any], ...]:
    """The passes with kernels taken out of the program once steps of loops are stacked, and before memory is planned;
    sums that no kernel takes become products behind that."""
    kept = [one for one in passes if one is not sums_as_products]
    at = kept.index(changes_in_place)
    return (*kept[:at], taken, sums_as_products, *kept[at:])


def calls_until_native(program: StraightLine) -> int:
    """At which call kernels have been worth their compilation, 1 being the first; 0 where they never are.

    By then as much has been lost by waiting as compiling takes: at most twice the best that could be done.  A kernel
    is a call again, and an assignment to an element that flat code makes in place is a copy of the array where a kernel
    reads it later: many small kernels between assignments save nothing.
    """
    counted = [i for i in program.instructions if _seconds(i)]
    if len(counted) < 2 or not usable():
        return 0
    made, different = count(program)
    compiling = COMPILING * max(1, different) + EACH * len(counted)
    assigned = sum(i.op is SETITEM for i in program.instructions)
    saved = SAVED * sum(map(_seconds, counted)) - CALL * max(0, made - 1) - ASSIGNED * assigned
    if saved <= 0 or compiling > LONGEST:
        return 0
    return max(1, math.ceil(compiling / saved))


def _seconds(i: Instruction) -> float:
    """What NumPy takes for an instruction that a kernel would compute; 0 for others."""
    if isinstance(i.out, tuple) or not i.outs:
        return 0.0
    if any(map(is_complex, (*i.args, i.out))):
        rule = rule_of(i)
        work = rule[1] if rule is not None else 2.0
        return CALL + ADDITION * work * i.out.size if is_complex_native(i) else 0.0
    entry = entry_of(i)
    if entry is not None or i.op.fn is np.where:
        return CALL + ADDITION * (entry.work if entry is not None else 1.0) * i.out.size
    if is_small_product(i):
        return 2 * CALL
    if is_join(i):
        return 2 * CALL + ADDITION * i.out.size
    if i.op.fn in REDUCTIONS and isinstance(i.args[0], Value):
        return CALL + ADDITION * i.args[0].size
    if i.op in (INDEX, SCATTER):
        return 2 * CALL + FAR * max(i.out.size, i.args[0].size) if is_native(i) and gathering(i) is not None else 0.0
    return 0.0

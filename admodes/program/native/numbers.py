"""Kernels of numbers alone: the machine code itself makes NumPy's scalars of its results, so that a call takes no array
for them and no frame of Python.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..primitives import KERNELS
from ..straightline import StraightLine
from .machine import address_of

# Py_tp_alloc of CPython's typeslots.h: the function that makes an object of a type.
ALLOCATE = 47


def of_numbers(kernel: Any) -> bool:
    """Whether a kernel takes doubles without axes, and gives them."""
    numbers = all(not x.ndim and x.dtype == np.float64 for x in (*kernel.given, *kernel.results))
    return numbers and not kernel.scratch and not kernel.checked


def giving(
    taken: list[str], arguments: list[str], head: int, run: Callable[[list[str]], list[str]], n: int
) -> list[str]:
    """The body of the function of Python that gives n results, one or a tuple of them; of a refusal NotImplemented:
    arguments of another number or kind, and where it is called with an object of its own, nan among the results.

    taken : the lines that find the arguments, or go to %refused
    head : bytes before what a type adds to an object
    run : the lines that run the kernel on pointers
    """
    count = len(arguments)
    lines = [f"  %r{k} = alloca double" for k in range(n)]
    lines += [f"  %fits = icmp eq i64 %count, {count}", "  br i1 %fits, label %counted, label %refused", "counted:"]
    lines += [*taken, *run([*arguments, *(f"%r{k}" for k in range(n))])]
    lost = "false"
    for k in range(n):
        lines += [f"  %y{k} = load double, ptr %r{k}", f"  %nan{k} = fcmp uno double %y{k}, %y{k}"]
        lines.append(f"  %lost{k} = or i1 {lost}, %nan{k}")
        lost = f"%lost{k}"
    lines += ["  %strict = icmp ne ptr %self, null", f"  %again = and i1 %strict, {lost}"]
    lines += ["  br i1 %again, label %refused, label %given", "given:"]
    if n == 1:
        return [*lines, *_made(0, head), "  ret ptr %n0", "failed:", "  ret ptr null"]
    api = ctypes.pythonapi
    lines += [f"  %all = call ptr {address_of(api.PyTuple_New)}(i64 {n})", "  %none = icmp eq ptr %all, null"]
    lines += ["  br i1 %none, label %nothing, label %some", "some:"]
    for k in range(n):
        lines += _made(k, head)
        lines.append(f"  call i32 {address_of(api.PyTuple_SetItem)}(ptr %all, i64 {k}, ptr %n{k})")
    lines += ["  ret ptr %all", "failed:", f"  call void {address_of(api.Py_DecRef)}(ptr %all)"]
    return [*lines, "  br label %nothing", "nothing:", "  ret ptr null"]


def _made(k: int, head: int) -> list[str]:
    """The lines that make the object of a result, or go to %failed."""
    return [
        f"  %n{k} = call ptr inttoptr (i64 {_allocator()} to ptr)(ptr inttoptr (i64 {id(np.float64)} to ptr), i64 0)",
        f"  %full{k} = icmp eq ptr %n{k}, null",
        f"  br i1 %full{k}, label %failed, label %got{k}",
        f"got{k}:",
        f"  %at{k} = getelementptr i8, ptr %n{k}, i64 {head}",
        f"  store double %y{k}, ptr %at{k}",
    ]


@cache
def _allocator() -> int:
    """The address of the function that makes an np.float64."""
    slot = ctypes.pythonapi.PyType_GetSlot
    slot.restype, slot.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_int)
    return int(slot(np.float64, ALLOCATE))


def direct(program: StraightLine) -> Callable[..., Any] | None:
    """What gives the results of a program for its arguments, where that is one kernel of numbers: NotImplemented for
    arguments of another kind, and where nan is among the results."""
    if len(program.instructions) != 1 or any(x is not None for x in program.static) or not all(program.numbers):
        return None
    i = program.instructions[0]
    if i.op not in KERNELS or not (_same(i.args, program.inputs) and _same(i.outs, program.outputs)):
        return None
    function: Any = i.op.fn
    found: Callable[..., Any] | None = function.native.strict() if function.of_numbers else None
    return found


def _same(xs: Sequence[Any], ys: Sequence[Any]) -> bool:
    return len(xs) == len(ys) and all(x is y for x, y in zip(xs, ys, strict=True))

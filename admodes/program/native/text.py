"""LLVM IR as text: lines of a function, and values of vectors or of single elements in it.

A kind of element is the letter of its dtype in NumPy: d and f are floating, q and i whole numbers, ? truths, which are
i1 in registers and bytes in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from .machine import Machine

ELEMENTS = {"d": "double", "f": "float", "q": "i64", "i": "i32", "?": "i1"}
SIZES = {"d": 8, "f": 4, "q": 8, "i": 4, "?": 1}
FLOATING = "df"
WHOLE = "qi"


def kind_of(dtype: np.dtype[Any]) -> str | None:
    """The kind of a dtype that kernels know; None for others."""
    if not dtype.isnative:
        return None
    if dtype.kind == "i":
        return {8: "q", 4: "i"}.get(dtype.itemsize)
    return dtype.char if dtype.char in "df?" else None


class Text:
    """The functions of one module: fresh names, and what they declare."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.declared: dict[str, None] = {}
        self.entry: list[str] = []  # variables, at the entry of the function
        self.count = 0
        self.circular: set[str] = set()  # values of which both sine and cosine are wanted
        self.quadrants: dict[Any, Any] = {}  # by lines and value: its place on the circle (see `series`)

    def name(self) -> str:
        """A name not used yet."""
        self.count += 1
        return f"%v{self.count}"

    def declare(self, result: str, symbol: str, arguments: str) -> None:
        self.declared[f"declare {result} @{symbol}({arguments})"] = None


def number(kind: str, x: Any) -> str:
    """A constant of one element."""
    if kind == "?":
        return "true" if x else "false"
    if kind in WHOLE:
        return str(int(x))
    x = float(np.float32(x)) if kind == "f" else float(x)
    return f"0x{struct.unpack('<Q', struct.pack('<d', x))[0]:016X}"


class Writer:
    """Writes operations on values of `lanes` elements to the end of some lines."""

    def __init__(self, text: Text, lanes: int, lines: list[str]) -> None:
        self.text = text
        self.lanes = lanes
        self.lines = lines

    def type(self, kind: str) -> str:
        """The type of a value."""
        element = ELEMENTS[kind]
        return element if self.lanes == 1 else f"<{self.lanes} x {element}>"

    def add(self, right: str) -> str:
        """A line, and the name of its result."""
        name = self.text.name()
        self.lines.append(f"  {name} = {right}")
        return name

    def constant(self, kind: str, x: Any) -> str:
        """The same number in every lane."""
        one = number(kind, x)
        return one if self.lanes == 1 else f"splat ({ELEMENTS[kind]} {one})"

    def splat(self, kind: str, one: str) -> str:
        """A value of one element in every lane."""
        if self.lanes == 1:
            return one
        element = ELEMENTS[kind]
        first = self.add(f"insertelement {self.type(kind)} poison, {element} {one}, i32 0")
        return self.add(
            f"shufflevector {self.type(kind)} {first}, {self.type(kind)} poison, <{self.lanes} x i32> zeroinitializer"
        )

    def lane(self, kind: str, x: str, k: int) -> str:
        """One lane of a vector."""
        return x if self.lanes == 1 else self.add(f"extractelement {self.type(kind)} {x}, i32 {k}")

    def shuffle(self, of: str, a: str, b: str, places: Sequence[int]) -> str:
        """A vector of elements at these places of two vectors of a type, one behind the other."""
        mask = ", ".join(f"i32 {k}" for k in places)
        return self.add(f"shufflevector {of} {a}, {of} {b}, <{len(places)} x i32> <{mask}>")

    def gathered(self, kind: str, parts: list[str]) -> str:
        """A vector of single elements."""
        value = "poison"
        for k, part in enumerate(parts):
            value = self.add(f"insertelement {self.type(kind)} {value}, {ELEMENTS[kind]} {part}, i32 {k}")
        return value

    def binary(self, operation: str, kind: str, a: str, b: str) -> str:
        return self.add(f"{operation} {self.type(kind)} {a}, {b}")

    def select(self, condition: str, kind: str, a: str, b: str) -> str:
        return self.add(f"select {self.type('?')} {condition}, {self.type(kind)} {a}, {self.type(kind)} {b}")

    def intrinsic(self, name: str, kind: str, *args: str) -> str:
        """An intrinsic of LLVM, of arguments and a result of one type."""
        one = {"d": "f64", "f": "f32", "q": "i64", "i": "i32", "?": "i1"}[kind]
        symbol = f"llvm.{name}.{one if self.lanes == 1 else f'v{self.lanes}{one}'}"
        return self.call(symbol, kind, *args)

    def call(self, symbol: str, kind: str, *args: str) -> str:
        of = self.type(kind)
        self.text.declare(of, symbol, ", ".join([of] * len(args)))
        return self.add(f"call {of} @{symbol}({', '.join(f'{of} {a}' for a in args)})")

    def function(self, name: str, kind: str, *args: str) -> str:
        """A function of libm: of the vector library where that has it, else lane by lane."""
        machine, size = self.text.machine, SIZES[kind]
        found = machine.vector_function(name, len(args), size, self.lanes) if self.lanes > 1 else None
        if found is not None:
            return self.call(found, kind, *args)
        symbol = machine.scalar_function(name, size)
        assert symbol is not None, name
        one = Writer(self.text, 1, self.lines)
        parts = [one.call(symbol, kind, *(self.lane(kind, a, k) for a in args)) for k in range(self.lanes)]
        return parts[0] if self.lanes == 1 else self.gathered(kind, parts)

    def compare(self, predicate: str, kind: str, a: str, b: str) -> str:
        """A comparison: o… false and u… true beside nan."""
        if kind in FLOATING:
            return self.add(f"fcmp {predicate} {self.type(kind)} {a}, {b}")
        if kind == "?":
            signed = {"lt": "ult", "le": "ule", "gt": "ugt", "ge": "uge", "eq": "eq", "ne": "ne"}
        else:
            signed = {"lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge", "eq": "eq", "ne": "ne"}
        return self.add(f"icmp {signed[predicate[1:]]} {self.type(kind)} {a}, {b}")

    def cast(self, x: str, old: str, new: str) -> str:
        """A value in another kind, as NumPy's astype has it."""
        if old == new:
            return x
        if new == "?":
            return self.compare("une", old, x, self.constant(old, 0))
        if old == "?":
            operation = "uitofp" if new in FLOATING else "zext"
        elif old in WHOLE:
            operation = "sitofp" if new in FLOATING else ("sext" if SIZES[new] > SIZES[old] else "trunc")
        else:
            operation = "fpext" if new == "d" else "fptrunc"
        return self.add(f"{operation} {self.type(old)} {x} to {self.type(new)}")


def castable(old: str, new: str) -> bool:
    """Whether kernels cast so: not from floating to whole numbers, where nan and the like have no meaning."""
    return not (old in FLOATING and new in WHOLE)


def memory_type(kind: str) -> str:
    """The type in memory."""
    return "i8" if kind == "?" else ELEMENTS[kind]


def filling(to: Writer, kind: str, pointer: str, i: str, x: Any) -> list[str]:
    """The lines that store a number as element i."""
    address = to.add(f"getelementptr {memory_type(kind)}, ptr {pointer}, i64 {i}")
    value = str(int(x)) if kind == "?" else number(kind, x)
    return [*to.lines, f"  store {memory_type(kind)} {value}, ptr {address}"]

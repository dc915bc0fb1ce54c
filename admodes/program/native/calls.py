"""Kernels as functions of Python: they take arrays and scalars, and give new ones.

The machine code itself is a function of CPython's (`METH_FASTCALL`) that reads where the data are from the objects, so
that a call costs a fraction of a microsecond.  What it cannot take as it is (other strides, another byte order, a
subclass) is copied first.  A call of some length releases the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import sys
import weakref
from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...core.dispatch import apply
from ..recording import Instruction, Value, mapped
from .loops import Loops
from .machine import Compiled, address_of, available, machine
from .nodes import Load
from .numbers import giving, of_numbers
from .plan import Kernel, Nest, Root
from .rows import REDUCTIONS
from .text import ELEMENTS, Text, Writer, kind_of
from .threads import split

HEAD = object.__basicsize__  # bytes before what a type adds

# Places in NumPy's array object (PyArrayObject_fields in its ndarraytypes.h), behind the head.
DATA, AXES, DESCR, FLAGS = HEAD, HEAD + 8, HEAD + 40, HEAD + 48
C_CONTIGUOUS, ALIGNED = 0x1, 0x100

# Elements times operations from which on a call releases the lock: some 20 µs.
LONG = 1 << 15

SCALARS: dict[str, tuple[type, ...]] = {
    "d": (np.float64, float), "f": (np.float32,), "q": (np.int64,), "i": (np.int32,), "?": (np.bool_,),
    "D": (np.complex128, complex), "F": (np.complex64,),
}  # fmt: skip


class _Method(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_FASTCALL = 0x80


@cache
def usable() -> bool:
    """Whether kernels can be made here: llvmlite is installed, and objects lie as CPython and NumPy lay them."""
    if not available() or sys.implementation.name != "cpython" or sys.byteorder != "little":
        return False
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    x = np.arange(3.0)
    data, descr = (ctypes.c_size_t.from_address(id(x) + place).value for place in (DATA, DESCR))
    flags = ctypes.c_int.from_address(id(x) + FLAGS).value
    axes = ctypes.c_int.from_address(id(x) + AXES).value
    if data != x.ctypes.data or axes != 1 or descr != id(x.dtype) or flags & 0x701 != 0x501:
        return False
    one, whole, pair = np.float64(1.5), np.int64(7), np.complex128(1 + 2j)
    return (
        ctypes.c_double.from_address(id(one) + HEAD).value == 1.5
        and ctypes.c_double.from_address(id(float(one)) + HEAD).value == 1.5
        and ctypes.c_int64.from_address(id(whole) + HEAD).value == 7
        and all(ctypes.c_double.from_address(id(z) + HEAD + 8).value == 2.0 for z in (pair, complex(pair)))
    )


def needed(by: str) -> None:
    """Raise ImportError where kernels cannot be made."""
    if not usable():
        raise ImportError(
            f"{by}: native kernels take llvmlite on a 64-bit CPython; pip install 'admodes[native]', or write "
            'compile(f, native="auto"), which does without where it is missing.'
        )


def _object(x: Any) -> str:
    return f"inttoptr (i64 {id(x)} to ptr)"


class Places:
    """Where the results of a kernel go: an array each, those without axes together, and what is only for the kernel."""

    def __init__(self, kernel: Any) -> None:
        self.arrays = [v for v in kernel.results if v.ndim]
        self.scalars: dict[Value, int] = {}  # the largest first, and at which byte
        self.numbers = 0  # doubles that these take
        for v in sorted((v for v in kernel.results if not v.ndim), key=lambda v: -v.nbytes):
            self.scalars[v] = 8 * self.numbers
            self.numbers += -(-v.nbytes // 8)
        self.numbers += self.numbers % 2 if any(v.nbytes > 8 for v in self.scalars) else 0
        self.offsets: dict[Value, int] = {}
        self.scratch = 0
        for v in kernel.scratch:
            self.offsets[v] = self.scratch
            self.scratch += -(-v.nbytes // 64) * 64


def ir_of(kernel: Kernel, threads: int = 1) -> str:
    """The module of a kernel: the loops, and the function that Python calls."""
    text = Text(machine())
    count = len(kernel.inputs) + len(kernel.outputs) + len(kernel.scratch) + (kernel.flag is not None)
    pointers = {k: f"%p{k}" for k in range(count)}
    body: list[str] = []
    for slot, n in kernel.checked.items():
        body += _checked(text, kernel.inputs[slot], slot, n, pointers)
    parts: list[str] = []
    for nest in kernel.nests:
        functions, lines = split(text, nest, pointers, threads)
        parts += functions
        body += lines
    lines = [*body, "  ret i1 true", *(["outside:", "  ret i1 false"] if kernel.checked else [])]
    return enclosed([*parts, *function("kernel", len(kernel.inputs), count, [*text.entry, *lines])], kernel, text)


def function(name: str, read: int, count: int, body: Sequence[str]) -> list[str]:
    """A function of `count` places, the first of which are only read; whether it ran."""
    parameters = ", ".join(f"ptr noalias %p{k}" if k >= read else f"ptr %p{k}" for k in range(count))
    return [f"define internal i1 @{name}({parameters}) #0 {{", "entry:", *body, "}"]


def enclosed(functions: Sequence[str], kernel: Any, text: Text) -> str:
    """A module of functions, of which Python calls @kernel."""
    width = 8 * machine().bytes
    lines = [
        *functions,
        *_called(kernel, Places(kernel)),
        *text.declared,
        f'attributes #0 = {{ nounwind "min-legal-vector-width"="{width}" "prefer-vector-width"="{width}" }}',
        "",
    ]
    return "\n".join(lines)


def _checked(text: Text, x: Any, slot: int, n: int, pointers: dict[int, str]) -> list[str]:
    """The lines that leave the kernel where an index array is not all from −n to n − 1."""
    kind, size = kind_of(x.dtype) or "", x.size
    extremes = {fn: text.name() for fn in (np.min, np.max)}
    load = Load(kind, slot, (0, (((0, 0, size), 1),) if size > 1 else ()))
    lines: list[str] = []
    for fn, name in extremes.items():
        text.entry.append(f"  {name} = alloca {ELEMENTS[kind]}")
        root = Root(Value((), x.dtype), -1, load, REDUCTIONS[fn], (0,))
        lines += Loops(text, Nest((size,), (root,)), {slot: pointers[slot], -1: name}).emit()
    to = Writer(text, 1, lines)
    low, high = (to.add(f"load {ELEMENTS[kind]}, ptr {name}") for name in extremes.values())
    inside = to.binary(
        "and", "?", to.compare("oge", kind, low, str(-n)), to.compare("olt", kind, high, str(n))
    )  # fmt: skip
    label = text.name().removeprefix("%v")
    return [*lines, f"  br i1 {inside}, label %inside{label}, label %outside", f"inside{label}:"]


def _called(kernel: Any, places: Places) -> list[str]:
    """The function of Python: None where it ran, True where a nan is told of too, NotImplemented where an argument must
    be copied first, False where an index is out of range; of numbers alone (see `numbers`) the results."""
    head = ["define ptr @call(ptr %self, ptr %args, i64 %count) #0 {", "entry:"]
    if of_numbers(kernel):
        taken, pointers = _taken(kernel, "counted", numbers=True)
        body = giving(taken, pointers, HEAD, lambda pointers: _run(kernel, pointers), len(kernel.results))
        return [*head, *body, "refused:", *_given(NotImplemented), "}"]
    lines, pointers = _taken(kernel, "entry")
    given = _places(lines, kernel, places)
    flag = [] if kernel.flag is None else ["%flag"]
    head += ["  %flag = alloca i8", "  store i8 0, ptr %flag"] if flag else []
    lines += _run(kernel, [*pointers, *(given[v] for v in (*kernel.results, *kernel.scratch)), *flag])
    if kernel.checked:
        lines += ["  br i1 %ran, label %done, label %outside", "outside:", *_given(False), "done:"]
    lost = _lost(lines, kernel, given)
    if lost:
        lines += [f"  br i1 {lost}, label %nan, label %sound", "nan:", *_given(True), "sound:"]
    return [*head, *lines, *_given(None), "refused:", *_given(NotImplemented), "}"]


def _lost(lines: list[str], kernel: Any, given: dict[Value, str]) -> str:
    """Whether a nan is among the results that tell of it, and the lines that find out; nothing where none does."""
    found = ""
    if kernel.flag is not None:
        lines += ["  %met = load i8, ptr %flag", "  %lost = icmp ne i8 %met, 0"]
        found = "%lost"
    numbers = [v for k, v in enumerate(kernel.results) if k in kernel.told and not v.ndim and v.dtype.kind in "fc"]
    for k, v in enumerate(numbers):
        of, parts = ELEMENTS[v.dtype.char.lower()], 2 if v.dtype.kind == "c" else 1
        for part in range(parts):
            name = f"%number{k}.{part}"
            lines.append(f"  {name}.at = getelementptr {of}, ptr {given[v]}, i64 {part}")
            lines.append(f"  {name} = load {of}, ptr {name}.at")
            lines.append(f"  {name}.nan = fcmp uno {of} {name}, {name}")
            lines.append(f"  {name}.any = or i1 {found or 'false'}, {name}.nan")
            found = f"{name}.any"
    return found


def _given(x: Any) -> list[str]:
    """The lines that return an object."""
    return [f"  call void {address_of(ctypes.pythonapi.Py_IncRef)}(ptr {_object(x)})", f"  ret ptr {_object(x)}"]


def _run(kernel: Any, pointers: Sequence[str]) -> list[str]:
    """The lines that run a kernel on pointers, without the lock where that takes long."""
    lines = [f"  %ran = call i1 @kernel({', '.join(f'ptr {p}' for p in pointers)})"]
    if kernel.work < LONG:
        return lines
    api = ctypes.pythonapi
    return [
        f"  %thread = call ptr {address_of(api.PyEval_SaveThread)}()",
        *lines,
        f"  call void {address_of(api.PyEval_RestoreThread)}(ptr %thread)",
    ]


def _object_at(lines: list[str], k: int) -> str:
    """Argument k."""
    lines.append(f"  %a{k} = getelementptr ptr, ptr %args, i64 {k}")
    lines.append(f"  %o{k} = load ptr, ptr %a{k}")
    return f"%o{k}"


def _field(lines: list[str], name: str, at: str, offset: int, of: str = "ptr") -> str:
    """What an object has at a place."""
    lines.append(f"  {name}.at = getelementptr i8, ptr {at}, i64 {offset}")
    lines.append(f"  {name} = load {of}, ptr {name}.at")
    return name


def _taken(kernel: Any, before: str, numbers: bool = False) -> tuple[list[str], list[str]]:
    """The lines that find the data of the arguments, or go to %refused, behind the block `before`, and their pointers.
    numbers: whether arrays are known to have no axes or else refused; their shapes are not looked at."""
    lines: list[str] = []
    pointers = []
    for k, x in enumerate(kernel.given):
        o = _object_at(lines, k)
        type_of = _field(lines, f"%t{k}", o, HEAD - 8)
        lines.append(f"  %array{k} = icmp eq ptr {type_of}, {_object(np.ndarray)}")
        if not x.ndim:
            scalars = SCALARS[kind_of(x.dtype) or x.dtype.char]
            for n, scalar in enumerate(scalars):
                lines.append(f"  %s{k}.{n} = icmp eq ptr {type_of}, {_object(scalar)}")
            condition = f"%s{k}.0"
            if len(scalars) > 1:
                lines.append(f"  %s{k} = or i1 %s{k}.0, %s{k}.1")
                condition = f"%s{k}"
            lines.append(f"  %inline{k} = getelementptr i8, ptr {o}, i64 {HEAD}")
            lines.append(f"  br i1 {condition}, label %known{k}, label %other{k}")
            lines.append(f"other{k}:")
        lines.append(f"  br i1 %array{k}, label %checked{k}, label %refused")
        lines.append(f"checked{k}:")
        data = _field(lines, f"%data{k}", o, DATA)
        descr = _field(lines, f"%descr{k}", o, DESCR)
        flags = _field(lines, f"%flags{k}", o, FLAGS, "i32")
        lines.append(f"  %dtype{k} = icmp eq ptr {descr}, {_object(np.dtype(x.dtype.char))}")
        lines.append(f"  %set{k} = and i32 {flags}, {C_CONTIGUOUS | ALIGNED}")
        lines.append(f"  %order{k} = icmp eq i32 %set{k}, {C_CONTIGUOUS | ALIGNED}")
        lines.append(f"  %fits{k} = and i1 %dtype{k}, %order{k}")
        fits = f"%fits{k}"
        if numbers:
            lines.append(f"  %single{k} = icmp eq i32 {_field(lines, f'%axes{k}', o, AXES, 'i32')}, 0")
            lines.append(f"  %all{k} = and i1 {fits}, %single{k}")
            fits = f"%all{k}"
        lines.append(f"  br i1 {fits}, label %known{k}, label %refused")
        lines.append(f"known{k}:")
        if x.ndim:
            pointers.append(data)
        else:
            lines.append(f"  %p{k} = phi ptr [ {data}, %checked{k} ], [ %inline{k}, %{before} ]")
            pointers.append(f"%p{k}")
        before = f"known{k}"
    return lines, pointers


def _places(lines: list[str], kernel: Any, places: Places) -> dict[Value, str]:
    """Where results and what is only for the kernel go: pointers, and the lines that find them."""
    k = len(kernel.given)
    given: dict[Value, str] = {}
    for v in places.arrays:
        given[v] = _field(lines, f"%data{k}", _object_at(lines, k), DATA)
        k += 1
    for name, offsets in (("scalar", places.scalars), ("scratch", places.offsets)):
        if offsets:
            together = _field(lines, f"%data{k}", _object_at(lines, k), DATA)
            for j, (v, offset) in enumerate(offsets.items()):
                lines.append(f"  %{name}{j} = getelementptr i8, ptr {together}, i64 {offset}")
                given[v] = f"%{name}{j}"
            k += 1
    return given


class Native:
    """A compiled kernel; calling it gives its results."""

    def __init__(self, ir: str, straight: bool = False) -> None:
        self.ir = ir
        self.code = Compiled(ir, straight)
        self.method = _Method(b"kernel", self.code.address("call"), _FASTCALL, None)
        self.call = self._function(None)

    def strict(self) -> Any:
        """The function of a kernel of numbers that gives NotImplemented for nan too; it keeps its code."""
        return self._function(id(self))

    def _function(self, bound: int | None) -> Any:
        make = ctypes.pythonapi.PyCFunction_NewEx
        make.restype, make.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        return make(ctypes.addressof(self.method), bound, None)


# Another object each time a kernel met a nan among results that it tells of.
NANS = [object()]

# By structure, so that equal kernels are made once while one of them is in use.
_known: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()


def function_of(
    instructions: tuple[Instruction, ...], inputs: tuple[Any, ...], outputs: tuple[Value, ...], threads: int = 1
) -> Any:
    """Instructions as a function of the inputs, which gives its one output or a tuple of them."""
    key = structure(instructions, inputs, outputs), threads
    found = _known.get(key)
    if found is None:
        kernel = Kernel(instructions, inputs, outputs)
        found = _known[key] = made(kernel, ir_of(kernel, threads))
    return found


def structure(instructions: tuple[Instruction, ...], inputs: tuple[Any, ...], outputs: tuple[Value, ...]) -> Any:
    """What a kernel is but for the names of its values: equal for kernels that are."""
    numbers: dict[Any, int] = {}
    for x in (*inputs, *(v for i in instructions for v in i.outs)):
        numbers[x if isinstance(x, Value) else id(x)] = len(numbers)

    def of(x: Any) -> Any:
        if isinstance(x, Value) or id(x) in numbers:
            return "value", numbers[x if isinstance(x, Value) else id(x)]
        if isinstance(x, tuple | list):
            return tuple(map(of, x))
        if isinstance(x, slice):
            return "slice", x.start, x.stop, x.step
        if isinstance(x, np.ndarray):  # of one element: any other is an input
            return "number", x.dtype.char, x.tobytes()
        return type(x), repr(x)

    body = tuple(
        (i.op, of(i.args), tuple((k, of(v)) for k, v in i.params.items()), i.outs[0].shape, i.outs[0].dtype.char)
        for i in instructions
    )
    return body, tuple((x.shape, x.dtype.char) for x in inputs), tuple(map(of, outputs))


def made(kernel: Any, ir: str, straight: bool = False) -> Any:
    """The function of a kernel with this code; straight: see `Compiled`."""
    places, native = Places(kernel), Native(ir, straight)
    names = [f"x{k}" for k in range(len(kernel.inputs))]
    lines, given, results = [], list(names), {}
    scope: dict[str, Any] = {"empty": np.empty, "call": native.call, "native": native}
    scope["again"] = _again(kernel, native, places)
    if of_numbers(kernel):
        lines.append(f"    y = call({', '.join(names)})")
        lines.append(f"    return again(y, [{', '.join(names)}], ()) if y is NotImplemented else y")
        return _defined(lines, names, scope, kernel, native, places)
    for k, v in enumerate(places.arrays):
        scope[f"d{k}"] = np.dtype(v.dtype.char)
        lines.append(f"    if y{k} is None:")
        lines.append(f"        y{k} = empty({v.shape}{'' if v.dtype == np.float64 else f', d{k}'})")
        given.append(f"y{k}")
        results[v] = f"y{k}"
    if places.scalars:
        lines.append(f"    s = empty({places.numbers})")
        given.append("s")
        views = dict.fromkeys(v.dtype for v in places.scalars if v.dtype != np.float64)
        for n, dtype in enumerate(views):
            scope[f"e{n}"] = dtype
            lines.append(f"    s{n} = s.view(e{n})")
        for v, offset in places.scalars.items():
            of = "s" if v.dtype == np.float64 else f"s{list(views).index(v.dtype)}"
            results[v] = f"{of}[{offset // v.dtype.itemsize}]"
    if places.scratch:
        lines.append("    if w is None:")
        lines.append(f"        w = empty({places.scratch // 8})")
        given.append("w")
    lines.append(f"    status = call({', '.join(given)})")
    lines.append("    if status is not None:")
    lines.append(f"        again(status, [{', '.join(names)}], ({', '.join(given[len(names) :])},))")
    out = ", ".join(results[v] for v in kernel.results)
    lines.append(f"    return {out}")
    space = [f"{name}=None" for name in (*(f"y{k}" for k in range(len(places.arrays))), "w")]
    return _defined(lines, [*names, *space], scope, kernel, native, places)


def _defined(
    lines: list[str], parameters: list[str], scope: dict[str, Any], kernel: Any, native: Native, places: Places
) -> Any:
    """The function of these lines."""
    exec("\n".join([f"def kernel({', '.join(parameters)}):", *lines]), scope)
    function = scope.pop("kernel")
    function.__module__ = __name__
    return _told(function, native, kernel, places)


def _told(function: Any, native: Any, kernel: Any, places: Places) -> Any:
    """The function with its code, and with what the workspace goes by: the parameters that take memory for results, and
    the doubles that `w` is to have."""
    function.native = native
    function.of_numbers = of_numbers(kernel)
    function.told = frozenset() if function.of_numbers else kernel.told
    function.results = {f"y{k}": kernel.results.index(v) for k, v in enumerate(places.arrays)}
    function.scratch = places.scratch // 8
    return function


def unmade(instructions: tuple[Instruction, ...], inputs: tuple[Any, ...], outputs: tuple[Value, ...]) -> Any:
    """What `function_of` gives, planned and not compiled: for what kernels would cost."""
    return planned(Kernel(instructions, inputs, outputs))


def planned(kernel: Any) -> Any:
    """What `made` gives, without code."""

    def function(*_: Any, **__: Any) -> Any:
        raise NotImplementedError("this kernel was planned and not compiled")

    return _told(function, SimpleNamespace(ir=""), kernel, Places(kernel))


def _again(kernel: Any, native: Native, places: Places) -> Any:
    """What is done where a call did not just run: noted that there is a nan; else the call with copies of the arguments
    in the order and dtype that the machine code takes; by NumPy, which raises, where an index is out of range."""

    def again(status: Any, given: Sequence[Any], results: tuple[Any, ...]) -> Any:
        if status is True:
            NANS[0] = object()
            return None
        plain = []
        for x, v in zip(given, kernel.given, strict=True):
            if np.shape(x) != v.shape:
                raise ValueError(f"a kernel made for an array of shape {v.shape} was called with one of {np.shape(x)}")
            plain.append(np.empty(v.shape, v.dtype.char))
            plain[-1][...] = x
        status = native.call(*plain, *results)
        if status is False:
            _by_numpy(kernel, plain, places, results)
        if status is True or status is False:
            NANS[0] = object()
        elif status is NotImplemented:
            raise RuntimeError("a kernel refuses arrays in the order of C")  # pragma: no cover
        return status

    return again


def _by_numpy(kernel: Kernel, given: list[Any], places: Places, results: tuple[Any, ...]) -> None:
    """The results of a kernel by its instructions: an index out of range may not be among those that are used."""
    known = {x if isinstance(x, Value) else id(x): y for x, y in zip(kernel.given, given, strict=True)}

    def of(x: Any) -> Any:
        return known.get(x if isinstance(x, Value) else id(x), x)

    for i in kernel.source:
        known[i.outs[0]] = apply(i.op, mapped(i.args, of), mapped(i.params, of))
    for v, y in zip(places.arrays, results, strict=False):
        y[...] = known[v]
    for v, offset in places.scalars.items():
        results[len(places.arrays)].view(v.dtype)[offset // v.dtype.itemsize] = known[v]

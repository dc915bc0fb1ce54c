"""The machine that kernels are compiled for: its vectors, its vector library, and LLVM through llvmlite.

Transcendental functions of vectors are those of glibc's libmvec, looked up by the names of the x86-64 and AArch64
vector function ABIs: `_ZGVeN8v_exp` is exp of eight doubles with AVX-512.  Where one is missing the scalar function of
libm is called for each lane.
"""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import threading
from dataclasses import dataclass, field
from functools import cache
from typing import Any

# Bytes of a vector, the letter of its instruction set in the vector ABI, and the feature of the processor it needs.
SETS = ((64, "e", "avx512f"), (32, "d", "avx2"), (16, "b", "sse2"), (16, "n", "neon"))

# LLVM is not to be entered by two threads at once.
_lock = threading.RLock()


def available() -> bool:
    """Whether llvmlite is installed; it is loaded when the first kernel is compiled."""
    try:
        return importlib.util.find_spec("llvmlite") is not None
    except ValueError:  # sys.modules has None in its place
        return False


@dataclass(frozen=True, eq=False)
class Machine:
    """What kernels are written for: `bytes` of a vector, the letter of the instruction set of each width, and whether a
    product and a sum are one instruction."""

    bytes: int
    letters: dict[int, str]
    libraries: tuple[Any, ...] = field(repr=False)
    fused: bool = False

    def lanes(self, widest: int) -> int:
        """Elements of a vector where the widest has so many bytes."""
        return max(1, self.bytes // widest)

    def vector_function(self, name: str, arity: int, itemsize: int, lanes: int) -> str | None:
        """The symbol of a function of vectors, where the vector library has it."""
        letter = self.letters.get(itemsize * lanes)
        symbol = f"_ZGV{letter}N{lanes}{'v' * arity}_{name}{'f' if itemsize == 4 else ''}"
        return symbol if letter is not None and _found(self.libraries, symbol) else None

    def scalar_function(self, name: str, itemsize: int) -> str | None:
        """The symbol of a function of the C library."""
        symbol = name + ("f" if itemsize == 4 else "")
        return symbol if _found(self.libraries, symbol) else None


def address_of(symbol: Any) -> str:
    """A function of C as a constant of LLVM."""
    return f"inttoptr (i64 {ctypes.cast(symbol, ctypes.c_void_p).value} to ptr)"


@cache
def _found(libraries: tuple[Any, ...], symbol: str) -> bool:
    """Whether one of the libraries has a function of that name, which kernels may call from then on."""
    for library in libraries:
        try:
            address = ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value
        except AttributeError:
            continue
        with _lock:
            _llvm().add_symbol(symbol, address)
        return True
    return False


@cache
def machine() -> Machine:
    """This machine."""
    features = _llvm().get_host_cpu_features()
    known = platform.machine().lower()
    arm = known in ("aarch64", "arm64")
    has = [(size, letter) for size, letter, flag in SETS if features.get(flag) or (arm and flag == "neon")]
    has = has or [(16, "b")]
    libraries = []
    for name in ("libmvec.so.1", "libm.so.6", None):
        try:
            libraries.append(ctypes.CDLL(name))
        except (OSError, TypeError):  # another C library, or no such system
            continue
    return Machine(has[0][0], dict(has), tuple(libraries), arm or bool(features.get("fma")))


@cache
def _llvm() -> Any:
    """llvmlite's binding, made ready for this processor."""
    import llvmlite.binding as llvm

    with _lock:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    return llvm


@cache
def _host() -> dict[str, str]:
    """This processor."""
    llvm = _llvm()
    return {"cpu": llvm.get_host_cpu_name(), "features": llvm.get_host_cpu_features().flatten()}


def _target(optimise: int) -> Any:
    """A target of its own for each engine, which takes it over."""
    return _llvm().Target.from_default_triple().create_target_machine(**_host(), opt=optimise)


class Compiled:
    """Machine code, and the engine that holds it: the code goes when this object does.

    Loops are optimised; the function that Python calls is straight code, and not worth the time.

    straight : whether all of it is straight code
    """

    def __init__(self, ir: str, straight: bool = False) -> None:
        llvm = _llvm()
        with _lock:
            module = llvm.parse_assembly(ir)
            module.verify()
            large = straight or ir.count("\n") > LARGE
            target = _target(0 if large else 2)
            if not large:
                builder = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(speed_level=2))
                passes = builder.getFunctionPassManager()  # LLVM's own for -O2
                for function in module.functions:
                    if not function.is_declaration and function.linkage == llvm.Linkage.internal:
                        passes.run(function, builder)
            self.engine = llvm.create_mcjit_compiler(module, target)
            self.engine.finalize_object()

    def address(self, name: str) -> int:
        """Where a function begins."""
        return int(self.engine.get_function_address(name))


# Lines of IR from which on it is translated as it stands: optimising takes more than linear time.
LARGE = 4000

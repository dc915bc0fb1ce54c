"""`admodes doctor`: what this installation runs on, and which optional parts it found."""

from __future__ import annotations

import importlib.util
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

import admodes

from ..program.native.calls import usable
from ..program.native.machine import machine

# What each optional part is for.
OPTIONAL = {
    "llvmlite": "native kernels",
    "pandas": "Comparison.to_frame",
    "matplotlib": "pictures",
    "autograd": "a way of compare",
    "jax": "a way of compare",
    "torch": "a way of compare",
    "distributed": "jacobian(f, executor=…) on Dask",
    "mpi4py": "jacobian(f, executor=…) by MPI",
}

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def report() -> dict[str, Any]:
    """All that is found, by heading."""
    return {
        "admodes": admodes.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
        "numpy": np.__version__,
        "scipy": _version("scipy"),
        "blas": _blas(),
        "native": _native(),
        "threads": {name: os.environ.get(name) for name in THREADS},
        "optional": {name: _version(name) for name in OPTIONAL},
    }


def _version(name: str) -> str | None:
    """The version of a package, None where it is not installed; it is not imported."""
    try:
        return version(name) if importlib.util.find_spec(name) else None
    except PackageNotFoundError:
        return None


def _native() -> str:
    """Whether native kernels can be made, and on what vectors."""
    if not usable():
        return "no kernels: they take llvmlite on a 64-bit CPython; pip install 'admodes[native]'"
    found = machine()
    has = "with" if found.vector_function("exp", 1, 8, found.lanes(8)) else "without"
    return f"kernels on vectors of {8 * found.bytes} bits, {has} a vector library"


def _blas() -> str:
    built: Any = np.show_config(mode="dicts")
    found = built.get("Build Dependencies", {}).get("blas", {})
    return f"{found.get('name', 'unknown')} {found.get('version', '')}".strip()


def shown(found: dict[str, Any]) -> str:
    """The report as lines."""
    plain = {key: value for key, value in found.items() if isinstance(value, str)}
    lines = [f"{key:<12}{value}" for key, value in plain.items()]
    lines += [f"{name:<24}{value or 'not set: as many threads as cores'}" for name, value in found["threads"].items()]
    for name, value in found["optional"].items():
        lines.append(f"{name:<12}{value or 'not installed':<16}{OPTIONAL[name]}")
    return "\n".join(lines)

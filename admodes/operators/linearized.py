"""Jacobian, Hessian and Gauss–Newton matrix at a point as SciPy LinearOperators: products over one tape, no matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from ..core.types import Array
from ..transforms.dense import blocks_by_pulls, blocks_by_pushes, grad
from ..transforms.directions import raveled, unraveled
from ..transforms.recording import Recording


class Linearized(LinearOperator):
    """Made by `admodes.linearize`. Arguments and results are raveled and, where several, concatenated."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._in, self._out = recording.leaves, recording.values
        self._complex_linear = False  # whether that is known
        shape = (sum(int(y.size) for y in self._out), sum(int(x.size) for x in self._in))
        super().__init__(np.result_type(np.float32, *(x.dtype for x in (*self._in, *self._out))), shape)

    def _matvec(self, v: Any) -> Any:
        return self._matmat(np.reshape(v, (-1, 1)))[:, 0]

    def _rmatvec(self, u: Any) -> Any:
        return self._rmatmat(np.reshape(u, (-1, 1)))[:, 0]

    def _matmat(self, V: Any) -> Any:
        if _parts(V, self._in):
            return self._matmat(V.real) + 1j * self._matmat(V.imag)
        k = V.shape[1]
        rows = np.array(V.T, order="C")  # never the caller's memory: a push may hand its tangent through
        return raveled(self.recording.push(unraveled(rows, self._in), (k,)), k).T

    def _rmatmat(self, U: Any) -> Any:
        """Jᴴ U = conj(Jᵀ conj U)."""
        self.recording.require_rows()
        if _parts(U, self._out):
            return self._rmatmat(U.real) + 1j * self._rmatmat(U.imag)
        if _any_complex(self._in) and _any_complex(self._out):
            self._require_complex_linear("J.T @ u, J.H @ u")
        k = U.shape[1]
        rows = np.array(np.conj(U).T, order="C")
        return np.conj(raveled(self.recording.pull(unraveled(rows, self._out), (k,)), k)).T

    def _require_complex_linear(self, what: str) -> None:
        """Raise where J @ (i v) is not i (J @ v), so that no matrix says what J @ v is."""
        if self._complex_linear:
            return
        v = np.random.default_rng(0).uniform(0.5, 1.5, (2, self.shape[1]))
        v = np.where(_real(self._in), 0, [v[0] + 1j * v[1], 1j * v[0] - v[1]]).T
        pushed, turned = self._matmat(v).T
        eps = np.sqrt(np.finfo(self.dtype).eps)
        if not np.allclose(
            turned, 1j * pushed, rtol=eps, atol=eps * np.nanmax(np.abs(pushed), initial=0), equal_nan=True
        ):
            raise TypeError(
                f"{what}: the function is not complex-differentiable at this point (J @ (1j * v) is not 1j * (J @ v)), "
                "so J is no matrix of complex numbers. Take the real and the imaginary part as separate real "
                "arguments; J @ v is right as it is, and so is the pullback of vjp."
            )
        self._complex_linear = True

    def dense(self) -> Array:
        """The matrix, of shape J.shape, by pushes or by pulls, whichever are fewer.

        Raises
        ------
        TypeError : complex arguments, and a function that is not complex-differentiable there: it has no such matrix.
        """
        if _any_complex(self._in):
            self._require_complex_linear("J.dense()")
        by_pushes = self.shape[1] <= self.shape[0] or not self.recording.has_rows
        blocks = (blocks_by_pushes if by_pushes else blocks_by_pulls)(self.recording, None)
        return np.block(
            [[np.reshape(b, (y.size, x.size)) for b, x in zip(row, self._in, strict=True)]
             for row, y in zip(blocks, self._out, strict=True)]
        )  # fmt: skip


def _any_complex(leaves: Sequence[Any]) -> bool:
    return any(x.dtype.kind == "c" for x in leaves)


def _parts(V: Any, leaves: Sequence[Any]) -> bool:
    """Whether a product with complex numbers is that with both their parts, the arrays being real."""
    if not np.iscomplexobj(V):
        return False
    if not _any_complex(leaves):
        return True
    if V.imag[_real(leaves)].any():
        raise TypeError("a product with complex numbers for an array that is real, beside others that are complex.")
    return False


def _real(leaves: Sequence[Any]) -> Any:
    """Of each number in the leaves, raveled, whether it is real."""
    return np.concatenate([np.full(int(x.size), x.dtype.kind != "c") for x in leaves])


class HessianOperator(Linearized):
    """Made by `admodes.hessian_operator`: H @ v = (∂²f/∂x²) v, with `gradient`, the gradient at the point."""

    def __init__(self, f: Any, primals: tuple[Any, ...]) -> None:
        super().__init__(Recording(grad(f, argnums=tuple(range(len(primals)))), primals))
        gradients = self.recording.value()
        self.gradient = gradients[0] if len(primals) == 1 else gradients

    def _rmatmat(self, U: Any) -> Any:
        return self._matmat(U)  # symmetric

    def _transpose(self) -> Any:
        return self

    _adjoint = _transpose


class GaussNewton(LinearOperator):
    """Made by `admodes.gauss_newton`: G @ v = Jᵀ (W (J v)), with `jacobian` J and `weight` W, None for the identity."""

    def __init__(self, jacobian: Linearized, weight: LinearOperator | None) -> None:
        self.jacobian, self.weight = jacobian, weight
        n = jacobian.shape[1]
        super().__init__(jacobian.dtype, (n, n))

    def _matvec(self, v: Any) -> Any:
        return self._matmat(np.reshape(v, (-1, 1)))[:, 0]

    def _matmat(self, V: Any) -> Any:
        pushed = self.jacobian @ V
        return self.jacobian.T @ (pushed if self.weight is None else self.weight @ pushed)

    _rmatmat = _matmat
    _rmatvec = _matvec

    def _transpose(self) -> Any:
        return self

    _adjoint = _transpose

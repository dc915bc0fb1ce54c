"""Jacobian, Hessian and Gauss–Newton matrix at a point as SciPy LinearOperators: products over one tape, no matrix."""

from __future__ import annotations

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
        shape = (sum(int(y.size) for y in self._out), sum(int(x.size) for x in self._in))
        super().__init__(np.result_type(np.float32, *(x.dtype for x in (*self._in, *self._out))), shape)

    def _matvec(self, v: Any) -> Any:
        return self._matmat(np.reshape(v, (-1, 1)))[:, 0]

    def _rmatvec(self, u: Any) -> Any:
        return self._rmatmat(np.reshape(u, (-1, 1)))[:, 0]

    def _matmat(self, V: Any) -> Any:
        k = V.shape[1]
        rows = np.array(V.T, order="C")  # never the caller's memory: a push may hand its tangent through
        return raveled(self.recording.push(unraveled(rows, self._in), (k,)), k).T

    def _rmatmat(self, U: Any) -> Any:
        """Jᴴ U = conj(Jᵀ conj U)."""
        self.recording.require_rows()
        k = U.shape[1]
        rows = np.array(np.conj(U).T, order="C")
        return np.conj(raveled(self.recording.pull(unraveled(rows, self._out), (k,)), k)).T

    def dense(self) -> Array:
        """The matrix, of shape J.shape, by pushes or by pulls, whichever are fewer."""
        by_pushes = self.shape[1] <= self.shape[0] or not self.recording.has_rows
        blocks = (blocks_by_pushes if by_pushes else blocks_by_pulls)(self.recording, None)
        return np.block(
            [[np.reshape(b, (y.size, x.size)) for b, x in zip(row, self._in, strict=True)]
             for row, y in zip(blocks, self._out, strict=True)]
        )  # fmt: skip


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

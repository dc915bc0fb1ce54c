"""What several of the rows need: matrices to try a rule on, and the error for one that is not square."""

from __future__ import annotations

from typing import Any

from ...core.domain import A, positive_definite, well_conditioned


def well(*shape: int) -> A:
    return A(*shape, within=well_conditioned)


def definite(*shape: int) -> A:
    return A(*shape, within=positive_definite)


REAL = A(3, 3, within=well_conditioned, dtype="f")  # SciPy transposes real matrices alone


def square(name: str, a: Any) -> None:
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(
            f"{name}: a traced matrix of shape {a.shape}; the rule is for one square matrix. For stacks of matrices "
            "take np.linalg.solve, np.linalg.inv or np.linalg.cholesky."
        )

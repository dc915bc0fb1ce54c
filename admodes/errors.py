"""What admodes raises where NumPy has no word for it.  Plain TypeError and ValueError serve the rest."""

from __future__ import annotations

from typing import Any


class MissingRule(TypeError):
    """A NumPy function without a row in the registry met a traced value."""

    def __init__(self, name: str, reason: str = "") -> None:
        super().__init__(
            f"{name} has no derivative rule{': ' + reason if reason else ''}. Write it with NumPy functions that have "
            f"one, or state its derivative with admodes.register({name}, ...); see the docstring of register."
        )


class LeakedTracer(RuntimeError):
    """A traced value was used after the transform that made it had returned."""

    def __init__(self) -> None:
        super().__init__(
            "a traced value was used after its transform had returned. Do not keep traced values in globals, closures, "
            "attributes or default arguments; return them from the function (grad and value_and_grad: has_aux=True)."
        )


class OverwrittenValue(RuntimeError):
    """A large array that a tape had recorded was changed in place before its derivative was pulled."""

    def __init__(self, a: Any) -> None:
        super().__init__(
            f"an array of shape {a.shape} and dtype {a.dtype} was overwritten in place after it had been "
            "recorded, so the "
            "derivative can no longer be computed. Write the new values to a new array, or pass a copy: "
            "f(..., a.copy())."
        )


class Detached(TypeError):
    """A conversion would have cut a traced value off from its derivative."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(
            f"{what} would detach a traced value from its derivative (it would count as constant). {remedy}"
        )


def missing_parameter(name: str, parameter: str, value: Any) -> MissingRule:
    """The error for a parameter of a known function that its rule does not know."""
    return MissingRule(f"np.{name}", f"the rule does not know the argument {parameter}={value!r:.40}")

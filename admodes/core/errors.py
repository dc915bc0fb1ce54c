"""What admodes raises where NumPy has no word for it.  Plain TypeError and ValueError serve the rest."""

from __future__ import annotations

import threading
from typing import Any


class _Noted(threading.local):
    """Whether a traced value was asked for its plain one, in this thread, since the flag was last taken down.

    NumPy may wrap the error, or drop it: `y.flat[0] = x` says "Error setting single item of array".
    """

    detached = False
    # Whether an error now would lead to another run of f in which np.array gives traced arrays (see `creation`).
    curable = False


noted = _Noted()


class Travelling:
    """An error that is pickled by its message: its __init__ makes that from arguments which stay behind."""

    args: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return revived, (type(self), self.args, self.__dict__)


def revived(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    """An exception as it was, without running its __init__ again."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class MissingRule(Travelling, TypeError):
    """A NumPy function without a row in the registry met a traced value; the message says how to state its derivative.

    >>> import numpy as np
    >>> from admodes import grad
    >>> grad(lambda x: np.busday_count(x, x).sum())(np.ones(3))
    Traceback (most recent call last):
    admodes.core.errors.MissingRule: ...np.busday_count has no derivative rule...
    """

    def __init__(self, name: str, reason: str = "") -> None:
        super().__init__(
            f"{name} has no derivative rule{': ' + reason if reason else ''}. Write it with NumPy functions that have "
            f"one, or state its derivative with admodes.register({name}, ...); see the docstring of register."
        )

    @classmethod
    def told(cls, message: str) -> MissingRule:
        """One with a message that says it all."""
        new = cls("")
        new.args = (message,)
        return new


class LeakedTracer(Travelling, RuntimeError):
    """A traced value was used after the transform that made it had returned.

    >>> from admodes import grad
    >>> kept = []
    >>> g = grad(lambda x: (kept.append(x), x * x)[1])(3.0)
    >>> kept[0] + 1
    Traceback (most recent call last):
    admodes.core.errors.LeakedTracer: a traced value was used after its transform had returned...
    """

    def __init__(self) -> None:
        super().__init__(
            "a traced value was used after its transform had returned. Do not keep traced values in globals, closures, "
            "attributes or default arguments; return them from the function (grad and value_and_grad: has_aux=True)."
        )


class OverwrittenValue(Travelling, RuntimeError):
    """A large array that a tape had recorded was changed in place before its derivative was pulled.

    >>> import numpy as np
    >>> from admodes import vjp
    >>> c = np.ones(20_000)
    >>> y, pullback = vjp(lambda x: x * c, np.ones(20_000))
    >>> c[0] = 7.0
    >>> pullback(np.ones(20_000))
    Traceback (most recent call last):
    admodes.core.errors.OverwrittenValue: an array of shape (20000,) and dtype float64 was overwritten in place...
    """

    def __init__(self, a: Any) -> None:
        super().__init__(
            f"an array of shape {a.shape} and dtype {a.dtype} was overwritten in place after it had been "
            "recorded, so the "
            "derivative can no longer be computed. Write the new values to a new array, or pass a copy: "
            "f(..., a.copy())."
        )


class Detached(Travelling, TypeError):
    """A conversion would have cut a traced value off from its derivative.

    >>> import math
    >>> from admodes import grad
    >>> grad(lambda x: math.sin(x))(1.0)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    admodes.core.errors.Detached: ...float(x)..., a function of the math module, ... would detach a traced value...
    """

    explained = False  # whether the message names the line of the user's code

    def __init__(self, what: str, remedy: str) -> None:
        noted.detached = True
        super().__init__(
            f"{what} would detach a traced value from its derivative (it would count as constant). {remedy}"
        )

    @classmethod
    def told(cls, message: str) -> Detached:
        """One with a message that says it all."""
        new = cls("", "")
        new.args = (message,)
        return new


# What is said of an array that f also holds with another dtype.
HELD = (
    "an array that f also holds otherwise (its .view(), .base or .data, as_strided, or by a np.asarray that was "
    "bound to another name)"
)
AFTER = "Take these after the array is filled."


class Deferred(Travelling, TypeError):
    """An operand of another library with operators of its own met a traced value: the operation is left to it."""

    def __init__(self, operand: Any) -> None:
        kind = type(operand)
        super().__init__(
            f"a {kind.__module__}.{kind.__qualname__} met a traced value. It has operators of its own (labels, units, "
            "storage), and no derivative goes through these. Take the plain array out before: np.asarray(a), "
            "a.to_numpy(), a.value, a.toarray(); of sparse matrices and LinearOperators the product A @ x has a rule."
        )


class WorkerLost(Travelling, RuntimeError):
    """A worker of an executor ended before it had returned its part of a Jacobian or Hessian.

    >>> print(WorkerLost("ProcessPoolExecutor", "directions 0 to 4", "A process ended abruptly."))
    ProcessPoolExecutor lost a worker; under way: directions 0 to 4. A process ended abruptly. Nothing is returned...
    """

    def __init__(self, executor: str, tasks: str, cause: str) -> None:
        super().__init__(
            f"{executor} lost a worker; under way: {tasks}. {cause} Nothing is returned. Either the function ends its "
            "process (os._exit, a crash in compiled code), or the memory ran out: take fewer directions at once "
            "(chunk=), or fewer workers. Or a new process could not start: it imports the main module again, "
            "which must guard what it runs by if __name__ == '__main__', and the module that defines the function. "
            "A process pool that has lost a worker takes no more tasks: make a new one."
        )


class PatternMiss(Travelling, ValueError):
    """A sparsity pattern lacks an entry that is not zero, so that the compressed derivative is wrong.

    >>> import numpy as np
    >>> from admodes import sparse_jacobian_plan
    >>> sparse_jacobian_plan(np.cumsum, np.ones(3), pattern=np.eye(3), verify=True)(np.ones(3))
    Traceback (most recent call last):
    admodes.core.errors.PatternMiss: the pattern misses a nonzero entry in row 1 and in 1 others...
    """

    def __init__(self, rows: Any) -> None:
        super().__init__(
            f"the pattern misses a nonzero entry in row {rows[0]}"
            + (f" and in {len(rows) - 1} others" if len(rows) > 1 else "")
            + ": J·v read from the colours is not J·v by one push. Give the full pattern, or none, and it is found."
        )


class PatternTooDense(Travelling, ValueError):
    """A sparsity pattern, or that of a value on the way to it, has too many entries to be held: more than 2²⁸.

    >>> import numpy as np
    >>> from admodes import jacobian_pattern
    >>> jacobian_pattern(np.sort, np.ones(20_000))
    Traceback (most recent call last):
    admodes.core.errors.PatternTooDense: the pattern of one value has 400,000,000 entries...
    """

    def __init__(self, entries: int) -> None:
        super().__init__(
            f"the pattern of one value has {entries:,} entries: the Jacobian is dense, or an operation on the way "
            "mixes everything. Use mode='forward' or 'reverse', or give the pattern."
        )


def missing_parameter(name: str, parameter: str, value: Any) -> MissingRule:
    """The error for a parameter of a known function that its rule does not know."""
    return MissingRule(f"np.{name}", f"the rule does not know the argument {parameter}={value!r:.40}")


class NotConverged(Travelling, RuntimeError):
    """A search for the solution of an implicit function, or of its linear system, did not come to rest.

    >>> import numpy as np
    >>> from admodes import root
    >>> root(lambda z: z * z + 1, 1.0)
    Traceback (most recent call last):
    admodes.core.errors.NotConverged: ...
    """


class SingularJacobian(Travelling, ValueError):
    """∂g/∂z is singular at the solution, so that the implicit function has no derivative there.

    >>> import numpy as np
    >>> from admodes import grad, root
    >>> grad(lambda x: root(lambda z, x: z * z - x, 0.0, x))(0.0)
    Traceback (most recent call last):
    admodes.core.errors.SingularJacobian: ∂g/∂z is singular at the solution...
    """

    def __init__(self, condition: float) -> None:
        self.condition = condition
        super().__init__(
            f"∂g/∂z is singular at the solution (condition number {condition:.1e}): a bifurcation, a double root, or "
            "equations that depend on each other. There the implicit function has no derivative; move the parameters, "
            "or add equations that choose a branch."
        )


class WrongDerivative(Travelling, AssertionError):
    """A derivative parts from what `check` held it against; an AssertionError, for tests.

    >>> import numpy as np
    >>> from admodes import check, custom_op
    >>> check(custom_op(np.exp, partial=lambda y, x: x), 1.5).raise_()
    Traceback (most recent call last):
    admodes.core.errors.WrongDerivative: exp: forward parts from central differences...
    """


class IllConditioned(UserWarning):
    """∂g/∂z is nearly singular at the solution of an implicit function: the derivative has few digits. A warning.

    >>> import warnings
    >>> import numpy as np
    >>> A = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-12]])
    >>> from admodes import grad, root
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     g = grad(lambda x: root(lambda z, x: A @ z - x, np.zeros(2), x).sum())(np.zeros(2))
    >>> [w.category.__name__ for w in caught]
    ['IllConditioned']
    """

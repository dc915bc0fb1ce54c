"""The layers of four lectures on backpropagation, as plain functions of NumPy arrays.

They run on plain arrays and under every transform.  Softmax and cross-entropy are given twice: fused, with a
stated derivative of linear cost, and composed of NumPy calls, so that the two may be compared.

Scores (logits) are arrays (…, C) with the C classes along `axis`, the last by default; the other axes are batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .core.directions import trailing
from .custom import custom_op

# ---------------------------------------------------------------------------------------------------
# Activations, elementwise
# ---------------------------------------------------------------------------------------------------


def _logistic(x: Any) -> Any:
    """1/(1 + e⁻ˣ) = eˣ/(1 + eˣ): of the two forms, the one whose exponential cannot overflow."""
    e = np.exp(-np.abs(x))
    return np.where(np.less(x, 0), e, 1) / (1 + e)


# σ′ = σ(x)(1 − σ(x)); 1 − σ(x) = σ(−x) keeps its digits where σ(x) is near 1.
_sigmoid: Any = custom_op(_logistic, partial=lambda y, x: y * _sigmoid(-x), flops=13.0)


_relu = custom_op(lambda x: np.maximum(x, 0), partial=lambda y, x: np.greater(x, 0), flops=1.0)


def sigmoid(x: Any) -> Any:
    """σ(x) = 1/(1 + e⁻ˣ), elementwise; σ′ = (1 − σ)σ.  No overflow at any x.

    Parameters
    ----------
    x : real array of any shape, or a number.

    Returns
    -------
    An array of the shape of x, between 0 and 1.

    Source: Galasso, "Neural Networks and Backpropagation" (2023), "sigmoid local gradient".

    >>> sigmoid(1.0).round(2), sigmoid(-1000.0)
    (np.float64(0.73), np.float64(0.0))
    """
    return _sigmoid(x)


def tanh(x: Any) -> Any:
    """tanh(x), elementwise; tanh′ = 1 − tanh².

    Parameters
    ----------
    x : array of any shape, or a number.

    Returns
    -------
    An array of the shape of x.

    Source: Galasso, "Neural Networks and Backpropagation" (2023), "activation functions".

    >>> tanh(np.array([0.0, 0.5])).round(4)
    array([0.    , 0.4621])
    """
    return np.tanh(x)


def relu(x: Any) -> Any:
    """max(0, x), elementwise, with relu′(0) = 0, where np.maximum shares the tie.

    Parameters
    ----------
    x : real array of any shape, or a number.

    Returns
    -------
    An array of the shape of x.

    Source: Murphy, "Probabilistic Machine Learning: An Introduction" (2022), section 13.3.3.2.

    >>> relu(np.array([1.0, -2.0, 3.0, -1.0]))
    array([1., 0., 3., 0.])
    """
    return _relu(x)


def leaky_relu(x: Any, slope: float = 0.1) -> Any:
    """x for x > 0, else slope · x; the derivative at 0 is the slope.

    Parameters
    ----------
    x : real array of any shape, or a number.
    slope : the derivative for x ≤ 0.

    Returns
    -------
    An array of the shape of x.

    Source: Galasso, "Neural Networks and Backpropagation" (2023), "activation functions", max(0.1x, x).

    >>> leaky_relu(np.array([-2.0, 3.0]))
    array([-0.2,  3. ])
    """
    return np.where(np.less_equal(x, 0), slope * x, x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x for x ≥ 0, else α(eˣ − 1); the derivative at 0 is 1.

    Parameters
    ----------
    x : real array of any shape, or a number.
    alpha : α, minus the limit for x → −∞.

    Returns
    -------
    An array of the shape of x.

    Source: Galasso, "Neural Networks and Backpropagation" (2023), "activation functions".

    >>> elu(np.array([-1.0, 2.0])).round(4)
    array([-0.6321,  2.    ])
    """
    return np.where(np.less(x, 0), alpha * np.expm1(np.minimum(x, 0)), x)


# ---------------------------------------------------------------------------------------------------
# Layers with weights
# ---------------------------------------------------------------------------------------------------


def linear(x: Any, W: Any, b: Any = 0.0) -> Any:
    """W x + b.  With g the cotangent of the result: x̄ = g W, W̄ = g xᵀ, b̄ = g (summed over the batch).

    Parameters
    ----------
    x : shape (n,), or (N, n) for a batch of N.
    W : shape (m, n), or (n,) for one unit.
    b : shape (m,), or a scalar.

    Returns
    -------
    An array of shape (m,) or (N, m); for one unit a scalar or (N,).

    Raises
    ------
    ValueError : shapes that do not fit.

    Source: Murphy, "Probabilistic Machine Learning: An Introduction" (2022), section 13.3.3.3; CTU Prague, "Deep
    Learning" (BEV033DLA), lecture 2, "linear layer".

    >>> linear(np.array([1.0, 2.0]), np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([0.5, 0.5]))
    array([ 1.5, 11.5])
    """
    return np.matmul(x, np.transpose(W)) + b


def maxout(x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    """max(w₁ᵀx + b₁, w₂ᵀx + b₂); where both are equal they share the derivative.

    Parameters
    ----------
    x : shape (n,), or (N, n) for a batch of N.
    w1, w2 : shape (n,), or (m, n) for m units.
    b1, b2 : scalars, or shape (m,).

    Returns
    -------
    What `linear` returns, the larger of the two.

    Source: Galasso, "Neural Networks and Backpropagation" (2023), "activation functions".

    >>> maxout(np.array([1.0, 2.0]), np.array([1.0, 1.0]), 0.0, np.array([-1.0, 0.0]), 1.0)
    np.float64(3.0)
    """
    return np.maximum(linear(x, w1, b1), linear(x, w2, b2))


def correlation(x: Any, w: Any, b: Any = 0.0) -> Any:
    """y_j = Σ_k w_k x_{j+k} + b_j, for j = 0 … n − m.

    With g the cotangent of y: x̄_i = Σ_j g_j w_{i−j}, w̄_k = Σ_j g_j x_{j+k}, b̄ = g.

    Parameters
    ----------
    x : real, shape (n,).
    w : shape (m,), 1 ≤ m ≤ n.
    b : shape (n − m + 1,), or a scalar.

    Returns
    -------
    An array of shape (n − m + 1,).

    Raises
    ------
    ValueError : w is empty or longer than x, or either is no vector.

    Source: CTU Prague, "Deep Learning" (BEV033DLA), lecture 2, "correlation layer".

    >>> correlation(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, -1.0]), 0.5)
    array([-0.5, -0.5, -0.5])
    """
    if np.ndim(x) != 1 or np.ndim(w) != 1 or not 1 <= np.size(w) <= np.size(x):
        raise ValueError(
            f"correlation: x has shape {np.shape(x)} and w {np.shape(w)}; both must be vectors, w not "
            "empty and not longer than x. Exchange them if they are the wrong way round."
        )
    return np.correlate(x, w, mode="valid") + b


# ---------------------------------------------------------------------------------------------------
# Softmax
# ---------------------------------------------------------------------------------------------------


def _logsumexp(a: Any, axis: Any = -1) -> Any:
    """log Σ eᵃ along axis, which stays with extent 1; with the largest score taken out no exponential overflows."""
    top = np.max(a, axis=axis, keepdims=True)
    return top + np.log(np.sum(np.exp(a - top), axis=axis, keepdims=True))


def softmax_composed(a: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """`softmax` as a composition of NumPy calls, each with its own derivative.

    Parameters
    ----------
    a : scores of any shape (a scalar has no classes).
    axis : the axis, or axes, of the classes.

    Returns
    -------
    Probabilities of the shape of a.

    Source: CTU Prague, "Deep Learning" (BEV033DLA), lecture 2, the second of its three forms of softmax.

    >>> softmax_composed(np.array([3.2, 5.1, -1.7])).round(2)
    array([0.13, 0.87, 0.  ])
    """
    e = np.exp(a - np.max(a, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def _softmax_push(t: Any, y: Any, a: Any, axis: Any) -> Any:
    """(Diag(y) − y yᵀ) t = y ⊙ t − y (yᵀt): linear cost, and symmetric."""
    yt = y * t
    return yt - y * np.sum(yt, axis=trailing(axis, y.ndim), keepdims=True)


_softmax = custom_op(softmax_composed, push=_softmax_push, batched=True, flops=14.0)


def softmax(a: Any, axis: int | tuple[int, ...] | None = -1) -> Any:
    """y_j = e^{a_j} / Σ_i e^{a_i} along `axis`, one operation: its Jacobian Diag(y) − y yᵀ is applied in linear time.

    Parameters
    ----------
    a : scores of any shape (a scalar has no classes).
    axis : the axis, or axes, of the classes; None for all.

    Returns
    -------
    Probabilities of the shape of a.  The pull is ā = ȳ ⊙ y − (ȳ·y) y.

    Raises
    ------
    AxisError, ValueError : no such axis; no classes along it.

    Source: CTU Prague, "Deep Learning" (BEV033DLA), lecture 2, "forward and backward are both linear complexity".

    >>> softmax(np.array([3.2, 5.1, -1.7])).round(2)
    array([0.13, 0.87, 0.  ])
    """
    return _softmax(a, axis=axis)


def _log_softmax_value(a: Any, axis: Any) -> Any:
    """Beside the largest score: a sum of large scores has fewer digits than the differences among them."""
    shifted = a - np.max(a, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def _log_softmax_push(t: Any, y: Any, a: Any, axis: Any) -> Any:
    """t − 1 (pᵀt), with p = exp(y)."""
    return t - np.sum(np.exp(y) * t, axis=trailing(axis, y.ndim), keepdims=True)


_log_softmax = custom_op(_log_softmax_value, push=_log_softmax_push, batched=True, flops=14.0)


def log_softmax(a: Any, axis: int | tuple[int, ...] | None = -1) -> Any:
    """a_j − log Σ_i e^{a_i}: the logarithm of `softmax`, exact where a probability is too small for a float.

    Parameters
    ----------
    a : scores of any shape (a scalar has no classes).
    axis : the axis, or axes, of the classes; None for all.

    Returns
    -------
    Log-probabilities, in nats, of the shape of a.

    Raises
    ------
    AxisError, ValueError : no such axis; no classes along it.

    Source: CTU Prague, "Deep Learning" (BEV033DLA), lecture 2, L = −tᵀ log y.

    >>> log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    return _log_softmax(a, axis=axis)


# ---------------------------------------------------------------------------------------------------
# Losses
# ---------------------------------------------------------------------------------------------------


def cross_entropy_composed(scores: Any, target: Any, axis: int = -1) -> Any:
    """`cross_entropy` as a composition of NumPy calls, each with its own derivative.

    Parameters
    ----------
    scores : (…, C), unnormalised log-probabilities.
    target : probabilities of the shape of `scores`; or integer labels 0 … C − 1, of that shape without `axis`.
    axis : the axis of the classes.

    Returns
    -------
    One loss for each item of the batch, in nats: the shape of `scores` without `axis`.

    Raises
    ------
    ValueError : a target of another shape; a label that is not among the classes.

    Source: Murphy, "Probabilistic Machine Learning: An Introduction" (2022), section 13.3.3.1.

    >>> cross_entropy_composed(np.array([3.2, 5.1, -1.7]), 0).round(2)
    np.float64(2.04)
    """
    target = _probabilities(scores, target, axis)
    return -np.sum(target * (scores - _logsumexp(scores, axis)), axis=axis)


def _cross_entropy_value(scores: Any, target: Any, axis: int) -> Any:
    return -np.sum(target * _log_softmax(scores, axis=axis), axis=axis)


def _by_scores(t: Any, _: Any, scores: Any, target: Any, axis: int) -> Any:
    """Σ_j (p_j Σ_c y_c − y_j) t_j: (p − y)ᵀ t where the target sums to 1."""
    total = np.sum(target, axis=axis, keepdims=True)
    return np.sum((total * _softmax(scores, axis=axis) - target) * t, axis=trailing(axis, scores.ndim))


def _by_target(t: Any, _: Any, scores: Any, target: Any, axis: int) -> Any:
    """−Σ_j log p_j t_j."""
    return -np.sum(_log_softmax(scores, axis=axis) * t, axis=trailing(axis, scores.ndim))


_cross_entropy = custom_op(_cross_entropy_value, push=[_by_scores, _by_target], batched=True, flops=16.0)


def cross_entropy(scores: Any, target: Any, axis: int = -1) -> Any:
    """z = −Σ_c y_c log p_c with p = softmax(scores), as one operation: ∂z/∂scores = p − y, in linear time.

    Parameters
    ----------
    scores : (…, C), unnormalised log-probabilities.
    target : y, probabilities of the shape of `scores`; or integer labels 0 … C − 1, of that shape without `axis`.
    axis : the axis of the classes.

    Returns
    -------
    One loss for each item of the batch, in nats: the shape of `scores` without `axis`.

    Raises
    ------
    ValueError : a target of another shape; a label that is not among the classes.

    Source: Murphy, "Probabilistic Machine Learning: An Introduction" (2022), section 13.3.3.1; Galasso, "Neural
    Networks and Backpropagation" (2023), "softmax classifier".

    >>> cross_entropy(np.array([3.2, 5.1, -1.7]), 0).round(2)
    np.float64(2.04)
    """
    return _cross_entropy(scores, _probabilities(scores, target, axis), axis=axis)


def _probabilities(scores: Any, target: Any, axis: int) -> Any:
    """The target as probabilities of the shape of the scores; integer labels become rows of the identity."""
    if np.shape(target) == np.shape(scores):
        return target
    shape = np.shape(scores)
    kept = [n for i, n in enumerate(shape) if i != axis % len(shape)]
    if not shape or np.result_type(target).kind not in "iu" or [*np.shape(target)] != kept:
        raise ValueError(
            f"target has shape {np.shape(target)} and scores {shape}: give probabilities of the shape of the "
            f"scores, or integer labels of that shape without axis {axis}."
        )
    return _one_hot(np.asarray(target), shape[axis], np.result_type(scores), axis)


def _one_hot(labels: Any, classes: int, dtype: Any, axis: int) -> Any:
    if np.any((labels < 0) | (labels >= classes)):
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}, but the scores have the classes 0 … {classes - 1} only."
        )
    return np.moveaxis(np.eye(classes, dtype=dtype)[labels], -1, axis)


def logistic_loss(z: Any, label: Any) -> Any:
    """log Σ_i e^{z_i} − z_{y*}: the multivariate logistic loss.

    Its gradient by z is p − δ, with p = softmax(z) and δ_y = [y = y*].

    Parameters
    ----------
    z : scores, (…, C).
    label : y*, integers 0 … C − 1, of the shape of z without its last axis.

    Returns
    -------
    One loss for each item of the batch, in nats.

    Raises
    ------
    ValueError : labels that do not fit.

    Source: Zhang, "Backpropagation" (2019, after Hofmann, ETH), eq. 18, with the sign and the index put right.

    >>> logistic_loss(np.array([3.2, 5.1, -1.7]), 0).round(2)
    np.float64(2.04)
    """
    chosen = _probabilities(z, label, -1)
    return np.squeeze(_logsumexp(z), axis=-1) - np.sum(chosen * z, axis=-1)


def quadratic_loss(y: Any, nu: Any) -> Any:
    """½‖y − ν‖², over all elements; the gradient by y is y − ν, by ν it is ν − y.

    Parameters
    ----------
    y : real array of any shape.
    nu : ν, the target, of that shape.

    Returns
    -------
    A scalar.

    Source: Zhang, "Backpropagation" (2019, after Hofmann, ETH), eq. 17.

    >>> quadratic_loss(np.array([1.0, 2.0]), np.array([0.0, 4.0]))
    np.float64(2.5)
    """
    return 0.5 * np.sum((y - nu) ** 2)


def l2_penalty(W: Any, *more: Any) -> Any:
    """R = Σ_k Σ_l W²_{k,l}, summed over all the weights given; the gradient is 2W.

    Parameters
    ----------
    W : weights, a real array of any shape.
    *more : further weights.

    Returns
    -------
    A scalar.

    Source: Galasso, "Neural Networks and Backpropagation" (2023), "regularization".

    >>> l2_penalty(np.array([0.25, 0.25, 0.25, 0.25]))
    np.float64(0.25)
    """
    return sum((np.sum(V * V) for V in more), start=np.sum(W * W))

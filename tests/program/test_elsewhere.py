"""Programs on other arrays than NumPy's: JAX's, compiled, and those of a device that gives nothing to NumPy."""

import types

import numpy as np
import pytest
from random_programs import random_program

from admodes import GuardFailed, grad, hvp, jacfwd, trace
from admodes.program.recording import leaves

rng = np.random.default_rng(4)


class Remote:
    """An array on a device: NumPy cannot have its data, nor mix with it."""

    __array_ufunc__ = None

    def __init__(self, data):
        self.data = np.asarray(data)

    def __array__(self, *args, **kwargs):
        raise TypeError("on the device: not to be converted silently")

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)

    def __getitem__(self, index):
        return Remote(self.data[unwrapped(index)])

    def __setitem__(self, index, value):
        self.data[unwrapped(index)] = value.data

    def __bool__(self):
        return bool(self.data)

    def astype(self, dtype):
        return Remote(self.data.astype(dtype))


def operator_of(name):
    def operate(self, other):
        if isinstance(other, np.ndarray):
            raise TypeError("an array of NumPy's beside one on the device")
        return Remote(getattr(self.data, name)(unwrapped(other)))

    return operate


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "eq", "and", "or"):
    setattr(Remote, f"__{_name}__", operator_of(f"__{_name}__"))


def unwrapped(x):
    if isinstance(x, tuple | list):
        return type(x)(map(unwrapped, x))
    return x.data if isinstance(x, Remote) else x


class Device(types.ModuleType):
    """A namespace of such arrays; `sent` is what came over from NumPy."""

    def __init__(self, space=np, without=()):
        super().__init__("device")
        self.space, self.without, self.sent = space, without, []

    def asarray(self, x, copy=None):
        if isinstance(x, Remote):
            return Remote(x.data.copy()) if copy else x
        self.sent.append(x)
        return Remote(x)

    def __getattr__(self, name):
        if name in self.without:
            raise AttributeError(name)
        found = getattr(self.space, name)
        if isinstance(found, types.ModuleType):
            return Device(found)
        if isinstance(found, type):
            return found

        def call(*args, **kwargs):
            if any(isinstance(x, np.ndarray) for x in leaves((args, kwargs))):
                raise TypeError("an array of NumPy's given to the device")
            y = found(*unwrapped(args), **{k: unwrapped(v) for k, v in kwargs.items()})
            return tuple(map(Remote, y)) if isinstance(y, tuple) else Remote(y)

        if hasattr(found, "at"):
            call.at = lambda y, index, u: found.at(y.data, unwrapped(index), u.data)
        return call


def on_device(program, *args):
    device = Device()
    y = program.function(device)(*(device.asarray(x) for x in args))
    return y.data


W = rng.normal(size=(5, 5))
ROWS = np.array([3, 0, 3])


def network(x):
    y = np.tanh(W @ x) + x[ROWS].sum() * np.exp(-x)
    return np.sum(np.where(y > 0, y, 0.1 * y) ** 2) + np.max(x[1:] * x[:-1]) + np.linalg.norm(y)


def test_a_device_that_refuses_numpy():
    x = rng.normal(size=5)
    device = Device()
    for f in (network, grad(network), jacfwd(grad(network)), lambda x: hvp(network, (x,), (np.ones(5),))):
        program = trace(f, x)
        np.testing.assert_allclose(on_device(program, x), program(x), rtol=1e-12, atol=1e-12)
    run = trace(grad(network), x).function(device)
    run(device.asarray(x))
    sent = len(device.sent)
    run(device.asarray(x + 1e-3))
    constants = [one for one in device.sent[sent:] if isinstance(one, np.ndarray) and one.shape == W.shape]
    assert not constants  # they went over at the first call


def test_what_has_no_counterpart_is_named():
    program = trace(lambda x: np.sinc(x) + np.tanh(x), np.ones(3))
    with pytest.raises(NotImplementedError, match=r"np\.sinc has no counterpart in device"):
        program.function(Device(without=("sinc",)))


def test_a_branch_that_goes_otherwise():
    program = trace(lambda x: np.sin(x) if x > 0 else -x, 1.0)
    assert on_device(program, 1.0) == np.sin(1.0)
    with pytest.raises(GuardFailed):
        on_device(program, -1.0)


def test_arguments_of_another_shape():
    program = trace(lambda x: np.sum(x), np.ones(3))
    with pytest.raises(TypeError, match=r"traced with the shape \(3,\)"):
        program.function(np)(np.ones(4))
    with pytest.raises(TypeError, match="another structure"):
        program.function(np)((np.ones(3), 1.0))


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_in_numpys_own_namespace(seed):
    f, x = random_program(seed, 6)
    with np.errstate(all="ignore"):
        program = trace(jacfwd(f), x)
        if any(i.op.name == "convolve" for i in program.instructions):  # with directions it is a function of our own
            with pytest.raises(NotImplementedError, match="convolve"):
                program.function(np)
            return
        np.testing.assert_allclose(program.function(np)(x), program(x), rtol=1e-12, atol=1e-12)


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield jax
    jax.config.update("jax_enable_x64", before)


def test_our_derivatives_compiled_by_jax(jax):
    x = rng.normal(size=5)
    for f in (network, grad(network), jacfwd(grad(network))):
        program = trace(f, x)
        for run in (program.function(jax.numpy), jax.jit(program.function(jax.numpy))):
            y = run(x)
            assert isinstance(y, jax.Array)
            np.testing.assert_allclose(np.asarray(y), program(x), rtol=1e-9, atol=1e-9)
    tree = trace(grad(lambda p: np.sum(np.sin(p["a"]) * p["b"][0])), {"a": x, "b": [2.0]})
    found = jax.jit(tree.function(jax.numpy))({"a": x, "b": [2.0]})
    np.testing.assert_allclose(np.asarray(found["a"]), 2 * np.cos(x), rtol=1e-12)


def test_a_branch_that_jax_cannot_know_leaves_nan(jax):
    program = trace(lambda x: np.sin(x) if np.sum(x) > 0 else -x, np.ones(3))
    run = jax.jit(program.function(jax.numpy))
    np.testing.assert_allclose(np.asarray(run(np.ones(3))), np.sin(np.ones(3)), rtol=1e-12)
    assert np.isnan(np.asarray(run(-np.ones(3)))).all()
    with pytest.raises(GuardFailed):
        program.function(jax.numpy)(-np.ones(3))

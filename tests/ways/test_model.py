"""The cost model: programs of K directions, the walk over memory, what is kept; no clock is asserted on."""

import math
from dataclasses import replace

import numpy as np
import pytest

import admodes
from admodes.program.native.calls import usable
from admodes.program.native.worth import with_kernels
from admodes.program.passes import PASSES, optimise
from admodes.program.primitives import KERNELS
from admodes.program.program import record
from admodes.ways import model
from admodes.ways.estimate import PLANNED, Estimator, with_directions
from admodes.ways.model import CostModel, Level, at, current
from admodes.ways.probes import differentiable
from admodes.ways.work import PLACES, Step, inner_loops, key, steps, units

RNG = np.random.default_rng(3)
W = RNG.random((5, 6))

FUNCTIONS = {
    "elementwise": (lambda x: np.tanh(x) * x**2 + 3.0, RNG.random(6)),
    "stencil": (lambda x: x[1:] - 2 * x[:-1], RNG.random(7)),
    "layer": (lambda x: np.tanh(W @ x), RNG.random(6)),
    "reduction": (lambda x: np.sum(np.exp(x), axis=0, keepdims=True), RNG.random((4, 3))),
    "places": (lambda x: x[[0, 2, 2]] * np.concatenate([x[:2], x[3:4]]), RNG.random(5)),
    "einsum": (lambda x: np.einsum("ij,kj->ik", x, x), RNG.random((3, 4))),
    "linalg": (lambda x: np.linalg.solve(x + 5 * np.eye(4), x[0]), RNG.random((4, 4))),
    "fft": (lambda x: np.abs(np.fft.rfft(x)), RNG.random(8)),
    "scalars": (lambda x: np.array([x[0] * x[1], np.sin(x[2])]), RNG.random(3)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("way", ["_pushed", "_pulled"])
def test_the_program_of_k_directions_is_that_which_a_run_of_k_records(name, way):
    f, x = FUNCTIONS[name]
    traced = getattr(Estimator(f, (x,)), way)
    made, run = with_directions(traced, 6), traced(6)
    assert made.cost == run.cost
    for a, b in zip(made.instructions, run.instructions, strict=True):
        assert [v.shape for v in a.outs] == [v.shape for v in b.outs]


def test_a_sweep_counts_what_its_derivative_counts():
    f, x = FUNCTIONS["layer"]
    ways = Estimator(f, (x,))
    assert (ways.n, ways.m) == (6, 5)
    assert ways.forward().cost.flops == admodes.cost(lambda x, t: admodes.jvp(f, (x,), (t,)), x, x).flops
    assert ways.forward(passes=3).cost.operations == 3 * ways.forward().cost.operations
    forward_once, back = ways.reverse().cost.flops, ways.reverse(passes=2).cost.flops - ways.reverse().cost.flops
    assert 0 < back < forward_once


def test_places_are_paid_for_by_their_number():
    """A few elements of a large array, taken and put back: the whole is zeros, written at the speed of memory."""
    few, large = [np.array([1, 5, 7])], np.ones(100_000)
    for f in (lambda x: x[few[0]], lambda x: admodes.vjp(lambda x: x[few[0]], x)[1](np.ones(3))[0]):
        taken = [i for i in admodes.trace(f, large).instructions if key(i) in PLACES]
        assert [units(i) for i in taken] == [3] * len(taken) != []


def test_predictions_grow_with_the_work():
    ways = Estimator(lambda x: np.sum(np.tanh(x)), (np.ones(100),))
    large = Estimator(lambda x: np.sum(np.tanh(x)), (np.ones(100_000),))
    for way in ("gradient", "function", "forward"):
        assert 0 < getattr(ways, way)().seconds < getattr(large, way)().seconds
    assert large.jacobian("reverse").seconds < large.jacobian("forward").seconds
    assert ways.gradient(compiled=True).first_call_seconds > ways.gradient(compiled=True).seconds


def test_memory_of_a_tape_holds_all_and_that_of_a_push_does_not():
    def chain(x):
        for _ in range(10):
            x = np.tanh(x)
        return np.sum(x)

    ways = Estimator(chain, (np.ones(1000),))
    assert ways.gradient().peak_bytes >= 10 * 8000
    assert ways.forward().peak_bytes <= 6 * 8000


def test_reuse_distance_is_the_bytes_since_the_last_touch():
    program = record(lambda x, y: (x * 2.0) + y, (np.ones(10), np.ones(10)), {}, False)
    first, second = steps(program)
    assert [t.nbytes for t in first.touches] == [80, 80]
    x, out = first.touches
    assert x.distance == 4 * 80  # y, the product, y and the sum of the call before
    assert second.touches[0].distance == 0  # the product, just written
    assert math.isfinite(out.distance)


def test_loops_are_those_that_numpy_cannot_join():
    program = record(lambda x: (x * x[:1]) + x[:, :1], (np.ones((5, 4)),), {}, False)
    loops = [inner_loops(i) for i in program.instructions if i.op.name in ("multiply", "add")]
    assert loops == [5, 5]
    whole = record(lambda x: x * x, (np.ones((5, 4)),), {}, False)
    assert [inner_loops(i) for i in whole.instructions] == [1]
    rows = record(lambda x: np.sum(x, axis=1), (np.ones((5, 4)),), {}, False)
    assert [inner_loops(i) for i in rows.instructions] == [5]


def test_indexing_by_places_and_by_masks_is_told_from_slices():
    program = record(lambda x: (x[1:], x[[0, 1]], x[np.array([True, False, True])]), (np.ones(3),), {}, False)
    assert [key(i) for i in program.instructions] == ["getitem", "getitem[places]", "getitem[mask]"]


def test_units_are_what_the_time_goes_by():
    program = record(lambda a, b: (a @ b, np.sum(a), a + 1), (np.ones((3, 4)), np.ones((4, 5))), {}, False)
    assert [units(i) for i in program.instructions] == [60, 12, 12]


def test_a_curve_is_straight_between_its_points_and_beyond():
    curve = ((1.0, 1.0), (3.0, 2.0), (5.0, 6.0))
    assert [at(curve, x) for x in (0.0, 2.0, 4.0, 7.0)] == [1.0, 1.5, 4.0, 10.0]


def test_what_is_kept_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(model, "kept_at", lambda: tmp_path / "deep" / "model.json")
    current.cache_clear()
    try:
        defaults = current()
        assert not defaults.calibrated
        assert "defaults" in str(defaults)
        model.keep_model(CostModel.from_json(defaults.to_json().replace('"calibrated": false', '"calibrated": true')))
        assert current().calibrated
        assert current().calls == defaults.calls
        assert "calibrated" in str(current())
    finally:
        current.cache_clear()


def test_an_overhead_counts_operations_by_lane():
    f = record(lambda x: np.sum(np.sin(x) * x[::-1], axis=0), (np.ones(4),), {}, False)
    level = Level.of("forward", f, times=2)
    assert level.lanes == (1, 1, 1, 1)
    made = CostModel(transforms={"forward": (1.0, 10.0, 100.0, 1000.0)})
    assert made.overhead(level) == 2222.0
    known = CostModel(transforms=made.transforms, rules={"sum": (5000.0, 0.0, 0.0), "sin": (1e6, 0.0, 0.0)})
    assert known.overhead(level) == 2 * (1.0 + 10.0 + 100.0 + 5000.0)  # a fast lane is the same for every row


NATIVE = {"call": 100.0, "array": 10.0, "cheap": 1.0, "sum": 2.0, "place": 3.0, "number": 50.0, "alone": 20.0,
          "compile": 1e4, "instruction": 1e2, "exp": 7.0}  # fmt: skip


def planned(f, *args):
    program = optimise(record(f, args, {}, False), PLANNED)
    made = CostModel(native=NATIVE, levels=((1.0, 0.0), (2.0, 0.0)), line={"call": 0.0, "line": 0.0, "argument": 0.0})
    return made, program, [i for i in program.instructions if i.op in KERNELS]


def test_a_kernel_takes_its_call_its_arrays_and_its_arithmetic():
    """Ten elements: e^x, a product and a sum of two arrays; what is moved takes nothing here."""
    made, program, kernels = planned(lambda x, y: np.exp(x) * y + x, np.ones(10), np.ones(10))
    assert len(kernels) == 1
    assert sum(s for _, s in made.priced(program)) == 100 + 10 + 10 * (7 + 1 + 1)
    assert made.compiling(program) == 1e4 + 3 * 1e2


def test_a_kernel_of_sums_numbers_and_places():
    made, program, _ = planned(lambda x: np.sum(np.exp(x) * x), np.ones(16))
    assert sum(s for _, s in made.priced(program)) == 100 + 16 * (7 + 1 + 2)  # a number is no array
    made, program, _ = planned(lambda a: np.exp(a) * a + 1.0, 0.5)
    assert sum(s for _, s in made.priced(program)) == 100 + 20 * 7 + 2 * 50
    made, program, _ = planned(lambda x, i: x[i] * 2.0, np.ones(16), np.arange(16))
    assert sum(s for _, s in made.priced(program)) == 100 + 10 + 16 * (3 + 1)


def test_a_kernel_takes_as_long_as_what_it_moves_where_that_is_longer():
    made, program, _ = planned(lambda x: x * 2.0 + 1.0, np.ones(1000))
    slow = replace(made, levels=((1.0, 5.0), (2.0, 5.0)))
    assert sum(s for _, s in slow.priced(program)) == 100 + 10 + 2 * 8000 * 5


def test_plans_of_kernels_compile_nothing():
    program = optimise(record(lambda x: np.sin(x) * x, (np.ones(9),), {}, False), PLANNED)
    assert all(KERNELS[i.op].ir == "" for i in program.instructions if i.op in KERNELS)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_native_jacobians_are_counted_as_flat_ones_are(name, mode):
    f, x = FUNCTIONS[name]
    ways = Estimator(f, (x,))
    flat, native = (ways.jacobian(mode, compiled=how) for how in (True, "native"))
    assert native.cost == flat.cost
    assert native.passes == flat.passes
    assert native.seconds > 0
    assert native.first_call_seconds > native.seconds


@pytest.mark.parametrize("name", FUNCTIONS)
def test_plans_have_the_kernels_that_compile_makes(name):
    if not usable():
        pytest.skip("no kernels here")
    f, x = FUNCTIONS[name]
    program = record(admodes.jacrev(f), (x,), {}, False)
    made, plan = optimise(program, with_kernels(PASSES)), optimise(program, PLANNED)
    assert [i.op in KERNELS for i in made.instructions] == [i.op in KERNELS for i in plan.instructions]
    assert [v.shape for v in made.workspace] == [v.shape for v in plan.workspace]


def test_calls_that_take_turns_are_slower():
    program = record(lambda x: np.sin(x) * np.exp(x), (np.ones(4),), {}, False)
    alone = CostModel(calls=dict.fromkeys(("sin", "exp", "multiply", "getitem", "other"), ((1.0, 1.0),)))
    turns = CostModel(calls=alone.calls, mixing=((1.0, 1.0), (3.0, 1.5)))
    assert turns.mixed(program) == 1.5
    assert turns.seconds(program) == pytest.approx(1.5 * alone.seconds(program))


def test_the_gradient_within_a_hessian_product_has_no_direction_of_its_own():
    ways = Estimator(lambda x: x[0] * x[1], (np.ones(2),))
    assert ways.hvp(compiled=True).seconds < 3 * ways.gradient(compiled=True).seconds


@pytest.mark.filterwarnings("ignore")  # of functions at the edge of their domain
def test_rows_without_a_fast_lane_are_known_by_themselves():
    known = differentiable(np.random.default_rng(0))
    assert {"where", "linalg.solve", "einsum", "getitem[places]"} <= set(known)
    assert not {"sin", "multiply"} & set(known)


def test_a_step_names_its_instruction():
    program = record(lambda x: x * 2.0, (np.ones(4),), {}, False)
    (step,) = steps(program)
    assert isinstance(step, Step)
    assert step.alive == 32


def test_an_operator_takes_the_memory_of_a_large_temporary_array_as_numpy_does():
    program = record(lambda x: (x + 1.0) * 2.0 - 3.0, (np.ones(1 << 16),), {}, False)
    assert max(step.alive for step in steps(program)) == 8 << 16
    assert max(step.alive for step in steps(program, "dual")) > 8 << 16

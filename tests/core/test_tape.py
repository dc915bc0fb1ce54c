"""The tape itself: what its entries say, what a sweep tells its observer."""

import numpy as np

from admodes.core.reverse import Tape, general_form


def recorded():
    """A tape of every kind of entry, and the values that were recorded."""
    tape = Tape()
    x, w = tape.input(np.array([1.0, 2.0])), tape.input(np.array([3.0, 4.0]))
    y = np.sin(x) * w
    z = np.clip(y + np.array([0.5, 0.5]), -10.0, 10.0)
    zeros = np.zeros_like(x)
    zeros[0] = z[1]
    q, r = np.linalg.qr(np.stack([z, x]))
    return tape, np.sum(q * r) + np.sum(zeros) + np.sum(x)


def test_every_entry_says_how_its_value_came_about():
    tape, _ = recorded()
    entries = [general_form(entry) for entry in tape.entries]
    assert {entry[0] for entry in tape.entries} == {0, 1, 2, 3}
    for index, entry in enumerate(entries):
        assert all(parent < index for parent in entry.parents)
        for at, parent in zip(entry.positions, entry.parents, strict=True):
            np.testing.assert_array_equal(entry.args[at], entries[parent].y)
        if entry.op is not None:
            np.testing.assert_equal(entry.op.evaluate(*entry.args, **entry.params), entry.y)


def test_entries_in_the_general_form_sweep_to_the_same():
    """The short forms are short forms of the general one, nothing else."""
    tape, out = recorded()
    general = Tape()
    general.entries = [general_form(entry).recorded() for entry in tape.entries]
    seeds = [(out.index, np.float64(1.0))]
    for a, b in zip(tape.pull(seeds, 2), general.pull(seeds, 2), strict=True):
        np.testing.assert_array_equal(a, b)
    tangents = [np.array([0.3, -0.2]), np.array([0.1, 0.7])]
    (a,), (b,) = tape.push(tangents, [out.index]), general.push(tangents, [out.index])
    np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(a, sum(np.vdot(g, t) for g, t in zip(tape.pull(seeds, 2), tangents, strict=True)))


def test_an_observer_is_told_of_every_value_and_its_whole_cotangent():
    tape = Tape()
    x = tape.input(np.array([1.0, 2.0]))
    unused = tape.input(np.array(5.0))
    y = np.sin(x)
    z = np.sum(y * y + y)
    np.cos(y)  # nothing that the result depends on
    told = []
    gx, none = tape.pull([(z.index, np.float64(1.0))], 2, lambda value, u: told.append((value, u)))
    assert none is None
    values = [general_form(entry).y for entry in tape.entries]
    *operations, (last_input, last) = told
    assert last_input is unused.value
    assert last is None
    assert len(operations[:-1]) == z.index - 1
    assert all(told is made for (told, _), made in zip(operations, values[z.index : 1 : -1], strict=False))
    cotangent_of_y = next(u for value, u in operations if value is y.value)
    np.testing.assert_allclose(cotangent_of_y, 2 * np.sin(x.value) + 1)
    assert operations[-1][0] is x.value
    np.testing.assert_allclose(operations[-1][1], gx)

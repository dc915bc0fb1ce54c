"""Orders of elimination by simulated annealing: one vertex is moved, the multiplications are counted again.

The graph is two rows of bits a vertex, its predecessors and its successors.  Eliminating v costs the product of the two
counts of bits; then each predecessor takes over v's successors, and each successor its predecessors.  Where llvmlite is
installed (extra `native`) the search is machine code; else the same search runs in Python, a hundred times slower.

Source: Kirkpatrick, Gelatt and Vecchi, "Optimization by simulated annealing", Science 220 (1983); Naumann, "Optimal
Jacobian accumulation is NP-complete", Math. Program. 112 (2008), for why a heuristic.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .orders import Graph, Remaining, Vertex

# Of one search, in machine code and in Python.
MOVES, MOVES_IN_PYTHON = 150_000, 6_000
RESTARTS = 4
# In multiplications: a move that costs so much more is taken one time in e.
HOT, COLD = 4.0, 0.15


def annealed(graph: Graph, start: Sequence[Vertex], seed: int = 0) -> list[Vertex]:
    """A sequence of all intermediates with few multiplications, no worse than `start`; the same for the same seed.

    It takes about a second for a hundred vertices.
    """
    search = search_natively if importlib.util.find_spec("llvmlite") else search_in_python
    found = min((search(graph, start, seed + k) for k in range(RESTARTS)), key=lambda pair: pair[0])
    return found[1]


def search_in_python(
    graph: Graph, start: Sequence[Vertex], seed: int, moves: int = MOVES_IN_PYTHON
) -> tuple[int, list[Vertex]]:
    """The search with Python's integers as bits."""
    names, preds, succs, kept = _bits(graph)
    place = {v: k for k, v in enumerate(names)}
    order = [place[v] for v in start]
    rng = random.Random(seed)

    def count(order: Sequence[int], most: float) -> int:
        into, out, total = list(preds), list(succs), 0
        for v in order:
            before, after = into[v], out[v]
            total += before.bit_count() * after.bit_count()
            if total > most:
                break
            gone = ~(1 << v)
            for i in _ones(before):
                out[i] = (out[i] | after) if kept >> v & 1 else (out[i] | after) & gone
            for k in _ones(after):
                into[k] = (into[k] | before) & gone
        return total

    now = best = count(order, math.inf)
    least = list(order)
    cooling = (COLD / HOT) ** (1 / max(moves, 1))
    temperature = HOT
    for _ in range(moves if len(order) > 1 else 0):
        temperature *= cooling
        i, j = rng.randrange(len(order)), rng.randrange(len(order))
        order.insert(j, order.pop(i))
        most = now - temperature * math.log(1 - rng.random())
        total = count(order, most)
        if total > most:
            order.insert(i, order.pop(j))
            continue
        now = total
        if now < best:
            best, least = now, list(order)
    return best, [names[v] for v in least]


def _bits(graph: Graph) -> tuple[list[Vertex], list[int], list[int], int]:
    """Vertices, their predecessors and successors as bits, and which vertices are outputs, whose rows stay."""
    remaining = Remaining(graph)
    names = list(remaining.preds)
    place = {v: k for k, v in enumerate(names)}
    preds = [sum(1 << place[i] for i in remaining.preds[v]) for v in names]
    succs = [sum(1 << place[k] for k in remaining.succs[v]) for v in names]
    return names, preds, succs, sum(1 << place[v] for v in remaining.outputs if v in place)


def _ones(bits: int) -> list[int]:
    found = []
    while bits:
        low = bits & -bits
        found.append(low.bit_length() - 1)
        bits ^= low
    return found


# ---------------------------------------------------------------------------------------------------
# Machine code
# ---------------------------------------------------------------------------------------------------


def search_natively(graph: Graph, start: Sequence[Vertex], seed: int, moves: int = MOVES) -> tuple[int, list[Vertex]]:
    names, preds, succs, kept = _bits(graph)
    place = {v: k for k, v in enumerate(names)}
    order = np.array([place[v] for v in start], np.int64)
    if len(order) < 2:
        return search_in_python(graph, start, seed, 0)
    words = -(-len(names) // 64)
    rows = np.array([[row >> 64 * w & (1 << 64) - 1 for w in range(words)] for row in (*preds, *succs)], np.uint64)
    stays = np.array([kept >> k & 1 for k in range(len(names))], np.int64)
    scratch, best = np.empty_like(rows), order.copy()
    # −log u for u in equal steps: whether a worse order is taken.
    slack = -np.log((np.arange(1024) + 0.5) / 1024)
    cooling = (COLD / HOT) ** (1 / moves)
    total = _kernel(words)[1](
        len(names), len(order), moves, seed * 2 + 1, HOT, cooling,
        *(a.ctypes.data for a in (rows, scratch, stays, slack, order, best)),
    )  # fmt: skip
    return int(total), [names[v] for v in best]


@functools.cache
def _kernel(words: int) -> tuple[Any, Callable[..., int]]:
    """The search for rows of so many words of 64 bits, behind the engine, as long as which its code lives."""
    import llvmlite.binding as llvm
    from llvmlite import ir

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = ir.Module("annealing")
    _search(module, words)
    parsed = llvm.parse_assembly(str(module))
    machine = llvm.Target.from_default_triple().create_target_machine(
        opt=3, cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten()
    )
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(parsed, builder)
    engine = llvm.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    size, real = ctypes.c_int64, ctypes.c_double
    signature = ctypes.CFUNCTYPE(size, size, size, size, size, real, real, *[ctypes.c_void_p] * 6)
    function = signature(engine.get_function_address("search"))
    return engine, function


class _Writer:
    """An IR builder with variables, loops and conditions as in plain code."""

    def __init__(self, function: Any, names: Sequence[str]) -> None:
        from llvmlite import ir

        self.ir = ir
        self.function = function
        self.b = ir.IRBuilder(function.append_basic_block("entry"))
        self.int, self.real = ir.IntType(64), ir.DoubleType()
        self.variables = {name: self.b.alloca(self.int) for name in names}

    def __getitem__(self, name: str) -> Any:
        return self.b.load(self.variables[name])

    def __setitem__(self, name: str, value: Any) -> None:
        self.b.store(self.constant(value), self.variables[name])

    def constant(self, value: Any) -> Any:
        return self.ir.Constant(self.int, value) if isinstance(value, int) else value

    def at(self, array: Any, *index: Any) -> Any:
        """Load an element of an array of 64-bit numbers, at the sum of the parts of the index."""
        return self.b.load(self.place(array, *index))

    def place(self, array: Any, *index: Any) -> Any:
        total = self.constant(index[0])
        for part in index[1:]:
            total = self.b.add(total, self.constant(part))
        return self.b.gep(array, [total])

    def times(self, name: str, first: Any, last: Any, body: Callable[[Any], None]) -> None:
        """for name in range(first, last): body(name)"""
        self[name] = first
        self.until(lambda: self.b.icmp_signed("<", self[name], self.constant(last)), lambda: self._step(name, body))

    def _step(self, name: str, body: Callable[[Any], None]) -> None:
        body(self[name])
        self[name] = self.b.add(self[name], self.constant(1))

    def until(self, condition: Callable[[], Any], body: Callable[[], None]) -> None:
        """while condition(): body()"""
        head, inside, after = (self.function.append_basic_block() for _ in range(3))
        self.b.branch(head)
        self.b.position_at_end(head)
        self.b.cbranch(condition(), inside, after)
        self.b.position_at_end(inside)
        body()
        self.b.branch(head)
        self.b.position_at_end(after)


def _search(module: Any, words: int) -> None:
    """search(n, m, moves, seed, temperature, cooling, rows, scratch, stays, slack, order, best) -> multiplications

    rows: n rows of predecessors, then n of successors. order: m vertices, the start; best: the best sequence found.
    """
    from llvmlite import ir

    i64, f64 = ir.IntType(64), ir.DoubleType()
    pointer, reals = i64.as_pointer(), f64.as_pointer()
    kinds = [i64, i64, i64, i64, f64, f64, pointer, pointer, pointer, reals, pointer, pointer]
    function = ir.Function(module, ir.FunctionType(i64, kinds), "search")
    n, m, moves, seed, hot, cooling, rows, scratch, stays, slack, order, best = function.args
    w = _Writer(function, ["step", "k", "v", "word", "bits", "i", "total", "now", "least", "p", "q", "state", "moving"])
    b = w.b
    temperature = b.alloca(f64)
    most = b.alloca(f64)
    count_bits = module.declare_intrinsic("llvm.ctpop", [i64])
    low_bit = module.declare_intrinsic("llvm.cttz", [i64], ir.FunctionType(i64, [i64, ir.IntType(1)]))
    half = b.mul(n, w.constant(words))  # where the successors start

    def row(v: Any, after: bool) -> Any:
        start = b.mul(v, w.constant(words))
        return b.add(start, half) if after else start

    def ones(start: Any, body: Callable[[Any], None]) -> None:
        """body(k) for every bit k of a row of the scratch graph."""

        def in_word(word: Any) -> None:
            w["bits"] = w.at(scratch, start, word)

            def one() -> None:
                bit = b.call(low_bit, [w["bits"], ir.Constant(ir.IntType(1), 0)])
                w["i"] = b.add(b.mul(w["word"], w.constant(64)), bit)
                w["bits"] = b.and_(w["bits"], b.sub(w["bits"], w.constant(1)))
                body(w["i"])

            w.until(lambda: b.icmp_signed("!=", w["bits"], w.constant(0)), one)

        w.times("word", 0, words, in_word)

    def size(start: Any) -> Any:
        total = w.constant(0)
        for k in range(words):
            total = b.add(total, b.call(count_bits, [w.at(scratch, start, k)]))
        return total

    def merge(target: Any, source: Any, v: Any, clear: Any) -> None:
        """The row `target` takes over the bits of `source`, and loses v where `clear` is 1."""
        for k in range(words):
            value = b.or_(w.at(scratch, target, k), w.at(scratch, source, k))
            here = b.icmp_signed("==", b.ashr(v, w.constant(6)), w.constant(k))
            bit = b.shl(b.and_(b.zext(here, i64), clear), b.and_(v, w.constant(63)))
            b.store(b.and_(value, b.not_(bit)), w.place(scratch, target, k))

    def eliminate(k: Any) -> None:
        w["v"] = w.at(order, k)
        before, after = row(w["v"], False), row(w["v"], True)
        w["total"] = b.add(w["total"], b.mul(size(before), size(after)))
        leaves = b.sub(w.constant(1), w.at(stays, w["v"]))
        ones(before, lambda i: merge(row(i, True), row(w["v"], True), w["v"], leaves))
        ones(after, lambda i: merge(row(i, False), row(w["v"], False), w["v"], w.constant(1)))

    def count() -> None:
        """The multiplications of `order` into `total`, as far as they stay below `most`."""
        w.times("k", 0, b.mul(half, w.constant(2)), lambda k: b.store(w.at(rows, k), w.place(scratch, k)) and None)
        w["total"], w["k"] = 0, 0

        def going() -> Any:
            below = b.fcmp_ordered("<=", b.sitofp(w["total"], f64), b.load(most))
            return b.and_(below, b.icmp_signed("<", w["k"], m))

        def step() -> None:
            eliminate(w["k"])
            w["k"] = b.add(w["k"], w.constant(1))

        w.until(going, step)

    def move(source: Any, target: Any) -> None:
        """Take the vertex at one place out and put it in at another."""
        w["moving"] = w.at(order, source)
        w["k"] = source

        def up() -> None:
            b.store(w.at(order, w["k"], 1), w.place(order, w["k"]))
            w["k"] = b.add(w["k"], w.constant(1))

        def down() -> None:
            b.store(w.at(order, w["k"], -1), w.place(order, w["k"]))
            w["k"] = b.sub(w["k"], w.constant(1))

        w.until(lambda: b.icmp_signed("<", w["k"], target), up)
        w.until(lambda: b.icmp_signed(">", w["k"], target), down)
        b.store(w["moving"], w.place(order, target))

    def drawn(below: Any) -> Any:
        """A number of a linear congruence (Knuth's), from its high bits."""
        state = b.add(b.mul(w["state"], w.constant(6364136223846793005)), w.constant(1442695040888963407))
        w["state"] = state
        return b.urem(b.lshr(state, w.constant(33)), below)

    def attempt(_: Any) -> None:
        b.store(b.fmul(b.load(temperature), cooling), temperature)
        w["p"] = drawn(m)
        w["q"] = drawn(m)
        chance = b.load(b.gep(slack, [drawn(w.constant(1024))]))
        b.store(b.fadd(b.sitofp(w["now"], f64), b.fmul(b.load(temperature), chance)), most)
        move(w["p"], w["q"])
        count()
        with b.if_else(b.fcmp_ordered("<=", b.sitofp(w["total"], f64), b.load(most))) as (taken, refused):
            with taken:
                w["now"] = w["total"]
                with b.if_then(b.icmp_signed("<", w["now"], w["least"])):
                    w["least"] = w["now"]
                    w.times("k", 0, m, lambda k: b.store(w.at(order, k), w.place(best, k)) and None)
            with refused:
                move(w["q"], w["p"])

    w["state"] = seed
    b.store(hot, temperature)
    b.store(ir.Constant(f64, 1e18), most)
    count()
    w["now"] = w["total"]
    w["least"] = w["total"]
    w.times("step", 0, moves, attempt)
    b.ret(w["least"])

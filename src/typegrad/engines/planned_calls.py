"""From a graph to calls that write into memory laid out beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from typegrad.engines.planned_blocks import Blocks, lie_apart
from typegrad.engines.planned_choice import BITS, choose_by_bits
from typegrad.engines.planned_layout import (
    dense_strides,
    is_blas_matrix,
    row_major,
    same_shape,
)
from typegrad.engines.planned_memory import Arena, Block, Liveness, direct_targets
from typegrad.engines.planned_order import with_early_derivatives
from typegrad.engines.planned_plan import (
    CopiedResult,
    MaskStep,
    OpaqueStep,
    Plan,
    ScalarSlots,
    Step,
)
from typegrad.engines.planned_runs import LONGEST_WHOLE, Run, is_plain_clip, split_into_runs
from typegrad.engines.planned_step import Uniform
from typegrad.operations.transposed import columns_at_once, times_transposed
from typegrad.tracing import Call, Graph, Leaf, Node, primitives
from typegrad.tracing.graph import operands, substitute
from typegrad.tracing.primitives import Guard, Opaque, Ufunc
from typegrad.types import AnyArray, Shape

# Results of these may overwrite an operand: each element depends on that element alone, and
# is rounded correctly whichever loop NumPy takes.
_IN_PLACE = frozenset(
    {
        np.add, np.subtract, np.multiply, np.divide, np.negative, np.absolute, np.sqrt,
        np.square, np.maximum, np.minimum, np.reciprocal, np.sign,
    }
)  # fmt: skip

_IN_PLACE_CALLS = frozenset({*map(Ufunc, _IN_PLACE), np.clip})

_EXTREMA = (np.maximum, np.minimum)

# What x ** exponent calls for these exponents.
_POWERS = {2: np.square, 0.5: np.sqrt, 1: np.positive, -1: np.reciprocal}


def plan(graph: Graph, arena: Arena) -> Plan:
    """Lay out memory for a graph and bind its calls."""
    arena.reset()
    return _Planner(with_early_derivatives(graph), arena, ScalarSlots()).plan()


class _Planner:
    def __init__(self, graph: Graph, arena: Arena, scalars: ScalarSlots) -> None:
        self.graph = graph
        self.arena = arena
        self.live = Liveness(graph)
        self.targets = direct_targets(graph, self.live)
        self.arrays: dict[int, Any] = {}
        self.blocks: dict[int, Block] = {}
        self.steps: list[Step] = []
        self.scalars = scalars

    def plan(self) -> Plan:
        inputs = {}
        for leaf in self.graph.leaves():
            if leaf.kind == "input":
                inputs[leaf.name] = self.allocate(leaf)
            elif leaf.kind != "scalar":
                self.arrays[id(leaf)] = leaf.array
        for run in split_into_runs(self.graph):
            self.bind_run(run)
        self.write_updates()
        outputs = {name: self.arrays[id(node)] for name, node in self.graph.outputs.items()}
        return Plan(self.steps, inputs, outputs, self.scalars)

    # Runs.

    def bind_run(self, run: Run) -> None:
        if run.is_long and self.in_blocks(run):
            return
        for place, call in enumerate(run.calls, run.start):
            self.bind(place, call)

    def in_blocks(self, run: Run) -> bool:
        """Bind a run's calls block by block; return False if its arrays do not allow it."""
        places = range(run.start, run.start + len(run.calls))
        last = [
            (place, call)
            for place, call in zip(places, run.calls, strict=True)
            if self.live.last_use(call) >= places.stop
        ]
        targets = [self.targets[id(call)] for _, call in last if id(call) in self.targets]
        if not lie_apart([*(self.value(node) for node in run.operands()), *targets]):
            return False
        results = [(call, self.output(place, call)) for place, call in last]
        self.steps += Blocks(run, self.arrays, results).steps(self.bind_block)
        for place, call in zip(places, run.calls, strict=True):
            self.release(place, call)
        return True

    def bind_block(self, graph: Graph) -> list[Step]:
        """Bind the calls of one block, whose intermediate results the next blocks overwrite."""
        planner = _Planner(graph, self.arena, self.scalars)
        steps = planner.plan().steps
        for block in planner.blocks.values():
            self.arena.give(block)
        return steps

    # Memory.

    def allocate(self, node: Node) -> AnyArray:
        """Give a node a block of its own."""
        block = self.arena.take(math.prod(node.shape) * node.dtype.itemsize)
        self.blocks[id(node)] = block
        array: AnyArray = block.array(node.shape, node.dtype, node.strides)
        self.arrays[id(node)] = array
        return array

    def scratch(self, shape: Shape, dtype: Any) -> tuple[AnyArray, Block]:
        """Return memory for one call; give the block back after it."""
        dtype = np.dtype(dtype)
        block = self.arena.take(math.prod(shape) * dtype.itemsize)
        return block.array(shape, dtype, row_major(shape)), block

    def output(self, place: int, call: Call) -> AnyArray:
        """Return the array that a call writes."""
        target = self.targets.get(id(call))
        if target is not None:
            self.arrays[id(call)] = target
            return target
        if call.function in _IN_PLACE_CALLS:
            operand = self.dying(place, call, operands(call))
            if operand is not None:
                return self.take_over(operand, call)
        return self.allocate(call)

    def take_over(self, operand: Node, call: Call) -> AnyArray:
        """Let a call write where an operand lies: the same object, for which NumPy is faster."""
        self.blocks[id(call)] = self.blocks.pop(id(operand))
        array: AnyArray = self.arrays[id(operand)]
        self.arrays[id(call)] = array
        return array

    def dying(self, place: int, call: Call, candidates: Iterable[Node]) -> Node | None:
        """Find an operand of the same layout that nobody uses later."""
        if math.prod(call.shape) == 1:
            return None  # with one element NumPy is slower in place
        for node in candidates:
            block = self.blocks.get(id(node))
            same = (node.shape, node.dtype) == (call.shape, call.dtype)
            if block is None or not same or self.live.last_use(node) != place:
                continue
            if self.arrays[id(node)].strides == dense_strides(call):
                return node
        return None

    def release(self, place: int, call: Call) -> None:
        """Give back the blocks of what was used for the last time."""
        for node in {id(root): root for root in map(self.live.root, operands(call))}.values():
            if self.live.last_use(node) == place and id(node) in self.blocks:
                self.arena.give(self.blocks.pop(id(node)))
        for node in (call, *call.results):
            if self.live.last_use(node) == -1 and id(node) in self.blocks:
                self.arena.give(self.blocks.pop(id(node)))

    def value(self, node: Node) -> Any:
        return self.arrays[id(node)]

    # Calls.

    def bind(self, place: int, call: Call) -> None:
        if call.is_view:
            arguments = self.arguments(call)
            view = np.asarray(call.function(*arguments, **call.keywords))
            self.arrays[id(call)] = view
            if not np.may_share_memory(view, arguments[0]):
                raise AssertionError(f"{call.function} gave a copy")  # planned layouts are NumPy's
            return
        self.lower(place, call)
        self.release(place, call)

    def arguments(self, call: Call) -> list[Any]:
        return [substitute(argument, self.value) for argument in call.arguments]

    def lower(self, place: int, call: Call) -> None:
        function = call.function
        if isinstance(function, Opaque):
            self.opaque(call, function)
        elif isinstance(function, Guard):
            self.steps.append(partial(function, *self.arguments(call)))
        elif isinstance(function, Ufunc):
            self.ufunc(place, call, function)
        elif isinstance(function, Uniform):
            out = self.output(place, call)
            self.steps.append(MaskStep(function, out))
        else:
            lowering: Any = _LOWERINGS.get(function, _Planner.any_function)
            lowering(self, place, call)

    def opaque(self, call: Call, function: Opaque) -> None:
        arguments = self.arguments(call)
        targets = [self.allocate(leaf) for leaf in call.results]
        self.steps.append(OpaqueStep(function, arguments, targets))

    def ufunc(self, place: int, call: Call, function: Ufunc) -> None:
        if function.method != "__call__":
            method = getattr(function.ufunc, function.method)
            arguments = self.arguments(call)
            if function.ufunc is np.add and _sums_one_each(call):
                self.sum_of_one(place, call)
                return
            self.steps.append(
                partial(method, *arguments, **call.keywords, out=self.output(place, call))
                if call.keywords.keys() - {"axis", "keepdims", "dtype"}
                or function.method != "reduce"
                else self.reduction(method, arguments, call, self.output(place, call))
            )
            return
        if function.ufunc is np.matmul and not call.keywords:
            self.matmul(place, call)
            return
        self.elementwise(place, call, function.ufunc, call.arguments)

    def sum_of_one(self, place: int, call: Call) -> None:
        """A sum over axes of length one: NumPy starts it at zero, so that -0 becomes 0."""
        x = self.value(call.arguments[0])
        out = self.output(place, call)
        self.steps.append(partial(np.add, x.reshape(out.shape), np.zeros((), x.dtype), out))

    @staticmethod
    def reduction(method: Any, arguments: list[Any], call: Call, out: AnyArray) -> Step:
        # Positions cost less than keywords.
        keywords = call.keywords
        axis = keywords.get("axis", 0)
        return partial(
            method, *arguments, axis, keywords.get("dtype"), out, keywords.get("keepdims", False)
        )

    def elementwise(self, place: int, call: Call, ufunc: np.ufunc, given: tuple[Any, ...]) -> None:
        if call.keywords:
            self.any_function(place, call)
            return
        arguments, blocks = self.ufunc_arguments(ufunc, given)
        arguments = [same_shape(argument, call.shape) for argument in arguments]
        spread = _spread_operand(ufunc, arguments, call)
        if spread is None:
            out = self.output(place, call)
        else:
            # Spreading it first costs less than NumPy's buffered broadcasting, which allocates.
            out = self.spread(place, call, arguments, spread, blocks)
        if ufunc in _EXTREMA:  # whose third position NumPy wants left alone
            arguments = [
                self.filled(each, out) if _is_literal(node) else each
                for each, node in zip(arguments, given, strict=True)
            ]
            self.steps.append(partial(ufunc, *arguments, out=out))
        else:
            self.steps.append(partial(ufunc, *arguments, out))
        for block in blocks:
            self.arena.give(block)

    def spread(
        self, place: int, call: Call, arguments: list[Any], index: int, blocks: list[Block]
    ) -> AnyArray:
        """Broadcast one argument to where the result will be, or else to memory for the call."""
        if id(call) in self.targets:
            out = self.output(place, call)
            whole, block = self.scratch(call.shape, call.dtype)
            blocks.append(block)
        else:
            out = whole = self.allocate(call)
        self.steps.append(partial(np.copyto, whole, arguments[index]))
        arguments[index] = whole
        return out

    def filled(self, argument: AnyArray, out: AnyArray) -> AnyArray:
        """Return an array full of a number: extrema are slow with the number, by a factor of 3."""
        if argument.ndim > 0 or out.size == 1 or out.nbytes > LONGEST_WHOLE:
            return argument
        return self.arena.filled(argument, out.size).reshape(out.shape)

    def ufunc_arguments(
        self, ufunc: np.ufunc, given: tuple[Any, ...]
    ) -> tuple[list[Any], list[Block]]:
        """Arrays of the dtypes that the ufunc's loop takes, and the blocks of converted ones.

        Otherwise NumPy would convert in each call: Python numbers slowly, and arrays piece by
        piece in a buffer of its own.
        """
        kinds: list[Any] = [_dtype_or_kind(argument) for argument in given]
        dtypes = ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout))
        arguments = [
            self.ufunc_argument(argument, dtype)
            for argument, dtype in zip(given, dtypes, strict=False)
        ]
        blocks = []
        for place, dtype in enumerate(dtypes[: len(arguments)]):
            array = arguments[place]
            if array.dtype != dtype:
                arguments[place], block = self.scratch(array.shape, dtype)
                blocks.append(block)
                self.steps.append(partial(np.copyto, arguments[place], array))
        return arguments, blocks

    def ufunc_argument(self, argument: Any, dtype: np.dtype[Any]) -> Any:
        if isinstance(argument, Leaf) and argument.scalar is not None:
            return self.scalars.array(argument.scalar, dtype)
        if isinstance(argument, Node):
            return self.value(argument)
        return np.asarray(argument, dtype)

    def matmul(self, place: int, call: Call) -> None:
        left, right = self.arguments(call)
        self.product(left, right, self.output(place, call))

    def times_transposed(self, place: int, call: Call) -> None:
        x, weight = self.arguments(call)
        out = self.output(place, call)
        at_once = columns_at_once(x, weight)
        if at_once:
            for start in range(0, len(weight), at_once):
                part = slice(start, start + at_once)
                self.product(x, weight[part].T, out[:, part])
            return
        turned, block = self.scratch(call.shape[::-1], call.dtype)
        self.product(weight, x.T, turned)
        self.steps.append(partial(np.copyto, out, turned.T))
        self.arena.give(block)

    def product(self, left: AnyArray, right: AnyArray, out: AnyArray) -> None:
        alike = left.dtype == right.dtype == out.dtype
        matrices = alike and is_blas_matrix(left) and is_blas_matrix(right)
        # Both call the same BLAS routine, but for the product of two numbers; the method is faster.
        if matrices and out.flags.c_contiguous and max(*left.shape, *right.shape) > 1:
            self.steps.append(partial(left.dot, right, out))
        else:
            self.steps.append(partial(np.matmul, left, right, out))

    def where(self, place: int, call: Call) -> None:
        condition, chosen, other = call.arguments
        arrays = [self.number_like(part, call.dtype) for part in (condition, chosen, other)]
        out = self.output(place, call)
        plain = condition.dtype == np.bool_ and condition.shape == call.shape
        plain = plain and all(array.dtype == out.dtype for array in arrays[1:])
        if plain and out.flags.c_contiguous and call.dtype in BITS:
            self.select(arrays, out)
        else:
            self.steps.append(partial(np.copyto, out, arrays[2]))
            self.steps.append(partial(np.copyto, out, arrays[1], where=arrays[0]))

    def clip(self, place: int, call: Call) -> None:
        if not is_plain_clip(call):
            self.any_function(place, call)
            return
        x, *limits = self.arguments(call)
        numbers = [None if limit is None else np.asarray(limit, x.dtype) for limit in limits]
        # The method costs less than the function; the ufunc that both call is not public.
        self.steps.append(partial(np.ndarray.clip, x, *numbers, self.output(place, call)))

    def number_like(self, argument: Any, dtype: np.dtype[Any]) -> Any:
        return self.value(argument) if isinstance(argument, Node) else np.asarray(argument, dtype)

    def select(self, arrays: list[Any], out: AnyArray) -> None:
        mask, first = self.scratch(out.shape, BITS[out.dtype])
        difference, second = self.scratch(out.shape, BITS[out.dtype])
        self.steps += choose_by_bits(arrays, out, mask, difference)
        self.arena.give(first)
        self.arena.give(second)

    def astype(self, place: int, call: Call) -> None:
        (x,) = [self.value(node) for node in operands(call)]
        out = self.output(place, call)
        self.steps.append(partial(np.copyto, out, x, "unsafe"))

    def reshape(self, place: int, call: Call) -> None:
        """A reshape that has to copy: write the elements in the order of the input."""
        x = self.value(call.arguments[0])
        out = self.output(place, call)
        self.steps.append(partial(np.copyto, out.reshape(x.shape), x))

    def power(self, place: int, call: Call) -> None:
        base, exponent = call.arguments
        short = isinstance(exponent, int | float) and call.dtype.kind == "f"
        ufunc = _POWERS.get(exponent) if short else None
        given = (base,) if ufunc is not None else (base, exponent)
        self.elementwise(place, call, ufunc or np.power, given)

    def fill(self, place: int, call: Call) -> None:
        # Written once; so it needs memory that nothing else is put into.
        self.arrays[id(call)] = np.asarray(call.function(*call.arguments))

    def setitem(self, place: int, call: Call) -> None:
        out, (index, value) = self.changed_copy(place, call)
        self.steps.append(partial(out.__setitem__, index, value))

    def add_at(self, place: int, call: Call) -> None:
        out, (index, value) = self.changed_copy(place, call)
        self.steps.append(partial(np.add.at, out, index, value))

    def changed_copy(self, place: int, call: Call) -> tuple[AnyArray, list[Any]]:
        """Return a copy of the first argument to be changed, and the other arguments."""
        x, *others = self.arguments(call)
        operand = self.dying(place, call, call.arguments[:1])
        out = self.allocate(call) if operand is None else self.take_over(operand, call)
        if operand is None:
            self.steps.append(partial(np.copyto, out, x))
        return out, others

    def concatenate(self, place: int, call: Call) -> None:
        arrays, *axis = self.arguments(call)
        axis = call.keywords.get("axis", *axis[:1] or (0,))
        self.steps.append(partial(np.concatenate, arrays, axis, self.output(place, call)))

    def any_function(self, place: int, call: Call) -> None:
        """A function that returns new memory: its result is copied."""
        compute = partial(call.function, *self.arguments(call), **call.keywords)
        self.steps.append(CopiedResult(compute, self.output(place, call)))

    # Updates.

    def write_updates(self) -> None:
        """Copy into the states what was not written there in the first place."""
        pending = [
            (leaf.array, self.value(node))
            for leaf, node in self.graph.updates
            if self.targets.get(id(node)) is not leaf.array
        ]
        states = [leaf.array for leaf, _ in self.graph.updates]
        sources = []
        for _, value in pending:
            if any(state is not None and np.may_share_memory(value, state) for state in states):
                copy = np.empty_like(value)
                self.steps.append(partial(np.copyto, copy, value))
                sources.append(copy)
            else:
                sources.append(value)
        for (target, _), source in zip(pending, sources, strict=True):
            assert target is not None  # states have memory
            self.steps.append(partial(np.copyto, target, source))


_LOWERINGS: Mapping[Any, Any] = {
    primitives.where: _Planner.where,
    primitives.astype: _Planner.astype,
    primitives.power: _Planner.power,
    primitives.fill: _Planner.fill,
    primitives.zero_gradient: _Planner.fill,
    primitives.setitem: _Planner.setitem,
    primitives.add_at: _Planner.add_at,
    np.clip: _Planner.clip,
    times_transposed: _Planner.times_transposed,
    np.reshape: _Planner.reshape,
    np.concatenate: _Planner.concatenate,
}


_SUM_STARTS_AT_ZERO = not np.signbit(np.add.reduce(np.full((1, 2), -0.0), 0)).any()
"""Older releases of NumPy start a sum with its first term."""


def _sums_one_each(call: Call) -> bool:
    """Whether a reduction only drops axes of length one from a floating-point array."""
    x = call.arguments[0]
    plain = not call.keywords.keys() - {"axis", "keepdims"} and len(call.arguments) == 1
    same_size = math.prod(x.shape) == math.prod(call.shape)
    return _SUM_STARTS_AT_ZERO and plain and same_size and x.dtype.kind == "f"


def _dtype_or_kind(argument: Any) -> Any:
    if isinstance(argument, Leaf) and argument.scalar is not None:
        return type(argument.scalar.example)
    return argument.dtype if isinstance(argument, Node) else type(argument)


def _is_literal(argument: Any) -> bool:
    return not isinstance(argument, Node) or (
        isinstance(argument, Leaf) and argument.kind == "literal"
    )


def _spread_operand(ufunc: np.ufunc, arguments: list[Any], call: Call) -> int | None:
    """Place of the one operand that is broadcast along an axis, if that is all there is to do."""
    if ufunc not in _IN_PLACE or call.keywords:
        return None
    if any(argument.dtype != call.dtype for argument in arguments):
        return None
    spread = [place for place, part in enumerate(arguments) if part.shape != call.shape]
    return spread[0] if len(spread) == 1 and arguments[spread[0]].size > 1 else None

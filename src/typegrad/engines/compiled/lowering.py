"""From the graph of a training step to a schedule for tiles of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from typegrad.engines.compiled.branches import CodeCheck
from typegrad.engines.compiled.chain import SCALAR, VECTOR, copying
from typegrad.engines.compiled.fusion import Pending, Value, make_group
from typegrad.engines.compiled.graph_facts import (
    NotNativeError,
    is_random,
    joined_sums,
    known_number,
    name_of,
    readers_of,
    shape_in_words,
    width_of,
)
from typegrad.engines.compiled.handlers import handler_for, lower_conversion, lower_mask
from typegrad.engines.compiled.layout import PaddedParameters, padded
from typegrad.engines.compiled.memory import Constants
from typegrad.engines.compiled.opaque import lower_opaque
from typegrad.engines.compiled.program import ABSOLUTE, SCALARS, TILE_SPAN, Operand
from typegrad.engines.compiled.results import take_results
from typegrad.engines.compiled.schedule import Buffer, Place, Schedule, Step, Total
from typegrad.tracing import Call, Graph, Leaf, Node, Scalar
from typegrad.tracing.graph import operands
from typegrad.tracing.primitives import Opaque, zero_gradient
from typegrad.types import AnyArray, Array, Shape


@dataclass
class LoweredStep:
    """A training step as a schedule for a tile.

    Attributes
    ----------
    schedule
        What to do with each tile.
    sources
        Where a tile's inputs and targets go, by name; and its weights.
    transposes
        Steps to take before the first tile.
    masks
        For each random mask, the path of its layer.
    multiply_adds
        Of one row, in matrix products.
    takes_whole_batch
        Whether examples have to do with each other, or layers with their number.
    states
        Arrays of layers, and where native code has them.
    changed_states
        Those that steps change.
    counts
        Formulas of the number of examples; the steps' numbers have them after the update's.
    opaque
        Steps that run as they are written.
    """

    schedule: Schedule
    sources: dict[str, Place] = field(default_factory=dict)
    transposes: list[Step] = field(default_factory=list)
    masks: list[tuple[int, ...]] = field(default_factory=list)
    multiply_adds: int = 0
    takes_whole_batch: bool = False
    states: list[tuple[AnyArray, Array]] = field(default_factory=list)
    changed_states: list[tuple[AnyArray, Array]] = field(default_factory=list)
    counts: list[Scalar] = field(default_factory=list)
    opaque: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class StepLayout:
    """What a step's graph is lowered with.

    Attributes
    ----------
    batch
        Examples in the graph: a number that no width has.
    parameters
        Numbers of the parameters by name.
    padded
        Where they lie, and their gradients.
    values
        Address of the first parameter.
    transposed_below
        Width of the matrices from which a product with the transpose goes along the rows of the
        matrix as it is; of narrower ones there is a transposed copy.
    share
        Where 1 / rows lies, if that is the weight of each example.
    first_count
        How many numbers of each step come before the formulas of the number of examples.
    """

    batch: int
    parameters: Mapping[str, int]
    padded: PaddedParameters
    values: int
    lanes: int
    dtype: np.dtype[Any]
    transposed_below: int
    share: Operand | None = None
    first_count: int = 0


class StepLowering:
    """Turns the graph of a training step into a schedule.

    Parameters
    ----------
    graph
        Traced with one weight for each example, and gradients that start at zero.
    layout
        What the arrays' shapes mean.
    constants
        Where constant arrays are kept.
    """

    def __init__(self, graph: Graph, layout: StepLayout, constants: Constants) -> None:
        self.graph = graph
        self.layout = layout
        self.lanes: int = layout.lanes
        self.itemsize: int = layout.dtype.itemsize
        self.constants = constants
        widest = max(width_of(node) for node in [*graph.leaves(), *graph.calls])
        self.zeros: Operand = constants.row(0.0, widest)
        self.schedule: Schedule = Schedule(self.zeros, self.itemsize)
        self.result: LoweredStep = LoweredStep(self.schedule)
        self.values: dict[int, Value] = {}
        self.readers: dict[int, frozenset[int]] = readers_of(graph)
        gradients = [
            node
            for leaf, node in graph.updates
            if leaf.name.removesuffix(".grad") in layout.parameters
        ]
        self.joined_sums: frozenset[int] = joined_sums(gradients, self.readers, layout.batch)
        self.late_totals: list[tuple[Place, Value]] = []
        # What lookups are to ask of codes themselves, and of which codes they took how many rows.
        self.code_checks: Set[CodeCheck] = frozenset()
        self.looked_up: set[CodeCheck] = set()
        self.states: dict[str, Place] = {}
        # From which phase on what steps have written can be read; all else can be at any time.
        self._ready: dict[Operand | Buffer | Total, int] = {}
        self._transposed: dict[int, Place] = {}
        self._packed: dict[Place, Place] = {}

    def run(self) -> LoweredStep:
        """Lower the whole graph.

        Raises
        ------
        NotNativeError
            Naming what there is no kernel for.
        """
        for leaf in self.graph.leaves():
            self.values[id(leaf)] = self._leaf(leaf)
        for call in self.graph.calls:
            if isinstance(call.function, Opaque):
                lower_opaque(self, call)
            elif not is_random(call) and call.function is not zero_gradient:
                self.values[id(call)] = self._call(call)
        self._take_results()
        self.schedule.steps.sort(key=lambda step: (step.phase, not step.is_joint))
        self.schedule.join_sums()
        return self.result

    # -- leaves ---------------------------------------------------------------------

    def _leaf(self, leaf: Leaf) -> Place:
        if leaf.kind == "input" and leaf.name == "weights" and self.layout.share is not None:
            return Place("number", self.layout.share)
        if leaf.kind == "input":
            place = self.new_place(width_of(leaf))
            self.result.sources[leaf.name] = place
            assert isinstance(place.memory, Buffer)
            self.schedule.filled.append(place.memory)
            return place
        if leaf.kind == "state":
            return self._state(leaf)
        if leaf.scalar is not None:
            number_of_count = self.layout.first_count + len(self.result.counts)
            self.result.counts.append(leaf.scalar)
            self.result.takes_whole_batch = True
            return Place("number", Operand(SCALARS, number_of_count * self.itemsize))
        number = known_number(leaf)
        if number is not None:
            return self.number(number)
        if leaf.kind in ("constant", "literal") and leaf.array is not None:
            return self._constant(leaf, leaf.array)
        raise NotNativeError(f"a {leaf.kind} ({leaf.name})")

    def _state(self, leaf: Leaf) -> Place:
        if leaf.name.removesuffix(".grad") not in self.layout.parameters:
            return self._state_of_layer(leaf)
        if leaf.name not in self.layout.parameters:
            return Place("gradient", Operand(ABSOLUTE, 0))
        segment = self.layout.padded.segments[self.layout.parameters[leaf.name]]
        address = self.layout.values + segment.padded_start * self.itemsize
        if segment.is_row:
            return Place("row", Operand(ABSOLUTE, address), segment.width)
        operand = Operand(ABSOLUTE, address, segment.stride)
        return Place("matrix", operand, segment.width, segment.rows)

    def _state_of_layer(self, leaf: Leaf) -> Place:
        """Return memory for what a layer keeps from step to step: a row."""
        if leaf.array is None or leaf.dtype.kind != "f" or not self._is_one_row(leaf.shape):
            raise NotNativeError(f"the layer's state {leaf.name} of {leaf.dtype} {leaf.shape}")
        operand, memory = self.constants.room(1, leaf.array.size)
        self.result.states.append((leaf.array, memory))
        self.result.takes_whole_batch = True
        self.states[leaf.name] = Place("row", replace(operand, stride=0), leaf.array.size)
        return self.states[leaf.name]

    def _constant(self, leaf: Leaf, array: Array) -> Place:
        # Whole numbers too, where a float can hold them: they are compared with floats.
        is_exact = array.dtype.kind == "i" and bool((np.abs(array) < 2**24).all())
        has_dtype = array.dtype == self.layout.dtype or is_exact
        if array.size != max(array.shape, default=1) or not array.size or not has_dtype:
            readers = (call for call in self.graph.calls if leaf in operands(call))
            origin = next((call.origin for call in readers), None)
            raise NotNativeError(
                f"a constant array of shape {array.shape} and {array.dtype}", origin
            )
        return Place("row", self.constants.copy_of(array), array.size)

    # -- calls ----------------------------------------------------------------------

    def _call(self, call: Call) -> Value:
        handler = handler_for(call)
        has_dtype = call.dtype in (self.layout.dtype, np.bool_) or handler is lower_mask
        has_dtype = has_dtype or (call.dtype == np.intp and handler is lower_conversion)
        has_dtype = has_dtype or self._is_running_mean(call)
        if handler is None or not has_dtype:
            raise self.no_kernel(call)
        return handler(self, call)

    def _is_running_mean(self, call: Call) -> bool:
        """Whether it is a part of ``c * state + row`` in float64, with c from 0 to 1.

        That forgets errors, so that the network's dtype does for it; other formulas of states
        need what layers keep them in.
        """
        if call.dtype != np.float64 or len(call.arguments) != 2:
            return False
        for one, other in (call.arguments, call.arguments[::-1]):
            if name_of(call) == "multiply" and isinstance(other, Leaf) and other.kind == "state":
                factor = known_number(one)
                return factor is not None and 0.0 <= factor <= 1.0
            if name_of(call) == "add" and isinstance(one, Call) and one.dtype == np.float64:
                is_part = name_of(one) == "multiply" and self._is_running_mean(one)
                return is_part and isinstance(other, Node) and other.dtype == self.layout.dtype
        return False

    def elementwise(self, function: str, call: Call, arguments: tuple[Any, ...]) -> Value:
        """Note an element-wise call, to run when its result is needed."""
        width = self.width(call)
        operands = [self._operand(argument, call) for argument in arguments]
        return self.pend(call, function, width, *operands)

    def pend(self, call: Call, function: str, width: int, *operands: Value) -> Pending:
        """Return a pending call on operands that were checked."""
        is_row = self.is_beside_examples(call)
        ready = tuple(self._for_chain(operand, width, is_row=is_row) for operand in operands)
        readers = self.readers.get(id(call), frozenset())
        return Pending(function, ready, width, id(call), readers, is_row)

    def is_beside_examples(self, call: Call) -> bool:
        """Whether a call's result is no array of examples."""
        return call.shape[:1] != (self.layout.batch,)

    def width(self, call: Call) -> int:
        """Return how many floats a call's result has for each example, or in its one row.

        Raises
        ------
        NotNativeError
            If it is neither.
        """
        if not self.is_beside_examples(call):
            return width_of(call)
        if not self._is_one_row(call.shape):
            raise self.no_kernel(call)
        return math.prod(call.shape)

    def _is_one_row(self, shape: Shape) -> bool:
        return math.prod(shape[:-1]) == 1

    def is_read_inside(self, call: Call) -> bool:
        """Whether a sum over examples is more than a loss, or a parameter's gradient."""
        return self.readers.get(id(call), frozenset()) != {0}

    def _operand(self, argument: Any, call: Call) -> Value:
        """Return an operand of an element-wise call, if it is broadcast in a way known here."""
        value, width = self.value(argument, call), self.width(call)
        if isinstance(value, Place) and value.form == "number":
            return value
        if value.is_row or self.is_beside_examples(call):
            # A row meets tiles along the last axis only.
            has_width = value.width == 1 or (value.width,) == (width,) == call.shape[-1:]
            fits = value.is_row and has_width
        else:
            # Columns stand beside rows: axes in another number would be other examples.
            fits = value.is_of_examples and value.width in (1, width)
            fits = fits and len(argument.shape) == len(call.shape)
        if not fits:
            raise self.no_kernel(call)
        return value

    def _for_chain(self, operand: Value, width: int, *, is_row: bool) -> Value:
        """Return an operand that a chain of this width, of one row or of all, can take."""
        if isinstance(operand, Pending):
            if operand.width == width and operand.is_row == is_row:
                return operand
            operand = self.force(operand)
        if width == 1 and operand.form == "column":
            return self.packed(operand)
        if operand.form == "row" and operand.width == 1:
            return replace(operand, form="number")
        return operand

    # -- running what waits -----------------------------------------------------------

    def force(self, value: Value) -> Place:
        """Return where a result lies, after letting it run if it waits."""
        if isinstance(value, Place):
            return value
        if value.place is None:
            self._run(value)
        assert value.place is not None
        return value.place

    def _run(self, target: Pending) -> None:
        group = make_group([target, *self._companions(target)])
        new = self.new_row if target.is_row else self.new_place
        for output in group.outputs:
            output.place = new(output.width)
        outputs = tuple(output.place for output in group.outputs if output.place is not None)
        if target.is_row:
            columns = padded(target.width, self.lanes)
            self.emit_joint(Step(group.chain, outputs, group.inputs, columns, rows=1))
        else:
            self._emit_chain(group.chain, outputs, group.inputs, target.width)

    def _companions(self, target: Pending) -> list[Pending]:
        """Return what else is pending in single columns: a chain costs more than its floats."""
        if target.width > 1 or target.is_row:
            return []
        waiting = [value for value in self.values.values() if isinstance(value, Pending)]
        columns = [each for each in waiting if each.width == 1 and not each.is_row]
        return [each for each in columns if not each.has_run]

    def _emit_chain(
        self, chain: Any, outputs: tuple[Place, ...], inputs: tuple[Place, ...], width: int
    ) -> None:
        places = (*outputs, *inputs)
        strides = {place.stride for place in places if place.form == "tile"}
        # Rows without gaps are one long row, unless something differs from row to row.
        is_span = width == 1 or (
            len(strides) == 1
            and all(place.form in ("tile", "number") and not place.offset for place in places)
        )
        if is_span:
            columns = 1 if width == 1 else next(iter(strides))
            self.emit(Step(chain, outputs, inputs, columns, TILE_SPAN))
        else:
            self.emit(Step(chain, outputs, inputs, padded(width, self.lanes)))

    # -- memory ---------------------------------------------------------------------

    def emit(self, step: Step, phase: int = 0) -> None:
        """Add a step of each tile; it comes in a phase or a later one."""
        self._add(step, max([phase, *(self.ready(place) for place in step.inputs)]))

    def emit_joint(self, step: Step, phase: int = 0) -> None:
        """Add a step of the batch, which reads rows, and of each tile a buffer's first row."""
        step.is_joint = True
        # What tiles have made in a phase is read after it.
        ready = [self.ready(place) + isinstance(place.memory, Buffer) for place in step.inputs]
        self._add(step, max([phase, *ready]))

    def _add(self, step: Step, phase: int) -> None:
        step.phase = phase
        for place in step.outputs:
            self._ready[place.memory] = max(phase, self.ready(place))
        self.schedule.steps.append(step)

    def ready(self, place: Place) -> int:
        """Return the phase from which on a place can be read."""
        return self._ready.get(place.memory, 0)

    def is_computed(self, place: Place) -> bool:
        """Whether a step writes it."""
        return place.memory in self._ready

    def new_place(self, width: int, stride: int | None = None) -> Place:
        """Return a new array of n rows."""
        stride = stride or (1 if width == 1 else padded(width, self.lanes))
        return Place("column" if width == 1 else "tile", Buffer(stride), width)

    def new_row(self, width: int) -> Place:
        """Return a new row, that stands beside all examples."""
        operand, _ = self.constants.room(1, width)
        return Place("row", replace(operand, stride=0), width)

    def number(self, value: float) -> Place:
        """Return a constant."""
        return Place("number", self.constants.number(value), value=value)

    def packed(self, place: Place) -> Place:
        """Return a column whose floats lie side by side."""
        if place.form != "column" or place.stride == 1:
            return replace(place, transposed=False)
        if place not in self._packed:
            self._packed[place] = self.new_place(1)
            self.emit(Step("pack", (self._packed[place],), (place,), 1))
        return self._packed[place]

    def copy(self, source: Place, target: Place, phase: int) -> None:
        """Copy a tile or a column to where a tile has room for it, not before a phase."""
        chain = copying(SCALAR if source.form == "column" else VECTOR)
        self.emit(Step(chain, (target,), (source,), padded(source.width, self.lanes)), phase)

    def transposed_matrix(self, matrix: Place) -> Place:
        """Return a transposed copy of a parameter, made anew for each step."""
        assert isinstance(matrix.memory, Operand)
        address = matrix.memory.offset
        if address not in self._transposed:
            stride = padded(matrix.rows, self.lanes)
            memory = self.constants.matrix(matrix.width, stride)
            copy = Place("matrix", memory, matrix.rows, matrix.width)
            self._transposed[address] = copy
            self.result.transposes.append(
                Step("transpose", (copy,), (matrix,), matrix.width, matrix.rows)
            )
        return self._transposed[address]

    def _take_results(self) -> None:
        take_results(self)

    # -- helpers --------------------------------------------------------------------

    def value(self, argument: Any, call: Call) -> Value:
        """Return what an argument was turned into."""
        if isinstance(argument, Node):
            if id(argument) not in self.values:  # random numbers, used in an unknown way
                raise self.no_kernel(call)
            return self.values[id(argument)]
        number = known_number(argument)
        if number is None:
            raise self.no_kernel(call)
        return self.number(number)

    def place(self, argument: Any, call: Call) -> Place:
        """Return where an argument lies."""
        return self.force(self.value(argument, call))

    def no_kernel(self, call: Call) -> NotNativeError:
        """Return the error that names a call."""
        origin = "" if call.origin is None else f" in {call.origin}"
        shape = shape_in_words(call.shape, self.layout.batch)
        return NotNativeError(f"{name_of(call)} of shape {shape}{origin}", call.origin)

"""Parts of a network that run as they are written, between native steps."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from typegrad.engines.compiled.callbacks import DONE, FRAME
from typegrad.engines.compiled.code import WORD
from typegrad.engines.compiled.graph_facts import NotNativeError, shape_in_words, width_of
from typegrad.engines.compiled.program import (
    BATCH_ROWS,
    FRAME_FIELDS,
    LENGTH,
    OPERAND_FIELDS,
    OPERANDS,
    SCALARS,
    STEP,
    SUMS,
    WHOLE_TILE_ROWS,
    WORKSPACE,
)
from typegrad.engines.compiled.schedule import Place, Step
from typegrad.errors import ShapeError
from typegrad.tracing import Call, Node
from typegrad.tracing.primitives import Opaque, zero_gradient
from typegrad.types import Array, Shape

if TYPE_CHECKING:
    from typegrad.engines.compiled.lowering import StepLowering

_Frame = ctypes.c_int64 * FRAME_FIELDS

_NUMBERS = 2
"""Numbers of an instruction, after its operands."""

_MOST_KEPT = 4
"""For how many batches at once it is kept where their arrays are."""

_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int64)


class OpaqueKernel:
    """A kernel in Python: it gives a part of the network the arrays of a whole batch.

    Native code calls it once for a batch, while other threads wait. What a part raises ends the
    step, before anything was changed.

    Parameters
    ----------
    function
        The part.
    inputs, outputs
        Its arrays, in the order of the instruction's operands: outputs first.
    dtype
        Of all of them.

    Attributes
    ----------
    numbers : tuple of int
        Of the instruction that calls it: see `emit_callback`.
    prepare : callable or None
        Is called before, with the number of the step in its job.
    error : BaseException or None
        What it has raised.
    """

    def __init__(
        self,
        function: Opaque,
        inputs: Sequence[_BatchArray],
        outputs: Sequence[_BatchArray],
        dtype: np.dtype[Any],
    ) -> None:
        self._function = function
        self._inputs = inputs
        self._outputs = outputs
        self._dtype = dtype
        spaces = {array.place.space for array in (*outputs, *inputs)}
        # Fields of a frame that say where the arrays are.
        self._changing = (BATCH_ROWS, *(spaces & {WORKSPACE, SUMS, SCALARS}))
        self._arrays: dict[tuple[int, ...], tuple[list[_MemoryArray], list[_MemoryArray]]] = {}
        self._words = (ctypes.c_int64 * 2)()
        calls = self._wait_for_calls()
        next(calls)
        self._callback = _CALLBACK(calls.send)
        address = ctypes.cast(self._callback, ctypes.c_void_p).value
        self.numbers: tuple[int, int] = (address or 0, ctypes.addressof(self._words))
        self.prepare: Callable[[int], None] | None = None
        self.error: BaseException | None = None

    def _wait_for_calls(self) -> Generator[None, int, None]:
        """Run the part each time that an instruction is sent.

        Exceptions from outside, such as a signal's, come where Python code goes on: here that is
        inside of ``try``, while nothing could catch them at the begin of a function.
        """
        while True:
            try:
                instruction = yield
                self._run(instruction, self._words[FRAME])
                self._words[DONE] = 1
            except GeneratorExit:
                return
            except BaseException as error:
                self.error = error

    def _run(self, instruction: int, frame: int) -> None:
        fields = _Frame.from_address(frame)
        if self.prepare is not None:
            self.prepare(fields[STEP])
        outputs, inputs = self._arrays_at(instruction, fields)
        arrays = [array.read() for array in inputs]
        with np.errstate(all="ignore"):  # as in all engines
            computed = self._function(*arrays)
        parts = computed if isinstance(computed, tuple) else (computed,)
        for array, part in zip(outputs, parts, strict=True):
            array.write(np.asarray(part), self._function.name)

    def _arrays_at(
        self, instruction: int, frame: ctypes.Array[ctypes.c_int64]
    ) -> tuple[list[_MemoryArray], list[_MemoryArray]]:
        """Return outputs and inputs in memory, which is mostly where it was for another step."""
        key = (instruction, *[frame[field] for field in self._changing])
        found = self._arrays.get(key)
        if found is None:
            if len(self._arrays) >= _MOST_KEPT:
                self._arrays.clear()
            places = _operands(instruction, frame, self._dtype)
            arrays = [
                array.at(place)
                for array, place in zip((*self._outputs, *self._inputs), places, strict=True)
            ]
            found = (arrays[: len(self._outputs)], arrays[len(self._outputs) :])
            self._arrays[key] = found
        return found


def lower_opaque(lowering: StepLowering, call: Call) -> None:
    """Lower what runs as it is written; its results get their places.

    Raises
    ------
    NotNativeError
        If it reads or makes something else than arrays of examples, rows and parameters.
    """
    function = call.function
    assert isinstance(function, Opaque)
    inputs = [
        _BatchArray.of(node, _place_of(node, lowering, call), lowering, call)
        for node in call.arguments[: function.reads]
    ]
    outputs = [
        _BatchArray.of(leaf, _place_for(leaf, lowering, call), lowering, call)
        for leaf in call.results
    ]
    kernel = OpaqueKernel(function, inputs, outputs, lowering.layout.dtype)
    targets, sources = (tuple(array.place for array in arrays) for arrays in (outputs, inputs))
    step = Step(kernel, targets, sources, 0, numbers=kernel.numbers)
    # One after the other, as they were traced: backward reads what forward kept.
    previous = lowering.result.opaque
    lowering.emit_joint(step, phase=previous[-1].phase if previous else 0)
    previous.append(step)
    lowering.result.takes_whole_batch = True
    for leaf, array in zip(call.results, outputs, strict=True):
        lowering.values[id(leaf)] = array.place


def _place_of(node: Node, lowering: StepLowering, call: Call) -> Place:
    """Return where an argument lies; gradients start at zero."""
    is_zero = isinstance(node, Call) and node.function is zero_gradient
    return lowering.number(0.0) if is_zero else lowering.place(node, call)


def _place_for(leaf: Node, lowering: StepLowering, call: Call) -> Place:
    """Return a new place for a result: a row for each example, one row, or a gradient."""
    if leaf.shape[:1] == (lowering.layout.batch,):
        return lowering.new_place(width_of(leaf))
    size = int(np.prod(leaf.shape))
    if size == max(leaf.shape, default=1) > 0:
        return lowering.new_row(size)
    is_gradient = lowering.readers.get(id(leaf), frozenset()) <= {0}
    if not is_gradient or not size:
        raise _not_native(leaf, lowering, call)
    operand, _ = lowering.constants.room(size // leaf.shape[-1], leaf.shape[-1])
    return Place("matrix", operand, leaf.shape[-1], size // leaf.shape[-1])


def _not_native(node: Node, lowering: StepLowering, call: Call) -> NotNativeError:
    shape = shape_in_words(node.shape, lowering.layout.batch)
    return NotNativeError(
        f"an array of shape {shape} and {node.dtype} in {call.origin}", call.origin
    )


@dataclass(frozen=True)
class _At:
    """Where an operand lies: its address; bytes from tile to tile; rows of the batch and a tile."""

    address: int
    tile_bytes: int
    rows: int
    tile_rows: int


@dataclass(frozen=True)
class _BatchArray:
    """An array as native code has it.

    `shape` is that of one example if it is `of_examples`, else that of all.
    """

    place: Place
    shape: Shape
    of_examples: bool
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, node: Node, place: Place, lowering: StepLowering, call: Call) -> _BatchArray:
        """Describe a node of the graph."""
        of_examples = node.shape[:1] == (lowering.layout.batch,)
        if of_examples:
            is_known = place.is_of_examples or place.form == "number"
        else:
            is_known = place.form in ("row", "number", "matrix")
        if not is_known or node.dtype != lowering.layout.dtype:
            raise _not_native(node, lowering, call)
        return cls(place, node.shape[1:] if of_examples else node.shape, of_examples, node.dtype)

    def at(self, at: _At) -> _MemoryArray:
        """Return the array in memory."""
        place = self.place
        shape = (at.rows, *self.shape) if self.of_examples else self.shape
        if place.form == "number":
            number = self._view(at, (1,) * len(shape), (0,) * len(shape))
            return _MemoryArray(shape, [(..., np.broadcast_to(number, shape))])
        if not place.is_of_examples:
            rows = self._view(at, (place.rows, place.width), (place.stride, 1))
            return _MemoryArray(shape, [(..., rows.T if place.transposed else rows)])
        whole, rest = divmod(at.rows, at.tile_rows)
        strides = (at.tile_bytes // self.dtype.itemsize, place.stride, 1)
        tiles = self._view(at, (whole + 1, at.tile_rows, place.width), strides)
        count = whole * at.tile_rows
        parts = [(slice(count), tiles[:whole]), (slice(count, at.rows), tiles[whole, :rest])]
        return _MemoryArray(shape, [part for part in parts if part[1].size])

    def _view(self, at: _At, shape: Shape, strides: Shape) -> Array:
        return np.asarray(_Memory(at.address, shape, strides, self.dtype))


@dataclass(frozen=True)
class _MemoryArray:
    """An array of the batch's shape, with the parts of it that lie in native memory."""

    shape: Shape
    parts: list[tuple[Any, Array]]

    def read(self) -> Array:
        """Return a copy, which the part may keep."""
        array: Array = np.empty(self.shape, self.parts[0][1].dtype)
        for index, part in self.parts:
            array[index].reshape(part.shape)[...] = part
        return array

    def write(self, array: Array, name: str) -> None:
        """Copy what the part has computed to where native code reads it."""
        if array.shape != self.shape:
            raise ShapeError(f"{name} returned shape {array.shape}; expected {self.shape}")
        for index, part in self.parts:
            part[...] = array[index].reshape(part.shape)


class _Memory:
    """Memory at an address, as NumPy asks for it; strides are in elements."""

    def __init__(self, address: int, shape: Shape, strides: Shape, dtype: np.dtype[Any]) -> None:
        self.__array_interface__ = {
            "version": 3,
            "data": (address, False),
            "shape": shape,
            "strides": tuple(stride * dtype.itemsize for stride in strides),
            "typestr": dtype.str,
        }


def _operands(
    instruction: int, frame: ctypes.Array[ctypes.c_int64], dtype: np.dtype[Any]
) -> list[_At]:
    """Return where an instruction's operands lie."""
    (length,) = _integers(instruction + LENGTH * WORD, 1)
    fields = _integers(instruction, length)[OPERANDS:-_NUMBERS]
    spaces, offsets, strides = (fields[i::OPERAND_FIELDS] for i in range(OPERAND_FIELDS))
    rows, tile_rows = frame[BATCH_ROWS], frame[WHOLE_TILE_ROWS]
    return [
        _At(frame[space] + offset, stride * dtype.itemsize, rows, tile_rows)
        for space, offset, stride in zip(spaces, offsets, strides, strict=True)
    ]


def _integers(address: int, count: int) -> list[int]:
    """Return integers from memory."""
    return list((ctypes.c_int64 * count).from_address(address))

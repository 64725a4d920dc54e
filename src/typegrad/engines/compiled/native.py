"""A network's training step as native programs, and the memory that they work on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from typegrad.engines.base import StepSettings, TrainingData
from typegrad.engines.compiled.chain import Chain, ChainBuilder
from typegrad.engines.compiled.compiler import KERNELS, OF_ONE_ROW
from typegrad.engines.compiled.layout import PAGE, padded
from typegrad.engines.compiled.library import Library
from typegrad.engines.compiled.lowering import LoweredStep, StepLayout, StepLowering
from typegrad.engines.compiled.memory import Constants
from typegrad.engines.compiled.one_tile import (
    OneTile,
    block_floats,
    gradient_of,
    with_sums_last,
    zero_ends,
)
from typegrad.engines.compiled.opaque import OpaqueKernel
from typegrad.engines.compiled.program import (
    ABSOLUTE,
    BLOCK,
    TILE_ROWS,
    TILE_SPAN,
    WORKSPACE,
    Instruction,
    Operand,
    encode,
    span,
)
from typegrad.engines.compiled.schedule import Kernel, Layout
from typegrad.engines.compiled.updates import LoweredUpdate
from typegrad.layers.mode import Mode
from typegrad.tracing import Graph
from typegrad.types import Array, IntArray, Vector

SHARE, FACTOR, RESERVED = 0, 64, 128
"""Where a workspace has 1 / rows and the factor of clipping; bytes before its buffers."""

CACHED_BYTES = 2**20
"""Arrays of data up to this size are taken to be in a core's cache; rows of others are fetched."""

FETCHED_AHEAD = 16
"""How many rows ahead those are, at least: a step on a single row ends before the next has come."""

NARROW_ROW = 2048
"""Bytes that a row's activations take up to which a network counts as narrow."""

NARROW_TILE_ROWS, WIDE_TILE_ROWS = 64, 128
"""Of narrow networks, few enough rows that what a step left is near for the next; through wide
ones more rows go together, as their weights come from afar."""

_SCALE = ChainBuilder("vs")
SCALE_CHAIN: Chain = _SCALE.finish([_SCALE.link("multiply", 0, 1)])
"""Multiplies the weights of examples by 1 / rows."""

_FLUSH = ChainBuilder("v")
FLUSH_CHAIN: Chain = _FLUSH.finish([_FLUSH.link("flush_denormals", 0)])
"""Makes denormal numbers zero."""

SMOOTH = frozenset(
    {
        "copy", "negative", "absolute", "sqrt", "square", "cube", "fourth_power", "add", "subtract",
        "multiply", "outer", "divide", "reciprocal", "inverse_root", "maximum", "minimum",
    }
)  # fmt: skip
"""Functions in an update that hardly tell a denormal number from zero."""


@dataclass(frozen=True, eq=False)
class Programs:
    """What native code runs, with the data that it gathers from.

    Attributes
    ----------
    step
        Before the first tile of a step.
    phases
        Of each phase, what comes before it, and what a chunk's first tile and those after it
        do; and what comes after the last.
    chunk
        After all phases, for each chunk.
    sources
        The data.
    table
        Start and end of each of a phase's programs.
    """

    step: IntArray
    phases: Sequence[Sequence[IntArray]]
    chunk: IntArray
    sources: Mapping[str, Any]
    table: IntArray


class TilePrograms:
    """Programs for steps of one tile, with the update; see `OneTile`.

    Attributes
    ----------
    rows
        How many of a tile's rows each thread takes.
    table
        For each thread, start and end of its programs, as `job.TILE_PROGRAMS` has them.
    """

    def __init__(
        self, rows: int, for_rows: Sequence[IntArray], for_parameters: Sequence[Sequence[IntArray]]
    ) -> None:
        self.rows = rows
        self._kept = list(zip(for_rows, *for_parameters, strict=True))
        self.table: IntArray = np.array(
            [[span(program) for program in programs] for programs in self._kept]
        ).reshape(-1)


class NativeStep:
    """A training step in native code.

    Parameters
    ----------
    graph
        The step's graph; see `StepLowering`.
    layout
        What it is lowered with.
    updates
        The optimizer's update, if it is native: of gradients that are read, and of outer products.

    Attributes
    ----------
    lowered
        The schedule.
    tile_rows
        Rows of a tile.
    workspace_bytes
        Memory of a thread.
    opaque
        What runs as it is written, in its order.
    """

    def __init__(
        self,
        graph: Graph,
        layout: StepLayout,
        updates: tuple[LoweredUpdate, LoweredUpdate] | None,
        library: Library,
    ) -> None:
        self._layout = layout
        self._updates = updates
        self._constants = Constants(layout.dtype, layout.lanes)
        self.lowered: LoweredStep = StepLowering(graph, layout, self._constants).run()
        schedule = self.lowered.schedule
        row_bytes = schedule.lay_out(NARROW_TILE_ROWS, 0).used_bytes // NARROW_TILE_ROWS
        self.tile_rows = NARROW_TILE_ROWS if row_bytes <= NARROW_ROW else WIDE_TILE_ROWS
        self._places: Layout = schedule.lay_out(self.tile_rows, RESERVED)
        self._one_tile_places = with_sums_last(schedule).lay_out(self.tile_rows, RESERVED)
        used_bytes = max(self._places.used_bytes, self._one_tile_places.used_bytes)
        self.workspace_bytes: int = padded(used_bytes, PAGE) + PAGE
        self._addresses: dict[Kernel, int] = {name: library.kernel(name) for name in KERNELS}
        self.opaque: list[OpaqueKernel] = [
            step.kernel for step in self.lowered.opaque if isinstance(step.kernel, OpaqueKernel)
        ]
        self._addresses |= dict.fromkeys(self.opaque, library.kernel("callback"))
        chains = [SCALE_CHAIN, *schedule.chains(), *(each.chain for each in updates or ())]
        for chain, address in library.chains(chains).items():
            self._addresses[chain] = address
        self._one_row_addresses: dict[Kernel, int] = self._addresses | {
            name: self._addresses[other] for name, other in OF_ONE_ROW.items()
        }
        self._programs: tuple[Array, Array, Vector | None, Programs] | None = None
        self._shares: dict[tuple[int, bool], list[list[IntArray]]] = {}

    def take_error(self) -> BaseException | None:
        """Return what a part that runs as it is written has raised, once."""
        for kernel in self.opaque:
            if kernel.error is not None:
                found, kernel.error = kernel.error, None
                return found
        return None

    def take_states(self) -> None:
        """Take over the layers' states."""
        for array, memory in self.lowered.states:
            memory[0] = array.reshape(-1)

    def give_states(self) -> None:
        """Give back those that steps have changed."""
        for array, memory in self.lowered.changed_states:
            array.reshape(-1)[...] = memory[0]

    def is_outdated(self) -> bool:
        """Whether a constant is not what it was, which became part of the programs."""
        return not self._constants.are_as_noted()

    def programs(self, data: TrainingData) -> Programs:
        """Return the programs for this data; they are kept until other data comes."""
        self._constants.refresh()
        of_data = self._programs
        if (
            of_data is None
            or of_data[0] is not data.inputs
            or of_data[1] is not data.targets
            or of_data[2] is not data.weights
        ):
            of_data = (data.inputs, data.targets, data.weights, self._encode(data))
            self._programs = of_data
        return of_data[3]

    def _encode(self, data: TrainingData) -> Programs:
        arrays = {"inputs": data.inputs, "targets": data.targets, "weights": data.weights}
        sources = {
            name: np.ascontiguousarray(array, self._layout.dtype).reshape(len(array), -1)
            for name in self.lowered.sources
            if (array := arrays[name]) is not None
        }
        gathering = self._gathering(self._places, sources, self._addresses)
        phases = []
        for phase in range(self.lowered.schedule.phases + 1):
            before = gathering if phase == 0 else []
            tiles = [[*before, *self._of_tile(phase, is_first)] for is_first in (True, False)]
            phases.append([encode(each) for each in (self._joint(phase), *tiles)])
        table = np.array([[span(program) for program in programs] for programs in phases])
        return Programs(
            encode(self._transposes()), phases, encode(self._zero_ends()), sources, table
        )

    def _of_tile(self, phase: int, is_first: bool) -> list[Instruction]:
        return self._places.instructions(self._addresses, first_tile=is_first, phase=phase)

    def _joint(self, phase: int) -> list[Instruction]:
        """Return what comes before a phase; what it reads of tiles lies in their workspaces."""
        stride = self.workspace_bytes // self._layout.dtype.itemsize

        def of_tiles(operand: Operand) -> Operand:
            return replace(operand, stride=stride) if operand.space == WORKSPACE else operand

        return [
            instruction.with_operands(of_tiles)
            for instruction in self._places.instructions(
                self._addresses, first_tile=True, phase=phase, is_joint=True
            )
        ]

    def tile_programs(self, programs: Programs, rows: int, threads: int) -> TilePrograms:
        """Return the programs for steps of one tile of so many rows."""
        places = self._one_tile_places
        # Whole vectors of single columns, so that threads write nothing of each other's.
        own_rows = padded(-(-rows // threads), self._layout.lanes)
        key = (threads, rows == 1)
        if key not in self._shares:  # They are the same for all data.
            self._shares[key] = self._encode_shares(*key)
        tile = self._one_tile(has_one_row=rows == 1, keeps_gradient=False)
        ahead = max(rows, FETCHED_AHEAD)
        gathering = self._gathering(places, programs.sources, tile.addresses, ahead)
        for_rows = [
            encode(tile.for_rows(gathering, thread * own_rows)) for thread in range(threads)
        ]
        shares = self._shares[key]
        if threads == 1:
            shares = [[np.concatenate([*for_rows, *share])] for share in shares]
            for_rows = [encode([])]
        return TilePrograms(own_rows, for_rows, shares)

    def _encode_shares(self, threads: int, has_one_row: bool) -> list[list[IntArray]]:
        """Return each thread's programs for parameters, of all steps and of the last."""
        floats = block_floats(self._layout.padded)
        memory = self._constants.matrix(threads, floats).offset
        blocks = [memory + i * floats * self._layout.dtype.itemsize for i in range(threads)]
        tiles = [
            self._one_tile(has_one_row=has_one_row, keeps_gradient=is_last)
            for is_last in (False, True)
        ]
        return [[encode(share) for share in tile.for_parameters(blocks)] for tile in tiles]

    def _one_tile(self, *, has_one_row: bool, keeps_gradient: bool) -> OneTile:
        assert self._updates is not None
        return OneTile(
            self._one_tile_places,
            self._layout.padded,
            *self._updates,
            self._one_row_addresses if has_one_row else self._addresses,
            self._layout.dtype.itemsize,
            self.lowered.sources.values(),
            has_one_row,
            keeps_gradient,
        )

    def _gathering(
        self,
        places: Layout,
        sources: Mapping[str, Any],
        addresses: Mapping[Kernel, int],
        ahead: int = -1,
    ) -> list[Instruction]:
        """Return what fills a tile with its rows of the data, and fetches those so far ahead."""
        gathering, fetching = [], []
        for name, place in self.lowered.sources.items():
            target = places.operand(place)
            rows = sources[name]
            gathering.append(_read(addresses["gather"], rows, target))
            if rows.nbytes > CACHED_BYTES:
                fetching.append(replace(_read(addresses["prefetch"], rows), numbers=(ahead,)))
            if name == "weights":
                share = Operand(WORKSPACE, SHARE)
                function = addresses[SCALE_CHAIN]
                gathering.append(Instruction(function, TILE_SPAN, 1, (target, target, share)))
        # Last, since what is gathered would have to wait for what is fetched before it.
        return gathering + fetching

    def _transposes(self) -> list[Instruction]:
        return [
            Instruction(
                self._addresses["transpose"], step.rows, step.columns,
                tuple(self._places.operand(place) for place in (*step.outputs, *step.inputs)),
            )
            for step in self.lowered.transposes
        ]  # fmt: skip

    def _zero_ends(self) -> list[Instruction]:
        return [
            instruction
            for part in self._layout.padded.segments
            for instruction in zero_ends(
                self._addresses["zero_ends"],
                part,
                gradient_of(part, self._layout.dtype.itemsize),
            )
        ]


def _read(function: int, rows: Any, *targets: Operand) -> Instruction:
    """Call a kernel that reads the data's rows of a tile."""
    width = rows.shape[1]
    data = Operand(ABSOLUTE, rows.ctypes.data, width)
    return Instruction(function, TILE_ROWS, width, (*targets, data))


def update_program(update: LoweredUpdate, library: Library) -> IntArray:
    """Return the program of an update."""
    return encode([update.instruction(library.chains([update.chain])[update.chain])])


def flush_program(update: LoweredUpdate, state: Iterable[Vector], library: Library) -> IntArray:
    """Return the program that makes denormal numbers zero, in a block of the optimizer's state.

    There is nothing in it if the update asks for more than sizes: to Lion, the sign of a momentum
    says the same however small it is.
    """
    functions = {function for function, _ in update.chain.links}
    if not functions <= SMOOTH:
        return encode([])
    function = library.chains([FLUSH_CHAIN])[FLUSH_CHAIN]
    places = [Operand(BLOCK, array.ctypes.data) for array in state]
    return encode([Instruction(function, TILE_SPAN, 1, (place, place)) for place in places])


def mask_keys(paths: Sequence[tuple[int, ...]], settings: StepSettings, steps: range) -> IntArray:
    """Return the keys of random masks, a row for each step."""
    keys = np.zeros((len(steps), len(paths)), np.uint64)
    for row, step in zip(keys, steps, strict=True):
        row[:] = [Mode(True, settings.mask_seed, step, path=path).key() for path in paths]
    return keys.view(np.int64)

"""A network's steps in native code, and the job that tells the worker how to take them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from typegrad.aligned import aligned_zeros
from typegrad.engines.base import StepSettings, TrainingData, all_finite, never
from typegrad.engines.compiled.branches import takes_branches
from typegrad.engines.compiled.graph_facts import NotNativeError
from typegrad.engines.compiled.job import (
    NO_UPDATE,
    UPDATE_AFTER_CHECK,
    UPDATE_BY_BLOCKS,
    UPDATE_IN_TILE,
)
from typegrad.engines.compiled.layout import (
    FlatVectors,
    KeptArray,
    PaddedParameters,
    address_of,
)
from typegrad.engines.compiled.library import Library
from typegrad.engines.compiled.lowering import StepLayout
from typegrad.engines.compiled.native import (
    FACTOR,
    SHARE,
    NativeStep,
    Programs,
    TilePrograms,
    flush_program,
    mask_keys,
    update_program,
)
from typegrad.engines.compiled.program import WORKSPACE, Operand, span
from typegrad.engines.compiled.runner import Outcome, Runner, Turns, double_bits
from typegrad.engines.compiled.step_numbers import StepNumbers, Steps
from typegrad.engines.compiled.traced_step import TracedStep
from typegrad.engines.compiled.updates import Clipping, LoweredUpdate, lower_update
from typegrad.engines.planned_step import UpdateArrays, trace_update
from typegrad.layers.mode import Mode
from typegrad.optimizers import FullBatchOptimizer, Optimizer
from typegrad.tracing import TraceError
from typegrad.types import IntArray

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork

TRANSPOSING = ((16, 0), (128, 256))
"""Rows of a step, and width of the matrices from which copying one transposed costs more than
the copy brings in a step of so many rows."""

ROWS_PER_CHUNK, ROWS_PER_SMALL_CHUNK = 128, 16
MOST_CHUNKS, MOST_SMALL_CHUNKS = 16, 4
CHUNK_BYTES = 8 * 2**20
"""Sums over a batch are split into chunks, for threads to share: as many as this memory holds."""

HEAVY_ROW = 50_000
"""Multiply-adds of a row from which on a few rows are worth a chunk."""

WORK_PER_THREAD = 2_000_000
"""Multiply-adds of a step below which a further thread costs more than it brings."""

WORK_PER_CALL = 1_000_000_000
"""Multiply-adds between two looks at whether a stop was asked for: some hundredths of a second."""

WORK_PER_STEP, WORK_PER_PARAMETER = 5_000, 20
"""What a step and its update cost besides, in multiply-adds."""


class _Course(NamedTuple):
    """How steps of so many rows are taken, on so many threads.

    Attributes
    ----------
    ending
        How each step ends, as the worker knows it.
    chunks
        Parts that a batch is summed in.
    at_a_time
        Steps between two looks at whether a stop was asked for.
    numbers
        The steps' scalars.
    """

    step: NativeStep
    rows: int
    threads: int
    ending: int
    chunks: int
    at_a_time: int
    numbers: StepNumbers


class NetworkCode:
    """Native code for a network's training step and for its optimizer's update.

    Parameters
    ----------
    network, optimizer, settings
        What is trained, and how.
    traced
        The network's step.
    library
        Native functions for the network's dtype.
    has_weights
        Whether examples have weights of their own.

    Raises
    ------
    NotNativeError
        If the step cannot be lowered; says what there is no kernel for.

    Attributes
    ----------
    vectors
        Parameters, gradient and the optimizer's state, as native code has them.
    losses : KeptArray
        Of the steps that were taken last.
    update_problem : str or None
        Why the update cannot be native, if it cannot.
    takes_whole_batch : bool
        Whether examples have to do with each other, or layers with their number.
    fewest_rows : int
        Of a step; fewer, as a single one, may be another formula.
    """

    def __init__(
        self,
        network: NeuralNetwork,
        optimizer: Optimizer | FullBatchOptimizer,
        settings: StepSettings,
        traced: TracedStep,
        library: Library,
        *,
        has_weights: bool,
    ) -> None:
        self._network = network
        self._library = library
        self._settings = settings
        self._dtype = network.dtype
        self._traced = traced
        self._parameters = {name: index for index, name in enumerate(network.parameters)}
        shapes = [parameter.shape for parameter in network.parameters.values()]
        self._padded = PaddedParameters(shapes, library.lanes)
        names: Iterable[str] = ()
        if isinstance(optimizer, Optimizer):
            optimizer.prepare(network.flat.values)
            names = optimizer.state_arrays
        self.vectors: FlatVectors = FlatVectors.zeros(self._padded, names, self._dtype)
        self.vectors.mask.spread(network.flat.decay_mask)
        self.update_problem: str | None = None
        self._updates = self._lower_updates(optimizer)
        self._update_program: IntArray = np.zeros(0, np.int64)
        self._flush_program: IntArray = np.zeros(0, np.int64)
        if self._updates is not None:
            update, state = self._updates[0], self.vectors.state_arrays.values()
            self._update_program = update_program(update, library)
            self._flush_program = flush_program(update, state, library)
        self._share = None if has_weights else Operand(WORKSPACE, SHARE)
        self._steps: dict[int, NativeStep] = {}
        self._runner = Runner(library.worker)
        self._courses: dict[tuple[int, int, bool], _Course] = {}
        self._fixed: tuple[_Course, Programs] | None = None
        self._tile: TilePrograms | None = None
        self.losses: KeptArray = KeptArray(np.dtype(np.float64))
        self._workspaces = self._sums = aligned_zeros(0, self._dtype)
        self._partials = np.zeros(self._padded.blocks)
        # Says if it is not native.
        self.takes_whole_batch: bool = self._step_for(sys.maxsize).lowered.takes_whole_batch
        self.fewest_rows: int = traced.batch if self.takes_whole_batch else 1

    def _lower_updates(
        self, optimizer: Optimizer | FullBatchOptimizer
    ) -> tuple[LoweredUpdate, LoweredUpdate] | None:
        if not isinstance(optimizer, Optimizer):
            return None
        vectors, settings = self.vectors, self._settings
        factor = None if settings.clip_norm is None else Operand(WORKSPACE, FACTOR)
        values, grads, mask = (each.array for each in (vectors.values, vectors.grads, vectors.mask))
        arrays = UpdateArrays(values, grads, mask, vectors.state_arrays)
        try:
            graph = trace_update(optimizer, arrays, 0.1)
            _check_update_of_zeros(optimizer, arrays)
            clipping = Clipping(factor, settings.clip_value)
            update = lower_update(graph, vectors, clipping)
            return update, lower_update(graph, vectors, clipping, is_outer=True)
        except (NotNativeError, TraceError) as error:
            self.update_problem = str(error)
            return None

    def admits(self, data: TrainingData) -> bool:
        """Whether the data takes the branches on values that were traced."""
        inputs = {"inputs": data.inputs, "targets": data.targets}
        return takes_branches(self._traced.branches, inputs)

    def takes(self, rows: int, batch_size: int) -> bool:
        """Whether it can take a step of so many rows, that come in batches of a size."""
        return not self.takes_whole_batch or self.fewest_rows <= rows <= batch_size

    def is_outdated(self) -> bool:
        """Whether it has to be made anew, since constants of the formulas have changed."""
        return any(map(NativeStep.is_outdated, self._steps.values()))

    @property
    def has_update(self) -> bool:
        """Whether steps can be taken as a whole."""
        return self._updates is not None

    def _step_for(self, rows_per_step: int) -> NativeStep:
        """Return the step for batches of this size."""
        transposed_below = next(
            (width for rows, width in TRANSPOSING if rows_per_step <= rows), sys.maxsize
        )
        if transposed_below not in self._steps:
            layout = StepLayout(
                self._traced.batch,
                self._parameters,
                self._padded,
                self.vectors.values.array.ctypes.data,
                self._library.lanes,
                self._dtype,
                transposed_below,
                self._share,
                len(self._updates[0].scalars) if self._updates else 0,
            )
            self._steps[transposed_below] = NativeStep(
                self._traced.graph, layout, self._updates, self._library
            )
        return self._steps[transposed_below]

    def run(
        self,
        steps: Steps,
        threads: int,
        *,
        with_update: bool = True,
        should_stop: Callable[[], bool] = never,
    ) -> Outcome:
        """Take steps, on the vectors as they are, until one fails or a stop is asked for.

        Their losses are in `losses` then.
        """
        course = self._course(steps.rows_per_step, threads, with_update)
        step = course.step
        kept = self._set_job(course, steps)
        step.take_states()
        if step.opaque:
            outcome = self._run_with_opaque(step, steps, course.threads, should_stop)
        else:
            outcome = self._runner.run_turns(
                len(steps.rates), course.threads, should_stop, lambda _: course.at_a_time
            )
        del kept
        course.numbers.table.drop_large()
        if outcome.failed and step.lowered.changed_states and not step.opaque:
            return outcome._replace(spoiled=True)
        if not outcome.spoiled:
            step.give_states()
        return outcome

    def _run_with_opaque(
        self, step: NativeStep, steps: Steps, threads: int, should_stop: Callable[[], bool]
    ) -> Outcome:
        """Take steps whose parts that run as they are written find what belongs to their step.

        That is parameters, layers' states and the mode. All others find what was there before the
        first step, until the engine puts the last ones there.
        """
        values = self._network.flat.values
        arrays = [values, *(array for array, _ in step.lowered.states)]
        before = [array.copy() for array in arrays]

        def prepare(number: int) -> None:
            self.vectors.values.collect(values)
            step.give_states()
            mode = Mode(True, self._settings.mask_seed, steps.first + number)
            self._traced.current.mode = mode

        step.opaque[0].prepare = prepare
        try:
            outcome = self._runner.run_turns(
                len(steps.rates), threads, should_stop, Turns().steps_of
            )
            error = step.take_error()
            if outcome.failed and error is None:
                # Back to the states that the step found; before an error they have not changed.
                step.take_states()
        finally:
            step.opaque[0].prepare = None
            for array, content in zip(arrays, before, strict=True):
                array[...] = content
        return outcome._replace(error=error)

    def _work(self, step: NativeStep, rows: int) -> int:
        """Estimate a step's cost, in multiply-adds."""
        parameters = WORK_PER_PARAMETER * self._padded.loss_start
        return WORK_PER_STEP + parameters + step.lowered.multiply_adds * rows

    def _ending(self, step: NativeStep, rows: int) -> int:
        """Return how each step ends: by settings and rows, whatever the threads."""
        # What runs as it is written may fail, and should not have to run once more.
        if self._settings.clip_norm is not None or step.opaque:
            return UPDATE_AFTER_CHECK
        # Programs for tiles with their update compute each sum by one step.
        is_tile = (
            rows <= step.tile_rows
            and not self.takes_whole_batch
            and not step.lowered.schedule.has_joined_sums
        )
        return UPDATE_IN_TILE if is_tile else UPDATE_BY_BLOCKS

    def _course(self, rows: int, threads: int, with_update: bool) -> _Course:
        key = (rows, threads, with_update)
        if key not in self._courses:
            step = self._step_for(rows)
            work = self._work(step, rows)
            updating = () if self._updates is None else self._updates[0].scalars
            ending = self._ending(step, rows) if with_update else NO_UPDATE
            self._courses[key] = _Course(
                step,
                rows,
                max(1, min(threads, work // WORK_PER_THREAD)),
                ending,
                self._chunk_count(step, rows, ending),
                max(1, WORK_PER_CALL // work),
                StepNumbers((*updating, *step.lowered.counts), self._dtype),
            )
        return self._courses[key]

    def _set_job(self, course: _Course, steps: Steps) -> list[Any]:
        """Write the job; return the arrays that it names by address."""
        step = course.step
        programs = step.programs(steps.data)
        if self._fixed is None or self._fixed[0] is not course or self._fixed[1] is not programs:
            self._set_fixed(course, programs)
            self._fixed = course, programs
        last_rows = len(steps.order) - (len(steps.rates) - 1) * steps.rows_per_step
        last_chunks = course.chunks
        if last_rows < steps.rows_per_step:
            last_chunks = self._chunk_count(step, last_rows, course.ending)
        last_rows = min(last_rows, steps.rows_per_step)
        order = np.ascontiguousarray(steps.order, np.int64)
        course.numbers.compute(steps, last_rows)
        self.losses.of_shape(len(steps.rates))
        fields = {
            "order": address_of(order),
            "total_rows": len(order),
            "last_chunks": last_chunks,
            "steps_before": steps.first,
            "scalars": course.numbers.table.address,
            "losses": self.losses.address,
        }
        kept: list[Any] = [order]
        if step.lowered.masks:
            numbers = range(steps.first, steps.first + len(steps.rates))
            keys = mask_keys(step.lowered.masks, self._settings, numbers)
            fields |= {"keys": address_of(keys), "key_bytes": keys.strides[0]}
            kept.append(keys)
        self._runner.set(fields)
        return kept

    def _set_fixed(self, course: _Course, programs: Programs) -> None:
        """Write what is the same for each epoch."""
        step, chunks = course.step, course.chunks
        tiles = -(-course.rows // step.tile_rows) if self.takes_whole_batch else 0
        self._reserve(step, chunks, max(course.threads, tiles))
        itemsize = self._dtype.itemsize
        fields = {
            "ending": course.ending,
            "rows_per_step": course.rows,
            "tile_rows": step.tile_rows,
            "chunks": chunks,
            "workspaces": self._workspaces.ctypes.data,
            "workspace_bytes": step.workspace_bytes,
            "tile_bytes": step.workspace_bytes if self.takes_whole_batch else 0,
            "phases": len(programs.phases) - 1,
            "phase_programs": programs.table.ctypes.data,
            "sums": self._sums.ctypes.data,
            "gradient": self.vectors.grads.array.ctypes.data,
            "sum_bytes": self._padded.size * itemsize,
            "loss_offset": self._padded.loss_start * itemsize,
            "block_bytes": self._padded.block * itemsize,
            "blocks": self._padded.blocks,
            "partials": self._partials.ctypes.data,
            "share_offset": SHARE,
            "factor_offset": FACTOR,
            "scalar_bytes": course.numbers.row_bytes,
            "clip_norm": double_bits(self._settings.clip_norm or np.inf),
        }
        for name, program in (
            ("step", programs.step), ("chunk", programs.chunk),
            ("update", self._update_program), ("flush", self._flush_program),
        ):  # fmt: skip
            fields[f"{name}_program"], fields[f"{name}_end"] = span(program)
        if course.ending == UPDATE_IN_TILE:
            self._tile = step.tile_programs(programs, course.rows, course.threads)
            table = self._tile.table.ctypes.data
            fields |= {"own_rows": self._tile.rows, "tile_programs": table}
        self._runner.set(fields)

    def _chunk_count(self, step: NativeStep, rows: int, ending: int) -> int:
        """Return how many parts a batch is summed in: whatever the threads, so are the bits."""
        if ending == UPDATE_IN_TILE:
            return 1
        chunks = rows // ROWS_PER_CHUNK
        if step.lowered.multiply_adds >= HEAVY_ROW:
            chunks = max(chunks, min(rows // ROWS_PER_SMALL_CHUNK, MOST_SMALL_CHUNKS))
        if self.takes_whole_batch:  # A chunk has whole tiles.
            chunks = min(chunks, -(-rows // step.tile_rows))
        fitting = CHUNK_BYTES // (self._padded.size * self._dtype.itemsize)
        return max(1, min(chunks, MOST_CHUNKS, max(fitting, MOST_SMALL_CHUNKS)))

    def _reserve(self, step: NativeStep, chunks: int, workspaces: int) -> None:
        """Have memory for threads, or for all tiles, and for chunks."""
        workspace = workspaces * step.workspace_bytes // self._dtype.itemsize
        if len(self._workspaces) < workspace:
            self._workspaces = aligned_zeros(workspace, self._dtype)
        sums = (chunks - 1) * self._padded.size
        if len(self._sums) < sums:
            self._sums = aligned_zeros(sums, self._dtype)


def _check_update_of_zeros(optimizer: Optimizer, zeros: UpdateArrays) -> None:
    """Raise NotNativeError if zeros do not stay finite: they lie between the rows' ends."""
    mask = zeros.decay_mask
    with np.errstate(all="ignore"):
        values, _ = optimizer.formula(
            zeros.values, zeros.grads, dict(zeros.state), 0.1, 1, decay_mask=mask
        )
    if not all_finite(values):
        raise NotNativeError("where a gradient of zeros makes numbers that are not finite")

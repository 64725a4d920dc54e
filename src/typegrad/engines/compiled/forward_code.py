"""A network's forward pass in native code."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from typegrad.aligned import aligned_zeros
from typegrad.data.standardizer import Standardizer
from typegrad.engines.compiled.compiler import KERNELS
from typegrad.engines.compiled.forward_lowering import ForwardLowering
from typegrad.engines.compiled.forward_worker import FORWARD_JOB
from typegrad.engines.compiled.graph_facts import NotNativeError
from typegrad.engines.compiled.library import Library, library_for
from typegrad.engines.compiled.memory import Constants
from typegrad.engines.compiled.program import (
    INPUTS,
    TILE_ROWS,
    Instruction,
    Operand,
    encode,
    span,
)
from typegrad.engines.compiled.schedule import Kernel
from typegrad.engines.compiled.traced_step import TracedStep, trace_forward
from typegrad.engines.planned_options import Options
from typegrad.engines.planned_step import RunMode, StepTracer
from typegrad.layers.mode import INFERENCE
from typegrad.losses.base import Loss
from typegrad.tracing import TraceError
from typegrad.types import Array, IntArray, Shape

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork

TILE_BYTES = 256 * 1024
"""What a tile's activations may take."""

FEWEST_TILE_ROWS, MOST_TILE_ROWS = 48, 192

WORK_PER_THREAD = 20_000_000
"""Multiply-adds below which a further thread costs more than it brings."""

WORK_PER_ROW = 500
"""What a row costs besides, in multiply-adds."""

FLOAT64 = np.dtype(np.float64)


class ForwardCode:
    """Native code that takes rows of inputs to outputs, or to predictions.

    It holds the parameters as they were when `refresh` was called last.

    Parameters
    ----------
    network
        Whose it is.
    row
        Shape of one example's inputs.
    predicts
        Whether it does all that `NeuralNetwork.predict` does, from inputs in their own units to
        predictions in the target's; or only what `NeuralNetwork.forward` does.
    note
        Told if code has to be compiled, which takes a while.

    Raises
    ------
    NotNativeError
        Naming what there is no native code for.

    Attributes
    ----------
    library
        Native functions for the network's dtype.
    input_dtype, output_dtype
        Of `run`'s arrays.
    row, output_row
        Shapes of an example's inputs and outputs.
    finish : callable or None
        What is left to do with the outputs, in NumPy.
    """

    def __init__(
        self, network: NeuralNetwork, row: Shape, note: Callable[[str], None], *, predicts: bool
    ) -> None:
        self.row = row
        self._dtype = network.dtype
        self._predicts = predicts
        self.library: Library = library_for(8 * network.dtype.itemsize, note)
        self._options = Options(network)
        self._constants = Constants(network.dtype, self.library.lanes)
        # Rows of float64 for a library whose lanes are those of a narrower type.
        self._units = Constants(FLOAT64, self.library.lanes)
        self._scaler = network.input_scaler if predicts else None
        self._unit_rows: list[tuple[Callable[[], Array], Array]] = []
        self.input_dtype: np.dtype[Any] = self._dtype if self._scaler is None else FLOAT64
        self.output_dtype: np.dtype[Any] = self._dtype
        self.finish: Callable[[Array], Array] | None = None
        self._scalers = _scalers_of(network)
        self._unused: dict[int, Any] = {}
        self._lowering = self._lower(network)
        self._build()
        self.refresh()

    # -- preparing ------------------------------------------------------------------

    def _lower(self, network: NeuralNetwork) -> ForwardLowering:
        if not self._predicts:
            return self._lowered(network, _leave, ())
        target_scaler = network.target_scaler
        if type(network.loss).predictions is Loss.predictions:
            if target_scaler is None:
                return self._lowered(network, _leave, ())
            self.output_dtype = FLOAT64
            scale = self._unit_row(lambda: target_scaler.scale)
            location = self._unit_row(lambda: target_scaler.mean)
            return self._lowered(network, _leave, (scale, location))
        if target_scaler is None or self._dtype == FLOAT64:
            try:
                return self._lowered(network, network.in_target_units, ())
            except (NotNativeError, TraceError):
                pass
        self.finish = _finisher(network.loss, target_scaler, self._dtype)
        return self._lowered(network, _leave, ())

    def _lowered(
        self,
        network: NeuralNetwork,
        finish: Callable[[Any], Any],
        unscaling: tuple[Operand, ...],
    ) -> ForwardLowering:
        tracer = StepTracer(network, RunMode(INFERENCE))
        try:
            traced: TracedStep = trace_forward(network, self.row, finish, tracer)
        except TraceError as error:
            raise NotNativeError(str(error)) from error
        lowering = ForwardLowering(
            traced, self.library.lanes, self._dtype, self._constants, unscaling
        )
        lowering.run()
        self._options.remember(tracer.written)
        self.output_row: tuple[int, ...] = traced.graph.outputs["outputs"].shape[1:]
        return lowering

    def _unit_row(self, read: Callable[[], Array]) -> Operand:
        """Return a row of float64 numbers that `refresh` reads anew."""
        operand, memory = self._units.room(1, len(read()))
        self._unit_rows.append((read, memory))
        return operand

    def _build(self) -> None:
        schedule = self._lowering.schedule
        row_bytes = max(schedule.lay_out(64, 0).used_bytes // 64, 1)
        fitting = TILE_BYTES // row_bytes // 8 * 8
        self.tile_rows: int = min(max(fitting, FEWEST_TILE_ROWS), MOST_TILE_ROWS)
        places = schedule.lay_out(self.tile_rows, 0)
        self._workspace_bytes = -(-places.used_bytes // 4096) * 4096 + 4096
        addresses: dict[Kernel, int] = {name: self.library.kernel(name) for name in KERNELS}
        for chain, address in self.library.chains(schedule.chains()).items():
            addresses[chain] = address
        inputs = self._lowering.result.sources["inputs"]
        width = int(np.prod(self.row))
        floats = width * self.input_dtype.itemsize // self._dtype.itemsize
        operands = [places.operand(inputs), Operand(INPUTS, 0, floats)]
        kernel = "gather"
        if self._scaler is not None:
            scaler: Standardizer = self._scaler
            kernel = "standardize"
            operands += [self._unit_row(lambda: scaler.mean), self._unit_row(lambda: scaler.scale)]
        load = Instruction(addresses[kernel], TILE_ROWS, width, tuple(operands))
        rest = places.instructions(addresses, first_tile=True)
        self._program = encode([load, *rest])
        self._order: IntArray = np.arange(self.tile_rows)
        start, end = span(self._program)
        # Those that all jobs have in common.
        self._fields = {
            "program": start,
            "end": end,
            "input_bytes": width * self.input_dtype.itemsize,
            "output_bytes": int(np.prod(self.output_row)) * self.output_dtype.itemsize,
            "tile_rows": self.tile_rows,
            "order": self._order.ctypes.data,
            "workspace_bytes": self._workspace_bytes,
        }

    def refresh(self) -> None:
        """Take over the network's parameters, buffers and scalers as they are."""
        self._lowering.refresh()
        for read, memory in self._unit_rows:
            memory[0] = read()

    def is_outdated(self, network: NeuralNetwork) -> bool:
        """Whether layers, their options, scalers, or numbers in formulas are not what they were."""
        scalers = _scalers_of(network)
        same = all(one is other for one, other in zip(scalers, self._scalers, strict=True))
        return not (same and self._constants.are_as_noted()) or self._options.changed()

    # -- running --------------------------------------------------------------------

    @property
    def multiply_adds(self) -> int:
        """Estimate of a row's cost."""
        return WORK_PER_ROW + self._lowering.result.multiply_adds

    def run(self, inputs: Array, threads: int) -> Array:
        """Compute the outputs of some rows, without `finish`.

        Parameters
        ----------
        inputs
            Rows without gaps, of `input_dtype`.
        threads
            How many threads to use at most.

        Raises
        ------
        NotNativeError
            If a row has a code that names no row of its table.
        """
        outputs: Array = np.empty((len(inputs), *self.output_row), self.output_dtype)
        threads = max(1, min(threads, len(inputs) * self.multiply_adds // WORK_PER_THREAD))
        # Another thread may be at it too: who has taken memory has it alone.
        memory = self._unused.pop(threads, None)
        workspaces = self.workspaces(threads) if memory is None else memory
        job = self.job(inputs, outputs, workspaces)
        failed = self._run_on(threads, job.array.ctypes.data)
        self._unused[threads] = workspaces
        check_rows_taken(*failed)
        return outputs

    def _run_on(self, threads: int, address: int) -> list[int]:
        if threads == 1:
            return [self.library.forward(address, 0, 1)]
        with ThreadPoolExecutor(threads - 1, "typegrad") as pool:
            helpers = [
                pool.submit(self.library.forward, address, number, threads)
                for number in range(1, threads)
            ]
            failed = self.library.forward(address, 0, threads)
        return [failed, *(helper.result() for helper in helpers)]

    def workspaces(self, threads: int = 1) -> Any:
        """Return memory for a job's threads."""
        return aligned_zeros(threads * self._workspace_bytes, np.dtype(np.uint8))

    def job(self, inputs: Array, outputs: Array, workspaces: Any) -> Job:
        """Return a job, to be run as often as one likes."""
        fields = {
            "inputs": inputs.ctypes.data,
            "outputs": outputs.ctypes.data,
            "rows": len(inputs),
            "workspaces": workspaces.ctypes.data,
        }
        return Job({**self._fields, **fields}, (self, inputs, outputs, workspaces))


def check_rows_taken(*failed: int) -> None:
    """Raise NotNativeError if native code could not take a row."""
    if any(failed):
        raise NotNativeError("a code that names no row of its table")


class Job:
    """Integers for the forward worker, with the arrays that they name by address.

    Attributes
    ----------
    array
        The integers.
    """

    def __init__(self, fields: dict[str, int], kept: tuple[object, ...]) -> None:
        self.array: IntArray = np.zeros(len(FORWARD_JOB), np.int64)
        for name, value in fields.items():
            self.array[FORWARD_JOB[name]] = value
        self._kept = kept


def _scalers_of(network: NeuralNetwork) -> list[object]:
    """Return the scalers, and what they hold: another array after each call of ``fit``."""
    scalers = (network.input_scaler, network.target_scaler)
    return [*scalers, *(each.mean if each else None for each in scalers)]


def _leave(outputs: Any) -> Any:
    return outputs


def _finisher(
    loss: Loss, target_scaler: Standardizer | None, dtype: np.dtype[Any]
) -> Callable[[Array], Array]:
    """Return what `NeuralNetwork.in_target_units` does, without keeping the network."""

    def finish(outputs: Array) -> Array:
        if target_scaler is None:
            return loss.predictions(outputs, np.zeros(1, dtype), np.ones(1, dtype))
        return loss.predictions(outputs, target_scaler.mean, target_scaler.scale)

    return finish

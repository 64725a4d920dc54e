"""What the machine can do, measured with NumPy, to judge times by.

Run as a program, this prints the measurements; `measure_hardware` runs it in a process of
its own, whose BLAS reads how many threads it may use when it starts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from measuring.machine import usable_cores
from measuring.numpy_step import essential_calls

_REPEATS = 7
_VECTOR_LENGTH = 2**14
"""Numbers of a vector that lies in the cache."""
_STEPS_SECONDS = 0.02
"""Time that steps of NumPy's calls fill in each repeat."""
_ROWS_AT_ONCE = 512
"""Rows that are taken at a time: few calls, and what is taken lies in the cache."""


@dataclass(frozen=True)
class Hardware:
    """Speeds of all cores that may be used, in float32."""

    gflops: float
    """Of the product of large matrices, in 10^9 floating-point operations a second."""
    copy_gigabytes: float
    """Read and written in a second, by copying memory of the size that was asked for."""
    tanh_nanoseconds: float
    """Of one number of a vector in the cache."""
    root_nanoseconds: float
    """The same of a square root."""
    row_nanoseconds: float
    """Of one row that is taken from a table of the size that was asked for, in random order."""
    numpy_microseconds: float
    """Of the `essential_calls` of a step of the size that was asked for."""


@dataclass(frozen=True)
class Sizes:
    """What to measure with.

    Attributes
    ----------
    copied_bytes
        Memory that is read and written, which decides in which cache it lies.
    table
        Rows and columns of the table.
    step
        Widths, rows and optimizer of a training step.
    matrix
        Rows and columns of the matrices.
    """

    copied_bytes: int
    table: tuple[int, int]
    step: tuple[tuple[int, ...], int, str]
    matrix: int = 2048


def measure_hardware(sizes: Sizes, *, processor_time: bool = False) -> Hardware:
    """Measure, by the median of some repeats.

    Parameters
    ----------
    sizes
        Of what is measured with.
    processor_time
        Count the time that the process ran instead of wall time; for one thread.
    """
    clock = "processor" if processor_time else "wall"
    command = [sys.executable, "-m", "measuring.hardware", json.dumps(asdict(sizes)), clock]
    folder = str(__file__).rpartition("measuring")[0]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return Hardware(**json.loads(done.stdout))


def _measure(sizes: Sizes, clock: Callable[[], float]) -> Hardware:
    generator = np.random.default_rng(0)
    left, right = generator.standard_normal((2, sizes.matrix, sizes.matrix), np.float32)
    product = np.empty_like(left)
    product_seconds = _median(lambda: np.matmul(left, right, out=product), 1, clock)
    source = np.ones(max(1, sizes.copied_bytes // 8), np.float32)
    target = np.empty_like(source)
    copy_seconds = _median(lambda: np.copyto(target, source), 100, clock)
    numbers = generator.random(_VECTOR_LENGTH, np.float32)
    results = np.empty_like(numbers)
    tanh_seconds = _median(lambda: np.tanh(numbers, out=results), 50, clock)
    root_seconds = _median(lambda: np.sqrt(numbers, out=results), 50, clock)
    # Products use all cores, the others one.
    cores = usable_cores()
    return Hardware(
        2e-9 * sizes.matrix**3 / product_seconds,
        2e-9 * source.nbytes / copy_seconds * cores,
        1e9 * tanh_seconds / _VECTOR_LENGTH / cores,
        1e9 * root_seconds / _VECTOR_LENGTH / cores,
        1e9 * _row_seconds(sizes.table, clock) / cores,
        1e6 * _step_seconds(sizes.step, clock),
    )


def _step_seconds(step: tuple[tuple[int, ...], int, str], clock: Callable[[], float]) -> float:
    """Seconds of a step's `essential_calls`."""
    calls = essential_calls(*step)

    def take_step() -> None:
        for call in calls:
            call()

    started = clock()
    take_step()
    # Some systems' clocks of processor time stand still that long.
    seconds = max(clock() - started, 1e-6)
    return _median(take_step, max(1, round(_STEPS_SECONDS / seconds)), clock)


def _row_seconds(shape: tuple[int, int], clock: Callable[[], float]) -> float:
    """Seconds of a row: all rows of a table are taken, some at a time, as in an epoch."""
    rows, columns = shape
    generator = np.random.default_rng(0)
    table, order = generator.random((rows, columns), np.float32), generator.permutation(rows)
    batches = [order[start : start + _ROWS_AT_ONCE] for start in range(0, rows, _ROWS_AT_ONCE)]
    taken = np.empty((_ROWS_AT_ONCE, columns), np.float32)

    def take_all() -> None:
        for batch in batches:
            table.take(batch, axis=0, out=taken[: len(batch)], mode="clip")

    calls = max(1, 2**16 // rows)
    return _median(take_all, calls, clock) / rows


def _median(call: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    """Seconds of one call; a round before the first wakes threads and touches memory."""
    seconds = []
    for _ in range(_REPEATS + 1):
        started = clock()
        for _ in range(calls):
            call()
        seconds.append((clock() - started) / calls)
    return statistics.median(seconds[1:])


def _main() -> None:
    clock = time.process_time if sys.argv[2] == "processor" else time.perf_counter
    print(json.dumps(asdict(_measure(Sizes(**json.loads(sys.argv[1])), clock))))


if __name__ == "__main__":
    _main()

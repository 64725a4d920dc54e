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

_REPEATS = 7
_COUNT = 2**14
"""Numbers of a vector, and rows of a table, that lie in the cache."""


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
    """Of one row that is taken from a table, in random order."""


def measure_hardware(
    copied_bytes: int, columns: int, *, processor_time: bool = False, size: int = 2048
) -> Hardware:
    """Measure, by the median of some repeats.

    Parameters
    ----------
    copied_bytes
        Size of the memory that is read and written, which decides in which cache it lies.
    columns
        Of the table.
    processor_time
        Count the time that the process ran instead of wall time; for one thread.
    size
        Rows and columns of the matrices.
    """
    clock = "processor" if processor_time else "wall"
    numbers = (str(number) for number in (copied_bytes, columns, size))
    command = [sys.executable, "-m", "measuring.hardware", *numbers, clock]
    folder = str(__file__).rpartition("measuring")[0]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return Hardware(**json.loads(done.stdout))


def _measure(copied_bytes: int, columns: int, size: int, clock: Callable[[], float]) -> Hardware:
    generator = np.random.default_rng(0)
    left, right = generator.standard_normal((2, size, size), np.float32)
    product = np.empty_like(left)
    product_seconds = _median(lambda: np.matmul(left, right, out=product), 1, clock)
    source = np.ones(max(1, copied_bytes // 8), np.float32)
    target = np.empty_like(source)
    copy_seconds = _median(lambda: np.copyto(target, source), 100, clock)
    angles = generator.random(_COUNT, np.float32)
    heights = np.empty_like(angles)
    tanh_seconds = _median(lambda: np.tanh(angles, out=heights), 50, clock)
    root_seconds = _median(lambda: np.sqrt(angles, out=heights), 50, clock)
    table = generator.random((_COUNT, columns), np.float32)
    taken, order = np.empty_like(table), generator.permutation(_COUNT)
    row_seconds = _median(lambda: table.take(order, axis=0, out=taken, mode="clip"), 10, clock)
    # Products use all cores, the others one.
    cores = usable_cores()
    return Hardware(
        2e-9 * size**3 / product_seconds,
        2e-9 * source.nbytes / copy_seconds * cores,
        *(1e9 * each / _COUNT / cores for each in (tanh_seconds, root_seconds, row_seconds)),
    )


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
    clock = time.process_time if sys.argv[4] == "processor" else time.perf_counter
    copied_bytes, columns, size = map(int, sys.argv[1:4])
    print(json.dumps(asdict(_measure(copied_bytes, columns, size, clock))))


if __name__ == "__main__":
    _main()

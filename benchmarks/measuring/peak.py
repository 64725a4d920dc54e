"""The machine's own peak: NumPy's product of large matrices in single precision.

Run as a program, this prints the seconds of each product; `peak_gflops` runs it in a process
of its own, whose BLAS reads how many threads it may use when it starts.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import numpy as np

_PRODUCTS = 7


def peak_gflops(*, processor_time: bool = False, size: int = 2048) -> float:
    """Billions of floating-point operations a second, by the median of some products.

    Parameters
    ----------
    processor_time
        Count the time that the process ran instead of wall time; for one thread.
    size
        Rows and columns of the matrices.
    """
    command = [sys.executable, __file__, str(size), "processor" if processor_time else "wall"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = statistics.median(map(float, done.stdout.split()))
    return 2.0 * size**3 / seconds / 1e9


def _main() -> None:
    size = int(sys.argv[1])
    clock = time.process_time if sys.argv[2] == "processor" else time.perf_counter
    generator = np.random.default_rng(0)
    left, right = generator.standard_normal((2, size, size), np.float32)
    out = np.empty_like(left)
    # One more, before the first that is counted, wakes threads and touches memory.
    for turn in range(_PRODUCTS + 1):
        started = clock()
        np.matmul(left, right, out=out)
        seconds = clock() - started
        if turn > 0:
            print(seconds)


if __name__ == "__main__":
    _main()

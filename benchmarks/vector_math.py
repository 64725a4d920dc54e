"""Accuracy and speed of the compiled engine's own exp, logarithms, tanh and their kin.

Over every number there is in float32, against NumPy in float64, and over dense samples in
float64, against NumPy in extended precision (skipped where the platform has none): the worst
error, in units in the last place, and where it is. Special values (NaN, infinities, signed
zeros, denormal and huge numbers) must agree with NumPy's. Speed is that of vectors in the
cache, beside NumPy's. Takes five minutes of one core.

Example: python benchmarks/vector_math.py --function tanh --precision float32
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from measuring.machine import describe_run, print_run
from measuring.tables import print_table, write_json

# The tests call native functions in the same way.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
from engines_compiled.accuracy import ULPS, special_values, ulps
from engines_compiled.native_calls import apply, prepare_function

Floats = npt.NDArray[np.floating[Any]]

CHUNK = 2**24
FLOAT64_RANGES = (1e-8, 1e-3, 0.1, 0.7, 3.0, 20.0, 100.0, 750.0)
"""Samples are spread evenly from minus to plus each of these, and over all exponents."""


@dataclass
class Accuracy:
    """What was found for a function and a precision."""

    function: str
    precision: str
    numbers: int = 0
    worst: float = 0.0
    worst_at: float = 0.0
    beyond_half: float = 0.0
    """Share of results that are not the nearest number."""
    special_values_differ: int = 0
    nanoseconds: float = 0.0
    numpy_nanoseconds: float = 0.0

    def add(self, values: Floats) -> None:
        """Compare the function's results at these values."""
        wide = np.float64 if self.precision == "float32" else np.longdouble
        with np.errstate(all="ignore"):
            exact = getattr(np, self.function)(values.astype(wide))
            rounded = exact.astype(values.dtype)
        found = apply(self.function, values)
        # Only these are examined further: most results are the nearest number.
        odd = np.flatnonzero((found != rounded) & ~(np.isnan(found) & np.isnan(rounded)))
        self.beyond_half = (self.beyond_half * self.numbers + len(odd)) / (
            self.numbers + len(values)
        )
        self.numbers += len(values)
        if len(odd) == 0:
            return
        errors = ulps(found[odd], exact[odd])
        index = int(np.argmax(errors))
        # Not "above", which NaN would not be.
        if not errors[index] <= self.worst:
            self.worst, self.worst_at = float(errors[index]), float(values[odd[index]])

    def check_special_values(self) -> None:
        """Count special values whose result is of another kind or far from NumPy's."""
        values = special_values(self.precision)
        with np.errstate(all="ignore"):
            expected = getattr(np, self.function)(values)
        found = apply(self.function, values)
        near = np.isclose(found, expected, rtol=4 * np.finfo(values.dtype).eps, atol=0.0)
        same = (found == expected) | (np.isnan(found) & np.isnan(expected)) | near
        signs = np.isnan(expected) | (np.signbit(found) == np.signbit(expected))
        self.special_values_differ = int(np.sum(~(same & signs)))

    def measure_speed(self, count: int, repeats: int) -> None:
        """Time the function and NumPy's, in turns, on values where none of them is special."""
        generator = np.random.default_rng(0)
        values = generator.uniform(0.01, 3.0, count).astype(self.precision)
        native, _ = prepare_function(self.function, values)
        out, theirs = np.empty_like(values), getattr(np, self.function)
        ours, numpys = [], []
        for _ in range(repeats):
            ours.append(_nanoseconds(native, count))
            numpys.append(_nanoseconds(lambda: theirs(values, out=out), count))
        self.nanoseconds = statistics.median(ours)
        self.numpy_nanoseconds = statistics.median(numpys)


def all_float32(chunks: int | None) -> Iterator[Floats]:
    """Return every number there is in float32, a chunk at a time; or some of the chunks."""
    starts = range(0, 2**32, CHUNK)
    # A smoke run takes one in so many of each chunk's numbers instead.
    stride = 1 if chunks is None else 2**12
    for start in starts[:: 1 if chunks is None else len(starts) // chunks]:
        yield np.arange(start, start + CHUNK, stride, dtype=np.uint32).view(np.float32)


def float64_samples(total: int) -> Iterator[Floats]:
    """Return samples in float64 of all sizes, dense where functions change."""
    generator = np.random.default_rng(0)
    limits = np.finfo(np.float64)
    size = min(CHUNK // 4, total // (2 * len(FLOAT64_RANGES)))
    # Rounded up: at least as many as were asked for.
    for _ in range(math.ceil(total / (2 * size * len(FLOAT64_RANGES)))):
        for width in FLOAT64_RANGES:
            yield generator.uniform(-width, width, size)
            exponents = generator.uniform(limits.minexp - 52, limits.maxexp, size)
            yield np.exp2(exponents) * generator.choice([-1.0, 1.0], size)


def _nanoseconds(call: Callable[[], object], count: int) -> float:
    started = time.process_time()
    for _ in range(20):
        call()
    return 1e9 * (time.process_time() - started) / 20 / count


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line asks."""
    options = _parser().parse_args(arguments)
    description = describe_run(("numpy", "llvmlite"))
    print_run(description)
    results = []
    for precision in options.precision:
        if precision == "float64" and np.finfo(np.longdouble).nmant < 63:
            print("float64: skipped, this platform has no extended precision to compare with")
            continue
        for function in options.function:
            result = Accuracy(function, precision)
            _measure(result, options.samples, smoke=options.smoke)
            results.append(result)
            # At once, so that what took minutes is there even if the rest is cut short.
            if options.json is not None:
                contents = [asdict(result) for result in results]
                write_json(options.json, {"run": description, "functions": contents})
    _report(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--function", nargs="+", choices=ULPS, default=list(ULPS), metavar="NAME")
    precisions = ["float32", "float64"]
    add("--precision", nargs="+", choices=precisions, default=precisions, metavar="NAME")
    add("--samples", type=float, default=1e8, help="in float64 (1e8)")
    add("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    add("--smoke", action="store_true", help="few numbers, to see that all works")
    return parser


def _measure(result: Accuracy, samples: float, *, smoke: bool) -> None:
    if result.precision == "float32":
        chunks = all_float32(16 if smoke else None)
        total = 16 * CHUNK / 2**12 if smoke else 2**32
    else:
        total = 1e5 if smoke else samples
        chunks = float64_samples(int(total))
    ending = "" if sys.stderr.isatty() else "\n"
    last = -1
    for values in chunks:
        result.add(values)
        percent = int(100 * result.numbers / total)
        if percent // 10 > last // 10:
            text = f"\r{result.function}, {result.precision}: {percent} %, {result.worst:.3f} ulp"
            print(text, end=ending, file=sys.stderr, flush=True)
            last = percent
    print(file=sys.stderr)
    result.check_special_values()
    result.measure_speed(2**14, repeats=3 if smoke else 21)


def _report(results: Sequence[Accuracy]) -> None:
    header = [
        "", "", "numbers", "worst error, ulp", "at", "not nearest",
        "special values that differ", "ns", "NumPy's ns",
    ]  # fmt: skip
    rows = [
        [
            each.function,
            each.precision,
            f"{each.numbers:.3g}",
            f"{each.worst:.3f}",
            f"{each.worst_at:.9g}",
            f"{each.beyond_half:.2%}",
            str(each.special_values_differ),
            f"{each.nanoseconds:.2f}",
            f"{each.numpy_nanoseconds:.2f}",
        ]
        for each in results
    ]
    print_table("Accuracy, and processor time of one number in a vector of 16384", header, rows)


if __name__ == "__main__":
    main()

"""Peak memory of a whole training process: import, data, fit.

Each library trains 8-64-64-1 with Adam on the same table, in a fresh process; the largest
resident set of that process is what counts, its interpreter and libraries included.

Example: python benchmarks/memory.py --rows 1000000
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from fresh_process import installed_programs, run_fresh
from measuring.machine import describe_run, print_run
from measuring.tables import print_table, write_json

BARS = (
    ("typegrad planned", "scikit-learn", 0.5),
    ("typegrad compiled", "JAX", 1.0),
    ("typegrad compiled", "PyTorch", 1.0),
)
"""Of the first's peak memory relative to the second's: at most this is aimed at."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000, help="of the table (100000)")
    parser.add_argument("--epochs", type=int, default=2, help="of the training (2)")
    parser.add_argument("--repeats", type=int, default=3, help="processes of each (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    parser.add_argument("--smoke", action="store_true", help="few rows, and typegrad alone")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.rows, options.repeats = 1000, 1
    description = describe_run(("numpy", "llvmlite", "scikit-learn", "torch", "jax"))
    print_run(description)
    # Its first run fills the cache of compiled code, and is not counted.
    programs = installed_programs()[: 2 if options.smoke else None]
    costs = {}
    for name in programs:
        run_fresh(name, rows=256)
        costs[name] = [
            run_fresh(name, options.rows, options.epochs) for _ in range(options.repeats)
        ]
    peaks = {
        name: statistics.median(cost.peak_megabytes for cost in each)
        for name, each in costs.items()
    }
    rows = [
        [name, f"{peak:.0f}", f"{peak / peaks[programs[0]]:.2f}"] for name, peak in peaks.items()
    ]
    title = f"Peak memory of a training on {options.rows} rows, {options.epochs} epochs"
    print_table(title, ["", "MB", f"relative to {programs[0]}"], rows)
    for name, reference, bar in BARS:
        if name in peaks and reference in peaks:
            ratio = peaks[name] / peaks[reference]
            verdict = "met" if ratio <= bar else "MISSED"
            print(f"{name} / {reference}: {ratio:.2f}, at most {bar}: {verdict}")
    if options.json is not None:
        contents = {name: [asdict(cost) for cost in each] for name, each in costs.items()}
        write_json(options.json, {"run": description, "costs": contents})


if __name__ == "__main__":
    main()

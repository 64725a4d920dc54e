"""Time until the first training step is done, in a fresh process.

One step of 8-64-64-1 with Adam on 256 rows. Wall time from the start of the process, that of
the library's import, and that of the fit, in which typegrad's compiled engine loads or
compiles its native code and JAX compiles the step; and processor time of the whole process,
which other programs disturb less. typegrad compiled with an empty cache is what the first
process on a machine takes, once for each version.

Example: python benchmarks/start_time.py --repeats 15
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from fresh_process import BATCH_SIZE, Cost, installed_programs, run_fresh
from measuring.machine import describe_run, print_run
from measuring.tables import median_with_spread, print_table, write_json

COMPILED, JAX = "typegrad compiled", "JAX"
EMPTY_CACHE = "typegrad compiled, empty cache"


def run_with_empty_cache() -> Cost:
    """Run the compiled engine's program with nothing compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        variables = {"win32": "LOCALAPPDATA", "darwin": "HOME"}
        variable = variables.get(sys.platform, "XDG_CACHE_HOME")
        return run_fresh(COMPILED, BATCH_SIZE, environment={variable: folder})


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9, help="processes of each (9)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    parser.add_argument("--smoke", action="store_true", help="typegrad alone, twice")
    options = parser.parse_args(arguments)
    description = describe_run(("numpy", "llvmlite", "scikit-learn", "torch", "jax"))
    print_run(description)
    programs = installed_programs()[: 2 if options.smoke else None]
    repeats = 2 if options.smoke else options.repeats
    costs: dict[str, list[Cost]] = {name: [] for name in programs}
    # One more, which writes bytecode and fills caches, is not counted.
    for round_number in range(repeats + 1):
        for name in random.Random(round_number).sample(programs, len(programs)):
            cost = run_fresh(name, BATCH_SIZE)
            if round_number > 0:
                costs[name].append(cost)
    if COMPILED in programs:
        costs[EMPTY_CACHE] = [run_with_empty_cache() for _ in range(1 if options.smoke else 3)]
    _report(costs)
    if options.json is not None:
        contents = {name: [asdict(cost) for cost in each] for name, each in costs.items()}
        write_json(options.json, {"run": description, "costs": contents})


def _report(costs: dict[str, list[Cost]]) -> None:
    columns = ("wall_seconds", "import_seconds", "fit_seconds", "processor_seconds")
    rows = [
        [name, *(median_with_spread([getattr(c, column) for c in each], 2) for column in columns)]
        for name, each in costs.items()
    ]
    header = ["", "from process start", "import", "fit", "processor time"]
    print_table("Seconds until the first step is done", header, rows)
    if COMPILED not in costs:
        return
    fit = statistics.median(cost.fit_seconds for cost in costs[COMPILED])
    print(f"{COMPILED}, from fit to the first step: {fit:.2f} s, below 1 is aimed at")
    if JAX in costs:
        theirs = statistics.median(c.import_seconds + c.fit_seconds for c in costs[JAX])
        print(f"{JAX}, import and first jit: {theirs:.2f} s, {theirs / fit:.1f} times as long")
    first = statistics.median(cost.fit_seconds for cost in costs[EMPTY_CACHE])
    print(f"{EMPTY_CACHE}: {first:.1f} s, below 20 is aimed at")


if __name__ == "__main__":
    main()

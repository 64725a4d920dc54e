"""Time, memory and size of `import typegrad`, beside NumPy's and other libraries'.

Each import happens in a fresh interpreter, in turns; medians over the repeats are printed.
Time is that of the import statement alone. Memory is the peak of the whole process, and
modules are all that are loaded afterwards. Size is that of the distribution's own files,
without what it depends on.

``--explain`` lists the modules that cost most when
the cause.

Example: python benchmarks/import_time.py --repeats 41
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata, util
from pathlib import Path

from measuring.machine import describe_run, print_run, version_of
from measuring.tables import median_ratio, median_with_spread, print_table, write_json

_PROBE = """
import time
started = time.perf_counter()
{statement}
seconds = time.perf_counter() - started
import sys
modules = len(sys.modules)
sys.path.insert(0, {folder!r})
from measuring.machine import peak_megabytes
print(seconds, modules, peak_megabytes())
"""

_ALL_NAMES = "import typegrad; [getattr(typegrad, name) for name in typegrad.__all__]"


@dataclass
class Import:
    """A statement, and what it cost each time."""

    statement: str
    distribution: str
    package: str
    name: str
    milliseconds: list[float] = field(default_factory=list)
    modules: int = 0
    peak_megabytes: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Run the statement in a fresh interpreter."""
        probe = _PROBE.format(statement=self.statement, folder=str(Path(__file__).parent))
        # -I keeps the environment out; the interpreter still finds what is installed.
        done = subprocess.run(
            [sys.executable, "-I", "-c", probe], capture_output=True, text=True, check=True
        )
        seconds, modules, peak = done.stdout.split()
        self.milliseconds.append(1e3 * float(seconds))
        self.modules = int(modules)
        self.peak_megabytes.append(float(peak))


def imports() -> list[Import]:
    """Return what is installed, NumPy first."""
    everything = [
        Import("import numpy", "numpy", "numpy", "numpy"),
        Import("import typegrad", "typegrad", "typegrad", "typegrad"),
        Import(_ALL_NAMES, "typegrad", "typegrad", "typegrad, every public name"),
        Import(
            "import sklearn.neural_network", "scikit-learn", "sklearn", "sklearn.neural_network"
        ),
        Import("import jax", "jax", "jax", "jax"),
        Import("import torch", "torch", "torch", "torch"),
    ]
    found = []
    for each in everything:
        if version_of(each.distribution) is None:
            print(f"{each.name}: skipped, {each.distribution} is not installed")
        else:
            found.append(each)
    return found


def installed_megabytes(distribution: str, package: str) -> float:
    """Size of a distribution's files, without bytecode."""
    files = [Path(str(file.locate())) for file in metadata.files(distribution) or ()]
    spec = util.find_spec(package)
    if spec is not None and spec.submodule_search_locations:
        # An editable installation lists none of the package's own files.
        for folder in map(Path, spec.submodule_search_locations):
            paths = folder.rglob("*")
            files += [
                path for path in paths if "/." not in f"/{path.relative_to(folder).as_posix()}"
            ]
    own = {path.resolve() for path in files if path.is_file() and path.suffix != ".pyc"}
    return sum(path.stat().st_size for path in own) / 1e6


def explain(count: int) -> None:
    """Print the modules with the largest times of their own, NumPy's left out."""
    command = [sys.executable, "-I", "-X", "importtime", "-c", f"import numpy; {_ALL_NAMES}"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    # Times of its own, of all that it imports, and the name, indented by depth.
    parsed = [re.match(r"import time:\s+(\d+) \|\s+(\d+) \| (.+)$", line) for line in lines]
    entries = [(int(found[1]), found[3].strip()) for found in parsed if found]
    start = 1 + [name for _, name in entries].index("numpy")
    costly = sorted(entries[start:], reverse=True)[:count]
    rows = [[name, f"{microseconds / 1e3:.2f}"] for microseconds, name in costly]
    total = sum(microseconds for microseconds, _ in entries[start:]) / 1e3
    title = (
        f"What every public name of typegrad loads after NumPy: {total:.1f} ms, profiling included"
    )
    print_table(title, ["", "ms"], rows)


def report(results: Sequence[Import]) -> None:
    """Print a line for each import."""
    first = results[0]
    rows = [
        [
            each.name,
            median_with_spread(each.milliseconds, 1),
            f"{median_ratio(each.milliseconds, first.milliseconds):.2f}",
            f"{statistics.median(each.peak_megabytes):.0f}",
            str(each.modules),
            f"{installed_megabytes(each.distribution, each.package):.1f}",
        ]
        for each in results
    ]
    header = ["", "ms", "time / numpy's", "peak MB", "modules", "installed MB"]
    title = "Imports in fresh interpreters: median ± half the quartiles' distance"
    print_table(title, header, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=21, help="of each import (21)")
    parser.add_argument("--explain", action="store_true", help="list the costliest modules")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    parser.add_argument("--smoke", action="store_true", help="numpy and typegrad alone, twice")
    options = parser.parse_args(arguments)
    description = describe_run(("numpy", "scikit-learn", "jax", "torch"))
    print_run(description)
    results = imports()[: 3 if options.smoke else None]
    repeats = 2 if options.smoke else options.repeats
    # One more, which writes bytecode and fills the system's file cache, is not counted.
    for round_number in range(repeats + 1):
        for each in random.Random(round_number).sample(results, len(results)):
            each.run()
    for each in results:
        del each.milliseconds[0], each.peak_megabytes[0]
    report(results)
    if options.explain or options.smoke:
        explain(count=20)
    if options.json is not None:
        write_json(options.json, {"run": description, "imports": [asdict(r) for r in results]})


if __name__ == "__main__":
    main()

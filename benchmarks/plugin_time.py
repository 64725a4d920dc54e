"""Time that typegrad's plugin adds to a cold run of mypy.

mypy checks the examples without a cache, with the plugin and without it, in turns. Time is
that of the processor, which other programs disturb less. Both runs check all that the examples
import, NumPy included, as a user's first run does.

Example: python benchmarks/plugin_time.py --repeats 9
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from measuring.machine import describe_run, print_run
from measuring.tables import median_ratio, median_with_spread, print_table, write_json

ROOT = Path(__file__).parents[1]
PLUGIN = "plugins = typegrad.mypy_plugin\n"
MISSING = "[mypy-matplotlib.*,mlxtend.*,sklearn.*]\nignore_missing_imports = True\n"


def seconds_of(target: str, plugin: bool) -> float:
    """Run mypy without a cache; return the time of the processor."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mypy.ini"
        settings = f"[mypy]\nexplicit_package_bases = True\n{PLUGIN if plugin else ''}{MISSING}"
        config.write_text(settings, encoding="utf-8")
        command = [sys.executable, "-m", "mypy", "--config-file", config, "--cache-dir", folder]
        before = _children()
        subprocess.run(
            [*map(str, command), target],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"MYPYPATH": str(ROOT / "src")},
        )
        return _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9, help="of each run (9)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    parser.add_argument("--smoke", action="store_true", help="one example, once")
    options = parser.parse_args(arguments)
    description = describe_run(("mypy", "numpy"))
    print_run(description)
    target = "examples/book/chapter3.py" if options.smoke else "examples"
    repeats = 1 if options.smoke else options.repeats
    times: dict[str, list[float]] = {"mypy": [], "mypy with the plugin": []}
    for round_number in range(repeats):
        for plugin in (False, True) if round_number % 2 else (True, False):
            times[list(times)[plugin]].append(seconds_of(target, plugin))
    rows = [
        [name, median_with_spread(values, 2), f"{median_ratio(values, times['mypy']):.3f}"]
        for name, values in times.items()
    ]
    title = f"A cold run on {target}, seconds of the processor"
    print_table(title, ["", "s", "time / mypy's"], rows)
    if options.json is not None:
        write_json(options.json, {"run": description, "seconds": times})


if __name__ == "__main__":
    main()

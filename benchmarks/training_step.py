"""Time of one training step: typegrad beside PyTorch, JAX and scikit-learn.

All train the same network from the same weights, on the same batches in the same order,
with the same optimizer in float32, and must arrive at the same loss. Each contestant has a
process of its own; they take turns, an epoch at a time, and medians over the repeats are
printed. A step takes the rows of its batch, runs forward and backward, and updates.

Example: python benchmarks/training_step.py --network 8-256-256-1-tanh --threads 1
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from measuring.machine import describe_run, limit_threads, print_run, usable_cores, version_of
from measuring.tables import median_ratio, median_with_spread, print_table, write_json
from training.contest import Result, as_json, compete
from training.problem import NETWORKS, Problem
from training.roster import ROSTER
from training.worker import Worker

Contest = tuple[Problem, list[Result]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the contests that the command line asks for."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.smoke:
        options.batch, options.repeats, options.steps = [1, 4], 2, 8
    if options.processor_time and options.threads != 1:
        parser.error("--processor-time adds up all threads: it needs --threads 1")
    limit_threads(options.threads)
    description = describe_run(("numpy", "torch", "jax", "scikit-learn"))
    print_run(description)
    workers = _start(options.only)
    everything = []
    for network in options.network:
        for optimizer in options.optimizer:
            contests: list[Contest] = []
            for batch_size in options.batch:
                steps = options.steps or _steps(batch_size)
                problem = Problem(network, optimizer, batch_size, steps, seed=options.seed)
                results = compete(
                    workers, problem, options.repeats, processor_time=options.processor_time
                )
                contests.append((problem, results))
            _report(contests, options.threads, "processor" if options.processor_time else "wall")
            everything += contests
    for worker in workers:
        worker.close()
    if options.json is not None:
        contents = [as_json(problem, results) for problem, results in everything]
        write_json(options.json, {"run": description, "contests": contents})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--network", nargs="+", choices=NETWORKS, default=["8-64-64-1-tanh"], metavar="NAME")
    add("--optimizer", nargs="+", choices=("adam", "sgd"), default=["adam"], metavar="NAME")
    add("--batch", nargs="+", type=int, default=[1, 32, 256, 2048], metavar="ROWS")
    add("--threads", type=int, default=usable_cores(), help="cores that each may use (all)")
    add("--repeats", type=int, default=15, help="epochs that are timed (15)")
    add("--steps", type=int, help="steps in an epoch (by batch size: 16 to 512)")
    add("--seed", type=int, default=0, help="of data, weights and order (0)")
    add(
        "--only",
        nargs="+",
        default=[],
        metavar="TEXT",
        help="run those contestants whose names contain one of these",
    )
    add(
        "--processor-time",
        action="store_true",
        help="count the time that a process ran, not that in which it waited for a core: "
        "for a busy machine, with --threads 1",
    )
    add("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    add("--smoke", action="store_true", help="a few small epochs, to see that all works")
    parser.epilog = f"networks: {', '.join(NETWORKS)}"
    return parser


def _start(only: Sequence[str]) -> list[Worker]:
    workers = []
    chosen = [each for each in ROSTER if not only or any(text in each.name for text in only)]
    for worker in [Worker(entry) for entry in chosen]:
        entry = worker.entry
        try:
            worker.await_start()
        except ImportError as error:
            missing = version_of(entry.distribution) is None
            reason = f"{entry.distribution} is not installed" if missing else error
            print(f"{entry.name}: skipped, {reason}")
        else:
            workers.append(worker)
    return workers


def _steps(batch_size: int) -> int:
    """Steps that take milliseconds at least for all contestants."""
    return max(16, min(512, 16384 // batch_size))


def _report(contests: Sequence[Contest], threads: int, clock: str) -> None:
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
    sys.stdout.flush()


def _times(problem: Problem, results: Sequence[Result]) -> list[str]:
    return [
        "-" if result.skipped else median_with_spread(result.microseconds_per_step(problem.steps))
        for result in results
    ]


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


if __name__ == "__main__":
    main()

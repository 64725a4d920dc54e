"""Time of one training step: typegrad beside PyTorch, JAX, Keras, scikit-learn and MyGrad.

All train the same network from the same weights, on the same batches in the same order,
with the same optimizer in float32, and must arrive at the same loss. Each contestant has a
process of its own; they take turns, an epoch at a time, and medians over the repeats are
printed. A step takes the rows of its batch, runs forward and backward, and updates.
With each contest the machine's own speeds are measured, among them that of NumPy's product of
large matrices; a summary over all of them ends the run.

Example: python benchmarks/training_step.py --everything --json step.json
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from measuring.hardware import Hardware, Sizes, measure_hardware
from measuring.machine import describe_run, limit_threads, print_run, usable_cores, version_of
from measuring.tables import write_json
from training.contest import as_json, compete
from training.contestant import Entry
from training.problem import NETWORKS, Problem
from training.report import print_contests, print_shares
from training.roster import ROSTER
from training.summary import describe, read_cells, summarize
from training.worker import Worker

EVERY_BATCH = (1, 8, 32, 128, 512, 2048, 8192)
FEWEST_ROWS = 1024
NOT_IN_EVERYTHING = ("typegrad eager", "PyTorch, foreach optimizer")
"""Other contestants stand for these: the default engine, and the faster optimizer."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the contests that the command line asks for."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.everything:
        options.network, options.optimizer = list(NETWORKS), ["adam", "sgd"]
        options.batch = list(EVERY_BATCH)
    if options.smoke:
        options.batch, options.repeats, options.steps = [1, 4], 2, 8
    if options.processor_time and options.threads != 1:
        parser.error("--processor-time adds up all threads: it needs --threads 1")
    limit_threads(options.threads)
    description = describe_run(
        ("numpy", "llvmlite", "torch", "jax", "keras", "scikit-learn", "mygrad")
    )
    print_run(description)
    workers = _start(_chosen(options))
    contents: list[Mapping[str, Any]] = []
    for network in options.network:
        for optimizer in options.optimizer:
            contents += _contests(workers, network, optimizer, options)
            summary = summarize(read_cells(contents))
            if options.json is not None:
                everything = {"run": description, "contests": contents, "summary": asdict(summary)}
                write_json(options.json, everything)
    for worker in workers:
        worker.close()
    print("Summary")
    print("\n".join(describe(summary)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--network", nargs="+", choices=NETWORKS, default=["8-64-64-1-tanh"], metavar="NAME")
    add("--optimizer", nargs="+", choices=("adam", "sgd"), default=["adam"], metavar="NAME")
    add("--batch", nargs="+", type=int, default=[1, 32, 256, 2048], metavar="ROWS")
    add("--everything", action="store_true", help="all networks, optimizers and batch sizes")
    add("--threads", type=int, default=usable_cores(), help="cores that each may use (all)")
    add("--repeats", type=int, help="epochs that are timed (by cost: 5 to 9)")
    add("--steps", type=int, help="steps in an epoch (by cost: 4 to 1024)")
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


def _chosen(options: argparse.Namespace) -> list[Entry]:
    if options.only:
        return [each for each in ROSTER if any(text in each.name for text in options.only)]
    if options.everything:
        return [each for each in ROSTER if each.name not in NOT_IN_EVERYTHING]
    if not options.smoke:
        return list(ROSTER)
    for each in ROSTER:
        if each.slow_start:
            print(f"{each.name}: skipped, it compiles for seconds")
    return [each for each in ROSTER if not each.slow_start]


def _start(chosen: Sequence[Entry]) -> list[Worker]:
    workers = []
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


def _contests(
    workers: Sequence[Worker], network: str, optimizer: str, options: argparse.Namespace
) -> list[Mapping[str, Any]]:
    """Run a network's contests at all batch sizes, and print them."""
    clock = "processor" if options.processor_time else "wall"
    contests, contents = [], []
    for batch_size in options.batch:
        problem = Problem(network, optimizer, batch_size, steps=1, seed=options.seed)
        steps, repeats = _steps_and_repeats(problem)
        problem = replace(problem, steps=options.steps or steps)
        repeats = options.repeats or repeats
        results = compete(workers, problem, repeats, processor_time=options.processor_time)
        hardware = _hardware(problem, options)
        contests.append((problem, results))
        contents.append(as_json(problem, results, hardware))
        print(f"{network}, {optimizer}, batch {batch_size}: done", file=sys.stderr, flush=True)
    print_contests(contests, options.threads, clock)
    print_shares(read_cells(contents))
    sys.stdout.flush()
    return contents


def _hardware(problem: Problem, options: argparse.Namespace) -> Hardware:
    """Measure the machine's speeds, for a problem's sizes."""
    matrix = 256 if options.smoke else 2048
    step = (problem.widths, problem.batch_size, problem.optimizer)
    sizes = Sizes(problem.state_bytes, (problem.rows, problem.widths[0]), step, matrix)
    return measure_hardware(sizes, processor_time=options.processor_time)


def _steps_and_repeats(problem: Problem) -> tuple[int, int]:
    """As many as take a slow contestant a fifth of a second and a few seconds.

    But an epoch has no fewer rows than a small table, whose epoch is one call too.
    """
    seconds = 4e-4 + problem.product_flops / 4e10
    steps = max(4, 2 ** math.floor(math.log2(0.2 / seconds)), FEWEST_ROWS // problem.batch_size)
    return steps, 9 if steps * seconds < 0.5 else 5


if __name__ == "__main__":
    main()

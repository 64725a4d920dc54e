"""How the time of an epoch grows with rows, and what a trainer's own work adds to a step.

The first table has the time of an epoch per row, from a thousand rows to ten million: 13-64-1
with ReLU, Adam, mean squared error, float32, synthetic data in memory, shuffled. Order, gathering
and everything else that `Trainer.fit` does in an epoch is counted; evaluation is switched off,
and the first epoch, which plans or compiles, is not counted. Where it is linear, times
per row are equal.

The second table has the time of a step of 13-64-64-1: of the engine alone, of `Trainer.fit` without
callbacks, and with callbacks: one of epochs, early stopping; and one that hears of every hundredth
step, or of each, besides.

Example: python benchmarks/growth.py --engine planned --batch 32 512
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from measuring.machine import describe_run, limit_threads, print_run, usable_cores
from measuring.tables import median_ratio, median_with_spread, print_table, write_json

FEATURES = 13
COUNTED_ROWS = 1_000_000
"""Rows that the counted epochs of a run have together, about: at least two epochs."""

REFERENCE_ROWS = 100_000
STEP_ROWS = 100_000

GROWTH_HIDDEN, STEP_HIDDEN = (64,), (64, 64)
"""Widths of hidden layers of the networks in the two tables."""


@dataclass
class Measured:
    """A contestant, and its times in seconds for each unit of work, by round."""

    name: str
    batch_size: int
    rows: int
    seconds: list[float] = field(default_factory=list)


def make_data(rows: int) -> tuple[Any, Any]:
    """Make inputs and a target that depends on them."""
    import numpy as np

    x = np.random.default_rng(0).standard_normal((rows, FEATURES), dtype=np.float32)
    return x, x[:, :1] * x[:, 1:2]


def make_network(hidden: Sequence[int]) -> Any:
    """Build a network of ReLU."""
    import typegrad as tg

    layers = [tg.Dense(*widths, "relu") for widths in pairwise((FEATURES, *hidden))]
    return tg.NeuralNetwork(*layers, tg.Dense(hidden[-1], 1), loss=tg.MSELoss(), seed=0)


@dataclass(frozen=True)
class Setting:
    """How to train, and which clock to use."""

    engine: Any
    batch_size: int
    clock: Callable[[], float]
    hidden: tuple[int, ...]


def callbacks_with_interval(interval: int) -> list[Any]:
    """Make a callback of epochs, and unless the interval is 0 one that hears of steps."""
    import typegrad as tg

    if interval == 0:
        return [tg.EarlyStopping(1000)]

    class Steps(tg.Callback):
        step_interval = interval
        last = 0.0

        def on_step_end(self, event: tg.StepEnd) -> None:
            self.last = float(event.losses[-1])

    return [tg.EarlyStopping(1000), Steps()]


def epoch_seconds(
    data: tuple[Any, Any], epochs: int, setting: Setting, interval: int | None = None
) -> list[float]:
    """Train; return the seconds of each epoch but the first, which plans, and the last.

    The last is evaluated. With an interval, there are callbacks: of epochs, if it is 0.
    """
    import typegrad as tg

    times: list[float] = []

    class Clock(tg.Callback):
        def on_epoch_end(self, event: tg.EpochEnd) -> None:
            times.append(setting.clock())

    callbacks = [] if interval is None else callbacks_with_interval(interval)
    optimizer = tg.Adam(0.001)
    trainer = tg.Trainer(
        make_network(setting.hidden),
        optimizer,
        engine=setting.engine,
        metrics=(),
        callbacks=[*callbacks, Clock()],
    )
    total = epochs + 2
    trainer.fit(*data, epochs=total, batch_size=setting.batch_size, seed=0, evaluate_every=total)
    return [after - before for before, after in pairwise(times[:-1])]


def engine_seconds(data: tuple[Any, Any], epochs: int, setting: Setting) -> list[float]:
    """Run an engine by itself; return the seconds of each epoch but the first."""
    import numpy as np

    import typegrad as tg
    from typegrad.engines import StepSettings, TrainingData, build_engine

    network, optimizer = make_network(setting.hidden), tg.Adam(0.001)
    runner = build_engine(setting.engine, network, optimizer, StepSettings(), lambda note: None)
    rows = len(data[0])
    training = TrainingData(*data)
    rates = np.full(-(-rows // setting.batch_size), 0.001)
    seconds = []
    for epoch in range(epochs + 1):
        order = np.random.default_rng([0, epoch]).permutation(rows)
        started = setting.clock()
        runner.run_epoch(training, order, setting.batch_size, rates)
        seconds.append(setting.clock() - started)
    return seconds[1:]


def measure_growth(
    sizes: Sequence[int], settings: Sequence[Setting], rounds: int
) -> list[Measured]:
    """Measure epochs of all sizes in turns, in random order."""
    data = make_data(max(sizes))
    contestants = [
        (each, Measured("epoch", each.batch_size, rows)) for each in settings for rows in sizes
    ]
    for round_number in range(rounds):
        for setting, result in random.Random(round_number).sample(contestants, len(contestants)):
            epochs = min(50, max(2, COUNTED_ROWS // result.rows))
            part = (data[0][: result.rows], data[1][: result.rows])
            seconds = epoch_seconds(part, epochs, setting)
            result.seconds.append(statistics.median(seconds) / result.rows)
    return [result for _, result in contestants]


def measure_steps(rows: int, settings: Sequence[Setting], rounds: int) -> list[Measured]:
    """Measure an engine alone and in a trainer, in turns, in random order."""
    data = make_data(rows)
    contestants: list[tuple[Callable[[], list[float]], Measured]] = []
    for setting in settings:
        fit = partial(epoch_seconds, data, 3, setting)
        runs = {
            "engine alone": partial(engine_seconds, data, 3, setting),
            "fit": fit,
            "fit, callback of epochs": partial(fit, 0),
            "fit, callback of each 100th step": partial(fit, 100),
            "fit, callback of each step": partial(fit, 1),
        }
        size = setting.batch_size
        contestants += [(run, Measured(name, size, rows)) for name, run in runs.items()]
    for round_number in range(rounds):
        for run, result in random.Random(round_number).sample(contestants, len(contestants)):
            result.seconds.append(statistics.median(run()) / -(-rows // result.batch_size))
    return [result for _, result in contestants]


def spread(seconds: Sequence[float], scale: float, decimals: int) -> str:
    """Median and spread in a smaller unit than seconds."""
    return median_with_spread([scale * each for each in seconds], decimals)


def report_growth(results: Sequence[Measured]) -> None:
    """Print time per row of each number of rows, and relative to that of 100,000."""
    for batch in dict.fromkeys(each.batch_size for each in results):
        these = [each for each in results if each.batch_size == batch]
        reference = min(these, key=lambda each: abs(each.rows - REFERENCE_ROWS))
        rows = [
            [
                f"{each.rows:,}",
                spread(each.seconds, 1e9, 0),
                f"{median_ratio(each.seconds, reference.seconds):.2f}",
            ]
            for each in these
        ]
        header = ["rows", "ns a row", f"relative to {reference.rows:,} rows"]
        print_table(f"An epoch at batch size {batch}", header, rows)


def report_steps(results: Sequence[Measured]) -> None:
    """Print time per step, and relative to the engine alone and to a fit without callbacks."""
    for batch in dict.fromkeys(each.batch_size for each in results):
        these = [each for each in results if each.batch_size == batch]
        rows = [
            [
                each.name,
                spread(each.seconds, 1e6, 2),
                f"{median_ratio(each.seconds, these[0].seconds):.3f}",
                f"{median_ratio(each.seconds, these[1].seconds):.3f}",
            ]
            for each in these
        ]
        header = ["", "µs a step", "relative to the engine", "to fit without callbacks"]
        print_table(f"A step at batch size {batch}, {these[0].rows:,} rows", header, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = [10**power for power in range(3, 8)]
    parser.add_argument("--engine", default="auto", help="as Trainer takes it (auto)")
    parser.add_argument("--rows", type=int, nargs="+", default=sizes, help="10^3 to 10^7")
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 512], help="32 512")
    parser.add_argument("--repeats", type=int, default=5, help="of each run (5)")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="all cores")
    parser.add_argument("--processor-time", action="store_true", help="instead of wall time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    parser.add_argument("--smoke", action="store_true", help="few rows, twice")
    options = parser.parse_args(arguments)
    limit_threads(options.threads)
    description = describe_run(("numpy", "llvmlite", "typegrad"))
    print_run(description)
    clock = time.process_time if options.processor_time else time.perf_counter
    rounds = 2 if options.smoke else options.repeats
    sizes = [100, 1000] if options.smoke else options.rows
    step_rows = 1000 if options.smoke else STEP_ROWS
    settings = [Setting(options.engine, batch, clock, GROWTH_HIDDEN) for batch in options.batch]
    growth = measure_growth(sizes, settings, rounds)
    report_growth(growth)
    settings = [replace(setting, hidden=STEP_HIDDEN) for setting in settings]
    steps = measure_steps(step_rows, settings, rounds)
    report_steps(steps)
    if options.json is not None:
        results = {"growth": [asdict(r) for r in growth], "steps": [asdict(r) for r in steps]}
        write_json(options.json, {"run": description, **results})


if __name__ == "__main__":
    main()

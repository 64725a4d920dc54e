"""The arguments of ``typegrad bench`` that no other command has."""

from __future__ import annotations

import argparse
from typing import Any, get_args

from typegrad.benchmark.recommendation import Objective
from typegrad.benchmark.settings import LearningRateRule
from typegrad.benchmark.steppers import ENGINES
from typegrad.cli import values
from typegrad.tabular.options import OPTIMIZERS


def add_bench_options(bench: Any) -> None:
    """Add them to the command's parser."""
    _add_training_options(bench.add_argument_group("training"))
    _add_measuring_options(bench.add_argument_group("measuring"))
    _add_output_options(bench.add_argument_group("output"))


def _add_training_options(group: Any) -> None:
    add = group.add_argument
    unset = argparse.SUPPRESS
    add("--optimizer", choices=tuple(OPTIMIZERS), default="adamw", metavar="NAME",
        help=f"one of {', '.join(OPTIMIZERS)}")  # fmt: skip
    add("--base-rate", type=values.positive, default=unset, metavar="RATE",
        help="the optimizer's constant learning rate (default: a quarter of the largest that "
        "`typegrad train` takes)")  # fmt: skip
    add("--base-batch-size", type=values.count, default=32, metavar="N",
        help="the size that this rate is for, where it is scaled")  # fmt: skip
    add("--learning-rate", choices=get_args(LearningRateRule), default="kept", metavar="RULE",
        help="how the rate depends on the size: kept, linear, sqrt, or searched for each "
        "size")  # fmt: skip
    add("--weight-decay", type=values.not_negative, default=unset, metavar="X",
        help="(default: what suits the optimizer)")  # fmt: skip


def _add_measuring_options(group: Any) -> None:
    add = group.add_argument
    unset = argparse.SUPPRESS
    add("--batch-sizes", type=values.widths, default=unset, metavar="N,N",
        help="sizes to measure (default: powers of two up to the training rows, and "
        "4096)")  # fmt: skip
    add("--seeds", type=values.count, default=5, metavar="N", help="trainings of each size")
    add("--most-seeds", type=values.count, default=40, metavar="N",
        help="trainings of sizes that may be the fastest")  # fmt: skip
    add("--engines", type=lambda text: tuple(text.split(",")), default="auto", metavar="NAME,NAME",
        help="whose steps are timed; the first is what counts: some of "
        f"{', '.join(ENGINES)}")  # fmt: skip
    add("--target-loss", type=values.any_number, default=unset, metavar="LOSS",
        help="validation loss to be reached (default: one that most sizes reach)")  # fmt: skip
    add("--budget-seconds", type=values.positive, default=120.0, metavar="S",
        help="time for everything, about")  # fmt: skip
    add("--processes", type=values.count, default=1, metavar="N",
        help="trainings beside one another; times are taken while none runs")  # fmt: skip
    add("--processor-time", action="store_true",
        help="count the time that steps run, not that in which they wait for a core: for a busy "
        "machine, with OMP_NUM_THREADS=1 in the environment")  # fmt: skip
    add("--objective", choices=get_args(Objective), default="time", metavar="NAME",
        help=f"what to recommend a size for: one of {', '.join(get_args(Objective))}")  # fmt: skip


def _add_output_options(group: Any) -> None:
    add = group.add_argument
    unset = argparse.SUPPRESS
    add("--output", metavar="DIR", default=unset,
        help="folder for the report as page, text, JSON and CSV, its figures, and state.jsonl, "
        "which --resume goes on from; it is made if it is missing")  # fmt: skip
    add("--resume", action="store_true", default=unset,
        help="go on with a benchmark that was stopped")  # fmt: skip
    add("--quiet", action="store_true", default=unset, help="print the report alone")

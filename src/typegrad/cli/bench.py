"""``typegrad bench``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from typegrad.benchmark.batch_sizes import batch_sizes, check_target
from typegrad.benchmark.campaign import ProgressReport
from typegrad.benchmark.problem import prepare_problem
from typegrad.benchmark.recommendation import check_objective
from typegrad.benchmark.report import BatchSizeReport
from typegrad.benchmark.report_text import report_text
from typegrad.benchmark.settings import check_settings
from typegrad.benchmark.table_network import prepare_table
from typegrad.cli import INTERRUPTED
from typegrad.cli.console import CommandError, complain, say
from typegrad.cli.train import ATTRIBUTION, introduce, loss_of, read_data
from typegrad.errors import DataError, MissingExtraError
from typegrad.optimizers import Optimizer
from typegrad.output_files import check_writable, write_whole
from typegrad.tabular.options import OPTIMIZERS, make_optimizer

CONSTANT_SHARE = 0.25
"""Of the largest rate of a schedule: what suits a constant one."""

_LINE_SECONDS = 10.0


def run_bench(options: argparse.Namespace) -> int:
    """Measure, print, write; return the exit status."""
    given = vars(options)
    quiet = given.get("quiet", False)
    table, target = read_data(options)
    folder = _folder(options)
    if not quiet:
        introduce(table, target, "" if "data" in given else ATTRIBUTION)
    try:
        prepared = prepare_table(
            table,
            target,
            hidden=options.hidden,
            activation=options.activation,
            loss=loss_of(options),
            dropout=options.dropout,
            categories=options.categories,
            validation=options.validation,
            dtype=options.dtype,
        )
        optimizer = _optimizer(options, len(prepared.x))
        problem = prepare_problem(
            prepared.build_network,
            optimizer,
            prepared.x,
            prepared.y,
            validation_data=prepared.validation_data,
        )
        arguments = {
            "batch_sizes": given.get("batch_sizes"),
            "seeds": options.seeds,
            "most_seeds": options.most_seeds,
            "engines": options.engines,
            "target": given.get("target_loss"),
            "learning_rate": options.learning_rate,
            "base_batch_size": options.base_batch_size,
            "budget_seconds": options.budget_seconds,
            "processes": options.processes,
        }
        check_target(check_settings(len(problem.training), **arguments), problem)
    except (ValueError, TypeError) as error:
        raise CommandError(str(error)) from error
    try:
        report = batch_sizes(
            prepared.build_network,
            optimizer,
            prepared.x,
            prepared.y,
            validation_data=prepared.validation_data,
            state=None if folder is None else folder / "state.jsonl",
            resume=given.get("resume", False),
            clock=time.process_time if options.processor_time else time.perf_counter,
            listener=None if quiet else ProgressLines(),
            **arguments,
        )
    except KeyboardInterrupt:
        if folder is None:
            raise
        complain("interrupted; the same command with --resume goes on from here")
        return INTERRUPTED
    text = report_text(report, check_objective(options.objective))
    say(text)
    if folder is not None:
        _write(report, text, folder)
    return 0


class ProgressLines:
    """Prints a line when something new begins, and now and then."""

    def __init__(self) -> None:
        self._stage = ""
        self._last = 0.0

    def __call__(self, progress: ProgressReport) -> None:
        now = time.monotonic()
        if progress.stage == self._stage and now < self._last + _LINE_SECONDS:
            return
        self._stage, self._last = progress.stage, now
        if progress.stage == "done":
            say("")
            return
        minutes, seconds = divmod(round(progress.remaining_seconds), 60)
        say(
            f"{progress.stage}: {progress.done} of {progress.total}, "
            f"about {minutes}:{seconds:02d} left"
        )


def _optimizer(options: argparse.Namespace, rows: int) -> Optimizer:
    given = vars(options)
    default = CONSTANT_SHARE * OPTIMIZERS[options.optimizer].learning_rate
    optimizer = make_optimizer(
        options.optimizer,
        given.get("base_rate", default),
        "constant",
        given.get("weight_decay"),
        rows,
    )
    if not isinstance(optimizer, Optimizer):
        raise CommandError(f"--optimizer {options.optimizer} takes all rows in a step: "
                           "it has no batch size")  # fmt: skip
    return optimizer


def _folder(options: argparse.Namespace) -> Path | None:
    """Make the folder for the output, and see that it can be written to."""
    given = vars(options)
    if "output" not in given:
        if "resume" in given:
            raise CommandError("--resume needs --output, the folder of the benchmark to go on with")
        return None
    folder = Path(options.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made: {error.strerror or error}") from error
    check_writable(folder / "report.json")
    return folder


def _write(report: BatchSizeReport, text: str, folder: Path) -> None:
    write_whole(folder / "report.txt", (text + "\n").encode())
    report.to_json(folder / "report.json")
    report.to_csv(folder / "report.csv")
    files = [folder / name for name in ("report.txt", "report.json", "report.csv")]
    missing = ""
    try:
        report.to_html(folder / "report.html")
        files += [folder / "report.html", *report.save_figures(folder)]
    except MissingExtraError as error:
        missing = f"no page and no figures: {error}"
    say("")
    for file in files:
        say(f"{file}")
    if missing:
        say(missing)

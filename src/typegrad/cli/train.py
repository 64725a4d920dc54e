"""``typegrad train``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from typegrad.callbacks import Callback, EpochEnd, TrainBegin
from typegrad.cli import INTERRUPTED
from typegrad.cli.console import CommandError, say
from typegrad.data import Table, read_table
from typegrad.datasets import load_concrete
from typegrad.errors import import_extra
from typegrad.history import History
from typegrad.losses import Loss, QuantileLoss
from typegrad.output_files import check_writable
from typegrad.plotting import figure_format, plot_fit, save_figure
from typegrad.serialization import save
from typegrad.tabular import TrainingResult, train_table
from typegrad.tabular.options import make_loss, make_optimizer

_LINES = 10
_RISE = 0.25
"""Share of the lowest validation loss; a rise by more is called overfitting."""

_SHOWN = ("training_loss", "validation_loss", "training_rmse", "validation_rmse")
ATTRIBUTION = """\
Concrete Compressive Strength: I-Cheng Yeh (1998), UCI Machine Learning Repository,
https://doi.org/10.24432/C5PK67, CC BY 4.0. Amounts in kg per cubic metre, age in days,
strength in MPa.
"""
"""Of the data set that ships."""


def run_train(options: argparse.Namespace) -> int:
    """Train, print, save; return the exit status."""
    given = vars(options)
    quiet = given.get("quiet", False)
    table, target = read_data(options)
    output, plot = _check_outputs(options)
    loss = loss_of(options)
    optimizer_options = {
        name: given.get(name) for name in ("learning_rate", "schedule", "weight_decay")
    }
    _check_optimizer(options.optimizer, optimizer_options)
    if "early_stopping" in given and not options.validation:
        raise CommandError("--early-stopping needs validation rows, but --validation is 0")
    shows_bar = not quiet and sys.stderr is not None and sys.stderr.isatty()
    if not quiet:
        introduce(table, target, "" if "data" in given else ATTRIBUTION)
    result = train_table(
        table,
        target,
        hidden=options.hidden,
        activation=options.activation,
        loss=loss,
        optimizer=options.optimizer,
        **optimizer_options,
        dropout=options.dropout,
        epochs=options.epochs,
        batch_size=given.get("batch_size"),
        validation=options.validation,
        test=options.test,
        early_stopping=given.get("early_stopping"),
        categories=options.categories,
        clip_norm=given.get("clip_norm"),
        dtype=options.dtype,
        seed=given.get("seed"),
        callbacks=[] if quiet or shows_bar else [_ProgressLines()],
        progress=shows_bar,
    )
    interrupted = result.history.stop_reason == "interrupted"
    if interrupted and not len(result.history):
        raise KeyboardInterrupt
    save(result.model, output, history=result.history)
    if plot is not None:
        _draw(result, plot)
    if not quiet:
        _conclude(result, [output] if plot is None else [output, plot])
    return INTERRUPTED if interrupted else 0


class _ProgressLines(Callback):
    """Prints a line now and then, where there is no terminal for a bar."""

    def __init__(self) -> None:
        self._interval = 1
        self._epochs = 1

    def on_train_begin(self, event: TrainBegin) -> None:
        self._epochs = event.epochs
        self._interval = max(1, event.epochs // _LINES)

    def on_epoch_end(self, event: EpochEnd) -> None:
        record = event.record
        if record.epoch % self._interval and record.epoch != self._epochs:
            return
        values = record.values()
        shown = [name for name in _SHOWN if name in values]
        text = ", ".join(f"{name.replace('_', ' ')} {values[name]:#.4g}" for name in shown)
        say(f"epoch {record.epoch:{len(str(self._epochs))}} of {self._epochs}: {text}")


def read_data(options: argparse.Namespace) -> tuple[Table, str]:
    """Read the table, or the one that ships; return it with the target's name."""
    given = vars(options)
    path = given.get("data")
    if path is None:
        for name in ("delimiter", "category"):
            if name in given:
                raise CommandError(f"--{name} is for a file of data; none is given")
        table = load_concrete()
    else:
        table = read_table(
            path, delimiter=given.get("delimiter"), categories=given.get("category", ())
        )
    target: str | None = given.get("target", "compressive_strength" if path is None else None)
    if target is None:
        raise CommandError(
            f"{path}: say which column to predict: --target NAME, one of {', '.join(table.columns)}"
        )
    table[target]  # says so if there is no such column
    ignored = given.get("ignore", ())
    if target in ignored:
        raise CommandError(f"--ignore {target} leaves out the target")
    return table.drop(ignored), target


def _check_outputs(options: argparse.Namespace) -> tuple[Path, Path | None]:
    """Before training, make sure that what it gives can be kept."""
    given = vars(options)
    import_extra("safetensors.numpy", "save", "Saving a model")
    output = check_writable(options.output)
    plot: Path | None = None
    if "plot" in given:
        plot = check_writable(options.plot)
        figure_format(plot)
    files = [Path(given["data"])] if "data" in given else []
    check_different([*files, output, *([plot] if plot else [])])
    return output, plot


def check_different(files: Sequence[Path]) -> None:
    """Refuse to write to a file that is read, or to write two results to one."""
    resolved = [file.resolve() for file in files]
    for index, file in enumerate(resolved):
        if file in resolved[:index] and (file.is_file() or not file.exists()):
            raise CommandError(f"{files[index]} is given twice; it would be overwritten")


def loss_of(options: argparse.Namespace) -> Loss:
    """Make the loss that is asked for."""
    quantiles = vars(options).get("quantiles")
    if quantiles is None:
        return make_loss(options.loss)
    if options.loss != "quantile":
        raise CommandError(f"--quantiles is for --loss quantile, not {options.loss}")
    try:
        return QuantileLoss(quantiles, non_crossing=True)
    except ValueError as error:
        raise CommandError(f"--quantiles: {error}") from error


def _overfitting(history: History) -> str | None:
    """Say how to do better where the validation loss rose a good deal after its minimum."""
    losses = history.validation_loss
    best = float(np.fmin.reduce(losses))  # NaN only if there is no validation
    if not losses[-1] > best + _RISE * abs(best):
        return None
    epoch = int(history.epochs[np.nanargmin(losses)])
    return (
        f"The validation loss was lowest after epoch {epoch}: {best:.4g}, {losses[-1]:.4g} at the "
        "end.\nWith --early-stopping 20, or more --weight-decay or --dropout, "
        "it may stay closer to that."
    )


def _check_optimizer(name: str, options: Mapping[str, Any]) -> None:
    """Make one on trial, so that it is told early which options do not go together."""
    try:
        make_optimizer(name, **options)
    except ValueError as error:
        raise CommandError(f"--optimizer {name}: {error}") from error


def introduce(table: Table, target: str, attribution: str) -> None:
    """Say what the table has."""
    if attribution:
        say(attribution)
    say(f"{table.source}: {len(table):,} rows, {len(table.columns)} columns")
    say("")
    say(table.describe())
    say("")
    say(f"Predicting {target!r} from the other columns.")
    say("")


def _draw(result: TrainingResult, plot: Path) -> None:
    part = next(name for name in ("test", "validation", "training") if name in result.parts)
    table, model = result.parts[part], result.model
    figure = plot_fit(
        result.history,
        model.encoder.target(table),
        model.point_predictions(table),
        f"{table.source}: training, and predictions of {part} rows",
        name=model.target_name,
    )
    save_figure(figure, plot)


def _conclude(result: TrainingResult, files: Sequence[Path]) -> None:
    history, model = result.history, result.model
    epochs = f"{len(history)} {'epoch' if len(history) == 1 else 'epochs'}"
    say("")
    say(f"{model.network.flat.values.size:,} parameters, {epochs} in {history.seconds[-1]:.2f} s, "
        f"seed {history.seed}: {history.stop_reason}")  # fmt: skip
    if history.batch_choice is not None:
        say(f"Batch size {history.batch_size}: {history.batch_choice.reason}.")
    if history.best_epoch is not None:
        say(f"The weights are those of the best epoch, {history.best_epoch}.")
    elif hint := _overfitting(history):
        say(hint)
    say("")
    say(result.report())
    say(f"RMSE and MAE are in the units of {model.target_name!r}.")
    say("")
    for kind, file in zip(("model  ", "picture"), files, strict=False):
        say(f"{kind}  {file}")

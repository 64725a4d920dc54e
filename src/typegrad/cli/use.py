"""``typegrad predict``, ``evaluate`` and ``info``: what is done with a trained model."""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path

from typegrad.cli.console import CommandError, say
from typegrad.cli.train import check_different
from typegrad.data import Table, read_table
from typegrad.output_files import check_writable, write_whole
from typegrad.serialization import Checkpoint, load_checkpoint
from typegrad.tabular import TableModel
from typegrad.tabular.report import metrics_table
from typegrad.types import Array


def run_predict(options: argparse.Namespace) -> int:
    """Write predictions as CSV; return the exit status."""
    if options.output is not None:
        output = check_writable(options.output)
        check_different([Path(options.model), Path(options.data), output])
    model = _load_table_model(options.model)
    predictions = model.predict(_read(options, model))
    text = _as_csv(model.prediction_names, predictions)
    if options.output is None:
        say(text.removesuffix("\n"))
    else:
        write_whole(options.output, text.encode())
    return 0


def run_evaluate(options: argparse.Namespace) -> int:
    """Print metrics; return the exit status."""
    model = _load_table_model(options.model)
    table = _read(options, model)
    metrics = {"data": {"network": model.evaluate(table)}}
    say(metrics_table(metrics, {"data": len(table)}))
    say(f"RMSE and MAE are in the units of {model.target_name!r}.")
    return 0


def run_info(options: argparse.Namespace) -> int:
    """Describe a model; return the exit status."""
    checkpoint = load_checkpoint(options.model)
    say(f"{options.model}: written by typegrad {checkpoint.version}")
    say("")
    say(checkpoint.network.summary())
    if isinstance(checkpoint.model, TableModel):
        _describe_table_model(checkpoint.model)
    _describe_training(checkpoint)
    return 0


def _describe_table_model(model: TableModel) -> None:
    say("")
    say(f"Predicts {', '.join(repr(name) for name in model.prediction_names)} from")
    say(model.encoder.describe())
    details = model.details
    if "metrics" in details and "rows" in details:
        say("")
        say(f"Trained on {details.get('source') or 'a table'}, seed {details.get('seed')}:")
        say(metrics_table(details["metrics"], details["rows"]))


def _describe_training(checkpoint: Checkpoint) -> None:
    history = checkpoint.history
    if history is None or not len(history):
        return
    say("")
    best = "" if history.best_epoch is None else f", weights of epoch {history.best_epoch}"
    say(f"{len(history)} epochs in {history.seconds[-1]:.2f} s{best}: {history.stop_reason}")


def _load_table_model(path: str) -> TableModel:
    model = load_checkpoint(path).model
    if not isinstance(model, TableModel):
        raise CommandError(
            f"{path} holds a network that was not trained on a table; "
            "in Python, typegrad.load(path).predict(x) takes arrays"
        )
    return model


def _read(options: argparse.Namespace, model: TableModel) -> Table:
    return read_table(
        options.data,
        delimiter=vars(options).get("delimiter"),
        categories=model.encoder.category_names,
    )


def _as_csv(names: tuple[str, ...], predictions: Array) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([str(value) for value in row] for row in predictions)
    return text.getvalue()

"""The command line's arguments."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, NoReturn

from typegrad._version import __version__
from typegrad.cli import values
from typegrad.cli.bench_arguments import add_bench_options
from typegrad.cli.console import CommandError
from typegrad.layers import ACTIVATIONS
from typegrad.tabular.options import LOSSES, OPTIMIZERS, SCHEDULES

_DELIMITERS: Mapping[str, str] = {"tab": "\t", "\\t": "\t"}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message} (see {self.prog} --help)")


def build_parser() -> Parser:
    """Make the parser of the command ``typegrad``."""
    parser = Parser(
        prog="typegrad",
        description="Regression networks for tables: CSV, TSV and Parquet. "
        "And a check of networks that are written in Python.",
    )
    parser.add_argument("--version", action="version", version=f"typegrad {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_predict(commands)
    _add_evaluate(commands)
    _add_info(commands)
    _add_check(commands)
    _add_bench(commands)
    commands.add_parser(
        "warmup",
        help="compile native code ahead of time",
        description="Compile the native code that the extra 'fast' brings, and keep it for all "
        "later processes: the first training then starts at once.",
    )
    return parser


def _add_train(commands: Any) -> None:
    train = commands.add_parser(
        "train",
        help="train a network on a table",
        description="Train a network to predict one column of a table from the others.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    data = train.add_argument_group("data")
    _add_data_options(data)
    add = data.add_argument
    add("--validation", type=values.share, default=0.1, metavar="SHARE",
        help="share of the rows left by the test rows")  # fmt: skip
    add("--test", type=values.share, default=0.2, metavar="SHARE",
        help="share of all rows, for the last figures")  # fmt: skip
    _add_network_options(train.add_argument_group("network"))
    _add_training_options(train.add_argument_group("training"))
    _add_output_options(train.add_argument_group("output"))


def _add_data_options(data: Any) -> None:
    data.add_argument(
        "data",
        metavar="DATA",
        nargs="?",
        default=argparse.SUPPRESS,
        help="file of data; without it, Concrete Compressive Strength, which comes with typegrad",
    )
    add = data.add_argument
    add("--target", metavar="NAME", default=argparse.SUPPRESS, help="column to predict")
    add(
        "--ignore",
        metavar="NAME",
        action="append",
        default=argparse.SUPPRESS,
        help="column to leave out, such as a number of the row; may be repeated",
    )
    add(
        "--category",
        metavar="NAME",
        action="append",
        default=argparse.SUPPRESS,
        help="column of categories that look like numbers; may be repeated",
    )
    _add_delimiter(data)
    add("--categories", choices=("onehot", "embedding"), default="onehot",
        help="columns of 0 and 1, or trained vectors")  # fmt: skip


def _add_network_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--hidden",
        type=values.widths,
        default="64,64",
        metavar="N,N",
        help="widths of hidden layers",
    )
    add("--activation", choices=tuple(ACTIVATIONS), default="relu", metavar="NAME",
        help=f"one of {', '.join(ACTIVATIONS)}")  # fmt: skip
    add("--dropout", type=values.share, default=0.0, metavar="RATE",
        help="after each hidden layer")  # fmt: skip
    add("--loss", choices=tuple(LOSSES), default="mse", metavar="NAME",
        help=f"one of {', '.join(LOSSES)}")  # fmt: skip
    add("--quantiles", type=values.quantiles, metavar="Q,Q", default=argparse.SUPPRESS,
        help="for --loss quantile, ascending (default: 0.1,0.5,0.9)")  # fmt: skip
    add("--dtype", choices=("float32", "float64"), default="float32", help="of the network")


def _add_training_options(group: Any) -> None:
    add = group.add_argument
    unset = argparse.SUPPRESS
    add("--optimizer", choices=tuple(OPTIMIZERS), default="adamw", metavar="NAME",
        help=f"one of {', '.join(OPTIMIZERS)}")  # fmt: skip
    add("--learning-rate", type=values.positive, default=unset, metavar="RATE",
        help="largest rate of the schedule (default: what suits the optimizer)")  # fmt: skip
    add("--schedule", choices=tuple(SCHEDULES), default=unset, metavar="NAME",
        help=f"of the learning rate: one of {', '.join(SCHEDULES)} (default: one_cycle; "
        "constant for adadelta and lbfgs)")  # fmt: skip
    add("--weight-decay", type=values.not_negative, default=unset, metavar="X",
        help="(default: what suits the optimizer)")  # fmt: skip
    add("--clip-norm", type=values.positive, default=unset, metavar="X",
        help="scale gradients down to this norm (default: no clipping)")  # fmt: skip
    add("--epochs", type=values.count, default=80, metavar="N", help="passes through the data")
    add("--batch-size", type=values.count_or_auto, default=unset, metavar="N",
        help="rows in a step, or auto for a probe that measures which "
        "(default: by the number of rows, 16 to 256)")  # fmt: skip
    add("--early-stopping", type=values.count, default=unset, metavar="PATIENCE",
        help="stop after so many epochs without a better validation loss, and keep the best "
        "weights (default: train to the end)")  # fmt: skip
    add(
        "--seed",
        type=values.whole,
        default=unset,
        metavar="N",
        help="(default: a new one each time)",
    )


def _add_output_options(group: Any) -> None:
    add = group.add_argument
    add("--output", metavar="FILE", default="model.safetensors", help="where the model goes")
    add("--plot", metavar="FILE", default=argparse.SUPPRESS,
        help="picture of loss curves and predictions, such as fit.png")  # fmt: skip
    add("--quiet", action="store_true", default=argparse.SUPPRESS, help="print errors alone")


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        help="predict the rows of a table",
        description="Predict with a trained model; writes CSV with a line for each row.",
    )
    _add_model_and_data(predict)
    predict.add_argument("--output", metavar="FILE", help="where it goes (default: stdout)")


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="compare predictions with a table's target",
        description="Compare a trained model's predictions with the target in a table.",
    )
    _add_model_and_data(evaluate)


def _add_info(commands: Any) -> None:
    info = commands.add_parser(
        "info", help="describe a trained model", description="Describe a trained model."
    )
    info.add_argument("model", metavar="MODEL", help="file that `typegrad train` wrote")


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="check a model that is written in Python",
        description="Check the types of a Python file with mypy and typegrad's plugin; then import "
        "it, and describe its networks: those in its variables, and those that its functions and "
        "classes make without an argument. A function is called if it is annotated to return a "
        "NeuralNetwork, or named build_network or make_network. Exit status 1 if there are errors.",
    )
    check.add_argument(
        "target", metavar="FILE_OR_MODULE", help="such as model.py, or package.model"
    )
    check.add_argument("--json", action="store_true", help="print one JSON object, for editors")


def _add_bench(commands: Any) -> None:
    bench = commands.add_parser(
        "bench",
        help="measure which batch size trains best on a table",
        description="Measure which batch size trains a network best on a table.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    data = bench.add_argument_group("data")
    _add_data_options(data)
    data.add_argument("--validation", type=values.share, default=0.2, metavar="SHARE",
        help="share of the rows that losses are measured on")  # fmt: skip
    _add_network_options(bench.add_argument_group("network"))
    add_bench_options(bench)


def _add_model_and_data(parser: Any) -> None:
    parser.add_argument("model", metavar="MODEL", help="file that `typegrad train` wrote")
    parser.add_argument("data", metavar="DATA", help="table with the model's columns")
    _add_delimiter(parser)


def _add_delimiter(parser: Any) -> None:
    parser.add_argument(
        "--delimiter",
        type=lambda text: _DELIMITERS.get(text, text),
        default=argparse.SUPPRESS,
        metavar="C",
        help="between fields of a text file (default: found out)",
    )

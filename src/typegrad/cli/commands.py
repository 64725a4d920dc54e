"""From arguments to the command that they name."""

from __future__ import annotations

from collections.abc import Sequence

from typegrad.cli.announcing import announcing_compilation
from typegrad.cli.arguments import build_parser
from typegrad.cli.bench import run_bench
from typegrad.cli.check import run_check
from typegrad.cli.train import run_train
from typegrad.cli.use import run_evaluate, run_info, run_predict
from typegrad.cli.warm import run_warmup

_COMMANDS = {
    "train": run_train,
    "predict": run_predict,
    "evaluate": run_evaluate,
    "info": run_info,
    "check": run_check,
    "bench": run_bench,
}


def run(arguments: Sequence[str] | None) -> int:
    """Run the command that the arguments name; return the exit status."""
    try:
        options = build_parser().parse_args(arguments)
    except SystemExit as finished:  # argparse has printed a help text or the version
        return int(finished.code or 0)
    if options.command == "warmup":  # it says so itself
        return run_warmup(options)
    with announcing_compilation():
        return _COMMANDS[options.command](options)

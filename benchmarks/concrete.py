"""Error and time of a fit on Concrete Compressive Strength: typegrad beside scikit-learn.

Seeded 80/20 splits of the 1,030 mixtures; each contestant is trained on the same 824 and
judged, once, by its root mean squared error on the same 206. typegrad runs with the
defaults of its command line, which hold back a tenth of the training rows for validation
like scikit-learn's early stopping. scikit-learn gets inputs and target standardised on the
training rows; its other settings are its defaults. Time is that of the fit, preprocessing
included; contestants take turns on each split.

Example: python benchmarks/concrete.py --splits 5
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measuring.machine import describe_run, limit_threads, print_run, version_of
from measuring.tables import median_ratio, print_table, write_json

if TYPE_CHECKING:
    from typegrad import Table

TARGET = "compressive_strength"
SMOKE_EPOCHS = 2


class Contestant(ABC):
    """Something that learns from a table and predicts its target."""

    name: str

    @abstractmethod
    def fit(self, table: Table, seed: int) -> None:
        """Learn from all rows."""

    @abstractmethod
    def predict(self, table: Table) -> Any:
        """Predict the target, one number a row."""


class Typegrad(Contestant):
    """What ``typegrad train`` does without options, but for its own test rows: none."""

    name = "typegrad, defaults"

    def __init__(self, epochs: int | None) -> None:
        self.options: dict[str, Any] = {} if epochs is None else {"epochs": epochs}

    def fit(self, table: Table, seed: int) -> None:
        from typegrad.tabular import train_table

        self.model = train_table(table, TARGET, test=0.0, seed=seed, **self.options).model

    def predict(self, table: Table) -> Any:
        return self.model.point_predictions(table)[:, 0]


class ScikitLearn(Contestant):
    """An estimator behind a StandardScaler, with its target standardised as well."""

    def __init__(self, name: str, build: Any) -> None:
        self.name = name
        self.build = build

    def fit(self, table: Table, seed: int) -> None:
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        pipeline = make_pipeline(StandardScaler(), self.build(seed))
        self.model = TransformedTargetRegressor(pipeline, transformer=StandardScaler())
        self.model.fit(inputs_of(table), table[TARGET])

    def predict(self, table: Table) -> Any:
        return self.model.predict(inputs_of(table))


@dataclass
class Result:
    """A contestant's results, one for each split."""

    name: str
    rmse: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def inputs_of(table: Table) -> Any:
    """All columns but the target, (rows, 8)."""
    import numpy as np

    return np.column_stack([table[name] for name in table.columns if name != TARGET])


def contestants(smoke: bool) -> list[Contestant]:
    """Return those whose libraries are installed."""
    found: list[Contestant] = [Typegrad(SMOKE_EPOCHS if smoke else None)]
    if version_of("scikit-learn") is None:
        print("scikit-learn: skipped, it is not installed")
        return found
    from sklearn.linear_model import LinearRegression
    from sklearn.neural_network import MLPRegressor

    def perceptron(early_stopping: bool) -> Any:
        return lambda seed: MLPRegressor(
            hidden_layer_sizes=(64, 64),
            early_stopping=early_stopping,
            max_iter=SMOKE_EPOCHS if smoke else 10_000,
            random_state=seed,
        )

    return [
        *found,
        ScikitLearn("MLPRegressor(64, 64)", perceptron(False)),
        ScikitLearn("MLPRegressor(64, 64), early stopping", perceptron(True)),
        ScikitLearn("linear regression", lambda seed: LinearRegression()),
    ]


def run_split(entrants: Sequence[Contestant], results: Sequence[Result], seed: int) -> None:
    """Let all learn from, and be judged on, one split, in random order."""
    import numpy as np

    from typegrad.datasets import load_concrete

    table = load_concrete()
    order = np.random.default_rng(seed).permutation(len(table))
    test_rows = round(0.2 * len(table))
    training, test = table.take(order[test_rows:]), table.take(order[:test_rows])
    pairs = list(zip(entrants, results, strict=True))
    for contestant, result in random.Random(seed).sample(pairs, len(pairs)):
        started = time.perf_counter()
        contestant.fit(training, seed)
        result.seconds.append(time.perf_counter() - started)
        errors = contestant.predict(test) - test[TARGET]
        result.rmse.append(float(np.sqrt(np.mean(errors**2))))


def report(results: Sequence[Result]) -> None:
    """Print a line for each contestant."""
    first = results[0]
    rows = []
    for result in results:
        differences = [a - b for a, b in zip(result.rmse, first.rmse, strict=True)]
        rows.append(
            [
                result.name,
                mean_with_error(result.rmse, 3),
                "" if result is first else mean_with_error(differences, 3),
                mean_with_error(result.seconds, 3),
                f"{median_ratio(result.seconds, first.seconds):.2f}",
            ]
        )
    header = ["", "test RMSE, MPa", "minus typegrad's", "seconds a fit", "time / typegrad's"]
    splits = len(first.rmse)
    print_table(f"Concrete, {splits} splits: mean ± standard error of the mean", header, rows)


def mean_with_error(values: Sequence[float], decimals: int) -> str:
    """Mean ± its standard error."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.{decimals}f} ±{error:.{decimals}f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--splits", type=int, default=10, help="number of splits (10)")
    parser.add_argument("--threads", type=int, default=1, help="cores that each may use (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    parser.add_argument("--smoke", action="store_true", help="two epochs on two splits")
    options = parser.parse_args(arguments)
    limit_threads(options.threads)
    description = describe_run(("numpy", "scikit-learn"))
    print_run(description)
    entrants = contestants(options.smoke)
    results = [Result(contestant.name) for contestant in entrants]
    with warnings.catch_warnings():
        # Not converged means not compared, unless all that is asked for is a smoke test.
        warnings.simplefilter("ignore" if options.smoke else "error")
        for seed in range(2 if options.smoke else options.splits):
            run_split(entrants, results, seed)
    report(results)
    if options.json is not None:
        write_json(options.json, {"run": description, "results": [asdict(r) for r in results]})


if __name__ == "__main__":
    main()

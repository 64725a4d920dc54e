"""Train a network on a table: split, encode, standardise, fit, compare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from typegrad.callbacks import Callback, EarlyStopping
from typegrad.data import Standardizer, Table, TableEncoder
from typegrad.data.encoder import Categories
from typegrad.engines.base import ROWS_AT_A_TIME
from typegrad.errors import DataError
from typegrad.history import History
from typegrad.layers import ActivationName, ColumnEmbedding, Dense, Dropout, Layer
from typegrad.losses import Loss, PoissonNLLLoss
from typegrad.network import NeuralNetwork
from typegrad.optimizers import FullBatchOptimizer, Optimizer
from typegrad.tabular.baselines import LinearBaseline, MeanBaseline
from typegrad.tabular.model import TableModel, measure
from typegrad.tabular.options import make_loss, make_optimizer
from typegrad.tabular.report import Metrics, metrics_table
from typegrad.trainer import Trainer
from typegrad.types import Matrix

NETWORK, LINEAR, MEAN = "network", "linear regression", "mean"
"""Predictors that `TrainingResult.metrics` compares."""

_LARGEST_TARGET = 1e150
_ROWS_PER_BATCH = 12
_SMALLEST_BATCH, _LARGEST_BATCH = 16, 256


@dataclass(frozen=True)
class TrainingResult:
    """What `train_table` gives.

    Attributes
    ----------
    model
        The network with what turns tables into its inputs.
    history
        Record of the training.
    optimizer
        With its state, to go on.
    parts
        Rows by what they were used for: ``"training"``, ``"validation"``, ``"test"``.
    metrics
        ``metrics[part][predictor][metric]``: RMSE, MAE and R2, in the target's own units, of
        the network, of linear regression and of the mean of the training rows.
    """

    model: TableModel
    history: History
    optimizer: Optimizer | FullBatchOptimizer
    parts: Mapping[str, Table]
    metrics: Metrics

    def report(self) -> str:
        """Lay out the metrics as text, a line for each predictor on each part."""
        rows = {part: len(table) for part, table in self.parts.items()}
        return metrics_table(self.metrics, rows)


def train_table(
    table: Table,
    target: str,
    *,
    hidden: Sequence[int] = (64, 64),
    activation: ActivationName = "relu",
    loss: str | Loss = "mse",
    optimizer: str | Optimizer | FullBatchOptimizer = "adamw",
    learning_rate: float | None = None,
    schedule: str | None = None,
    weight_decay: float | None = None,
    dropout: float = 0.0,
    epochs: int = 80,
    batch_size: int | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    early_stopping: EarlyStopping | int | None = None,
    categories: Categories = "onehot",
    clip_norm: float | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    seed: int | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
) -> TrainingResult:
    """Train a network to predict one column of a table from the others.

    Rows are split at random first. Encoder, scalers and the baselines see the training rows
    alone; test rows are used for the last figures and for nothing else.

    Parameters
    ----------
    table
        Numbers and categories, with gaps except in the target.
    target
        The column to predict, of numbers.
    hidden
        Widths of the hidden layers; none makes a linear model.
    activation
        Of the hidden layers.
    loss
        ``"mse"``, ``"mae"``, ``"huber"``, ``"log_cosh"``, ``"quantile"`` (0.1, 0.5, 0.9),
        ``"gaussian"``, ``"poisson"`` (for counts), or a loss.
    optimizer
        ``"adamw"``, ``"adam"``, ``"nadam"``, ``"radam"``, ``"lion"``, ``"sgd"``, ``"rmsprop"``,
        ``"adagrad"``, ``"adadelta"``, ``"lbfgs"``, or an optimizer.
    learning_rate
        The largest of the schedule. None takes one that suits the optimizer.
    schedule
        ``"one_cycle"``, ``"cosine"``, ``"linear"``, ``"constant"`` or ``"plateau"``. None takes
        one cycle (for Adadelta and L-BFGS: constant).
    weight_decay
        None takes one that suits the optimizer; for AdamW 40 / training rows, from 0.01 to 0.5.
    dropout
        Rate after each hidden layer.
    epochs
        How often to go through the training rows.
    batch_size
        Rows in a step. None takes a power of two near a twelfth of the training rows, from 16
        to 256.
    validation
        Share of the rows that are not test rows, to watch the training; 0 for none.
    test
        Share of all rows, for the last figures; 0 for none.
    early_stopping
        Patience in epochs, or an `EarlyStopping`: stop when the validation loss no longer
        falls, and keep the best weights. By default the training runs to its end: the
        schedule then anneals it, which gives better networks on small tables.
    categories
        ``"onehot"``, or ``"embedding"`` for trained vectors.
    clip_norm
        Scale gradients down to this norm.
    dtype
        Of the network.
    seed
        Of split, first weights, order and dropout. None draws one.
    callbacks
        Hear of the training.
    progress
        Whether to show progress on stderr.

    Raises
    ------
    DataError
        If the table cannot be used; says where. Also for too few rows.
    ValueError
        If a setting is not allowed.
    NumericalError
        If the training diverges.

    Examples
    --------
    >>> import typegrad as tg
    >>> result = train_table(
    ...     tg.datasets.load_concrete(), "compressive_strength", epochs=5, seed=0
    ... )
    >>> result.metrics["test"]["network"]["rmse"] < result.metrics["test"]["mean"]["rmse"]
    True
    """
    chosen_loss = make_loss(loss)
    outputs = chosen_loss.output_features(1)
    if outputs is None:
        raise ValueError(f"{chosen_loss} is not for predicting one number; choose another loss")
    if early_stopping is not None and not validation:
        raise ValueError("early_stopping needs validation rows; validation is 0")
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    TableEncoder.fit(table, target, categories=categories)  # complains of what is wrong anywhere
    split_seed, weight_seed = np.random.default_rng(seed).spawn(2)
    parts = _split(table, validation, test, split_seed)
    training = parts["training"]
    chosen_optimizer = make_optimizer(
        optimizer, learning_rate, schedule, weight_decay, len(training)
    )
    encoder = TableEncoder.fit(training, target, categories=categories)
    data = {name: (encoder.features(part), encoder.target(part)) for name, part in parts.items()}
    network = NeuralNetwork(
        _build_layers(encoder, hidden, activation, dropout, outputs),
        loss=chosen_loss,
        seed=weight_seed,
        dtype=dtype,
        input_scaler=_fit_scaler(data["training"][0], encoder),
        # Counts keep their units: the Poisson likelihood is not defined for standardised ones.
        target_scaler=None if isinstance(chosen_loss, PoissonNLLLoss) else Standardizer(),
    )
    model = TableModel(network, encoder)
    for name, part in parts.items():
        model.check_range(part, data[name][0])
        _check_target_range(part, target, data[name][1], dtype)
    trainer = Trainer(network, chosen_optimizer, callbacks=callbacks, clip_norm=clip_norm)
    history = trainer.fit(
        *data["training"],
        validation_data=data.get("validation"),
        epochs=epochs,
        batch_size=_default_batch_size(len(training)) if batch_size is None else batch_size,
        early_stopping=early_stopping,
        seed=seed,
        progress=progress,
    )
    metrics = _compare(network, target, parts, data)
    model.details.update(
        {
            "seed": seed,
            "rows": {name: len(part) for name, part in parts.items()},
            "metrics": metrics,
            "source": table.source,
        }
    )
    return TrainingResult(model, history, chosen_optimizer, parts, metrics)


def _split(
    table: Table, validation: float, test: float, generator: np.random.Generator
) -> dict[str, Table]:
    """Part the rows at random; each part that is wanted has a row, training at least two."""
    for name, share in (("validation", validation), ("test", test)):
        if not 0.0 <= share < 1.0:
            raise ValueError(f"{name} is {share}; expected a share of the rows, from 0 to below 1")
    rows = len(table)
    n_test = max(1, round(test * rows)) if test else 0
    n_validation = max(1, round(validation * (rows - n_test))) if validation else 0
    if rows - n_test - n_validation < 2:
        raise DataError(
            f"{table.prefix}the table has {rows} {'row' if rows == 1 else 'rows'}; with {n_test} "
            f"for testing and {n_validation} for validation less than 2 are left to train on"
        )
    order = generator.permutation(rows)
    borders = (("test", n_test), ("validation", n_validation))
    parts: dict[str, Table] = {}
    for name, size in borders:
        if size:
            parts[name], order = table.take(order[:size]), order[size:]
    return {"training": table.take(order), **dict(reversed(parts.items()))}


def _default_batch_size(rows: int) -> int:
    power = round(math.log2(max(rows / _ROWS_PER_BATCH, 1.0)))
    return min(max(1 << power, _SMALLEST_BATCH), _LARGEST_BATCH)


def _fit_scaler(features: Matrix, encoder: TableEncoder) -> Standardizer:
    with np.errstate(all="ignore"):  # `TableModel.check_range` tells what is too large
        return Standardizer(encoder.number_columns).fit(features)


def _check_target_range(table: Table, target: str, values: Matrix, dtype: str) -> None:
    """Require that the target can be predicted in the dtype, and its square be computed."""
    largest = min(float(np.finfo(dtype).max), _LARGEST_TARGET)
    far = np.flatnonzero(np.abs(values) > largest)
    if far.size:
        row = int(far[0])
        wider = ", or train with dtype float64" if dtype == "float32" else ""
        raise DataError(
            f"{table.place(row)}, column {target!r}: {values[row, 0]:g} is too large to be "
            f"predicted in {dtype}; rescale the column{wider}"
        )


def _build_layers(
    encoder: TableEncoder,
    hidden: Sequence[int],
    activation: ActivationName,
    dropout: float,
    outputs: int,
) -> list[Layer]:
    layers: list[Layer] = []
    width = encoder.n_features
    if encoder.category_columns:
        embedding = ColumnEmbedding(width, encoder.category_columns)
        layers.append(embedding)
        width = embedding.out_features
    for size in hidden:
        layers.append(Dense(width, size, activation))
        if dropout:
            layers.append(Dropout(dropout))
        width = size
    layers.append(Dense(width, outputs))
    return layers


def _compare(
    network: NeuralNetwork,
    target: str,
    parts: Mapping[str, Table],
    data: Mapping[str, tuple[Matrix, Matrix]],
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure the network and the baselines on each part."""
    training = parts["training"]
    linear = LinearBaseline.fit(training, target)
    mean = MeanBaseline.fit(training, target)
    compared: dict[str, dict[str, dict[str, float]]] = {}
    for name, table in parts.items():
        features, actual = data[name]
        outputs = network.predict(features, batch_size=ROWS_AT_A_TIME)
        predicted = network.loss.point_predictions(outputs)
        compared[name] = {NETWORK: measure(predicted, actual)}
        if linear is not None:
            compared[name][LINEAR] = measure(linear.predict(table), actual)
        compared[name][MEAN] = measure(mean.predict(table), actual)
    return compared

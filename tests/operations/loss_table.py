"""The table of losses: every loss has a row, and every test of losses runs over the rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from typegrad.errors import DataError, ShapeError
from typegrad.losses import (
    CrossEntropyLoss,
    GaussianNLLLoss,
    HuberLoss,
    LogCoshLoss,
    Loss,
    MAELoss,
    MSELoss,
    PoissonNLLLoss,
    QuantileLoss,
)
from typegrad.types import Array

from .row import sample

Pair = tuple[Array, Array]


@dataclass(frozen=True, eq=False)
class BadPair:
    """A prediction and a target that are refused, and exactly how."""

    prediction: Array
    target: Array
    error: type[Exception]
    message: str


@dataclass(frozen=True, eq=False)
class LossRow:
    """A loss, samples, and the loss of each example, (n,), written with PyTorch."""

    name: str
    make: Callable[[], Loss]
    samples: Sequence[Pair]
    examples: Callable[[Any, Any], Any]
    mean: Callable[[Any, Any], Any] | None = None
    bad: Sequence[BadPair] = ()
    kinks: Sequence[Pair] = ()

    def __str__(self) -> str:
        return self.name


def pair(*shape: int) -> Pair:
    """Prediction and target of one shape."""
    return sample(*shape), sample(*shape, seed=1)


PAIRS = [pair(5, 1), pair(4, 3), pair(1, 1), pair(6), pair(3, 2, 2)]
COUNTS = [(p, np.floor(np.exp(t) * 2)) for p, t in PAIRS]
TIES = [(np.array([[0.0], [2.0], [-1.0]]), np.array([[0.0], [1.0], [0.0]]))]


def per_example(f: Callable[..., Any], **options: Any) -> Callable[[Any, Any], Any]:
    """Mean over outputs of PyTorch's loss without a reduction."""
    return lambda p, t: f(p, t, reduction="none", **options).reshape(len(p), -1).mean(dim=1)


def column_errors(name: str) -> list[BadPair]:
    return [
        BadPair(
            sample(4, 1),
            sample(4),
            ShapeError,
            f"{name}: the prediction has shape (4, 1) and the target (4,); "
            "make the target a column: target.reshape(-1, 1)",
        ),
        BadPair(
            sample(4),
            sample(4, 1),
            ShapeError,
            f"{name}: the prediction has shape (4,) and the target (4, 1); "
            "make the prediction a column: prediction.reshape(-1, 1)",
        ),
        BadPair(
            sample(4, 2),
            sample(4, 1),
            ShapeError,
            f"{name}: the prediction has shape (4, 2) and the target (4, 1); they must be equal",
        ),
        BadPair(
            sample(0, 1),
            sample(0, 1),
            ShapeError,
            f"{name}: the prediction has shape (0, 1); "
            "expected (n, outputs) with at least one example",
        ),
    ]


def log_cosh(prediction: Any, target: Any) -> Any:
    return torch.log(torch.cosh(prediction - target)).reshape(len(prediction), -1).mean(dim=1)


def pinball(quantiles: Sequence[float], prediction: Any, target: Any, *, steps: bool) -> Any:
    """Mean over quantiles and target columns, written out."""
    count = len(quantiles)
    terms = []
    for column in range(target.shape[1]):
        value: Any = None
        for place, level in enumerate(quantiles):
            output = prediction[:, column * count + place]
            if steps and place > 0:
                output = value + F.softplus(output)
            value = output
            short = target[:, column] - value
            terms.append(torch.maximum(level * short, (level - 1) * short))
    return torch.stack(terms, dim=1).mean(dim=1)


def gaussian(prediction: Any, target: Any) -> Any:
    k = target.shape[1]
    variance = F.softplus(prediction[:, k:]) + 0.01
    terms = F.gaussian_nll_loss(prediction[:, :k], target, variance, eps=1e-9, reduction="none")
    return terms.mean(dim=1)


def cross_entropy(prediction: Any, target: Any) -> Any:
    goal = target.long() if target.ndim == 1 else target
    return F.cross_entropy(prediction, goal, reduction="none")


PROBABILITIES = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
LEVELS = (0.1, 0.5, 0.8)
QUANTILE_NAME = "QuantileLoss(quantiles=(0.1, 0.5, 0.8), non_crossing=False)"

ROWS: list[LossRow] = [
    LossRow(
        "MSELoss", MSELoss, PAIRS, per_example(F.mse_loss), F.mse_loss, column_errors("MSELoss()")
    ),
    LossRow(
        "MAELoss",
        MAELoss,
        PAIRS,
        per_example(F.l1_loss),
        F.l1_loss,
        column_errors("MAELoss()"),
        kinks=TIES,
    ),
    LossRow(
        "HuberLoss",
        partial(HuberLoss, 0.7),
        PAIRS,
        per_example(F.huber_loss, delta=0.7),
        partial(F.huber_loss, delta=0.7),
        column_errors("HuberLoss(delta=0.7)"),
        kinks=[*TIES, (np.array([[0.7], [-0.7]]), np.zeros((2, 1)))],
    ),
    LossRow("LogCoshLoss", LogCoshLoss, PAIRS, log_cosh, None, column_errors("LogCoshLoss()")),
    LossRow(
        "QuantileLoss",
        partial(QuantileLoss, LEVELS),
        [(sample(5, 3), sample(5, 1)), (sample(4, 6), sample(4, 2))],
        lambda p, t: pinball(LEVELS, p, t, steps=False),
        kinks=[(np.array([[1.0, 1.0, 2.0]]), np.array([[1.0]]))],
        bad=[
            BadPair(
                sample(4, 3),
                sample(4),
                ShapeError,
                f"{QUANTILE_NAME}: the prediction has shape (4, 3) and the target (4,); expected "
                "(n, 3 * k) for a target of shape (n, k), since there are 3 quantiles",
            )
        ],
    ),
    LossRow(
        "QuantileLoss-non-crossing",
        partial(QuantileLoss, LEVELS, non_crossing=True),
        [(sample(5, 3), sample(5, 1)), (sample(4, 6), sample(4, 2))],
        lambda p, t: pinball(LEVELS, p, t, steps=True),
    ),
    LossRow(
        "PoissonNLLLoss",
        PoissonNLLLoss,
        COUNTS,
        per_example(F.poisson_nll_loss, log_input=True, full=False),
        partial(F.poisson_nll_loss, log_input=True, full=False),
        [
            *column_errors("PoissonNLLLoss()"),
            BadPair(
                sample(3, 1),
                np.array([[1.0], [-2.0], [-1.0]]),
                DataError,
                "PoissonNLLLoss(): the target at row 1 is negative; expected counts or rates "
                ">= 0, in their own units: do not standardise the target for this loss",
            ),
        ],
    ),
    LossRow(
        "GaussianNLLLoss",
        partial(GaussianNLLLoss, 0.01),
        [(sample(5, 2), sample(5, 1)), (sample(4, 6), sample(4, 3))],
        gaussian,
        bad=[
            BadPair(
                sample(5, 2),
                sample(5, 2),
                ShapeError,
                "GaussianNLLLoss(min_variance=0.01): the prediction has shape (5, 2) and the "
                "target (5, 2); expected (n, 2 k) for a target of shape (n, k): "
                "k means and k variances",
            )
        ],
    ),
    LossRow(
        "CrossEntropyLoss",
        CrossEntropyLoss,
        [
            (sample(4, 3), np.array([0.0, 2.0, 1.0, 2.0])),
            (sample(2, 3), PROBABILITIES),
            (800 * sample(2, 3), PROBABILITIES),
            (sample(1, 1), np.array([0.0])),
        ],
        cross_entropy,
        bad=[
            BadPair(
                sample(4, 3),
                sample(4, 1),
                ShapeError,
                "CrossEntropyLoss(): the prediction has shape (4, 3) and the target (4, 1); "
                "expected (n, classes) and a target of class numbers (n,) or of probabilities "
                "(n, classes)",
            ),
            BadPair(
                sample(2, 3),
                np.array([0.0, 3.0]),
                DataError,
                "CrossEntropyLoss(): the target has class 3, but the prediction has 3 columns, "
                "for classes 0 to 2",
            ),
            BadPair(
                sample(2, 3),
                np.array([0.0, 0.5]),
                DataError,
                "CrossEntropyLoss(): class numbers must be 0, 1, 2, ...",
            ),
        ],
    ),
]

BAD_OPTIONS: list[tuple[Callable[[], Loss], str]] = [
    (partial(HuberLoss, 0.0), "HuberLoss: delta is 0.0; expected a positive number"),
    (partial(HuberLoss, math.inf), "HuberLoss: delta is inf; expected a positive number"),
    (
        partial(GaussianNLLLoss, -1.0),
        "GaussianNLLLoss: min_variance is -1.0; expected a positive number",
    ),
    *[
        (
            partial(QuantileLoss, levels),
            f"QuantileLoss: quantiles are {levels}; "
            "expected at least one, between 0 and 1, in ascending order",
        )
        for levels in [(), (0.0, 0.5), (0.5, 0.5), (0.9, 0.1)]
    ],
]

"""What losses say about a network's outputs: how many, and what they mean in the target's units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

from typegrad.errors import ShapeError
from typegrad.losses import (
    CrossEntropyLoss,
    GaussianNLLLoss,
    HuberLoss,
    Loss,
    MSELoss,
    PoissonNLLLoss,
    QuantileLoss,
)
from typegrad.types import Array

from .checks import assert_close
from .row import sample

LOCATION, SCALE = np.array([10.0, -3.0]), np.array([2.0, 0.5])
SPREAD = np.log1p(np.exp(sample(4, 4)[:, 2:])) + 1e-6
QUANTILES = sample(4, 6)
STEPS = np.log1p(np.exp(QUANTILES))

PREDICTIONS: list[tuple[Loss, Array, Array]] = [
    (MSELoss(), sample(4, 2), sample(4, 2) * SCALE + LOCATION),
    (HuberLoss(), sample(4, 2), sample(4, 2) * SCALE + LOCATION),
    (PoissonNLLLoss(), sample(4, 2), np.exp(sample(4, 2))),
    (
        GaussianNLLLoss(),
        sample(4, 4),
        np.hstack([sample(4, 4)[:, :2] * SCALE + LOCATION, np.sqrt(SPREAD) * SCALE]),
    ),
    (QuantileLoss((0.1, 0.5, 0.9)), QUANTILES, QUANTILES * SCALE.repeat(3) + LOCATION.repeat(3)),
    (
        QuantileLoss((0.1, 0.5, 0.9), non_crossing=True),
        QUANTILES,
        np.stack(
            [
                QUANTILES[:, 0],
                QUANTILES[:, 0] + STEPS[:, 1],
                QUANTILES[:, 0] + STEPS[:, 1] + STEPS[:, 2],
                QUANTILES[:, 3],
                QUANTILES[:, 3] + STEPS[:, 4],
                QUANTILES[:, 3] + STEPS[:, 4] + STEPS[:, 5],
            ],
            axis=1,
        )
        * SCALE.repeat(3)
        + LOCATION.repeat(3),
    ),
    (CrossEntropyLoss(), sample(4, 3), scipy.special.softmax(sample(4, 3), axis=1)),
]


@pytest.mark.parametrize(("loss", "outputs", "expected"), PREDICTIONS, ids=str)
def test_predictions_are_in_the_targets_units(loss: Loss, outputs: Array, expected: Array) -> None:
    assert_close(loss.predictions(outputs, LOCATION, SCALE), expected, rtol=1e-14, atol=1e-15)


POINTS: list[tuple[Loss, list[int]]] = [
    (MSELoss(), [0, 1, 2, 3]),
    (GaussianNLLLoss(), [0, 1]),
    (QuantileLoss((0.1, 0.45, 0.6, 0.9)), [1]),
    (QuantileLoss((0.3, 0.9)), [0, 2]),
]


@pytest.mark.parametrize(("loss", "columns"), POINTS, ids=str)
def test_point_predictions_are_columns(loss: Loss, columns: list[int]) -> None:
    predictions = sample(5, 4)
    np.testing.assert_array_equal(loss.point_predictions(predictions), predictions[:, columns])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_point_prediction_of_classes_is_the_most_probable(dtype: type[Any]) -> None:
    predictions = np.array([[0.2, 0.5, 0.3], [0.6, 0.4, 0.0], [0.1, 0.1, 0.8]], dtype)
    points = CrossEntropyLoss().point_predictions(predictions)
    np.testing.assert_array_equal(points, [1.0, 0.0, 2.0])
    assert points.dtype == dtype


def test_outputs_for_two_target_columns() -> None:
    losses: list[Loss] = [MSELoss(), GaussianNLLLoss(), QuantileLoss((0.1, 0.5, 0.9))]
    assert [loss.output_features(2) for loss in losses] == [2, 4, 6]
    assert CrossEntropyLoss().output_features(2) is None


class TotalLoss(Loss):
    """A loss that forgets to keep the examples apart."""

    def example_losses(self, prediction: Array, target: Array) -> Array:
        return np.asarray(np.sum(prediction - target))

    def prediction_grad(self, prediction: Array, target: Array) -> Array:
        return np.ones_like(prediction)


def test_a_loss_without_examples_is_refused() -> None:
    with pytest.raises(ShapeError) as caught:
        TotalLoss().forward(sample(3, 1), sample(3, 1))
    assert str(caught.value) == (
        "TotalLoss().example_losses returned shape (); expected one loss for each example, (3,)"
    )


def test_targets_have_no_gradient() -> None:
    loss = MSELoss()
    inputs = (sample(3, 1), sample(3, 1), np.ones(3))
    with pytest.raises(TypeError) as caught:
        loss.gradient(1, np.array(1.0), inputs, np.array(0.0))
    assert str(caught.value) == ("MSELoss() is differentiated with respect to the prediction only")

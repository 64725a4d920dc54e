"""Negative log-likelihoods: the network predicts a distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from typegrad.errors import DataError, ShapeError
from typegrad.losses.base import ElementwiseLoss, Loss
from typegrad.operations.activations import Sigmoid, Softplus
from typegrad.types import Array, Shape, Vector


class PoissonNLLLoss(ElementwiseLoss):
    """Poisson negative log-likelihood; the network predicts the logarithm of the rate.

    A term is exp(prediction) - target * prediction, without log(target!), which does not
    depend on the prediction: PyTorch's ``PoissonNLLLoss(log_input=True, full=False)``.
    Targets are counts or rates, not negative, and are not standardised.
    """

    def terms(self, prediction: Array, target: Array) -> Array:
        return np.exp(prediction) - target * prediction

    def term_grads(self, prediction: Array, target: Array) -> Array:
        return np.exp(prediction) - target

    def check_targets(self, target: Array) -> None:
        if target.size and np.min(target) < 0:
            row = int(np.argmax(np.any(np.reshape(target, (len(target), -1)) < 0, axis=1)))
            raise DataError(
                f"{self}: the target at row {row} is negative; expected counts or rates >= 0, "
                "in their own units: do not standardise the target for this loss"
            )

    def predictions(self, outputs: Array, location: Vector, scale: Vector) -> Array:
        """Return the rate, exp(output)."""
        return np.exp(outputs)


@dataclass(frozen=True)
class GaussianNLLLoss(Loss):
    """Gaussian negative log-likelihood; the network predicts mean and variance.

    A network for k target columns has 2 k outputs: k means, then k numbers s that give the
    variances v = softplus(s) + min_variance. A term is
    (log v + (target - mean)^2 / v) / 2, without the constant log(2 pi) / 2; the loss of an
    example is the mean over target columns. Source: Nix and Weigend, 1994; the value is
    that of PyTorch's ``GaussianNLLLoss`` for the same mean and variance.
    """

    min_variance: float = 1e-6

    def __post_init__(self) -> None:
        if not 0 < self.min_variance < math.inf:
            raise ValueError(
                f"GaussianNLLLoss: min_variance is {self.min_variance}; expected a positive number"
            )

    def check_shapes(self, prediction: Shape, target: Shape) -> None:
        if len(target) != 2 or prediction != (target[0], 2 * target[1]):
            raise ShapeError(
                f"{self}: the prediction has shape {prediction} and the target {target}; "
                "expected (n, 2 k) for a target of shape (n, k): k means and k variances"
            )

    def output_features(self, target_features: int) -> int | None:
        return 2 * target_features

    def example_losses(self, prediction: Array, target: Array) -> Array:
        mean, variance = self.mean_and_variance(prediction)
        terms: Array = 0.5 * (np.log(variance) + np.square(target - mean) / variance)
        losses: Array = np.mean(terms, axis=1)
        return losses

    def prediction_grad(self, prediction: Array, target: Array) -> Array:
        k: int = target.shape[1]
        mean, variance = self.mean_and_variance(prediction)
        error = mean - target
        mean_grad = error / variance
        variance_grad = 0.5 * (1.0 - error * error / variance) / variance
        spread_grad = variance_grad * Sigmoid().forward(prediction[:, k:])
        return np.concatenate([mean_grad, spread_grad], axis=1) / k

    def mean_and_variance(self, prediction: Array) -> tuple[Array, Array]:
        """Split a network's outputs (n, 2 k) into means and variances, (n, k) each."""
        k = prediction.shape[1] // 2
        return prediction[:, :k], Softplus().forward(prediction[:, k:]) + self.min_variance

    def predictions(self, outputs: Array, location: Vector, scale: Vector) -> Array:
        """Return means, then standard deviations, in the target's units: (n, 2 k)."""
        mean, variance = self.mean_and_variance(outputs)
        return np.concatenate([mean * scale + location, np.sqrt(variance) * scale], axis=1)

    def point_predictions(self, predictions: Array) -> Array:
        """Return the means."""
        return predictions[:, : predictions.shape[1] // 2]

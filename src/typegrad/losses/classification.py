"""Classification."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from typegrad.errors import DataError, ShapeError
from typegrad.losses.base import Loss
from typegrad.operations.activations import Softmax
from typegrad.types import Array, Shape, Vector


class CrossEntropyLoss(Loss):
    """Cross-entropy of softmax(prediction), like PyTorch's ``CrossEntropyLoss``.

    The prediction is (n, classes), unscaled ("logits"). The target is either (n,), the
    number of each example's class, from 0, as whole numbers in the prediction's dtype,
    or (n, classes), the probability of each class.

    Metrics get the number of the most probable class of each example, (n,), such as::

        def accuracy(prediction, target, sample_weight):
            return float(np.average(prediction == target, weights=sample_weight))
    """

    default_metrics: ClassVar[tuple[str, ...]] = ()

    def check_shapes(self, prediction: Shape, target: Shape) -> None:
        if len(prediction) != 2 or target not in ((prediction[0],), prediction):
            raise ShapeError(
                f"{self}: the prediction has shape {prediction} and the target {target}; "
                "expected (n, classes) and a target of class numbers (n,) or of "
                "probabilities (n, classes)"
            )

    def output_features(self, target_features: int) -> int | None:
        return None

    def example_losses(self, prediction: Array, target: Array) -> Array:
        shifted = prediction - np.max(prediction, axis=1, keepdims=True)
        total: Array = np.sum(np.exp(shifted), axis=1, keepdims=True)
        losses: Array = np.sum(
            self._probabilities(prediction, target) * (np.log(total) - shifted), axis=1
        )
        return losses

    def prediction_grad(self, prediction: Array, target: Array) -> Array:
        probabilities = self._probabilities(prediction, target)
        mass: Array = np.sum(probabilities, axis=1, keepdims=True)
        return mass * Softmax(axis=1).forward(prediction) - probabilities

    def check_targets(self, target: Array) -> None:
        if target.ndim == 1 and not np.all((target >= 0) & (target == np.floor(target))):
            raise DataError(f"{self}: class numbers must be 0, 1, 2, ...")

    def predictions(self, outputs: Array, location: Vector, scale: Vector) -> Array:
        """Return the probability of each class, (n, classes)."""
        return Softmax(axis=1).forward(outputs)

    def point_predictions(self, predictions: Array) -> Array:
        """Return the number of the most probable class, (n,)."""
        classes: Array = np.argmax(predictions, axis=1).astype(predictions.dtype)
        return classes

    def _probabilities(self, prediction: Array, target: Array) -> Array:
        if target.ndim == 2:
            return target
        classes = prediction.shape[1]
        if np.max(target) >= classes:
            raise DataError(
                f"{self}: the target has class {int(np.max(target))}, but the prediction has "
                f"{classes} columns, for classes 0 to {classes - 1}"
            )
        return np.where(target[:, None] == np.arange(classes), 1.0, np.zeros_like(prediction))

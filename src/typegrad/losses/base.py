"""Loss: an operation that compares predictions with targets and returns one number."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar, final

import numpy as np

from typegrad.errors import DataError, DTypeError, ShapeError
from typegrad.operations.base import Operation, require_floating
from typegrad.types import Array, Shape, Vector


class Loss(Operation):
    """Weighted mean, over examples, of the loss of each example.

    A subclass writes two hooks: `example_losses`, the loss of each example, and
    `prediction_grad`, the gradient of each example's own loss. Weights and the mean are
    this class's business. Where a loss is a sum of terms, one for each output, subclass
    `ElementwiseLoss` instead.
    """

    default_metrics: ClassVar[tuple[str, ...]] = ("rmse", "mae", "r2")
    """What a `Trainer` reports unless told otherwise."""

    @abstractmethod
    def example_losses(self, prediction: Array, target: Array) -> Array:
        """Hook: the loss of each example, of shape (n,)."""

    @abstractmethod
    def prediction_grad(self, prediction: Array, target: Array) -> Array:
        """Hook: gradient of each example's loss, of the shape of `prediction`."""

    def check_shapes(self, prediction: Shape, target: Shape) -> None:
        """Reject shapes that do not fit with `ShapeError`; they must be equal unless overridden."""
        if prediction == target:
            return
        advice = "they must be equal"
        if len(target) == 1 and prediction == (*target, 1):
            advice = "make the target a column: target.reshape(-1, 1)"
        elif len(prediction) == 1 and target == (*prediction, 1):
            advice = "make the prediction a column: prediction.reshape(-1, 1)"
        raise ShapeError(
            f"{self}: the prediction has shape {prediction} and the target {target}; {advice}"
        )

    def check_targets(self, target: Array) -> None:
        """Reject target values that the loss is not defined for; all are accepted by default."""

    def output_features(self, target_features: int) -> int | None:
        """How many outputs of a network the loss wants for so many target columns."""
        return target_features

    def predictions(self, outputs: Array, location: Vector, scale: Vector) -> Array:
        """Turn a network's outputs into predictions in the target's own units.

        Parameters
        ----------
        outputs
            What the network computed, (n, out_features).
        location, scale
            Of each target column: the network was trained on (target - location) / scale.
        """
        return outputs * scale + location

    def point_predictions(self, predictions: Array) -> Array:
        """Return one number for each target column, for metrics, from what `predictions` gave."""
        return predictions

    def forward(
        self,
        prediction: Array,
        target: Array,
        sample_weight: Array | None = None,
        total_weight: float | None = None,
    ) -> float:
        """Compute the loss, and keep what `backward` needs.

        Parameters
        ----------
        prediction
            Outputs of the network, (n, out_features).
        target
            Targets of the same shape, unless the loss says otherwise, and of the same dtype.
        sample_weight
            Weight of each example, (n,), not negative; all equal if None.
        total_weight
            What the weighted sum is divided by: the sum of the weights if None. Given for
            a part of a batch, the losses and gradients of the parts add up to the batch's.

        Raises
        ------
        ShapeError
            If the shapes do not fit; nothing is ever broadcast.
        DTypeError
            If the dtypes differ.
        DataError
            If a weight is negative, NaN or infinite, or all are zero, or the loss is not
            defined for a target.
        """
        require_floating(self, "the prediction", prediction)
        self._check_target(prediction, target)
        scale = self._example_scale(prediction, sample_weight, total_weight)
        loss: Any = self._forward((prediction, target, scale))
        return float(loss) if isinstance(loss, np.ndarray) else loss

    @final
    def backward(self) -> Array:
        """Gradient of the last `forward` with respect to the prediction."""
        inputs, output = self._last_run()
        return self.gradient(0, np.ones_like(output), inputs, output)

    def _check_target(self, prediction: Array, target: Array) -> None:
        require_floating(self, "the target", target)
        if prediction.ndim == 0 or prediction.shape[0] == 0:
            raise ShapeError(
                f"{self}: the prediction has shape {prediction.shape}; "
                "expected (n, outputs) with at least one example"
            )
        self.check_shapes(prediction.shape, target.shape)
        if prediction.dtype != target.dtype:
            raise DTypeError(
                f"{self}: the prediction is {prediction.dtype} but the target is "
                f"{target.dtype}; convert one with .astype()"
            )
        if type(target) is np.ndarray:
            self.check_targets(target)

    def _example_scale(
        self, prediction: Array, sample_weight: Array | None, total_weight: float | None
    ) -> Array:
        """What each example's loss is multiplied by, (n,)."""
        n = prediction.shape[0]
        if sample_weight is None:
            return np.full(n, 1.0 / (n if total_weight is None else total_weight), prediction.dtype)
        weight = sample_weight
        if isinstance(weight, np.ndarray):  # what records has no values to check
            weight = check_sample_weight(self, weight, n)
        total = float(weight.sum()) if total_weight is None else total_weight
        if total <= 0:
            raise DataError(f"{self}: the weights of all {n} examples are zero")
        scale: Array = (weight / total).astype(prediction.dtype)
        return scale

    def _check_inputs(self, inputs: tuple[Array, ...]) -> None:
        """Nothing left to check: `forward` did."""

    def _evaluate(self, inputs: tuple[Array, ...]) -> Array:
        prediction, target, scale = inputs
        losses = self.example_losses(prediction, target)
        if losses.shape != scale.shape:
            raise ShapeError(
                f"{self}.example_losses returned shape {losses.shape}; expected one loss "
                f"for each example, {scale.shape}"
            )
        total: Array = np.sum(losses * scale, axis=0)
        return total

    def _gradient(
        self, index: int, output_grad: Array, inputs: tuple[Array, ...], output: Array
    ) -> Array:
        prediction, target, scale = inputs
        if index != 0:
            raise TypeError(f"{self} is differentiated with respect to the prediction only")
        return self.prediction_grad(prediction, target) * per_example(
            output_grad * scale, prediction
        )

    def _operand_name(self, index: int) -> str:
        return ("the prediction", "the target", "the weights")[index]


class ElementwiseLoss(Loss):
    """A loss that is a mean over outputs, as well as over examples, of equal terms.

    With several outputs the loss of an example is the mean of its outputs' terms, so the
    total is the mean over all elements, like PyTorch's ``reduction="mean"``.

    Examples
    --------
    >>> class FourthPowerLoss(ElementwiseLoss):
    ...     def terms(self, prediction: Array, target: Array) -> Array:
    ...         return (prediction - target) ** 4
    ...
    ...     def term_grads(self, prediction: Array, target: Array) -> Array:
    ...         return 4.0 * (prediction - target) ** 3
    >>> loss = FourthPowerLoss()
    >>> loss.forward(np.array([[2.0], [3.0]]), np.array([[1.0], [1.0]]))
    8.5
    >>> loss.backward()
    array([[ 2.],
           [16.]])
    """

    @abstractmethod
    def terms(self, prediction: Array, target: Array) -> Array:
        """Hook: the loss of each element, of the shape of `prediction`."""

    @abstractmethod
    def term_grads(self, prediction: Array, target: Array) -> Array:
        """Hook: derivative of each element's loss, of the shape of `prediction`."""

    def example_losses(self, prediction: Array, target: Array) -> Array:
        terms = self.terms(prediction, target)
        mean: Array = np.mean(terms, axis=tuple(range(1, terms.ndim)))
        return mean

    def prediction_grad(self, prediction: Array, target: Array) -> Array:
        outputs: int = math.prod(prediction.shape[1:])
        return self.term_grads(prediction, target) / outputs


def per_example(values: Array, like: Array) -> Array:
    """Reshape (n,) to (n, 1, ..., 1) so that it multiplies the examples of `like`."""
    column: Array = np.reshape(values, (like.shape[0],) + (1,) * (like.ndim - 1))
    return column


def check_sample_weight(owner: object, sample_weight: Array, n: int) -> Array:
    """Require weights of shape (n,), finite and not negative; return them as an array.

    Raises
    ------
    ShapeError
        If the shape is not (n,).
    DTypeError
        If the weights are not real numbers.
    DataError
        If one is negative, NaN or infinite.
    """
    weight: Array = np.asarray(sample_weight)
    if weight.shape != (n,):
        raise ShapeError(f"{owner}: sample_weight has shape {weight.shape}; expected ({n},)")
    if weight.dtype.kind not in "fiub":
        raise DTypeError(f"{owner}: sample_weight has dtype {weight.dtype}; expected real numbers")
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{owner}: sample_weight[{row}] is {weight[row]}; expected finite numbers, not negative"
        )
    return weight

"""Batch and layer normalisation."""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from typegrad.dimensions import Dim, In_co, Taken, TakenDim, as_width
from typegrad.initializers import Constant, Zeros
from typegrad.layers.base import Buffer, Layer
from typegrad.layers.mode import INFERENCE, Mode
from typegrad.operations.base import Operation
from typegrad.operations.normalization import Normalize, NormalizeWith, moments
from typegrad.operations.parameter import Parameter
from typegrad.types import Array


class BatchNorm(Layer[In_co, In_co]):
    """Normalise each feature over the batch, then scale and shift it (Ioffe and Szegedy, 2015).

    Input and output (batch, features). In_co training the batch's own mean and variance are
    used, and running ones are kept for inference, with the unbiased variance, as in PyTorch's
    ``BatchNorm1d``. A batch of one row has no variance: the running statistics serve it.

    Parameters
    ----------
    features
        Number of features, or a `Dim` class that names it.
    momentum
        Weight of the newest batch in the running statistics.
    epsilon
        Added to the variance.
    """

    @overload
    def __init__(
        self: BatchNorm[Taken], features: Taken, *, momentum: float = 0.1, epsilon: float = 1e-5
    ) -> None: ...
    @overload
    def __init__(
        self: BatchNorm[TakenDim],
        features: type[TakenDim],
        *,
        momentum: float = 0.1,
        epsilon: float = 1e-5,
    ) -> None: ...
    @overload
    def __init__(
        self: BatchNorm[Any], features: int, *, momentum: float = 0.1, epsilon: float = 1e-5
    ) -> None: ...
    def __init__(
        self, features: int | type[Dim], *, momentum: float = 0.1, epsilon: float = 1e-5
    ) -> None:
        if not 0 < momentum <= 1:
            raise ValueError(f"BatchNorm: momentum is {momentum}; expected 0 < momentum <= 1")
        width = as_width("BatchNorm", "features", features)
        self.features: int = width
        self.in_features: int = width
        self.out_features: int = width
        self.momentum = momentum
        self.epsilon = epsilon
        self.gain: Parameter = Parameter((width,), Constant(1.0), decay=False)
        self.shift: Parameter = Parameter((width,), Zeros(), decay=False)
        self.running_mean: Buffer = Buffer(np.zeros(width))
        self.running_variance: Buffer = Buffer(np.ones(width))
        self._by_batch = Normalize(self.gain, self.shift, axis=0, epsilon=epsilon)
        self._by_running = NormalizeWith(self.gain, self.shift, epsilon=epsilon)
        self._last: Normalize | NormalizeWith = self._by_running

    def forward(self, x: Array, mode: Mode = INFERENCE) -> Array:
        self.check_input(x)
        if mode.training and len(x) > 1:
            self._update_running(x)
            self._last = self._by_batch
        else:
            self._by_running.mean = self.running_mean.value
            self._by_running.variance = self.running_variance.value
            self._last = self._by_running
        return self._last.forward(x)

    def backward(self, output_grad: Array) -> Array:
        return self._last.backward(output_grad)

    def _update_running(self, x: Array) -> None:
        n = len(x)
        # The same formula as in the operation: engines compute it once for both.
        mean, variance, _ = moments(x, axis=0)
        for running, batch in (
            (self.running_mean, mean.reshape(-1)),
            (self.running_variance, variance.reshape(-1) * (n / (n - 1))),
        ):
            running.assign((1 - self.momentum) * running.value + self.momentum * batch)

    def __repr__(self) -> str:
        return f"BatchNorm({self.features})"


class LayerNorm(Layer[In_co, In_co]):
    """Normalise each example over its features, then scale and shift (Ba et al., 2016).

    Input and output (batch, features).
    """

    @overload
    def __init__(self: LayerNorm[Taken], features: Taken, *, epsilon: float = 1e-5) -> None: ...
    @overload
    def __init__(
        self: LayerNorm[TakenDim], features: type[TakenDim], *, epsilon: float = 1e-5
    ) -> None: ...
    @overload
    def __init__(self: LayerNorm[Any], features: int, *, epsilon: float = 1e-5) -> None: ...
    def __init__(self, features: int | type[Dim], *, epsilon: float = 1e-5) -> None:
        width = as_width("LayerNorm", "features", features)
        self.features: int = width
        self.in_features: int = width
        self.out_features: int = width
        self.epsilon = epsilon
        self.gain: Parameter = Parameter((width,), Constant(1.0), decay=False)
        self.shift: Parameter = Parameter((width,), Zeros(), decay=False)
        self.operations: tuple[Operation, ...] = (
            Normalize(self.gain, self.shift, axis=1, epsilon=epsilon),
        )

    def __repr__(self) -> str:
        return f"LayerNorm({self.features})"

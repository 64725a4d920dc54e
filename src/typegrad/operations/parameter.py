"""Parameters, and the flat buffers that hold all of a network's parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from typegrad.aligned import aligned_copy, aligned_zeros
from typegrad.errors import ShapeError, StateError
from typegrad.options import check_count
from typegrad.types import Array, FloatDType, Shape, Vector

Initializer = Callable[[Shape, np.random.Generator], Array]
"""Draws the first value of a parameter: ``initializer(shape, generator)`` -> float64 array."""


class Parameter:
    """An array that training changes.

    A parameter is declared by its shape and initializer. It gets its memory when a
    network is built: `value` and `grad` are then views into the network's two flat
    buffers, so writing to them (``parameter.value[...] = ...``) is writing to the network.

    Parameters
    ----------
    shape
        Shape of the parameter.
    initializer
        Called as ``initializer(shape, generator)`` when the network is built.
    decay
        Whether weight decay applies. Convention: yes for weights, no for biases, for
        the gains of normalisation layers and for anything else that shifts or scales.

    Raises
    ------
    ValueError
        If a length is not a whole number, or negative.
    """

    def __init__(self, shape: Shape, initializer: Initializer, *, decay: bool = True) -> None:
        self.shape: Shape = tuple(
            check_count(f"Parameter: shape[{axis}]", length, at_least=0)
            for axis, length in enumerate(shape)
        )
        self.initializer = initializer
        self.decay = decay
        self._value: Array | None = None
        self._grad: Array | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    @property
    def is_bound(self) -> bool:
        """Whether the parameter has memory."""
        return self._value is not None

    @property
    def value(self) -> Array:
        """Current value, a view into the network's flat parameter buffer."""
        if self._value is None:
            raise StateError(
                f"this parameter of shape {self.shape} has no value yet: "
                "it gets one when a NeuralNetwork is built from its layer"
            )
        return self._value

    @property
    def grad(self) -> Array:
        """Gradient of the loss, added to by each backward pass; a view like `value`."""
        if self._grad is None:
            raise StateError(
                f"this parameter of shape {self.shape} has no gradient yet: "
                "it gets one when a NeuralNetwork is built from its layer"
            )
        return self._grad

    def bind(self, value: Array, grad: Array) -> None:
        """Give the parameter its memory: two arrays of its shape and of one dtype."""
        if value.shape != self.shape or grad.shape != self.shape:
            raise ShapeError(
                f"a parameter of shape {self.shape} cannot be bound to arrays of shapes "
                f"{value.shape} and {grad.shape}"
            )
        self._value, self._grad = value, grad

    def __repr__(self) -> str:
        return f"Parameter(shape={self.shape}, decay={self.decay})"


class FlatParameters:
    """All parameters of a network, in one contiguous buffer, and their gradients in another.

    Attributes
    ----------
    values, grads : ndarray of shape (size,)
        The buffers. An optimizer works on these alone.
    decay_mask : ndarray of shape (size,)
        1 where weight decay applies, else 0; of the buffers' dtype.
    """

    def __init__(self, parameters: Sequence[Parameter], dtype: FloatDType) -> None:
        self._parameters = tuple(parameters)
        size = sum(parameter.size for parameter in parameters)
        self.values: Vector = aligned_zeros(size, np.dtype(dtype))
        self.grads: Vector = aligned_zeros(size, np.dtype(dtype))
        self.decay_mask: Vector = aligned_zeros(size, np.dtype(dtype))
        self._bind()

    def _bind(self) -> None:
        start = 0
        for parameter in self._parameters:
            stop = start + parameter.size
            parameter.bind(
                self.values[start:stop].reshape(parameter.shape),
                self.grads[start:stop].reshape(parameter.shape),
            )
            self.decay_mask[start:stop] = parameter.decay
            start = stop

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make copied parameters views again: copying and pickling turn views into arrays."""
        self.__dict__.update(state)
        self.values, self.grads = aligned_copy(self.values), aligned_copy(self.grads)
        self._bind()

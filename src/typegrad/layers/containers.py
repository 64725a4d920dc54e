"""Layers made of layers, and a change of shape."""

# pyright: reportOverlappingOverload=false

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, overload

import numpy as np

from typegrad.dimensions import First, In_co, Last, Out_co
from typegrad.errors import ShapeError, StateError
from typegrad.layers.base import Layer, named_parts
from typegrad.layers.dense import Activation
from typegrad.layers.mode import INFERENCE, Mode
from typegrad.operations.arithmetic import Add
from typegrad.operations.base import ElementwiseOperation, Operation, UnaryOperation
from typegrad.operations.layer_like import LayerLike
from typegrad.types import Array, Shape


class Chain(Layer[In_co, Out_co]):
    """Layers one after the other; what ``a >> b >> c`` makes.

    Raises
    ------
    ShapeError
        If a layer does not take the features that the one before it gives.
    StateError
        If a layer comes twice: it keeps what its last ``forward`` got, so it cannot be shared.
    """

    @overload
    def __init__(self: Chain[First, Last], layer: Layer[First, Last], /) -> None: ...
    @overload
    def __init__(self: Chain[Any, Any], *layers: LayerLike) -> None: ...
    def __init__(self, *layers: LayerLike) -> None:
        if not layers:
            raise ShapeError(f"{type(self).__name__} needs at least one layer; it got none")
        self.layers: tuple[Layer, ...] = tuple(as_layer(layer) for layer in layers)
        self.out_features: int | None = check_links(self.layers)
        self.in_features: int | None = first_in_features(self.layers)
        check_unshared(self.layers)

    def forward(self, x: Array, mode: Mode = INFERENCE) -> Array:
        for index, layer in enumerate(self.layers):
            x = layer.forward(x, mode.inside(index))
        return x

    def backward(self, output_grad: Array) -> Array:
        for layer in reversed(self.layers):
            output_grad = layer.backward(output_grad)
        return output_grad

    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds() for layer in self.layers)

    def output_features(self, in_features: int | None) -> int | None:
        for layer in self.layers:
            in_features = layer.output_features(in_features)
        return in_features

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(str(layer) for layer in self.layers)})"


class Residual(Chain[In_co, Out_co]):
    """Layers with a connection around them: y = x + layers(x) (He et al., 2015).

    The layers must give as many features as they take.
    """

    @overload
    def __init__(self: Residual[First, Last], layer: Layer[First, Last], /) -> None: ...
    @overload
    def __init__(self: Residual[Any, Any], *layers: LayerLike) -> None: ...
    def __init__(self, *layers: LayerLike) -> None:
        super().__init__(*layers)
        self.sum: Add = Add()
        if None not in (self.in_features, self.out_features) and (
            self.in_features != self.out_features
        ):
            raise ShapeError(
                f"{self} takes {self.in_features} features but gives {self.out_features}; "
                "the input can only be added to as many"
            )

    def forward(self, x: Array, mode: Mode = INFERENCE) -> Array:
        inner = super().forward(x, mode)
        if inner.shape != x.shape:
            raise ShapeError(
                f"{self} got input of shape {x.shape}, but its layers give {inner.shape}; "
                "the input can only be added to an output of its own shape"
            )
        return self.sum.forward(x, inner)

    def backward(self, output_grad: Array) -> Array:
        around, inner = self.sum.backward(output_grad)
        return around + super().backward(inner)


class FlattenExamples(UnaryOperation):
    """Make each example one row: (batch, ...) -> (batch, product of the other axes)."""

    def output(self, x: Array) -> Array:
        return np.reshape(x, flattened(x.shape))

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.reshape(output_grad, x.shape)


class Flatten(Layer):
    """Make each example one row: (batch, ...) -> (batch, product of the other axes)."""

    def __init__(self) -> None:
        self.operations: tuple[Operation, ...] = (FlattenExamples(),)


def flattened(shape: Shape) -> Shape:
    """Shape with all axes but the first made one."""
    return (shape[0], math.prod(shape[1:]))


def as_layer(layer: LayerLike) -> Layer:
    """Make a layer of an element-wise operation; return a layer as it is."""
    if isinstance(layer, Layer):
        return layer
    if isinstance(layer, ElementwiseOperation):
        return Activation(layer)
    raise TypeError(
        f"{layer!r} is neither a Layer nor an element-wise operation such as Tanh(); "
        "did you pass a class instead of an object?"
    )


def check_links(layers: Iterable[Layer]) -> int | None:
    """Check that each layer takes what the one before it gives; return what the last gives."""
    features: int | None = None
    giver: Layer | None = None
    for layer in layers:
        expected = layer.in_features
        if None not in (features, expected) and features != expected:
            raise ShapeError(
                f"{layer} expects {expected} input features, but {giver} before it gives {features}"
            )
        given = layer.output_features(features if expected is None else expected)
        if given is None or layer.out_features is not None or giver is None:
            giver = layer
        features = given
    return features


def first_in_features(layers: Iterable[Layer]) -> int | None:
    """Features that the first layer which cares wants, if all before it keep them."""
    for layer in layers:
        if layer.in_features is not None:
            return layer.in_features
        if layer.output_features(1) != 1:
            return None
    return None


def check_unshared(layers: Iterable[Layer]) -> None:
    """Reject a layer that occurs twice, at any depth."""
    seen: set[int] = set()
    for layer in layers:
        for part in (layer, *(inner for _, inner in named_parts(layer, Layer))):
            if id(part) in seen:
                raise StateError(f"{part} occurs twice; build a second layer instead of sharing it")
            seen.add(id(part))

"""Dense, and activations as layers of their own."""

# The overloads of widths overlap on purpose; comparing all with all takes pyright a minute.
# pyright: reportOverlappingOverload=false

from __future__ import annotations

from copy import copy
from typing import Any, Literal, TypeAlias, overload

from typegrad.dimensions import Dim, Given, GivenDim, In_co, Out_co, Taken, TakenDim, as_width
from typegrad.initializers import GlorotUniform, HeUniform, LeCunNormal, Zeros
from typegrad.layers.base import ElementwiseLayer, Layer
from typegrad.operations.activations import (
    ELU,
    GELU,
    SELU,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from typegrad.operations.base import ElementwiseOperation, Operation
from typegrad.operations.linear import Linear, WeightMultiply
from typegrad.operations.parameter import Initializer, Parameter

ActivationName = Literal[
    "elu", "gelu", "leaky_relu", "relu", "selu", "sigmoid", "silu", "softmax", "softplus", "tanh"
]

_Activation: TypeAlias = ElementwiseOperation | ActivationName | None

ACTIVATIONS: dict[str, type[ElementwiseOperation]] = {
    "elu": ELU,
    "gelu": GELU,
    "leaky_relu": LeakyReLU,
    "relu": ReLU,
    "selu": SELU,
    "sigmoid": Sigmoid,
    "silu": SiLU,
    "softmax": Softmax,
    "softplus": Softplus,
    "tanh": Tanh,
}
"""Activation operations by the names that layers and the command line take."""


def make_activation(
    activation: ElementwiseOperation | ActivationName | str,
) -> ElementwiseOperation:
    """Turn a name or an operation into an operation of one's own.

    An operation keeps what its last ``forward`` got, so two layers must not share one: it
    is copied.

    Raises
    ------
    ValueError
        If the name is not known.
    """
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation is {activation!r}; expected an operation or one of "
                f"{', '.join(ACTIVATIONS)}"
            )
        return ACTIVATIONS[activation]()
    return copy(activation)


def default_initializer(activation: ElementwiseOperation | None) -> Initializer:
    """He for the rectifiers, LeCun for SELU, Glorot for all others."""
    if isinstance(activation, ReLU | LeakyReLU | ELU | GELU | SiLU | Softplus):
        return HeUniform()
    if isinstance(activation, SELU):
        return LeCunNormal()
    return GlorotUniform()


class Dense(Layer[In_co, Out_co]):
    """Fully connected layer: y = activation(x @ weight + bias).

    Input (batch, in_features), output (batch, out_features).

    Parameters
    ----------
    in_features, out_features
        Widths of input and output: numbers, or `Dim` classes, which name them.
    activation
        An element-wise operation such as ``tg.ReLU()``, a name such as ``"relu"``, or
        None for an affine map.
    bias
        Whether a bias, which starts at zero, is added.
    initializer
        Of the weight; None chooses by the activation: He uniform for ReLU, leaky ReLU,
        ELU, GELU, SiLU and Softplus, LeCun normal for SELU, else Glorot uniform.
    """

    @overload
    def __init__(
        self: Dense[Taken, Given],
        in_features: Taken,
        out_features: Given,
        activation: _Activation = None,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Dense[TakenDim, Given],
        in_features: type[TakenDim],
        out_features: Given,
        activation: _Activation = None,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Dense[Taken, GivenDim],
        in_features: Taken,
        out_features: type[GivenDim],
        activation: _Activation = None,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Dense[TakenDim, GivenDim],
        in_features: type[TakenDim],
        out_features: type[GivenDim],
        activation: _Activation = None,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Dense[Taken, Any],
        in_features: Taken,
        out_features: int,
        activation: _Activation = None,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Dense[Any, Given],
        in_features: int,
        out_features: Given,
        activation: _Activation = None,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Dense[TakenDim, Any],
        in_features: type[TakenDim],
        out_features: int,
        activation: _Activation = None,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Dense[Any, GivenDim],
        in_features: int,
        out_features: type[GivenDim],
        activation: _Activation = None,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Dense[Any, Any],
        in_features: int,
        out_features: int,
        activation: _Activation = None,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None: ...
    def __init__(
        self,
        in_features: int | type[Dim],
        out_features: int | type[Dim],
        activation: _Activation = None,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None:
        self.in_features: int = as_width("Dense", "in_features", in_features)
        self.out_features: int = as_width("Dense", "out_features", out_features)
        self.activation: ElementwiseOperation | None = (
            None if activation is None else make_activation(activation)
        )
        self.initializer = initializer
        chosen = default_initializer(self.activation) if initializer is None else initializer
        self.weight: Parameter = Parameter((self.in_features, self.out_features), chosen)
        self.bias: Parameter | None = (
            Parameter((self.out_features,), Zeros(), decay=False) if bias else None
        )
        product = (
            WeightMultiply(self.weight) if self.bias is None else Linear(self.weight, self.bias)
        )
        self.operations: tuple[Operation, ...] = (
            (product,) if self.activation is None else (product, self.activation)
        )

    def __repr__(self) -> str:
        return f"Dense({self.in_features}, {self.out_features})"


class Activation(ElementwiseLayer):
    """An element-wise operation as a layer; it keeps its input's shape."""

    def __init__(self, operation: ElementwiseOperation | ActivationName) -> None:
        self.operation: ElementwiseOperation = make_activation(operation)
        self.operations: tuple[Operation, ...] = (self.operation,)

    def __repr__(self) -> str:
        return f"Activation({self.operation})"

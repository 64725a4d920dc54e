"""Layer: a configuration that, once a network is built from it, holds parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

import numpy as np
import numpy.typing as npt

from typegrad.dimensions import Dim, First, In_co, Last, Out_co, Size
from typegrad.errors import ShapeError
from typegrad.layers.mode import INFERENCE, Mode
from typegrad.operations.base import ElementwiseOperation, Operation, require_floating
from typegrad.operations.layer_like import LayerLike
from typegrad.operations.parameter import Parameter
from typegrad.types import AnyArray, Array, Shape

if TYPE_CHECKING:
    from typegrad.layers.containers import Chain

    class _GivesWhatItTakes(Protocol):
        """A layer of one width: of two the common type is `int`, which is no `Size`."""

        def _only_width(self) -> Size | Dim: ...


Part = TypeVar("Part")


class Buffer:
    """An array that belongs to a layer's state but is not trained, such as a running mean.

    It is part of `NeuralNetwork.state_dict` and is saved with the network.
    """

    def __init__(self, initial: AnyArray) -> None:
        self.value: npt.NDArray[np.float64] = np.array(initial, np.float64)

    @property
    def shape(self) -> Shape:
        """Shape of the array."""
        return self.value.shape

    def assign(self, value: AnyArray) -> None:
        """Replace the content, converted to the buffer's float64."""
        self.value[...] = value


class Layer(LayerLike, Generic[In_co, Out_co]):
    """A building block of networks.

    Its type names its widths: ``Layer[Literal[13], Literal[32]]`` takes 13 features and gives
    32, ``Layer[Rooms, Hidden]`` those that two `Dim` name, and plain ``Layer`` any. Layers are
    put together with ``>>``, which type checkers compare the widths of.

    A subclass sets up its parameters, buffers, inner layers and operations as attributes in
    ``__init__``; they are found by looking at the attributes, into lists, tuples and dicts
    too, in the order in which they were set. If the operations simply follow one another, put
    them in `operations`, and that is all; otherwise override `forward` and `backward`.

    Attributes
    ----------
    in_features, out_features : int or None
        Length of the last axis of input and output; None where any length is taken, or
        the input's is kept.
    operations : tuple of Operation
        What the default `forward` applies in turn.

    Examples
    --------
    >>> from typegrad.operations import ParameterOperation
    >>> from typegrad.initializers import Constant
    >>> class Scale(ParameterOperation[Array]):
    ...     def output(self, x: Array, factor: Array) -> Array:
    ...         return x * factor
    ...
    ...     def input_grad(
    ...         self, output_grad: Array, x: Array, y: Array, factor: Array
    ...     ) -> Array:
    ...         return output_grad * factor
    ...
    ...     def parameter_grads(
    ...         self, output_grad: Array, x: Array, y: Array, factor: Array
    ...     ) -> tuple[Array]:
    ...         return (np.sum(output_grad * x, axis=0),)
    >>> class ScaleFeatures(Layer):
    ...     def __init__(self, features: int) -> None:
    ...         self.in_features = self.out_features = features
    ...         self.factor = Parameter((features,), Constant(1.0), decay=False)
    ...         self.operations = (Scale(self.factor),)
    """

    in_features: int | None = None
    out_features: int | None = None
    operations: tuple[Operation, ...] = ()

    def forward(self, x: Array, mode: Mode = INFERENCE) -> Array:
        """Compute the layer's output.

        Parameters
        ----------
        x
            Input, examples along the first axis.
        mode
            Inference, or training with the keys of its random masks.
        """
        self.check_input(x)
        for operation in self.operations:
            x = _unary(operation).forward(x)
        return x

    def backward(self, output_grad: Array) -> Array:
        """Add to the parameters' gradients; return that of the last `forward`'s input."""
        for operation in reversed(self.operations):
            output_grad = _unary(operation).backward(output_grad)
        return output_grad

    def check_input(self, x: Array) -> None:
        """Require (batch, in_features).

        Raises
        ------
        ShapeError
            If the shape does not fit.
        DTypeError
            If it is no array.
        """
        if self.in_features is None:
            return
        if not hasattr(x, "shape"):
            require_floating(self, "the input", x)
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise ShapeError(
                f"{self} got input of shape {x.shape}; it expects (batch, {self.in_features})"
            )

    def output_features(self, in_features: int | None) -> int | None:
        """Length of the output's last axis for that of the input; None if it is not known.

        Override it in a layer that keeps its input's features.
        """
        return self.out_features

    if TYPE_CHECKING:
        # What `LayerLike.__rshift__` does. Most of it is declared as `__rrshift__`: a right
        # operand that is looked at without anything being expected of it keeps its exact
        # widths. Between operands of one type Python, and mypy, ask `__rshift__` alone.
        def _only_width(self: Layer[First, First]) -> First: ...
        @overload
        def __rshift__(
            self, after: ElementwiseOperation | ElementwiseLayer
        ) -> Chain[In_co, Out_co]: ...
        @overload
        def __rshift__(
            self: _GivesWhatItTakes, after: Layer[Out_co, Last]
        ) -> Chain[In_co, Last]: ...
        def __rshift__(self, after: Any) -> Any: ...
        @overload
        def __rrshift__(
            self, before: ElementwiseOperation | ElementwiseLayer
        ) -> Chain[In_co, Out_co]: ...
        @overload
        def __rrshift__(self, before: Layer[First, In_co]) -> Chain[First, Out_co]: ...
        def __rrshift__(self, before: Any) -> Any: ...

    def multiply_adds(self) -> int:
        """Multiply-adds that the layer's matrix products take for one example."""
        return sum(
            parameter.size
            for _, parameter in named_parts(self, Parameter)
            if len(parameter.shape) == 2
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ElementwiseLayer(Layer):
    """A layer whose output has its input's shape, whatever that is; checkers see through it."""

    if TYPE_CHECKING:

        @overload
        def __rshift__(self, after: ElementwiseOperation | ElementwiseLayer) -> Chain[Any, Any]: ...
        @overload
        def __rshift__(self, after: Layer[First, Last]) -> Chain[First, Last]: ...
        def __rshift__(self, after: Any) -> Any: ...

    def output_features(self, in_features: int | None) -> int | None:
        return in_features


def _unary(operation: Operation) -> Any:
    """Typed as what it is here: an operation on one array."""
    return operation


def named_parts(owner: Layer, kind: type[Part]) -> Iterator[tuple[str, Part]]:
    """Find all objects of one kind in a layer, with dotted names; each object once.

    Looks at attributes in the order in which they were set, into lists, tuples, dicts,
    inner layers and operations.
    """
    seen: set[int] = {id(owner)}

    def walk(name: str, value: object) -> Iterator[tuple[str, Part]]:
        if isinstance(value, kind | Layer | Operation):
            if id(value) in seen:
                return
            seen.add(id(value))
        if isinstance(value, kind):
            yield name, value
        if isinstance(value, Layer | Operation):
            for attribute, part in vars(value).items():
                yield from walk(f"{name}.{attribute}" if name else attribute, part)
        elif isinstance(value, list | tuple):
            for index, part in enumerate(value):
                yield from walk(f"{name}.{index}", part)
        elif isinstance(value, dict):
            for key, part in value.items():
                yield from walk(f"{name}.{key}", part)

    for attribute, part in vars(owner).items():
        yield from walk(attribute, part)

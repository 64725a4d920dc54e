"""Tracer: an array that writes down what is done to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from typegrad.tracing import primitives
from typegrad.tracing.errors import TraceError
from typegrad.types import AnyArray, Shape

if TYPE_CHECKING:
    from typegrad.tracing.graph import Node
    from typegrad.tracing.recorder import Recorder

_Refusal: TypeAlias = Callable[..., NoReturn]


class Tracer(NDArrayOperatorsMixin):
    """Stands for an array while a formula is traced.

    It has a shape and a dtype, and takes NumPy's functions, operators and indexing. Its
    values cannot be read: a formula that turns them into Python numbers is not traceable.
    A branch on a condition (``if x.max() > 1:``) is: it becomes a `Guard`.

    Beside the node it stands for, a Tracer carries an example of its value. So NumPy itself says
    which shape, dtype and memory layout a function's result has.
    """

    def __init__(self, recorder: Recorder, node: Node, example: AnyArray) -> None:
        self.recorder = recorder
        self.node = node
        self.example = example

    @property
    def shape(self) -> Shape:
        """Lengths of the axes."""
        shape: Shape = self.example.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self.example.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.example.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.example.size

    @property
    def T(self) -> Any:  # noqa: N802 - NumPy's name
        """Transpose."""
        return np.transpose(self)

    @staticmethod
    def __apply_operation__(operation: Any, inputs: tuple[Any, ...]) -> Any:
        """Trace an operation's ``forward``."""
        return _recorder_of(inputs).forward(operation, inputs)

    @staticmethod
    def __apply_backward__(operation: Any, output_grad: Tracer) -> Any:
        """Trace an operation's ``backward``."""
        return output_grad.recorder.backward(operation, output_grad)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        return _recorder_of((*inputs, *keywords.get("out", ()))).ufunc(
            ufunc, method, inputs, keywords
        )

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        return self.recorder.function(function, args, keywords)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise TraceError("it hands its values to code that is not NumPy's dispatched functions")

    def __getitem__(self, index: Any) -> Any:
        return self.recorder.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if index is Ellipsis and isinstance(value, Tracer) and value.shape == self.shape:
            self.recorder.assign(self, value)
        else:
            self.recorder.setitem(self, index, value)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __bool__(self) -> bool:
        return self.recorder.guard(self)

    def _unreadable(self, *_: object) -> NoReturn:
        raise TraceError("it turns an array's value into a Python number")

    __float__: ClassVar[_Refusal] = _unreadable
    __int__: ClassVar[_Refusal] = _unreadable
    __index__: ClassVar[_Refusal] = _unreadable
    __complex__: ClassVar[_Refusal] = _unreadable
    item: ClassVar[_Refusal] = _unreadable
    tolist: ClassVar[_Refusal] = _unreadable

    def __pow__(self, exponent: Any) -> Any:
        return self.recorder.call(primitives.power, self, exponent)

    def __ipow__(self, exponent: Any) -> Any:
        self.recorder.assign(self, self**exponent)
        return self

    def astype(self, dtype: Any) -> Any:
        """Copy of another dtype."""
        return self.recorder.call(primitives.astype, self, np.dtype(dtype))

    def reshape(self, *shape: Any) -> Any:
        """Same elements in another shape."""
        return np.reshape(self, _unpacked(shape))

    def transpose(self, *axes: Any) -> Any:
        """Axes in another order."""
        return np.transpose(self, _unpacked(axes) or None)

    def __getattr__(self, name: str) -> Any:
        """Find the methods that NumPy also has as functions of the same arguments."""
        if name not in _METHODS:
            raise AttributeError(f"a Tracer has no attribute {name!r}")

        def method(*args: Any, **keywords: Any) -> Any:
            return getattr(np, name)(self, *args, **keywords)

        return method

    def __repr__(self) -> str:
        return f"Tracer({self.dtype}, shape={self.shape})"


_METHODS = frozenset(
    {
        "all", "any", "argmax", "argmin", "argsort", "clip", "copy", "cumprod", "cumsum",
        "diagonal", "dot", "max", "mean", "min", "prod", "ravel", "repeat", "round", "squeeze",
        "std", "sum", "swapaxes", "take", "trace", "var",
    }
)  # fmt: skip
"""Methods that are functions of NumPy's too."""


def _unpacked(sizes: tuple[Any, ...]) -> Any:
    """NumPy's methods take lengths one by one or as a tuple."""
    return sizes[0] if len(sizes) == 1 else sizes


def _recorder_of(values: tuple[Any, ...]) -> Recorder:
    return next(value.recorder for value in values if isinstance(value, Tracer))

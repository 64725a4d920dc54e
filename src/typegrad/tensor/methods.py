"""Methods and attributes that a tensor has because an array has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from typegrad.operations.reductions import Axis
from typegrad.types import AnyArray, Shape

if TYPE_CHECKING:
    from typegrad.tensor.tensor import Tensor


class ArrayMethods:
    """Methods of arrays, each by the NumPy function of the same name."""

    __slots__ = ()

    _data: AnyArray

    @property
    def shape(self) -> Shape:
        """Lengths of the axes."""
        lengths: Shape = self._data.shape
        return lengths

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self._data.dtype

    @property
    def nbytes(self) -> int:
        """Bytes that the elements take."""
        return self._data.nbytes

    @property
    def T(self) -> Tensor:  # noqa: N802  # as arrays call it
        """With the axes reversed."""
        return _tensor(np.transpose(_array(self)))

    @property
    def mT(self) -> Tensor:  # noqa: N802  # as arrays call it
        """With the last two axes exchanged."""
        return _tensor(np.swapaxes(_array(self), -1, -2))

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def tolist(self) -> Any:
        """Elements as Python numbers, in nested lists."""
        return self._data.tolist()

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Sum over `axis`."""
        return _tensor(np.sum(_array(self), axis=axis, keepdims=keepdims))

    def prod(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Product over `axis`."""
        return _tensor(np.prod(_array(self), axis=axis, keepdims=keepdims))

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Arithmetic mean over `axis`."""
        return _tensor(np.mean(_array(self), axis=axis, keepdims=keepdims))

    def var(self, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
        """Variance over `axis`."""
        return _tensor(np.var(_array(self), axis=axis, ddof=ddof, keepdims=keepdims))

    def std(self, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
        """Standard deviation over `axis`."""
        return _tensor(np.std(_array(self), axis=axis, ddof=ddof, keepdims=keepdims))

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Largest element over `axis`."""
        return _tensor(np.max(_array(self), axis=axis, keepdims=keepdims))

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Smallest element over `axis`."""
        return _tensor(np.min(_array(self), axis=axis, keepdims=keepdims))

    def argmax(self, axis: int | None = None) -> Any:
        """Position of the largest element, an integer or a plain array of them."""
        return np.argmax(self._data, axis=axis)

    def argmin(self, axis: int | None = None) -> Any:
        """Position of the smallest element, an integer or a plain array of them."""
        return np.argmin(self._data, axis=axis)

    def cumsum(self, axis: int | None = None) -> Tensor:
        """Running sum along `axis`."""
        return _tensor(np.cumsum(_array(self), axis=axis))

    def cumprod(self, axis: int | None = None) -> Tensor:
        """Running product along `axis`."""
        return _tensor(np.cumprod(_array(self), axis=axis))

    def reshape(self, *shape: int | Shape) -> Tensor:
        """Return the same elements in another shape."""
        return _tensor(np.reshape(_array(self), _unpacked(shape)))

    def ravel(self) -> Tensor:
        """All elements in one axis."""
        return _tensor(np.ravel(_array(self)))

    def flatten(self) -> Tensor:
        """All elements in one axis."""
        return self.ravel()

    def transpose(self, *axes: int | Shape) -> Tensor:
        """With the axes in another order; reversed if none is given."""
        return _tensor(np.transpose(_array(self), _unpacked(axes) if axes else None))

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """With two axes exchanged."""
        return _tensor(np.swapaxes(_array(self), axis1, axis2))

    def squeeze(self, axis: Axis = None) -> Tensor:
        """Without axes of length one."""
        return _tensor(np.squeeze(_array(self), axis=axis))

    def repeat(self, repeats: int, axis: int | None = None) -> Tensor:
        """Each element several times in a row."""
        return _tensor(np.repeat(_array(self), repeats, axis=axis))

    def take(self, indices: Any, axis: int | None = None) -> Tensor:
        """Elements at `indices` along `axis`."""
        return _tensor(np.take(_array(self), indices, axis=axis))

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """Elements brought into the interval from `min` to `max`."""
        return _tensor(np.clip(_array(self), min, max))

    def dot(self, other: Any) -> Tensor:
        """Dot product, as of ``np.dot``."""
        return _tensor(np.dot(_array(self), other))

    def trace(self) -> Tensor:
        """Sum of the diagonal."""
        return _tensor(np.trace(_array(self)))

    def diagonal(self) -> Tensor:
        """Elements of the diagonal."""
        return _tensor(np.diagonal(_array(self)))

    def copy(self) -> Tensor:
        """Return the tensor itself, since it never changes."""
        return _tensor(self)

    def all(self, axis: Axis = None) -> Any:
        """Whether all elements are true, a boolean or a plain array of them."""
        return np.all(self._data, axis=axis)

    def any(self, axis: Axis = None) -> Any:
        """Whether any element is true, a boolean or a plain array of them."""
        return np.any(self._data, axis=axis)


def _array(tensor: ArrayMethods) -> Any:
    """Typed as what NumPy's stubs take; NumPy's dispatch does the rest."""
    return tensor


def _tensor(result: Any) -> Tensor:
    """Typed as what NumPy's dispatch returns for a tensor."""
    tensor: Tensor = result
    return tensor


def _unpacked(lengths: tuple[Any, ...]) -> Shape:
    """Accept both ``f(2, 3)`` and ``f((2, 3))``."""
    return tuple(lengths[0]) if len(lengths) == 1 and np.iterable(lengths[0]) else lengths

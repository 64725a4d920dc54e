"""Tensor: an array that records what is computed from it."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from itertools import count
from typing import Any, ClassVar, NoReturn, final

import numpy as np
import numpy.typing as npt

from typegrad.errors import DTypeError, ShapeError
from typegrad.operations.arithmetic import Add, Divide, Multiply, Subtract
from typegrad.operations.base import Operation
from typegrad.operations.elementwise import Absolute, AsType, Negative
from typegrad.operations.indexing import Index
from typegrad.operations.linear import MatMul
from typegrad.operations.powers import Power
from typegrad.tensor.backpropagation import NEVER, Record, backpropagate
from typegrad.tensor.constants import REAL_KINDS, SCALARS, as_constant, as_tensor_data, unchangeable
from typegrad.tensor.dispatch import OPERATIONS, call_function, call_ufunc
from typegrad.tensor.methods import ArrayMethods
from typegrad.tensor.recording import is_recording
from typegrad.tensor.special_cases import ConstantPower, VectorProduct
from typegrad.types import AnyArray

Operand = Any
"""What stands beside a tensor in a formula: a tensor, an array, a number, lists of numbers."""

_next_number = count(1).__next__


@final
class Tensor(ArrayMethods):
    """An array whose computations are recorded, so that they can be differentiated.

    NumPy's functions and operators take tensors and return tensors. `backward` then
    computes the gradients of all tensors made with ``requires_grad=True`` that a result
    depends on. What cannot be recorded raises `TypeError`: a tensor never turns silently
    into a plain array. Results that are whole numbers or booleans, such as those of
    comparisons and of ``np.argmax``, have no derivative and are plain arrays.

    The content never changes, so a gradient is always that of the values computed with:
    `data` is copied, and so is every array that takes part in a recorded formula, unless it is
    read-only. ``t[0] = 1.0`` is an error, and `numpy` gives a read-only array. ``t += 1.0``
    makes a new tensor, as ``t = t + 1.0`` does.

    Parameters
    ----------
    data
        A number, an array or nested lists of numbers. float32 and float64 are kept; integers
        and booleans too, but they have no gradient.
    requires_grad
        Whether gradients with respect to this tensor are wanted.

    Raises
    ------
    DTypeError
        If the data is not of a dtype named above, or integers require gradients.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = np.sum(x**2)
    >>> y.backward()
    >>> x.grad
    Tensor([2., 4., 6.])
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_number", "_oldest", "_record")

    _data: AnyArray
    """Values; one of NumPy's scalars where there are no axes, which are faster than arrays."""
    _number: int
    """Place in the order in which tensors were made."""
    _oldest: int
    """Smallest number of the tensors requiring gradients that this depends on, or `NEVER`."""
    _record: Record | None
    """How it was computed; None if it was made from data."""
    _grad: Tensor | None

    def __init__(self, data: npt.ArrayLike, requires_grad: bool = False) -> None:
        if isinstance(data, Tensor):
            raise TypeError(
                "Tensor: the data is a Tensor already; for a copy of its own use .detach()"
            )
        self._data = as_tensor_data(data)
        self._number = _next_number()
        self._oldest = NEVER
        self._record = None
        self._grad = None
        if requires_grad:
            if self._data.dtype.kind != "f":
                raise DTypeError(
                    f"Tensor: data of dtype {self._data.dtype} has no gradient; "
                    "give floating-point numbers, or leave requires_grad out"
                )
            self._oldest = self._number

    @property
    def requires_grad(self) -> bool:
        """Whether this is, or depends on, a tensor made with ``requires_grad=True``."""
        return self._oldest != NEVER

    @property
    def grad(self) -> Tensor | None:
        """Sum of the gradients from all calls of `backward` since it was None.

        Only tensors made with ``requires_grad=True`` get one. Set it to None to start anew.
        """
        return self._grad

    @grad.setter
    def grad(self, value: None) -> None:
        if value is not None:
            raise TypeError(
                f"a tensor's grad can only be set to None; got a {type(value).__name__}"
            )
        self._grad = None

    def backward(
        self,
        gradient: Operand = None,
        retain_graph: bool = False,
        create_graph: bool = False,
    ) -> None:
        """Add to ``grad`` of every tensor requiring gradients that this depends on.

        Parameters
        ----------
        gradient
            Gradient of the final quantity with respect to this tensor, of its shape. May be
            left out for a tensor of one element, and is 1 then.
        retain_graph
            Keep the recording for a further backward; otherwise its memory is freed.
        create_graph
            Record the backward pass itself, so that ``grad`` can be differentiated. The
            recording is then kept.

        Raises
        ------
        StateError
            If an earlier backward used the recording up.
        ShapeError
            If `gradient` has another shape, or is left out where there is more than one element.
        TypeError
            If nothing that this depends on requires gradients.
        """
        if not self.requires_grad:
            raise TypeError(
                "backward: nothing that this tensor was computed from requires gradients; "
                "make a tensor with requires_grad=True, and compute outside no_grad()"
            )
        ends = backpropagate(
            [(self, self._seed(gradient, create_graph))],
            create_graph=create_graph,
            retain_graph=retain_graph or create_graph,
        )
        for tensor, given in ends.values():
            added = given if type(given) is Tensor else constant(given)
            tensor._grad = added if tensor._grad is None else tensor._grad + added

    def _seed(self, gradient: Operand, create_graph: bool) -> Any:
        if gradient is None:
            if self.size != 1:
                raise ShapeError(
                    f"backward: the tensor has shape {self.shape}; for more than one element "
                    "give the gradient with respect to it, or sum it first"
                )
            return np.ones_like(self._data)[()]
        given = gradient
        if type(gradient) is not Tensor:
            given = as_tensor_data(gradient)
        elif not create_graph:
            given = gradient._data
        if given.shape != self.shape:
            raise ShapeError(
                f"backward got a gradient of shape {given.shape}; "
                f"expected the tensor's shape {self.shape}"
            )
        return given.astype(self.dtype)

    def astype(self, dtype: npt.DTypeLike, copy: bool = True) -> Tensor:
        """Elements of another dtype; `copy` is there because arrays have it.

        Whole numbers and booleans have no gradient.
        """
        wanted: np.dtype[Any] = np.dtype(dtype)
        if wanted.kind == "f" and self.dtype.kind == "f":
            return record(AsType(wanted), (self,))
        return constant(as_tensor_data(self._data.astype(wanted)))

    def detach(self) -> Tensor:
        """Return a tensor of the same values that does not remember where they came from."""
        return constant(self._data)

    def numpy(self) -> AnyArray:
        """Values as a read-only array; ``.numpy().copy()`` can be written to."""
        array = np.asarray(self._data).view()
        array.flags.writeable = False
        return array

    def item(self) -> Any:
        """Return the only element as a Python number.

        Raises
        ------
        ShapeError
            If there is more than one element, or none.
        """
        if self.size != 1:
            raise ShapeError(f"item: the tensor has shape {self.shape}; expected one element")
        return self._data.item()

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TypeError(
            "a Tensor's elements cannot be changed; choose between old and new values with "
            "np.where, or put parts together with np.concatenate or np.stack"
        )

    def __bool__(self) -> bool:
        return bool(self._data)

    def __float__(self) -> float:
        return float(self._as_number("float()"))

    def __int__(self) -> int:
        return int(self._as_number("int()"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.ndim != 0:
            raise TypeError(
                f"a {self.dtype} tensor of shape {self.shape} cannot be an index or a count"
            )
        return int(self._data)

    def _as_number(self, how: str) -> Any:
        if self.requires_grad:
            raise TypeError(
                f"{how} of a tensor that requires gradients would lose them; use NumPy's "
                "functions instead of math's, or .item() for a plain number"
            )
        return self.item()

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else format(repr(self), spec)

    def __repr__(self) -> str:
        values = np.array2string(np.asarray(self._data), separator=", ", prefix="Tensor(")
        notes = [values]
        if self.dtype != np.float64:
            notes.append(f"dtype={self.dtype}")
        if self.requires_grad:
            notes.append("requires_grad=True")
        return f"Tensor({', '.join(notes)})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._record is not None:
            raise TypeError(
                "a tensor that was computed from others cannot be copied or pickled with its "
                "recording; use .detach() first"
            )
        return Tensor, (np.asarray(self._data), self.requires_grad)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        """Refuse: a plain array would not remember what it was computed from.

        The type is for checkers, so that they let NumPy's functions take tensors.
        """
        raise TypeError(
            "a Tensor does not turn into an array by itself: use .numpy() for its values, "
            "or np.stack([...]) instead of np.array([...]) for an array of tensors"
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        operation = OPERATIONS.get(ufunc)
        if operation is not None and method == "__call__" and not kwargs:
            return record(operation, inputs)
        return call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return call_function(function, args, kwargs)

    @staticmethod
    def __apply_operation__(operation: Operation, inputs: tuple[Any, ...]) -> Tensor:
        """Record an operation whose ``forward`` was called with tensors.

        A copy of it is recorded, unless it is frozen: attributes that are set before each
        ``forward`` may have other values by the time of the backward pass.
        """
        if vars(operation) and not _is_frozen(type(operation)):
            operation = copy(operation)
            vars(operation).pop("_saved", None)
        return record(operation, inputs, checked=True)

    def __add__(self, other: Operand) -> Tensor:
        return record(_ADD, (self, other))

    def __radd__(self, other: Operand) -> Tensor:
        return record(_ADD, (other, self))

    def __sub__(self, other: Operand) -> Tensor:
        return record(_SUBTRACT, (self, other))

    def __rsub__(self, other: Operand) -> Tensor:
        return record(_SUBTRACT, (other, self))

    def __mul__(self, other: Operand) -> Tensor:
        return record(_MULTIPLY, (self, other))

    def __rmul__(self, other: Operand) -> Tensor:
        return record(_MULTIPLY, (other, self))

    def __truediv__(self, other: Operand) -> Tensor:
        return record(_DIVIDE, (self, other))

    def __rtruediv__(self, other: Operand) -> Tensor:
        return record(_DIVIDE, (other, self))

    def __pow__(self, other: Operand) -> Tensor:
        return power(self, other)

    def __rpow__(self, other: Operand) -> Tensor:
        return power(other, self)

    def __matmul__(self, other: Operand) -> Tensor:
        return matrix_product(self, other)

    def __rmatmul__(self, other: Operand) -> Tensor:
        return matrix_product(other, self)

    def __neg__(self) -> Tensor:
        return record(_NEGATIVE, (self,))

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return record(_ABSOLUTE, (self,))

    def __lt__(self, other: Operand) -> Any:
        return self._data < value_of(other)

    def __le__(self, other: Operand) -> Any:
        return self._data <= value_of(other)

    def __gt__(self, other: Operand) -> Any:
        return self._data > value_of(other)

    def __ge__(self, other: Operand) -> Any:
        return self._data >= value_of(other)

    def __eq__(self, other: object) -> Any:
        return self._data == value_of(other)

    def __ne__(self, other: object) -> Any:
        return self._data != value_of(other)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # as for arrays: == compares elements

    def __getitem__(self, key: Any) -> Tensor:
        return record(Index(_own_key(key)), (self,))

    def __iter__(self) -> Iterator[Tensor]:
        return (self[index] for index in range(len(self)))


_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE, _POWER = Add(), Subtract(), Multiply(), Divide(), Power()
_NEGATIVE, _ABSOLUTE, _MATMUL, _VECTOR_PRODUCT = Negative(), Absolute(), MatMul(), VectorProduct()
_new_tensor = object.__new__


def record(operation: Operation, inputs: tuple[Any, ...], *, checked: bool = False) -> Tensor:
    """Apply an operation to tensors, arrays and numbers, and remember how.

    This runs for every operation of a formula, so unless `checked` it leaves to NumPy what
    NumPy checks too; what NumPy objects to is reported in the operation's own words.
    """
    values = []
    parents: list[Tensor | None] = []
    oldest = NEVER
    for x in inputs:
        if type(x) is Tensor:
            values.append(x._data)
            if x._oldest == NEVER:
                parents.append(None)
            else:
                parents.append(x)
                if x._oldest < oldest:  # noqa: PLR1730  # min() takes twice as long
                    oldest = x._oldest
        else:
            plain = type(x) in SCALARS or (type(x) is np.ndarray and x.dtype.kind in REAL_KINDS)
            values.append(x if plain else as_constant(x))
            parents.append(None)
    tensor = _new_tensor(Tensor)
    operands = tuple(values)
    try:
        tensor._data = operation.compute(operands) if checked else operation._evaluate(operands)
    except ValueError:
        operation.output_shape(*[np.shape(value) for value in values])
        raise
    tensor._number = _next_number()
    tensor._grad = None
    if oldest != NEVER and is_recording.get():
        if len(values) > 1 and operation.gradient_reads_inputs:
            for index, x in enumerate(inputs):
                if type(x) is np.ndarray:
                    values[index] = unchangeable(x)
            operands = tuple(values)
        tensor._oldest = oldest
        tensor._record = (operation, operands, tuple(parents))
    else:
        tensor._oldest = NEVER
        tensor._record = None
    return tensor


def constant(data: Any) -> Tensor:
    """Tensor of values that nobody else can change, without gradients."""
    tensor = _new_tensor(Tensor)
    tensor._data = data
    tensor._number = _next_number()
    tensor._oldest = NEVER
    tensor._record = None
    tensor._grad = None
    return tensor


def variable(data: Any) -> Tensor:
    """Tensor of values that nobody else can change, which requires gradients."""
    tensor = constant(data)
    tensor._oldest = tensor._number
    return tensor


def value_of(operand: Any) -> Any:
    """Values of a tensor; anything else as it is."""
    return operand._data if type(operand) is Tensor else operand


def power(left: Operand, right: Operand) -> Tensor:
    """Record left ** right."""
    if type(right) is float or type(right) is int:
        return record(ConstantPower(right), (left,))
    return record(_POWER, (left, right))


def matrix_product(left: Operand, right: Operand) -> Tensor:
    """Record left @ right, vectors included."""
    axes = np.ndim(value_of(left)), np.ndim(value_of(right))
    if 1 in axes and 0 not in axes:
        if max(axes) <= 2:
            return record(_VECTOR_PRODUCT, (left, right))
        if axes[0] == 1:
            return matrix_product(np.expand_dims(left, 0), right)[..., 0, :]
        return matrix_product(left, np.expand_dims(right, 1))[..., 0]
    return record(_MATMUL, (left, right))


def _own_key(key: Any) -> Any:
    """Key of an `Index` operation, with values in the place of tensors."""
    if type(key) is tuple:
        return tuple([value_of(item) for item in key])
    return value_of(key)


def _is_frozen(operation: type[Operation]) -> bool:
    return bool(getattr(getattr(operation, "__dataclass_params__", None), "frozen", False))

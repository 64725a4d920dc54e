"""What NumPy's universal functions do with tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from typegrad.operations.activations import Tanh
from typegrad.operations.arithmetic import Add, Divide, Multiply, Subtract
from typegrad.operations.base import Operation
from typegrad.operations.elementwise import (
    Absolute,
    Exp,
    Expm1,
    Log,
    Log1p,
    Log2,
    Log10,
    Negative,
    Reciprocal,
    Sign,
    Sqrt,
    Square,
)
from typegrad.operations.powers import LogAddExp
from typegrad.operations.selection import Maximum, Minimum
from typegrad.operations.trigonometric import (
    Arccos,
    Arccosh,
    Arcsin,
    Arcsinh,
    Arctan,
    Arctan2,
    Arctanh,
    Cos,
    Cosh,
    Sin,
    Sinh,
    Tan,
)
from typegrad.tensor.dispatch import HANDLERS, OPERATIONS, implements
from typegrad.tensor.tensor import Tensor, constant, matrix_product, power, value_of

_BY_OPERATION: dict[Any, Operation] = {
    np.add: Add(),
    np.subtract: Subtract(),
    np.multiply: Multiply(),
    np.divide: Divide(),
    np.negative: Negative(),
    np.reciprocal: Reciprocal(),
    np.absolute: Absolute(),
    np.fabs: Absolute(),
    np.sign: Sign(),
    np.square: Square(),
    np.sqrt: Sqrt(),
    np.exp: Exp(),
    np.expm1: Expm1(),
    np.log: Log(),
    np.log1p: Log1p(),
    np.log2: Log2(),
    np.log10: Log10(),
    np.logaddexp: LogAddExp(),
    np.maximum: Maximum(),
    np.minimum: Minimum(),
    np.sin: Sin(),
    np.cos: Cos(),
    np.tan: Tan(),
    np.arcsin: Arcsin(),
    np.arccos: Arccos(),
    np.arctan: Arctan(),
    np.arctan2: Arctan2(),
    np.sinh: Sinh(),
    np.cosh: Cosh(),
    np.tanh: Tanh(),
    np.arcsinh: Arcsinh(),
    np.arccosh: Arccosh(),
    np.arctanh: Arctanh(),
}

_WITHOUT_DERIVATIVE = (
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
    np.equal,
    np.not_equal,
    np.logical_and,
    np.logical_or,
    np.logical_xor,
    np.logical_not,
    np.isnan,
    np.isinf,
    np.isfinite,
    np.signbit,
)
"""Their results are booleans: plain arrays."""

_PIECEWISE_CONSTANT = (np.floor, np.ceil, np.trunc, np.rint)
"""Their derivative is zero: the result is a tensor that depends on nothing."""


def _on_values(ufunc: Any) -> Callable[..., Any]:
    def apply(*inputs: Any) -> Any:
        return ufunc(*[value_of(x) for x in inputs])

    return apply


def _constant_result(ufunc: Any) -> Callable[[Tensor], Tensor]:
    def apply(x: Tensor) -> Tensor:
        return constant(ufunc(x._data))

    return apply


OPERATIONS.update(_BY_OPERATION)
HANDLERS.update({ufunc: _on_values(ufunc) for ufunc in _WITHOUT_DERIVATIVE})
HANDLERS.update({ufunc: _constant_result(ufunc) for ufunc in _PIECEWISE_CONSTANT})
implements(np.power, np.float_power)(power)
implements(np.matmul)(matrix_product)


@implements(np.positive)
def _positive(x: Tensor) -> Tensor:
    """The tensor itself, since it never changes."""
    return x


@implements(np.exp2)
def _exp2(x: Tensor) -> Tensor:
    """Two to the power of x."""
    return 2.0**x


@implements(np.deg2rad, np.radians)
def _deg2rad(x: Tensor) -> Tensor:
    """Radians for degrees."""
    return x * (math.pi / 180.0)


@implements(np.rad2deg, np.degrees)
def _rad2deg(x: Tensor) -> Tensor:
    """Degrees for radians."""
    return x * (180.0 / math.pi)

"""Layouts of arrays in plans."""

from __future__ import annotations

import math
from typing import Any

from typegrad.tracing import Node
from typegrad.types import AnyArray, Shape


def same_shape(argument: Any, shape: Shape) -> Any:
    """Broadcast by a view where axes have length one: that costs NumPy less."""
    if argument.size == 1 and argument.ndim > 0:
        return argument.reshape(())
    if argument.shape == shape or argument.size != math.prod(shape):
        return argument
    return argument.reshape(shape) if argument.flags.c_contiguous else argument


def dense_strides(node: Node) -> tuple[int, ...]:
    """Strides that an array of this node's shape and axis order has without gaps."""
    strides = [0] * len(node.shape)
    step = node.dtype.itemsize
    for axis in sorted(range(len(node.shape)), key=lambda axis: abs(node.strides[axis])):
        strides[axis] = step
        step *= node.shape[axis]
    return tuple(strides)


def is_blas_matrix(array: AnyArray) -> bool:
    """Whether BLAS takes an array as it is, a matrix whose rows or columns have no gaps.

    Of others, NumPy's functions make copies in orders of their own.
    """
    if array.ndim != 2:
        return False
    (rows, columns), (down, along), size = array.shape, array.strides, array.itemsize
    by_rows = along == size and down >= columns * size
    by_columns = down == size and along >= rows * size
    return by_rows or by_columns


def row_major(shape: Shape) -> tuple[int, ...]:
    """Strides, in elements, of an array whose rows lie one after the other."""
    strides = []
    step = 1
    for length in reversed(shape):
        strides.append(step)
        step *= length
    return tuple(reversed(strides))


def is_row_major(node: Node) -> bool:
    """Whether a node's rows lie one after the other, without gaps."""
    long = [axis for axis, length in enumerate(node.shape) if length > 1]
    expected = [stride * node.dtype.itemsize for stride in row_major(node.shape)]
    return all(node.strides[axis] == expected[axis] for axis in long)

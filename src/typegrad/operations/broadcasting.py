"""Undoing of broadcasting."""

from __future__ import annotations

import numpy as np

from typegrad.types import Array, Shape


def sum_to_shape(grad: Array, shape: Shape) -> Array:
    """Sum `grad` over the axes along which an array of `shape` was broadcast to it.

    A `grad` that `shape` cannot be broadcast to keeps another shape, for the caller to report.
    """
    added = grad.ndim - len(shape)
    if added < 0:
        return grad
    stretched = tuple(
        axis + added
        for axis, length in enumerate(shape)
        if length == 1 and grad.shape[axis + added] != 1
    )
    if not stretched:
        in_front: Array = np.sum(grad, axis=tuple(range(added))) if added else grad
        return in_front
    total: Array = np.sum(grad, axis=tuple(range(added)) + stretched, keepdims=True)
    return np.reshape(total, total.shape[added:])

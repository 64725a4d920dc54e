"""Rows: matrix products, and the operations of layers, which hold parameters."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from typegrad.errors import DataError, ShapeError
from typegrad.operations import Linear, MatMul, Parameter, WeightMultiply
from typegrad.operations.lookup import Lookup, LookupColumns
from typegrad.operations.normalization import Normalize, NormalizeWith
from typegrad.types import Array

from .checks import bound
from .row import Bad, Row, sample


def product(left: Array, right: Array) -> Array:
    """Matrix product of batches, by a loop over the batch and sums of products."""
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    a = np.broadcast_to(left, batch + left.shape[-2:])
    b = np.broadcast_to(right, batch + right.shape[-2:])
    y = np.zeros((*batch, left.shape[-2], right.shape[-1]))
    for place in np.ndindex(y.shape):
        y[place] = sum(
            a[(*place[:-1], k)] * b[(*place[:-2], k, place[-1])] for k in range(a.shape[-1])
        )
    return y


def normalized_columns(x: Array, gain: Array, shift: Array) -> Array:
    columns = [(column - column.mean()) / np.sqrt(column.var() + 0.1) for column in x.T]
    return np.stack(columns, axis=1) * gain + shift


def with_statistics(gain: Parameter, shift: Parameter) -> NormalizeWith:
    operation = NormalizeWith(gain, shift, epsilon=0.1)
    operation.mean = np.array([1.0, 2.0, -1.0])
    operation.variance = np.array([0.5, 1.0, 2.0])
    return operation


def standardized(x: Any, gain: Any, shift: Any, numbers: Any = np.array) -> Any:
    mean, variance = numbers([1.0, 2.0, -1.0]), numbers([0.5, 1.0, 2.0])
    return gain * (x - mean) / (variance + 0.1) ** 0.5 + shift


def torch_standardized(x: Any, gain: Any, shift: Any) -> Any:
    return standardized(x, gain, shift, lambda v: torch.tensor(v, dtype=torch.float64))


CODES = np.array([[2.0, 0.0], [2.0, 1.0], [0.0, 2.0]])
MIXED = np.array([[0.5, 2.0, 1.5, 0.0], [0.1, 0.0, -1.0, 1.0], [0.3, 2.0, 2.5, 1.0]])


def looked_up(x: Array, first: Array, second: Array) -> Array:
    rows = [[row[0], row[2], *first[int(row[1])], *second[int(row[3])]] for row in x]
    return np.array(rows).reshape(len(x), 2 + first.shape[1] + second.shape[1])


def torch_looked_up(x: Any, first: Any, second: Any) -> Any:
    parts = [x[:, [0, 2]], first[x[:, 1].long()], second[x[:, 3].long()]]
    return torch.cat(parts, dim=1)


ROWS: list[Row] = [
    Row(
        "MatMul",
        MatMul,
        [
            (sample(3, 4), sample(4, 2)),
            (sample(2, 3, 4), sample(2, 4, 2)),
            (sample(3, 4), sample(2, 4, 5)),
            (sample(2, 1, 3, 4), sample(5, 4, 1)),
            (sample(1, 1), sample(1, 1)),
            (sample(0, 3), sample(3, 2)),
            (sample(2, 0), sample(0, 3)),
            (sample(0, 2, 3), sample(3, 2)),
        ],
        product,
        torch=torch.matmul,
        jax=jax.numpy.matmul,
        bad=[
            Bad(
                MatMul,
                (sample(3, 4), sample(4)),
                ShapeError,
                "MatMul(): left has shape (3, 4) and right has shape (4,); both need two "
                "axes or more, a vector v becomes a column by v[:, None]",
            ),
            Bad(
                MatMul,
                (sample(3, 4), sample(3, 2)),
                ShapeError,
                "MatMul(): left has shape (3, 4) and right has shape (3, 2); the last axis "
                "of left (4) must equal the last but one of right (3)",
            ),
            Bad(
                MatMul,
                (sample(2, 3, 4), sample(3, 4, 2)),
                ShapeError,
                "MatMul(): left has shape (2, 3, 4) and right has shape (3, 4, 2); "
                "the batch axes (2,) and (3,) cannot be broadcast",
            ),
        ],
    ),
    Row(
        "WeightMultiply",
        WeightMultiply,
        [(sample(5, 3), sample(3, 2)), (sample(1, 1), sample(1, 4)), (sample(0, 3), sample(3, 2))],
        product,
        torch=torch.matmul,
        jax=jax.numpy.matmul,
        parameters=True,
        bad=[
            Bad(
                lambda: WeightMultiply(bound(sample(13, 64))),
                (sample(32, 64),),
                ShapeError,
                "WeightMultiply() got input of shape (32, 64); it expects (batch, 13), "
                "since its weight has shape (13, 64)",
            )
        ],
    ),
    Row(
        "Linear",
        Linear,
        [
            (sample(5, 3), sample(3, 2), sample(2)),
            (sample(1, 4), sample(4, 1), sample(1)),
            (sample(0, 3), sample(3, 2), sample(2)),
        ],
        lambda x, weight, bias: product(x, weight) + bias,
        torch=lambda x, weight, bias: F.linear(x, weight.T, bias),
        jax=lambda x, weight, bias: x @ weight + bias,
        parameters=True,
        bad=[
            Bad(
                lambda: Linear(bound(sample(13, 1)), bound(sample(1))),
                (sample(13),),
                ShapeError,
                "Linear() got input of shape (13,); it expects (batch, 13), "
                "since its weight has shape (13, 1)",
            )
        ],
    ),
    Row(
        "Lookup",
        Lookup,
        [
            (CODES, sample(3, 2)),
            (CODES[0], sample(4, 1)),
            (np.array(1.0), sample(2, 3)),
            (np.zeros((0, 2)), sample(3, 2)),
        ],
        lambda codes, table: np.array([table[int(code)] for code in codes.flat]).reshape(
            *codes.shape, table.shape[1]
        ),
        torch=lambda codes, table: F.embedding(codes.long(), table),
        parameters=True,
        project=lambda move: move * 0 if move.shape in {CODES.shape, CODES[0].shape, ()} else move,
        bad=[
            Bad(
                lambda: Lookup(bound(sample(3, 2))),
                (np.array([0.0, 3.0]),),
                DataError,
                "Lookup(): the code at (1,) is 3.0; expected a whole number from 0 to 2",
            ),
            Bad(
                lambda: Lookup(bound(sample(3, 2))),
                (np.array([[0.5]]),),
                DataError,
                "Lookup(): the code at (0, 0) is 0.5; expected a whole number from 0 to 2",
            ),
        ],
    ),
    Row(
        "LookupColumns",
        lambda *tables: LookupColumns((1, 3), *tables),
        [(MIXED, sample(3, 2), sample(2, 1)), (MIXED[:0], sample(3, 2), sample(2, 1))],
        looked_up,
        torch=torch_looked_up,
        parameters=True,
        project=lambda move: move * np.array([1.0, 0.0, 1.0, 0.0]) if move.shape[1] == 4 else move,
    ),
    Row(
        "Normalize",
        lambda gain, shift: Normalize(gain, shift, axis=0, epsilon=0.1),
        [
            (sample(6, 3), sample(3), sample(3, seed=1)),
            (sample(1, 2), sample(2), sample(2, seed=1)),
        ],
        normalized_columns,
        torch=lambda x, gain, shift: (
            F.batch_norm(x, None, None, gain, shift, training=True, eps=0.1)
            if len(x) > 1
            else shift + 0 * x * gain
        ),
        parameters=True,
    ),
    Row(
        "Normalize-rows",
        lambda gain, shift: Normalize(gain, shift, axis=1, epsilon=1e-5),
        [
            (sample(6, 3), sample(3), sample(3, seed=1)),
            (sample(0, 3), sample(3), sample(3, seed=1)),
        ],
        lambda x, gain, shift: (
            (x - x.mean(axis=1)[:, None]) / np.sqrt(x.var(axis=1) + 1e-5)[:, None] * gain + shift
        ),
        torch=lambda x, gain, shift: F.layer_norm(x, gain.shape, gain, shift, eps=1e-5),
        parameters=True,
    ),
    Row(
        "NormalizeWith",
        with_statistics,
        [
            (sample(4, 3), sample(3), sample(3, seed=1)),
            (sample(0, 3), sample(3), sample(3, seed=1)),
        ],
        standardized,
        torch=torch_standardized,
        jax=standardized,
        parameters=True,
    ),
]

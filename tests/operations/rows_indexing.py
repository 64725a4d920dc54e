"""Rows: parts of arrays, and parts put back; diagonals and triangles."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch

from typegrad.errors import DTypeError, ShapeError
from typegrad.operations import (
    Diagonal,
    DiagonalMatrix,
    Index,
    ScatterAdd,
    Take,
    TakeAlongAxis,
    Trace,
    Tril,
    Triu,
)
from typegrad.types import Array

from .row import Bad, Inputs, Row, sample

MASK = np.array([[True, False, True, True], [False] * 4, [True, True, False, True]])
INDICES = np.array([[2, 0], [1, -1]])
HALVES: Any = np.full((2, 2), 0.5)
AGAIN = np.array([1, 1, 0, 1])


def as_torch(key: Any) -> Any:
    """Key with PyTorch's arrays in it."""
    if isinstance(key, tuple):
        return tuple(map(as_torch, key))
    if isinstance(key, list):
        return torch.tensor(key, dtype=torch.long)
    return torch.tensor(key) if isinstance(key, np.ndarray) else key


def as_jax(key: Any) -> Any:
    """Key with arrays for lists, which JAX does not take."""
    return np.array(key, np.intp) if isinstance(key, list) else key


def indexed(x: Array, key: Any) -> Array:
    """x[key], by giving every element a number and finding it again."""
    numbers = np.arange(x.size).reshape(x.shape)[key]
    return np.array([x.ravel()[number] for number in np.ravel(numbers)]).reshape(numbers.shape)


def index_row(name: str, key: Any, *samples: Inputs) -> Row:
    return Row(
        f"Index-{name}",
        partial(Index, key),
        samples or [(sample(3, 4),), (sample(3, 4, 2),)],
        partial(indexed, key=key),
        torch=lambda x: x[as_torch(key)],
        jax=lambda x: x[as_jax(key)],
    )


def scattered(key: Any, shape: tuple[int, ...], x: Array) -> Array:
    """Zeros with x added at key, element by element."""
    total = np.zeros(shape)
    numbers = np.arange(total.size).reshape(shape)[key]
    for number, value in zip(np.ravel(numbers), x.ravel(), strict=True):
        total.flat[number] += value
    return total


def scatter_row(name: str, key: Any, shape: tuple[int, ...], *samples: Inputs) -> Row:
    return Row(
        f"ScatterAdd-{name}",
        partial(ScatterAdd, key, shape),
        samples,
        partial(scattered, key, shape),
        jax=lambda x: jnp.zeros(shape, x.dtype).at[as_jax(key)].add(x),
    )


def off_diagonal(x: Array, first: int, last: int) -> Array:
    """Square part of the first and last axis that starts at these places."""
    size = max(min(len(x) - first, x.shape[-1] - last), 0)
    return x[first : first + size, ..., last : last + size]


def torch_diagonal_sum(x: Any) -> Any:
    return torch.diagonal(x, 1, -1, 0).sum(-1)


ROWS: list[Row] = [
    index_row("number", 1, (sample(3, 4),), (sample(2),), (sample(2, 0),)),
    index_row("numbers", (np.int64(-1), 0), (sample(3, 4),), (sample(2, 2, 2),)),
    index_row("slice", slice(1, None), (sample(3, 4),), (sample(0, 2),), (sample(1),)),
    index_row("axes", (None, ..., slice(0, 3, 2), None)),
    index_row("nothing", (), (sample(),), (sample(3),)),
    index_row("ellipsis", ..., (sample(),), (sample(0, 3),)),
    index_row("mask", MASK),
    index_row("mask-first", (MASK[:, 0], slice(1, 3))),
    index_row("integers", INDICES, (sample(3, 4),), (sample(3),), (sample(3, 0),)),
    index_row("list", [0, 2, 0], (sample(3, 4),), (sample(3),)),
    index_row("empty-list", [], (sample(3, 4),), (sample(0),)),
    index_row("integers-twice", (AGAIN, AGAIN)),
    index_row("integers-apart", (AGAIN, slice(None), AGAIN), (sample(3, 4, 2),)),
    Row(
        "Index-steps",
        partial(Index, (slice(None, None, -1), slice(3, 0, -2))),
        [(sample(3, 4),), (sample(0, 4),)],
        partial(indexed, key=(slice(None, None, -1), slice(3, 0, -2))),
        jax=lambda x: x[::-1, 3:0:-2],
        bad=[
            Bad(
                partial(Index, 3),
                (sample(3, 4),),
                IndexError,
                "index 3 is out of bounds for axis 0 with size 3",
            ),
        ],
    ),
    scatter_row("slice", (slice(1, None), 0), (3, 2), (sample(2),)),
    scatter_row("mask", MASK, (3, 4), (sample(6),)),
    scatter_row("integers", AGAIN, (3, 2), (sample(4, 2),)),
    scatter_row("mixed", (..., AGAIN, slice(1, 2)), (2, 3, 4), (sample(2, 4, 1),)),
    scatter_row("number", (1, 1), (3, 2), (sample(),)),
    Row(
        "ScatterAdd-nothing",
        partial(ScatterAdd, [], (3, 2)),
        [(sample(0, 2),)],
        lambda _: np.zeros((3, 2)),
        bad=[
            Bad(
                partial(ScatterAdd, (AGAIN, slice(1, None, 2), None, ..., slice(None)), (3, 4, 5)),
                (sample(4),),
                ShapeError,
                f"ScatterAdd([{AGAIN.dtype} array of shape (4,), 1::2, None, ..., :], "
                "shape=(3, 4, 5)): the input has shape (4,); expected (4, 2, 1, 5), that of the "
                "part of the output",
            )
        ],
    ),
    Row(
        "Take",
        partial(Take, INDICES),
        [(sample(3, 4),), (sample(3),), (sample(5),)],
        lambda x: np.array([[x.ravel()[2], x.ravel()[0]], [x.ravel()[1], x.ravel()[-1]]]),
        torch=lambda x: torch.take(x, torch.tensor(INDICES)),
        jax=lambda x: jnp.take(x, INDICES),
        bad=[
            Bad(
                partial(Take, np.array([1.0])),
                (),
                DTypeError,
                "Take: the indices have dtype float64; expected integers",
            )
        ],
    ),
    Row(
        "Take-axis",
        partial(Take, AGAIN, -2),
        [(sample(3, 4),), (sample(2, 3, 4),), (sample(2, 0),)],
        lambda x: np.stack([x[..., number, :] for number in AGAIN], axis=-2),
        torch=lambda x: torch.index_select(x, -2, torch.tensor(AGAIN)),
        jax=lambda x: jnp.take(x, AGAIN, axis=-2),
        bad=[
            Bad(
                partial(Take, AGAIN, 1),
                (sample(3),),
                ShapeError,
                "Take(indices of shape (4,), axis=1): an array with 1 axes has no axis 1",
            )
        ],
    ),
    Row(
        "TakeAlongAxis",
        partial(TakeAlongAxis, INDICES, 1),
        [(sample(2, 3),), (sample(2, 4),)],
        lambda x: np.array([[x[0, 2], x[0, 0]], [x[1, 1], x[1, -1]]]),
        torch=lambda x: torch.take_along_dim(x, torch.tensor(INDICES % x.shape[1]), 1),
        jax=lambda x: jnp.take_along_axis(x, INDICES, 1),
        bad=[
            Bad(
                partial(TakeAlongAxis, INDICES, 1),
                (sample(3, 2),),
                ShapeError,
                "TakeAlongAxis(indices of shape (2, 2), axis=1): the input has shape (3, 2); "
                "expected indices with as many axes, and its lengths or 1 on all but axis 1",
            ),
            Bad(
                partial(TakeAlongAxis, HALVES, 1),
                (),
                DTypeError,
                "TakeAlongAxis: the indices have dtype float64; expected integers",
            ),
        ],
    ),
    Row(
        "TakeAlongAxis-broadcast",
        partial(TakeAlongAxis, AGAIN[:, None], -2),
        [(sample(3, 4),), (sample(2, 1),), (sample(2, 0),)],
        lambda x: np.stack([x[number] for number in AGAIN]),
        torch=lambda x: torch.take_along_dim(x, torch.tensor(AGAIN[:, None]), -2),
        jax=lambda x: jnp.take_along_axis(x, AGAIN[:, None], -2),
    ),
    Row(
        "Diagonal",
        Diagonal,
        [(sample(3, 3),), (sample(3, 4),), (sample(4, 2, 3),), (sample(0, 3),), (sample(2, 2, 0),)],
        lambda x: np.einsum("ii...->...i", x[: min(x.shape[:2]), : min(x.shape[:2])]),
        torch=torch.diagonal,
        jax=jnp.diagonal,
        bad=[
            Bad(
                Diagonal,
                (sample(3),),
                ShapeError,
                "Diagonal(offset=0, axis1=0, axis2=1): an array with 1 axes has no axis 1",
            ),
            Bad(
                partial(Diagonal, axis1=0, axis2=-2),
                (sample(3, 3),),
                ShapeError,
                "Diagonal(offset=0, axis1=0, axis2=-2): both axes are 0; "
                "expected two different ones",
            ),
        ],
    ),
    Row(
        "Diagonal-below",
        partial(Diagonal, -1, -1, 0),
        [(sample(3, 3),), (sample(3, 4),), (sample(4, 2, 3),), (sample(2, 1),)],
        lambda x: np.einsum("i...i->...i", off_diagonal(x, 0, 1)),
        torch=lambda x: torch.diagonal(x, -1, -1, 0),
        jax=lambda x: jnp.diagonal(x, -1, -1, 0),
    ),
    Row(
        "Trace",
        Trace,
        [(sample(3, 3),), (sample(3, 4),), (sample(4, 2, 3),), (sample(0, 3),)],
        lambda x: np.array(sum(x[i, i] for i in range(min(x.shape[:2])))),
        torch=lambda x: torch.diagonal(x).sum(-1),
        jax=jnp.trace,
    ),
    Row(
        "Trace-above",
        partial(Trace, 1, -1, 0),
        [(sample(3, 3),), (sample(3, 4),), (sample(4, 2, 3),), (sample(2, 1),)],
        lambda x: np.einsum("i...i->...", off_diagonal(x, 1, 0)),
        torch=torch_diagonal_sum,
        jax=lambda x: jnp.trace(x, 1, -1, 0),
    ),
    Row(
        "DiagonalMatrix",
        DiagonalMatrix,
        [(sample(3),), (sample(2, 3),), (sample(0),), (sample(2, 1),)],
        lambda x: x[..., None] * np.eye(x.shape[-1]),
        torch=torch.diag_embed,
        jax=lambda x: x[..., None] * jnp.eye(x.shape[-1]),
        bad=[
            Bad(
                DiagonalMatrix,
                (sample(),),
                ShapeError,
                "DiagonalMatrix(offset=0): the input has shape (); expected (..., n)",
            )
        ],
    ),
    Row(
        "DiagonalMatrix-offset",
        partial(DiagonalMatrix, -2),
        [(sample(3),), (sample(2, 3),), (sample(0),)],
        lambda x: np.pad(
            x[..., None] * np.eye(x.shape[-1]), [(0, 0)] * (x.ndim - 1) + [(2, 0), (0, 2)]
        ),
        torch=partial(torch.diag_embed, offset=-2),
    ),
    Row(
        "Tril",
        Tril,
        [(sample(3, 4),), (sample(2, 3, 3),), (sample(0, 3),)],
        lambda x: np.where(np.arange(x.shape[-2])[:, None] >= np.arange(x.shape[-1]), x, 0),
        torch=torch.tril,
        jax=jnp.tril,
        bad=[
            Bad(
                Tril,
                (sample(3),),
                ShapeError,
                "Tril(k=0): the input has shape (3,); expected matrices (..., n, m)",
            )
        ],
    ),
    Row(
        "Triu",
        partial(Triu, -1),
        [(sample(3, 4),), (sample(2, 4, 3),), (sample(0, 3),)],
        lambda x: np.where(np.arange(x.shape[-2])[:, None] - 1 <= np.arange(x.shape[-1]), x, 0),
        torch=partial(torch.triu, diagonal=-1),
        jax=partial(jnp.triu, k=-1),
    ),
]

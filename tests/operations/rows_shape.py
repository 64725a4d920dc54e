"""Rows: other shapes and orders, joining, padding and repeating."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from typegrad.errors import ShapeError
from typegrad.operations import (
    BroadcastTo,
    Concatenate,
    ExpandDims,
    Flip,
    Pad,
    Repeat,
    Reshape,
    Roll,
    Squeeze,
    Stack,
    Swapaxes,
    Tile,
    Transpose,
)
from typegrad.types import Array, Shape

from .row import Bad, Row, sample

FULL = [(sample(3, 4),), (sample(2, 3, 4),), (sample(0, 3),), (sample(1, 1),)]


def picked(x: Array, shape: tuple[int, ...], place: Any) -> Array:
    """Array of a shape, each of whose elements is x at `place(index)`."""
    y = np.zeros(shape)
    for index in np.ndindex(shape):
        y[index] = x[place(*index)]
    return y


def tiled_shape(shape: Shape, reps: Shape) -> Shape:
    lengths = [1] * (len(reps) - len(shape)) + list(shape)
    times = [1] * (len(shape) - len(reps)) + list(reps)
    return tuple(a * b for a, b in zip(lengths, times, strict=True))


def padded(name: str, width: Any, pair: tuple[int, int]) -> Row:
    """The same pair of numbers for all axes, spelled in one of three ways."""
    return Row(
        name,
        partial(Pad, width),
        [(sample(3, 4),), (sample(),), (sample(2, 0, 1),)],
        lambda x: np.pad(x, pair) if x.ndim else x,
        torch=lambda x: F.pad(x, pair * x.ndim) if x.ndim else x * 1,
        jax=lambda x: jnp.pad(x, pair) if x.ndim else x,
    )


ROWS: list[Row] = [
    Row(
        "Transpose",
        Transpose,
        [*FULL, (sample(3),), (sample(),)],
        lambda x: picked(x, x.shape[::-1], lambda *index: index[::-1]),
        torch=lambda x: x.permute(tuple(reversed(range(x.ndim)))),
        jax=jnp.transpose,
    ),
    Row(
        "Transpose-axes",
        partial(Transpose, (1, -1, 0)),
        [(sample(2, 3, 4),), (sample(2, 0, 4),)],
        lambda x: picked(x, (x.shape[1], x.shape[2], x.shape[0]), lambda a, b, c: (c, a, b)),
        torch=lambda x: x.permute(1, 2, 0),
        jax=partial(jnp.transpose, axes=(1, -1, 0)),
        bad=[
            Bad(
                partial(Transpose, (0, 0)),
                (sample(3, 4),),
                ShapeError,
                "Transpose(axes=(0, 0)): the input has 2 axes; expected each of them once in axes",
            ),
            Bad(
                partial(Transpose, (0, 2)),
                (sample(3, 4),),
                ShapeError,
                "Transpose(axes=(0, 2)): the input has 2 axes; expected each of them once in axes",
            ),
        ],
    ),
    Row(
        "Swapaxes",
        partial(Swapaxes, 0, -1),
        [*FULL, (sample(3),)],
        lambda x: picked(
            x,
            (x.shape[-1], *x.shape[1:-1], x.shape[0]) if x.ndim > 1 else x.shape,
            lambda *i: (i[-1], *i[1:-1], i[0]) if len(i) > 1 else i,
        ),
        torch=lambda x: torch.swapaxes(x, 0, -1),
        jax=lambda x: jnp.swapaxes(x, 0, -1),
        bad=[
            Bad(
                partial(Swapaxes, 0, 2),
                (sample(3, 4),),
                ShapeError,
                "Swapaxes(first=0, second=2): an array with 2 axes has no axis 2",
            )
        ],
    ),
    Row(
        "Reshape",
        partial(Reshape, (2, -1)),
        [(sample(3, 4),), (sample(2, 3, 4),), (sample(0, 3),), (sample(2),)],
        lambda x: np.array([x.ravel()[: x.size // 2], x.ravel()[x.size // 2 :]]),
        torch=lambda x: x.reshape(2, -1),
        jax=lambda x: x.reshape(2, -1),
        bad=[
            Bad(
                partial(Reshape, shape),
                (sample(3, 4),),
                ShapeError,
                f"Reshape(shape={shape}): an input of shape (3, 4) with 12 elements does not fit "
                "that shape",
            )
            for shape in [(5, -1), (13,), (-1, -1), (0, -1)]
        ],
    ),
    Row(
        "Reshape-to-nothing",
        partial(Reshape, ()),
        [(sample(1, 1),), (sample(),)],
        lambda x: x.item(),
        torch=lambda x: x.reshape(()),
        jax=lambda x: x.reshape(()),
    ),
    Row(
        "BroadcastTo",
        partial(BroadcastTo, (2, 3, 4)),
        [(sample(3, 4),), (sample(2, 1, 4),), (sample(),), (sample(1),), (sample(2, 3, 4),)],
        lambda x: np.zeros((2, 3, 4)) + x,
        torch=lambda x: torch.broadcast_to(x, (2, 3, 4)),
        jax=lambda x: jnp.broadcast_to(x, (2, 3, 4)),
        bad=[
            Bad(
                partial(BroadcastTo, (2, 3)),
                inputs,
                ShapeError,
                f"BroadcastTo(shape=(2, 3)): an input of shape {inputs[0].shape} cannot be "
                "broadcast to that shape",
            )
            for inputs in [(sample(2),), (sample(4, 2, 3),)]
        ],
    ),
    Row(
        "BroadcastTo-nothing",
        partial(BroadcastTo, (0, 3)),
        [(sample(1, 3),), (sample(3),), (sample(),), (sample(0, 3),)],
        lambda _: np.zeros((0, 3)),
        torch=lambda x: torch.broadcast_to(x, (0, 3)),
        jax=lambda x: jnp.broadcast_to(x, (0, 3)),
    ),
    Row(
        "ExpandDims",
        partial(ExpandDims, 1),
        [*FULL, (sample(3),)],
        lambda x: x.reshape(x.shape[0], 1, *x.shape[1:]),
        torch=lambda x: x.unsqueeze(1),
        jax=lambda x: jnp.expand_dims(x, 1),
        bad=[
            Bad(
                partial(ExpandDims, (0, 3)),
                (sample(3),),
                ShapeError,
                "ExpandDims(axis=(0, 3)): the output of an input of shape (3,) has 3 axes; "
                "expected different numbers from -3 to 2",
            )
        ],
    ),
    Row(
        "ExpandDims-axes",
        partial(ExpandDims, (0, -1)),
        [*FULL, (sample(),)],
        lambda x: x.reshape(1, *x.shape, 1),
        torch=lambda x: x.unsqueeze(0).unsqueeze(-1),
        jax=lambda x: jnp.expand_dims(x, (0, -1)),
    ),
    Row(
        "Squeeze",
        Squeeze,
        [(sample(1, 3, 1),), (sample(1, 1),), (sample(3, 4),), (sample(),), (sample(1, 0),)],
        lambda x: x.reshape([length for length in x.shape if length != 1]),
        torch=torch.squeeze,
        jax=jnp.squeeze,
    ),
    Row(
        "Squeeze-axes",
        partial(Squeeze, (0, -1)),
        [(sample(1, 3, 1),), (sample(1, 1),), (sample(1, 0, 1),)],
        lambda x: x.reshape(x.shape[1:-1]),
        torch=lambda x: x.squeeze((0, -1)),
        jax=lambda x: jnp.squeeze(x, (0, -1)),
        bad=[
            Bad(
                partial(Squeeze, 1),
                (sample(1, 3),),
                ShapeError,
                "Squeeze(axis=1): the input has shape (1, 3); expected length 1 there",
            ),
            Bad(
                partial(Squeeze, 2),
                (sample(1, 3),),
                ShapeError,
                "Squeeze(axis=2): an array with 2 axes has no axis 2",
            ),
        ],
    ),
    Row(
        "Flip",
        Flip,
        [*FULL, (sample(),)],
        lambda x: x.ravel()[::-1].reshape(x.shape),
        torch=lambda x: torch.flip(x, tuple(range(x.ndim))),
        jax=jnp.flip,
    ),
    Row(
        "Flip-axis",
        partial(Flip, (1,)),
        FULL,
        lambda x: x[:, ::-1],
        torch=lambda x: torch.flip(x, (1,)),
        jax=lambda x: jnp.flip(x, 1),
        bad=[
            Bad(
                partial(Flip, 1),
                (sample(3),),
                ShapeError,
                "Flip(axis=1): an array with 1 axes has no axis 1",
            )
        ],
    ),
    Row(
        "Roll",
        partial(Roll, 2),
        [*FULL, (sample(5),), (sample(),)],
        lambda x: (
            np.array([x.ravel()[k - 2] for k in range(x.size)]).reshape(x.shape)
            if x.size > 1
            else x
        ),
        torch=lambda x: torch.roll(x, 2),
        jax=lambda x: jnp.roll(x, 2),
    ),
    Row(
        "Roll-axes",
        partial(Roll, (1, -2), (0, 1)),
        FULL,
        lambda x: picked(
            x, x.shape, lambda a, b, *c: ((a - 1) % x.shape[0], (b + 2) % x.shape[1], *c)
        ),
        torch=lambda x: torch.roll(x, (1, -2), (0, 1)),
        jax=lambda x: jnp.roll(x, (1, -2), (0, 1)),
        bad=[
            Bad(
                partial(Roll, 1, 1),
                (sample(3),),
                ShapeError,
                "Roll(shift=1, axis=1): an array with 1 axes has no axis 1",
            )
        ],
    ),
    Row(
        "Concatenate",
        Concatenate,
        [
            (sample(3, 4), sample(2, 4)),
            (sample(2), sample(0), sample(3)),
            (sample(2, 3),),
            (sample(1, 0), sample(2, 0)),
        ],
        lambda *parts: (
            np.array([row for part in parts for row in part]).reshape(-1, *parts[0].shape[1:])
            if parts[0].size
            else np.zeros((sum(map(len, parts)), *parts[0].shape[1:]))
        ),
        torch=lambda *parts: torch.cat(parts),
        jax=lambda *parts: jnp.concatenate(parts),
        bad=[
            Bad(
                Concatenate,
                (sample(3, 4), sample(3, 5)),
                ShapeError,
                "Concatenate(axis=0): the inputs have shapes (3, 4), (3, 5); "
                "expected equal lengths on all axes but 0",
            ),
            Bad(
                Concatenate,
                (sample(), sample()),
                ShapeError,
                "Concatenate(axis=0): an array with 0 axes has no axis 0",
            ),
            Bad(
                Concatenate,
                (),
                ShapeError,
                "Concatenate(axis=0).forward needs at least one input; it got none",
            ),
        ],
    ),
    Row(
        "Concatenate-axis",
        partial(Concatenate, -1),
        [(sample(2, 3), sample(2, 1)), (sample(0, 2), sample(0, 1))],
        lambda *parts: np.array(parts[0].T.tolist() + parts[1].T.tolist()).T,
        torch=lambda *parts: torch.cat(parts, dim=-1),
        jax=lambda *parts: jnp.concatenate(parts, axis=-1),
    ),
    Row(
        "Stack",
        Stack,
        [(sample(3, 4), sample(3, 4, seed=1)), (sample(), sample(seed=1)), (sample(0),) * 3],
        lambda *parts: np.array([part.tolist() for part in parts]),
        torch=lambda *parts: torch.stack(parts),
        jax=lambda *parts: jnp.stack(parts),
        bad=[
            Bad(
                Stack,
                (sample(3), sample(1)),
                ShapeError,
                "Stack(axis=0): the inputs have shapes (3,), (1,); expected equal shapes",
            ),
            Bad(
                partial(Stack, 2),
                (sample(3),),
                ShapeError,
                "Stack(axis=2): an array with 2 axes has no axis 2",
            ),
        ],
    ),
    Row(
        "Stack-axis",
        partial(Stack, -2),
        [
            (sample(3, 4), sample(3, 4, seed=1)),
            (sample(4),),
            (sample(2, 3, 4), sample(2, 3, 4, seed=1)),
        ],
        lambda *parts: (
            np.array([part.tolist() for part in parts])
            .reshape(len(parts), -1, parts[0].shape[-1])
            .swapaxes(0, 1)
            .reshape(*parts[0].shape[:-1], len(parts), -1)
        ),
        jax=lambda *parts: jnp.stack(parts, axis=-2),
    ),
    Row(
        "Pad",
        partial(Pad, ((1, 0), (2, 3)), -1.5),
        [(sample(3, 4),), (sample(0, 2),), (sample(1, 1),)],
        lambda x: np.block(
            [
                [np.full((1, x.shape[1] + 5), -1.5)],
                [np.full((x.shape[0], 2), -1.5), x, np.full((x.shape[0], 3), -1.5)],
            ]
        ),
        torch=lambda x: F.pad(x, (2, 3, 1, 0), value=-1.5),
        jax=lambda x: jnp.pad(x, ((1, 0), (2, 3)), constant_values=-1.5),
        bad=[
            Bad(
                partial(Pad, ((1, 2), (3, 4))),
                (sample(3),),
                ShapeError,
                "Pad(pad_width=((1, 2), (3, 4)), constant=0.0): the input has 1 axes; "
                "expected a pair of numbers >= 0 for each, or for all of them",
            ),
            Bad(
                partial(Pad, -1),
                (sample(3),),
                ShapeError,
                "Pad(pad_width=-1, constant=0.0): the input has 1 axes; "
                "expected a pair of numbers >= 0 for each, or for all of them",
            ),
        ],
    ),
    padded("Pad-number", 2, (2, 2)),
    padded("Pad-pair", (1, 2), (1, 2)),
    padded("Pad-pairs", ((0, 1),), (0, 1)),
    Row(
        "Repeat",
        partial(Repeat, 2),
        [*FULL, (sample(3),), (sample(),)],
        lambda x: np.array([value for value in x.ravel() for _ in range(2)]),
        torch=lambda x: torch.repeat_interleave(x, 2),
        jax=lambda x: jnp.repeat(x, 2),
        bad=[
            Bad(
                partial(Repeat, -1),
                (sample(3),),
                ShapeError,
                "Repeat(repeats=-1, axis=None): an input of shape (3,) has 3 places there; "
                "expected one number of repeats >= 0 for all, or one for each",
            )
        ],
    ),
    Row(
        "Repeat-each",
        partial(Repeat, (2, 0, 3), -2),
        [(sample(3, 4),), (sample(2, 3, 4),), (sample(3, 0),)],
        lambda x: np.concatenate([x[..., k, None, :] for k in (0, 0, 2, 2, 2)], axis=-2),
        torch=lambda x: torch.repeat_interleave(x, torch.tensor([2, 0, 3]), dim=-2),
        jax=lambda x: jnp.repeat(x, np.array([2, 0, 3]), axis=-2),
        bad=[
            Bad(
                partial(Repeat, (1, 2), 0),
                (sample(3, 4),),
                ShapeError,
                "Repeat(repeats=(1, 2), axis=0): an input of shape (3, 4) has 3 places there; "
                "expected one number of repeats >= 0 for all, or one for each",
            ),
            Bad(
                partial(Repeat, 2, 2),
                (sample(3, 4),),
                ShapeError,
                "Repeat(repeats=2, axis=2): an array with 2 axes has no axis 2",
            ),
        ],
    ),
    Row(
        "Tile",
        partial(Tile, (2, 3)),
        [*FULL, (sample(3),), (sample(),)],
        lambda x: picked(
            x,
            tiled_shape(x.shape, (2, 3)),
            lambda *i: tuple(a % n for a, n in zip(i[len(i) - x.ndim :], x.shape, strict=True)),
        ),
        torch=lambda x: torch.tile(x, (2, 3)),
        jax=lambda x: jnp.tile(x, (2, 3)),
        bad=[
            Bad(
                partial(Tile, -1),
                (sample(3),),
                ShapeError,
                "Tile(reps=-1): expected numbers >= 0",
            )
        ],
    ),
    Row(
        "Tile-last",
        partial(Tile, 2),
        [*FULL, (sample(3),), (sample(),)],
        lambda x: np.concatenate([np.atleast_1d(x)] * 2, axis=-1),
        torch=lambda x: torch.tile(x, (2,)),
        jax=lambda x: jnp.tile(x, 2),
    ),
]

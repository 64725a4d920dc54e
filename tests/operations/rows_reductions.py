"""Rows: reductions."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
import numpy as np
import torch

from typegrad.errors import ShapeError
from typegrad.operations import Mean, Sum

from .row import Bad, Row, sample

SAMPLES = [(sample(3, 4),), (sample(5),), (sample(),), (sample(2, 3, 4),), (sample(1, 1),)]
"""For a reduction over all axes."""

ALONG = [(sample(3, 4),), (sample(2, 3, 4),), (sample(0, 4),), (sample(2, 3, 1),)]
"""For a reduction over axis 1, or -2 of three."""

ROWS: list[Row] = [
    Row(
        "Sum",
        Sum,
        [*SAMPLES, (sample(0, 3),)],
        lambda x: sum(x.ravel().tolist()),
        torch=torch.sum,
        jax=jnp.sum,
    ),
    Row(
        "Sum-axis",
        partial(Sum, 1),
        [*ALONG, (sample(3, 0),)],
        lambda x: np.einsum("ij...->i...", x),
        torch=partial(torch.sum, dim=1),
        jax=partial(jnp.sum, axis=1),
        bad=[
            Bad(
                lambda: Sum(axis=2),
                (sample(3, 4),),
                ShapeError,
                "Sum(axis=2, keepdims=False): an input of shape (3, 4) does not have that axis",
            ),
            Bad(
                lambda: Sum(axis=(1, -1)),
                (sample(3, 4),),
                ShapeError,
                "Sum(axis=(1, -1), keepdims=False): an axis is named twice for an input of "
                "shape (3, 4)",
            ),
        ],
    ),
    Row(
        "Sum-axes-keepdims",
        partial(Sum, (0, -1), keepdims=True),
        [(sample(3, 4),), (sample(2, 3, 4),), (sample(2, 3, 0),)],
        lambda x: np.einsum("i...j->...", x)[None, ..., None],
        torch=partial(torch.sum, dim=(0, -1), keepdim=True),
        jax=partial(jnp.sum, axis=(0, -1), keepdims=True),
    ),
    Row(
        "Mean",
        Mean,
        SAMPLES,
        lambda x: sum(x.ravel().tolist()) / x.size,
        torch=torch.mean,
        jax=jnp.mean,
    ),
    Row(
        "Mean-axis-keepdims",
        partial(Mean, 1, keepdims=True),
        ALONG,
        lambda x: np.einsum("ij...->i...", x)[:, None] / x.shape[1],
        torch=partial(torch.mean, dim=1, keepdim=True),
        jax=partial(jnp.mean, axis=1, keepdims=True),
        bad=[
            Bad(
                lambda: Mean(axis=0),
                (sample(),),
                ShapeError,
                "Mean(axis=0, keepdims=False): an input of shape () does not have that axis",
            )
        ],
    ),
]

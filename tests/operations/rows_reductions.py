"""Rows: reductions."""

from __future__ import annotations

import itertools
import math
import operator
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import torch

from typegrad.errors import ShapeError
from typegrad.operations import (
    Cumprod,
    Cumsum,
    LogSumExp,
    Max,
    Mean,
    Min,
    Norm,
    Prod,
    Sort,
    Std,
    Sum,
    Var,
)
from typegrad.types import Shape

from .row import Bad, Inputs, Kink, Row, drawn, kink, sample, spaced

SAMPLES = [(sample(3, 4),), (sample(5),), (sample(),), (sample(2, 3, 4),), (sample(1, 1),)]
"""For a reduction over all axes."""

ALONG = [(sample(3, 4),), (sample(2, 3, 4),), (sample(0, 4),), (sample(2, 3, 1),)]
"""For a reduction over axis 1, or -2 of three."""

ALONG_SOME = [(sample(3, 4),), (sample(2, 3, 4),), (sample(2, 3, 1),)]
"""PyTorch warns about a variance of no rows."""


def drawn_each(*shapes: Shape) -> list[Inputs]:
    """Arrays without ties."""
    return [drawn((spaced(0.03),), shape) for shape in shapes]


DIFFERENT = drawn_each((3, 4), (5,), (), (2, 3, 4), (1, 1))
DIFFERENT_ALONG = drawn_each((3, 4), (2, 3, 4), (0, 4), (2, 3, 1))
INF = math.inf
JAX_INF: Any = math.inf  # JAX declares int | str


def no_axis(shape: Shape) -> str:
    return f"an input of shape {shape} does not have that axis"


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
    Row(
        "Prod",
        Prod,
        [*SAMPLES, (sample(0, 3),)],
        lambda x: math.prod(x.ravel().tolist()),
        torch=torch.prod,
        jax=jnp.prod,
        kinks=[
            kink([2.0, 3, 4], [12, 8, 6], "torch", "jax"),
            kink([2.0, 0, 4], [0, 8, 0], "torch", "jax"),
            kink([0.0, 0, 4], [0, 0, 0], "torch", "jax"),
        ],
    ),
    Row(
        "Prod-axes-keepdims",
        partial(Prod, (0, -1), keepdims=True),
        [(sample(3, 4),), (sample(2, 3, 4),), (sample(2, 3, 0),), (sample(2, 0, 3),)],
        lambda x: np.array(
            [
                math.prod(x[(slice(None), *place)].ravel().tolist())
                for place in np.ndindex(x.shape[1:-1])
            ]
        ).reshape(1, *x.shape[1:-1], 1),
        jax=partial(jnp.prod, axis=(0, -1), keepdims=True),
    ),
    Row(
        "Max",
        Max,
        DIFFERENT,
        lambda x: max(x.ravel().tolist()),
        torch=torch.amax,
        jax=jnp.max,
        kinks=[kink([1.0, 3, 3], [0, 0.5, 0.5], "torch", "jax")],
        bad=[
            Bad(
                Max,
                (sample(0, 3),),
                ShapeError,
                "Max(axis=None, keepdims=False): the input has shape (0, 3); "
                "expected at least one element along the reduced axes",
            )
        ],
    ),
    Row(
        "Max-axis",
        partial(Max, 1),
        DIFFERENT_ALONG,
        lambda x: np.sort(x, axis=1)[:, -1],
        torch=partial(torch.amax, dim=1),
        jax=partial(jnp.max, axis=1),
        kinks=[
            Kink(
                (np.array([[1.0, 1, 0], [2, 3, 3]]),),
                (np.array([[0.5, 0.5, 0], [0, 0.5, 0.5]]),),
                ("torch", "jax"),
            )
        ],
    ),
    Row(
        "Min",
        Min,
        DIFFERENT,
        lambda x: min(x.ravel().tolist()),
        torch=torch.amin,
        jax=jnp.min,
        kinks=[kink([1.0, 1, 3], [0.5, 0.5, 0], "torch", "jax")],
    ),
    Row(
        "Min-axes-keepdims",
        partial(Min, (0, -1), keepdims=True),
        [*drawn_each((3, 4), (2, 3, 4), (2, 0, 4))],
        lambda x: reduce(np.minimum, [part[..., k : k + 1] for part in x for k in range(4)])[None],
        torch=partial(torch.amin, dim=(0, -1), keepdim=True),
        jax=partial(jnp.min, axis=(0, -1), keepdims=True),
    ),
    Row(
        "Var",
        Var,
        SAMPLES,
        lambda x: np.cov(x.ravel(), ddof=0) if x.size > 1 else 0.0,
        torch=partial(torch.var, correction=0),
        jax=jnp.var,
        bad=[
            Bad(
                lambda: Var(1, ddof=1),
                (sample(3, 1),),
                ShapeError,
                "Var(axis=1, keepdims=False, ddof=1): the input of shape (3, 1) has 1 elements "
                "along the reduced axes; expected more than ddof, 1",
            )
        ],
    ),
    Row(
        "Var-axis-ddof-keepdims",
        partial(Var, 1, keepdims=True, ddof=1),
        ALONG_SOME,
        lambda x: (
            np.einsum("ij...,ij...->i...", *[x - np.mean(x, axis=1)[:, None]] * 2)[:, None]
            / (x.shape[1] - 1)
        ),
        torch=partial(torch.var, dim=1, correction=1, keepdim=True),
        jax=partial(jnp.var, axis=1, ddof=1, keepdims=True),
    ),
    Row(
        "Std",
        Std,
        [(sample(3, 4),), (sample(5),), (sample(2, 3, 4),)],
        lambda x: math.sqrt(np.cov(x.ravel(), ddof=0)),
        torch=partial(torch.std, correction=0),
        jax=jnp.std,
        kinks=[
            kink([2.0, 2.0], [0, 0], "torch"),
            Kink((np.array(2.0),), (np.array(0.0),), ("torch",)),
        ],
    ),
    Row(
        "Std-axis-ddof",
        partial(Std, 1, ddof=1),
        ALONG_SOME,
        lambda x: (
            (
                np.einsum("ij...,ij...->i...", *[x - np.mean(x, axis=1)[:, None]] * 2)
                / (x.shape[1] - 1)
            )
            ** 0.5
        ),
        torch=partial(torch.std, dim=1, correction=1),
        jax=partial(jnp.std, axis=1, ddof=1),
    ),
    Row("Var-nothing", partial(Var, 1), [(sample(0, 4),)], lambda x: np.zeros(len(x))),
    Row("Std-nothing", partial(Std, 1), [(sample(0, 4),)], lambda x: np.zeros(len(x))),
    Row(
        "LogSumExp",
        LogSumExp,
        SAMPLES,
        lambda x: math.log(sum(map(math.exp, x.ravel().tolist()))),
        torch=lambda x: torch.logsumexp(x, tuple(range(x.ndim))),
        jax=jax.scipy.special.logsumexp,
        kinks=[
            kink([1000.0, -1000, 1000], [0.5, 0, 0.5], "torch", "jax"),
            kink([-INF, 1.0, -INF], [0, 1, 0], "torch", "jax"),
            kink([-INF, -INF], [math.nan, math.nan], "torch", "jax"),
            kink([INF, 1.0], [math.nan, 0], "torch", "jax"),
        ],
    ),
    Row(
        "LogSumExp-axis-keepdims",
        partial(LogSumExp, 1, keepdims=True),
        ALONG,
        lambda x: scipy.special.logsumexp(x, axis=1, keepdims=True),
        torch=partial(torch.logsumexp, dim=1, keepdim=True),
        jax=partial(jax.scipy.special.logsumexp, axis=1, keepdims=True),
        bad=[
            Bad(
                lambda: LogSumExp(axis=1),
                (sample(3, 0),),
                ShapeError,
                "LogSumExp(axis=1, keepdims=False): the input has shape (3, 0); "
                "expected at least one element along the reduced axes",
            )
        ],
    ),
    Row(
        "Norm",
        Norm,
        SAMPLES,
        lambda x: math.hypot(*x.ravel().tolist()),
        torch=torch.linalg.vector_norm,
        jax=jnp.linalg.vector_norm,
        kinks=[kink([0.0, 0, 0], [0, 0, 0], "torch"), kink([3.0, -4], [0.6, -0.8], "torch", "jax")],
        bad=[
            Bad(lambda: Norm(ord=3), (), ValueError, "Norm: ord is 3; expected 1, 2 or inf"),
        ],
    ),
    Row(
        "Norm-axis",
        partial(Norm, 1, keepdims=True),
        ALONG,
        lambda x: np.einsum("ij...,ij...->i...", x, x)[:, None] ** 0.5,
        torch=partial(torch.linalg.vector_norm, dim=1, keepdim=True),
        jax=partial(jnp.linalg.vector_norm, axis=1, keepdims=True),
    ),
    Row(
        "Norm-1",
        partial(Norm, 1, ord=1),
        ALONG,
        lambda x: np.einsum("ij...->i...", np.maximum(x, -x)),
        torch=partial(torch.linalg.vector_norm, dim=1, ord=1),
        jax=partial(jnp.linalg.vector_norm, axis=1, ord=1),
        kinks=[Kink((np.array([[0.0, -2]]),), (np.array([[0.0, -1]]),), ("torch",))],
    ),
    Row(
        "Norm-inf",
        partial(Norm, ord=math.inf),
        DIFFERENT,
        lambda x: max(map(abs, x.ravel().tolist())),
        torch=partial(torch.linalg.vector_norm, ord=math.inf),
        jax=partial(jnp.linalg.vector_norm, ord=JAX_INF),
        kinks=[
            kink([2.0, -2, 1], [0.5, -0.5, 0], "torch", "jax"),
            kink([0.0, 0], [0, 0], "torch"),
        ],
    ),
    Row(
        "Cumsum",
        Cumsum,
        [(sample(3, 4),), (sample(5),), (sample(2, 0),), (sample(0, 3),)],
        lambda x: np.array([list(itertools.accumulate(row)) for row in np.atleast_2d(x)]).reshape(
            x.shape
        ),
        torch=partial(torch.cumsum, dim=-1),
        jax=partial(jnp.cumsum, axis=-1),
        bad=[
            Bad(Cumsum, (sample(),), ShapeError, f"Cumsum(axis=-1): {no_axis(())}"),
            Bad(lambda: Cumsum(1), (sample(3),), ShapeError, f"Cumsum(axis=1): {no_axis((3,))}"),
        ],
    ),
    Row(
        "Cumsum-axis",
        partial(Cumsum, 1),
        ALONG,
        lambda x: np.stack([x[:, : k + 1].sum(axis=1) for k in range(x.shape[1])], axis=1),
        torch=partial(torch.cumsum, dim=1),
        jax=partial(jnp.cumsum, axis=1),
    ),
    Row(
        "Cumprod",
        Cumprod,
        [(sample(3, 4),), (sample(5),), (sample(1, 17),), (sample(2, 0),), (sample(0, 3),)],
        lambda x: np.array(
            [list(itertools.accumulate(row, operator.mul)) for row in np.atleast_2d(x)]
        ).reshape(x.shape),
        torch=partial(torch.cumprod, dim=-1),
        jax=partial(jnp.cumprod, axis=-1),
        kinks=[
            kink([2.0, 3, 4], [16, 10, 6], "torch", "jax"),
            kink([2.0, 0, 4, 3], [1, 34, 0, 0], "torch", "jax"),
            kink([0.0, 3, 0, 5], [4, 0, 0, 0], "torch", "jax"),
        ],
    ),
    Row(
        "Cumprod-axis",
        partial(Cumprod, 0),
        [(sample(3, 4),), (sample(2, 3, 4),), (sample(0, 4),)],
        lambda x: (
            np.stack([x[: k + 1].prod(axis=0) for k in range(len(x))]).reshape(x.shape)
            if len(x)
            else x
        ),
        torch=partial(torch.cumprod, dim=0),
        jax=partial(jnp.cumprod, axis=0),
    ),
    Row(
        "Sort",
        Sort,
        [*drawn_each((3, 4), (5,), (2, 3, 4), (0, 3), (3, 0))],
        lambda x: np.apply_along_axis(sorted, -1, x) if x.size else x,
        torch=lambda x: torch.sort(x, stable=True).values,
        jax=jnp.sort,
        kinks=[
            Kink(
                (np.array([2.0, 1, 2, 1]),),
                (np.ones(4),),
                ("torch", "jax"),
            )
        ],
        bad=[Bad(Sort, (sample(),), ShapeError, f"Sort(axis=-1): {no_axis(())}")],
    ),
    Row(
        "Sort-axis",
        partial(Sort, 0),
        [*drawn_each((3, 4), (5, 2, 3), (0, 3))],
        lambda x: np.apply_along_axis(sorted, 0, x) if x.size else x,
        torch=lambda x: torch.sort(x, dim=0, stable=True).values,
        jax=partial(jnp.sort, axis=0),
    ),
]

"""Rows: choosing between two arrays, bounds, dtypes."""

from __future__ import annotations

import math
from functools import partial

import jax.numpy as jnp
import numpy as np
import torch

from typegrad.errors import DTypeError, ShapeError
from typegrad.operations import AsType, Clip, Maximum, Minimum, Where

from .row import Bad, Kink, Row, between, broadcasting, each_element, elementwise, sample, spaced

CONDITION = np.array([[True, False, True, True], [False] * 4, [False, True, True, False]])
TIED = (np.array([1.0, 2.0, 0.0]), np.array([1.0, 0.0, 2.0]))

ROWS: list[Row] = [
    broadcasting(
        "Maximum",
        Maximum,
        each_element(max),
        (spaced(), spaced(0.05)),
        torch=torch.maximum,
        jax=jnp.maximum,
        kinks=[
            Kink(TIED, (np.array([0.5, 1, 0]), np.array([0.5, 0, 1])), ("torch", "jax")),
        ],
    ),
    broadcasting(
        "Minimum",
        Minimum,
        each_element(min),
        (spaced(), spaced(0.05)),
        torch=torch.minimum,
        jax=jnp.minimum,
        kinks=[
            Kink(TIED, (np.array([0.5, 0, 1]), np.array([0.5, 1, 0])), ("torch", "jax")),
        ],
    ),
    elementwise(
        "Clip",
        partial(Clip, -1.0, 0.5),
        each_element(lambda x: sorted([-1.0, x, 0.5])[1]),
        between(-2, 2, avoid=(-1.0, 0.5)),
        torch=partial(torch.clip, min=-1.0, max=0.5),
        jax=partial(jnp.clip, min=-1.0, max=0.5),
        kinks=[Kink((np.array([-1.0, 0.5, 2, 0]),), (np.array([1.0, 1, 0, 1]),), ("torch",))],
        bad=[
            Bad(
                Clip, (), ValueError, "Clip: min and max are both None; expected at least one bound"
            )
        ],
    ),
    elementwise(
        "Clip-below",
        partial(Clip, 0.5),
        each_element(lambda x: max(x, 0.5)),
        between(-2, 2, avoid=(0.5,)),
        torch=partial(torch.clip, min=0.5),
        jax=partial(jnp.clip, min=0.5),
    ),
    Row(
        "Where",
        partial(Where, CONDITION),
        [
            (sample(3, 4), sample(3, 4, seed=1)),
            (sample(4), sample(3, 1)),
            (sample(), sample()),
            (sample(2, 1, 4), sample(1)),
            (sample(0, 3, 4), sample(4)),
        ],
        lambda a, b: np.select([CONDITION], [a], b),
        torch=lambda a, b: torch.where(torch.tensor(CONDITION), a, b),
        jax=partial(jnp.where, CONDITION),
        kinks=[
            Kink(
                (np.full((3, 4), math.inf), np.full((3, 4), math.nan)),
                (CONDITION.astype(float), 1.0 - CONDITION),
                ("torch", "jax"),
            )
        ],
        bad=[
            Bad(
                partial(Where, CONDITION),
                (sample(4), sample(3)),
                ShapeError,
                "Where(condition of shape (3, 4)): left has shape (4,) and right has shape (3,); "
                "with the condition they must be equal, or equal or 1 in each axis counted from "
                "the last",
            ),
            Bad(
                partial(Where, CONDITION.astype(np.int64)),
                (),
                DTypeError,
                "Where: the condition is int64; expected an array of booleans",
            ),
            Bad(
                lambda: Where(True),  # type: ignore[arg-type]  # the point
                (),
                DTypeError,
                "Where: the condition is bool; expected an array of booleans",
            ),
        ],
    ),
    elementwise(
        "AsType",
        partial(AsType, np.float64),
        each_element(float),
        between(-3, 3),
        torch=lambda x: x.to(torch.float64),
        jax=lambda x: x.astype(jnp.float64),
        keeps_dtype=False,
        bad=[
            Bad(
                lambda: AsType(np.dtype(np.float16)),
                (),
                DTypeError,
                "AsType: dtype is float16; expected float32 or float64",
            )
        ],
    ),
]

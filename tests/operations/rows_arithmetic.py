"""Rows: arithmetic and powers of two arrays."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import torch

from typegrad.errors import ShapeError
from typegrad.operations import Add, Arctan2, Divide, LogAddExp, Multiply, Power, Subtract

from .row import Bad, Kink, Row, between, broadcasting, each_element, sample

ANY = between(-3, 3)
INF = math.inf
OFF_ZERO = between(0.3, 3)

CANNOT_BROADCAST = (
    "left has shape (3, 4) and right has shape (3,); they must be "
    "equal, or equal or 1 in each axis counted from the last"
)

ROWS: list[Row] = [
    broadcasting(
        "Add",
        Add,
        each_element(lambda a, b: a + b),
        (ANY, ANY),
        torch=lambda a, b: a + b,
        jax=lambda a, b: a + b,
        bad=[Bad(Add, (sample(3, 4), sample(3)), ShapeError, f"Add(): {CANNOT_BROADCAST}")],
    ),
    broadcasting(
        "Subtract",
        Subtract,
        each_element(lambda a, b: a - b),
        (ANY, ANY),
        torch=lambda a, b: a - b,
        jax=lambda a, b: a - b,
    ),
    broadcasting(
        "Multiply",
        Multiply,
        each_element(lambda a, b: a * b),
        (ANY, ANY),
        torch=lambda a, b: a * b,
        jax=lambda a, b: a * b,
    ),
    broadcasting(
        "Divide",
        Divide,
        each_element(lambda a, b: a / b),
        (ANY, OFF_ZERO),
        torch=lambda a, b: a / b,
        jax=lambda a, b: a / b,
    ),
    broadcasting(
        "Power",
        Power,
        each_element(math.pow),
        (between(0.3, 3), ANY),
        torch=torch.pow,
        jax=jnp.power,
        kinks=[
            Kink(
                (np.array([0.0, 0, 2, 0]), np.array([1.0, 2, 0, 0.5])),
                (np.array([1.0, 0, 0, INF]), np.array([0, 0, math.log(2), 0])),
                ("torch", "jax"),
            ),
            Kink((np.zeros(1), np.zeros(1)), (np.zeros(1), np.zeros(1)), ("torch",)),
            Kink(
                (np.full(1, INF), np.array([0.0])),
                (np.zeros(1), np.full(1, INF)),
                ("torch", "jax"),
            ),
            Kink(
                (np.array([-2.0, -2, -1]), np.array([3.0, 2, 0])),
                (np.array([12.0, -4, 0]), np.full(3, math.nan)),
                ("torch", "jax"),
            ),
        ],
    ),
    broadcasting(
        "Arctan2",
        Arctan2,
        each_element(math.atan2),
        (between(-3, 3, avoid=(0.0,)), between(-3, 3, avoid=(0.0,))),
        torch=torch.atan2,
        jax=jnp.arctan2,
        kinks=[
            Kink(
                (np.array([0.0, 1]), np.array([-1.0, 0])),
                (np.array([-1.0, 0]), np.array([0.0, -1])),
                ("torch", "jax"),
            ),
            Kink((np.zeros(1), np.zeros(1)), (np.zeros(1), np.zeros(1)), ("torch",)),
        ],
    ),
    broadcasting(
        "LogAddExp",
        LogAddExp,
        each_element(lambda a, b: math.log(math.exp(a) + math.exp(b))),
        (ANY, ANY),
        torch=torch.logaddexp,
        jax=jnp.logaddexp,
        kinks=[
            Kink(
                (np.array([0.0, 1000, -INF]), np.array([0.0, -1000, 3])),
                (np.array([0.5, 1, 0]), np.array([0.5, 0, 1])),
                ("torch", "jax"),
            ),
            Kink((np.full(1, -INF),) * 2, (np.full(1, math.nan),) * 2, ("torch", "jax")),
        ],
    ),
]

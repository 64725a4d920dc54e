"""Rows: arithmetic and powers of two arrays."""

from __future__ import annotations

from typegrad.errors import ShapeError
from typegrad.operations import Add, Divide, Multiply, Subtract

from .row import Bad, Row, between, broadcasting, each_element, sample

ANY = between(-3, 3)
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
]

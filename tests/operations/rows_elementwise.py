"""Rows: powers, exponentials, logarithms and trigonometric functions of one array."""

from __future__ import annotations

import math

import jax.numpy as jnp
import torch

from typegrad.operations import (
    Absolute,
    Arccos,
    Arccosh,
    Arcsin,
    Arcsinh,
    Arctan,
    Arctanh,
    Cos,
    Cosh,
    Exp,
    Expm1,
    Log,
    Log1p,
    Log2,
    Log10,
    Negative,
    Reciprocal,
    Sign,
    Sin,
    Sinh,
    Sqrt,
    Square,
    Tan,
)

from .row import Row, between, each_element, elementwise, kink

ANY = between(-3, 3)
OFF_ZERO = between(-3, 3, avoid=(0.0,))
POSITIVE = between(0.2, 4)
INSIDE_ONE = between(-0.7, 0.7)
INF = math.inf

ROWS: list[Row] = [
    elementwise(
        "Negative",
        Negative,
        each_element(lambda x: 0.0 - x),
        ANY,
        torch=torch.neg,
        jax=jnp.negative,
    ),
    elementwise(
        "Reciprocal",
        Reciprocal,
        each_element(lambda x: x**-1),
        POSITIVE,
        torch=torch.reciprocal,
        jax=jnp.reciprocal,
    ),
    elementwise(
        "Square", Square, each_element(lambda x: x**2), ANY, torch=torch.square, jax=jnp.square
    ),
    elementwise(
        "Sqrt",
        Sqrt,
        each_element(math.sqrt),
        POSITIVE,
        torch=torch.sqrt,
        jax=jnp.sqrt,
        kinks=[kink([0.0, 4.0], [INF, 0.25], "torch", "jax")],
    ),
    elementwise("Exp", Exp, each_element(math.exp), ANY, torch=torch.exp, jax=jnp.exp),
    elementwise(
        "Expm1",
        Expm1,
        each_element(math.expm1),
        ANY,
        torch=torch.expm1,
        jax=jnp.expm1,
        kinks=[kink([1e-20, -INF], [1, 0], "torch", "jax")],
    ),
    elementwise("Log", Log, each_element(math.log), POSITIVE, torch=torch.log, jax=jnp.log),
    elementwise(
        "Log1p",
        Log1p,
        each_element(math.log1p),
        between(-0.8, 3),
        torch=torch.log1p,
        jax=jnp.log1p,
        kinks=[kink([1e-20, -1.0], [1, INF], "torch", "jax")],
    ),
    elementwise("Log2", Log2, each_element(math.log2), POSITIVE, torch=torch.log2, jax=jnp.log2),
    elementwise(
        "Log10", Log10, each_element(math.log10), POSITIVE, torch=torch.log10, jax=jnp.log10
    ),
    elementwise(
        "Absolute",
        Absolute,
        each_element(math.fabs),
        OFF_ZERO,
        torch=torch.abs,
        jax=jnp.abs,
        kinks=[kink([0.0, -0.0, -2], [0, 0, -1], "torch")],
    ),
    elementwise(
        "Sign",
        Sign,
        each_element(lambda x: (x > 0) - (x < 0)),
        OFF_ZERO,
        torch=torch.sign,
        jax=jnp.sign,
        kinks=[kink([0.0, -0.0, -2], [0, 0, 0], "torch", "jax")],
    ),
    elementwise("Sin", Sin, each_element(math.sin), ANY, torch=torch.sin, jax=jnp.sin),
    elementwise("Cos", Cos, each_element(math.cos), ANY, torch=torch.cos, jax=jnp.cos),
    elementwise(
        "Tan", Tan, each_element(math.tan), between(-1.2, 1.2), torch=torch.tan, jax=jnp.tan
    ),
    elementwise(
        "Arcsin",
        Arcsin,
        each_element(math.asin),
        INSIDE_ONE,
        torch=torch.arcsin,
        jax=jnp.arcsin,
        kinks=[kink([1.0, -1.0], [INF, INF], "torch", "jax")],
    ),
    elementwise(
        "Arccos",
        Arccos,
        each_element(math.acos),
        INSIDE_ONE,
        torch=torch.arccos,
        jax=jnp.arccos,
        kinks=[kink([1.0, -1.0], [-INF, -INF], "torch", "jax")],
    ),
    elementwise("Arctan", Arctan, each_element(math.atan), ANY, torch=torch.arctan, jax=jnp.arctan),
    elementwise("Sinh", Sinh, each_element(math.sinh), ANY, torch=torch.sinh, jax=jnp.sinh),
    elementwise("Cosh", Cosh, each_element(math.cosh), ANY, torch=torch.cosh, jax=jnp.cosh),
    elementwise(
        "Arcsinh", Arcsinh, each_element(math.asinh), ANY, torch=torch.arcsinh, jax=jnp.arcsinh
    ),
    elementwise(
        "Arccosh",
        Arccosh,
        each_element(math.acosh),
        between(1.1, 4),
        torch=torch.arccosh,
        jax=jnp.arccosh,
        kinks=[kink([1.0], [INF], "torch", "jax")],
    ),
    elementwise(
        "Arctanh",
        Arctanh,
        each_element(math.atanh),
        INSIDE_ONE,
        torch=torch.arctanh,
        jax=jnp.arctanh,
        kinks=[kink([1.0, -1.0], [INF, INF], "torch", "jax")],
    ),
]

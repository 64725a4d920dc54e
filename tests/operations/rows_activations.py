"""Rows: activation functions and the error function."""

from __future__ import annotations

import math
from functools import partial

import jax
import numpy as np
import scipy.special
import torch
import torch.nn.functional as F  # noqa: N812

from typegrad.errors import ShapeError
from typegrad.operations import (
    ELU,
    GELU,
    SELU,
    Erf,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)

from .row import Bad, Row, between, each_element, elementwise, kink, sample

ANY = between(-4, 4)
OFF_ZERO = between(-4, 4, avoid=(0.0,))

ROWS: list[Row] = [
    elementwise(
        "Sigmoid",
        Sigmoid,
        scipy.special.expit,
        ANY,
        torch=torch.sigmoid,
        jax=jax.nn.sigmoid,
        kinks=[kink([-1000.0, 1000.0], [0, 0], "torch", "jax")],
    ),
    elementwise("Tanh", Tanh, each_element(math.tanh), ANY, torch=torch.tanh, jax=jax.numpy.tanh),
    elementwise(
        "ReLU",
        ReLU,
        each_element(lambda x: max(x, 0.0)),
        OFF_ZERO,
        torch=F.relu,
        jax=jax.nn.relu,
        kinks=[kink([0.0, -0.0, 1, -1], [0, 0, 1, 0], "torch", "jax")],
    ),
    elementwise(
        "LeakyReLU",
        partial(LeakyReLU, 0.2),
        each_element(lambda x: x if x > 0 else 0.2 * x),
        OFF_ZERO,
        torch=partial(F.leaky_relu, negative_slope=0.2),
        jax=partial(jax.nn.leaky_relu, negative_slope=0.2),
        kinks=[kink([0.0, -0.0, 1, -1], [0.2, 0.2, 1, 0.2], "torch")],
    ),
    elementwise(
        "ELU",
        partial(ELU, 0.7),
        each_element(lambda x: x if x > 0 else 0.7 * math.expm1(x)),
        OFF_ZERO,
        torch=partial(F.elu, alpha=0.7),
        jax=partial(jax.nn.elu, alpha=0.7),
        kinks=[kink([0.0, 800, -800], [0.7, 1, 0], "torch", "jax")],
    ),
    elementwise(
        "SELU",
        SELU,
        each_element(
            lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x))
        ),
        OFF_ZERO,
        torch=F.selu,
        jax=jax.nn.selu,
        kinks=[kink([0.0], [1.0507009873554805 * 1.6732632423543772], "torch", "jax")],
    ),
    elementwise(
        "GELU",
        GELU,
        each_element(lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2))),
        ANY,
        torch=F.gelu,
        jax=partial(jax.nn.gelu, approximate=False),
        bad=[
            Bad(
                lambda: GELU("erf"),  # type: ignore[arg-type]  # what is tested
                (),
                ValueError,
                "GELU(approximate='erf'): approximate must be 'none' or 'tanh'",
            )
        ],
    ),
    elementwise(
        "GELU-tanh",
        partial(GELU, "tanh"),
        each_element(
            lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        ),
        ANY,
        torch=partial(F.gelu, approximate="tanh"),
        jax=jax.nn.gelu,
    ),
    elementwise(
        "SiLU",
        SiLU,
        each_element(lambda x: x / (1 + math.exp(-x))),
        ANY,
        torch=F.silu,
        jax=jax.nn.silu,
    ),
    elementwise(
        "Softplus",
        Softplus,
        each_element(lambda x: math.log1p(math.exp(x))),
        ANY,
        torch=F.softplus,
        jax=jax.nn.softplus,
        kinks=[kink([0.0, 900, -900], [0.5, 1, 0], "torch", "jax")],
    ),
    elementwise(
        "Erf", Erf, each_element(math.erf), ANY, torch=torch.erf, jax=jax.scipy.special.erf
    ),
    Row(
        "Softmax",
        Softmax,
        [(sample(3, 4),), (sample(5),), (sample(2, 3, 4),), (sample(0, 3),), (100 * sample(2, 3),)],
        lambda x: scipy.special.softmax(x, axis=-1),
        torch=partial(torch.softmax, dim=-1),
        jax=jax.nn.softmax,
        bad=[
            Bad(
                Softmax,
                (np.array(1.0),),
                ShapeError,
                "Softmax(axis=-1): an input of shape () does not have that axis",
            )
        ],
    ),
    Row(
        "Softmax-axis",
        partial(Softmax, axis=0),
        [(sample(3, 4),), (sample(2, 1, 3),), (sample(2, 0),)],
        lambda x: scipy.special.softmax(x, axis=0),
        torch=partial(torch.softmax, dim=0),
        jax=partial(jax.nn.softmax, axis=0),
        bad=[
            Bad(
                lambda: Softmax(axis=2),
                (sample(3, 4),),
                ShapeError,
                "Softmax(axis=2): an input of shape (3, 4) does not have that axis",
            )
        ],
    ),
]

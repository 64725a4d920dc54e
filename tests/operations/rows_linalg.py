"""Rows: products over axes and linear algebra."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch

from typegrad.errors import NumericalError, ShapeError
from typegrad.operations import (
    Cholesky,
    Cofactors,
    Determinant,
    Dot,
    Einsum,
    Inverse,
    LogDeterminant,
    Outer,
    Solve,
    Tensordot,
)
from typegrad.types import Array

from .row import Bad, Inputs, Kink, Row, sample


def regular(*shape: int, seed: int = 0) -> Array:
    """Matrices far from singular."""
    return 0.5 * sample(*shape, seed=seed) + 3 * np.eye(shape[-1])


def positive(*shape: int) -> Array:
    """Symmetric positive definite matrices."""
    x = sample(*shape)
    return x @ np.swapaxes(x, -1, -2) + 2 * np.eye(shape[-1])


def symmetric(x: Array) -> Array:
    return x + np.swapaxes(x, -1, -2)


def by_permutations(x: Array) -> Array:
    """Determinants by Leibniz' formula."""
    n = x.shape[-1]
    total = np.zeros(x.shape[:-2])
    for order in itertools.permutations(range(n)):
        sign = (-1) ** sum(a > b for a, b in itertools.combinations(order, 2))
        factors = [x[..., row, column] for row, column in enumerate(order)]
        total = total + sign * np.prod(np.array(factors).reshape(n, *x.shape[:-2]), axis=0)
    return total


def by_minors(x: Array) -> Array:
    """Cofactors by determinants of minors."""
    y = np.zeros(x.shape)
    for i, j in np.ndindex(x.shape[-2:]):
        minor = np.delete(np.delete(x, i, axis=-2), j, axis=-1)
        y[..., i, j] = (-1) ** (i + j) * by_permutations(minor)
    return y


def by_cofactors(x: Array) -> Array:
    """Inverses by Cramer's rule."""
    y: Array = np.swapaxes(by_minors(x), -1, -2) / by_permutations(x)[..., None, None]
    return y


def solved(left: Array, right: Array) -> Array:
    y: Array = by_cofactors(left) @ (right if right.ndim > 1 else right[:, None])
    return y if right.ndim > 1 else y[..., 0]


def rows_of_cholesky(x: Array) -> Array:
    """The Cholesky-Banachiewicz algorithm."""
    y = np.zeros(x.shape)
    for i in range(x.shape[-1]):
        for j in range(i + 1):
            rest = x[..., i, j] - np.sum(y[..., i, :j] * y[..., j, :j], axis=-1)
            y[..., i, j] = np.sqrt(rest) if i == j else rest / y[..., j, j]
    return y


def torch_cofactors(x: Any) -> Any:
    return torch.linalg.det(x)[..., None, None] * torch.linalg.inv(x).transpose(-1, -2)


def einsum_row(subscripts: str, *samples: Inputs, torch_too: bool = True, **rest: Any) -> Row:
    return Row(
        f"Einsum-{subscripts}",
        partial(Einsum, subscripts),
        samples,
        partial(summed, subscripts),
        torch=(lambda *x: torch.einsum(subscripts, *x)) if torch_too else None,
        jax=partial(jnp.einsum, subscripts),
        **rest,
    )


def summed(subscripts: str, *inputs: Array) -> Array:
    """Einsum by a loop over all values of all letters."""
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    ndim = max(
        x.ndim - len(t.replace("...", "")) for t, x in zip(left.split(","), inputs, strict=True)
    )
    batch = "ABC"[: max(ndim, 0)]
    terms = [
        term.replace("...", batch[len(batch) - (x.ndim - len(term.replace("...", ""))) :])
        if "..." in term
        else term
        for term, x in zip(left.split(","), inputs, strict=True)
    ]
    if not arrow:
        output = batch + "".join(c for c in sorted(set(left)) if c.isalpha() and left.count(c) == 1)
    output = output.replace("...", batch)
    lengths: dict[str, int] = {}
    for term, x in zip(terms, inputs, strict=True):
        for letter, length in zip(term, x.shape, strict=True):
            lengths[letter] = length if lengths.get(letter, 1) == 1 else lengths[letter]
    y = np.zeros([lengths[letter] for letter in output])
    for values in itertools.product(*[range(n) for n in lengths.values()]):
        at = dict(zip(lengths, values, strict=True))
        y[tuple(at[letter] for letter in output)] += math.prod(
            x[tuple(at[letter] % n for letter, n in zip(term, x.shape, strict=True))]
            for term, x in zip(terms, inputs, strict=True)
        )
    return y


def einsum_error(subscripts: str, inputs: Inputs, message: str) -> Bad:
    return Bad(
        partial(Einsum, subscripts), inputs, ShapeError, f"Einsum({subscripts!r}): {message}"
    )


SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
SMALL = [(regular(1, 1),), (sample(0, 0),), (sample(0, 2, 2),)]
NOT_SQUARE = "expected square matrices (..., n, n)"

ROWS: list[Row] = [
    einsum_row(
        "ij,jk->ik",
        (sample(3, 4), sample(4, 2)),
        (sample(1, 1), sample(1, 2)),
        (sample(0, 2), sample(2, 3)),
        (sample(3, 0), sample(0, 2)),
        bad=[
            einsum_error(
                "ij,jk->ik",
                (sample(3, 4),),
                "the subscripts are for 2 operands, but there are 1",
            ),
            einsum_error(
                "ij,jk->ik",
                (sample(3, 4), sample(4)),
                "'jk' does not fit an operand of shape (4,); expected a letter for each axis",
            ),
            einsum_error(
                "i1->i",
                (sample(3, 4),),
                "'i1' does not fit an operand of shape (3, 4); expected a letter for each axis",
            ),
            einsum_error(
                "ij,jk->ik",
                (sample(3, 4), sample(3, 4)),
                "the shapes (3, 4), (3, 4) give one letter the lengths 4 and 3",
            ),
            einsum_error(
                "ij->ik",
                (sample(3, 4),),
                "the output's letters 'ik' must be different, and each be one of the operands'",
            ),
            einsum_error(
                "ij->ii",
                (sample(3, 4),),
                "the output's letters 'ii' must be different, and each be one of the operands'",
            ),
        ],
    ),
    einsum_row("ij,jk,kl->il", (sample(3, 4), sample(4, 2), sample(2, 5))),
    einsum_row("cb, ba", (sample(3, 4), sample(4, 2))),
    einsum_row("i,i->", (sample(3), sample(3, seed=1)), (sample(0), sample(0))),
    einsum_row("i,j->ji", (sample(3), sample(2))),
    einsum_row("ij->j", (sample(3, 4),), (sample(0, 4),)),
    einsum_row("ii->i", (sample(3, 3),)),
    einsum_row("ii", (sample(3, 3),)),
    einsum_row("iji,jk->k", (sample(3, 4, 3), sample(4, 2))),
    einsum_row("iii->i", (sample(3, 3, 3),)),
    einsum_row(",ij->ij", (sample(), sample(2, 3))),
    einsum_row(
        "...ij,...jk->...ik",
        (sample(2, 3, 4), sample(4, 2)),
        (sample(5, 1, 3, 4), sample(2, 4, 2)),
        (sample(3, 4), sample(4, 2)),
    ),
    einsum_row("...ij->...ji", (sample(3, 4),), (sample(2, 3, 4),)),
    einsum_row("i...,i...->i...", (sample(3), sample(3, 2)), (sample(3, 1), sample(3, 4))),
    einsum_row("...i", (sample(2, 3),)),
    einsum_row("ij,ij->i", (sample(3, 1), sample(3, 4)), (sample(3, 4), sample(1, 4))),
    Row(
        "Einsum-large",
        partial(Einsum, "ij,jk->ki"),
        [(sample(30, 25), sample(25, 20))],
        lambda a, b: (a @ b).T,
        torch=partial(torch.einsum, "ij,jk->ki"),
    ),
    Row(
        "Tensordot",
        Tensordot,
        [
            (sample(2, 3, 4), sample(3, 4, 5)),
            (sample(3, 4), sample(3, 4, seed=1)),
            (sample(0, 3, 4), sample(3, 4, 2)),
        ],
        lambda a, b: a.reshape(*a.shape[:-2], 12) @ b.reshape(12, *b.shape[2:]),
        torch=torch.tensordot,
        jax=jnp.tensordot,
        bad=[
            Bad(
                Tensordot,
                (sample(3, 4), sample(4, 3)),
                ShapeError,
                "Tensordot(axes=2): left has shape (3, 4) and right has shape (4, 3); "
                "expected equal lengths on the axes that are summed over",
            ),
            Bad(
                Tensordot,
                (sample(3), sample(3)),
                ShapeError,
                "Tensordot(axes=2): left has shape (3,) and right has shape (3,); both need 2 axes",
            ),
        ],
    ),
    Row(
        "Tensordot-axes",
        partial(Tensordot, ((0, -1), (2, 1))),
        [(sample(3, 5, 4), sample(2, 4, 3)), (sample(3, 0, 4), sample(2, 4, 3))],
        lambda a, b: np.einsum("iaj,bji->ab", a, b),
        torch=partial(torch.tensordot, dims=((0, 2), (2, 1))),
        jax=partial(jnp.tensordot, axes=((0, 2), (2, 1))),
        bad=[
            Bad(
                partial(Tensordot, axes),
                (sample(3, 4), sample(3, 4)),
                ShapeError,
                f"Tensordot(axes={axes}): left has shape (3, 4) and right has shape (3, 4); "
                "expected pairs of axes that exist, none twice",
            )
            for axes in [((0,), (2,)), ((0, 0), (0, 1)), ((0,), (0, 1))]
        ],
    ),
    Row(
        "Tensordot-none",
        partial(Tensordot, 0),
        [(sample(3), sample(2)), (sample(), sample(2, 3)), (sample(), sample())],
        np.multiply.outer,
        torch=partial(torch.tensordot, dims=0),
        jax=partial(jnp.tensordot, axes=0),
    ),
    Row(
        "Dot",
        Dot,
        [
            (sample(3), sample(3, seed=1)),
            (sample(3, 4), sample(4)),
            (sample(4), sample(4, 2)),
            (sample(3, 4), sample(4, 2)),
            (sample(2, 3, 4), sample(4)),
            (sample(2, 3, 4), sample(4, 2)),
            (sample(4), sample(2, 4, 3)),
            (sample(5, 4), sample(2, 4, 3)),
            (sample(0), sample(0)),
            (sample(0, 3), sample(3)),
            (sample(3, 0), sample(0, 2)),
        ],
        lambda a, b: (
            np.einsum("...i,i->...", a, b) if b.ndim == 1 else np.tensordot(a, b, ((-1,), (-2,)))
        ),
        torch=lambda a, b: torch.tensordot(a, b, ((a.ndim - 1,), (max(b.ndim - 2, 0),))),
        jax=jnp.dot,
        bad=[
            Bad(
                Dot,
                (sample(3, 4), sample(3)),
                ShapeError,
                "Dot(): left has shape (3, 4) and right has shape (3,); expected the last axis "
                "of left to be as long as the last but one of right, or its only one",
            )
        ],
    ),
    Row(
        "Outer",
        Outer,
        [
            (sample(3), sample(2)),
            (sample(2, 2), sample(3, 1)),
            (sample(), sample(2)),
            (sample(0), sample(2)),
        ],
        lambda a, b: np.array([[u * v for v in b.ravel()] for u in a.ravel()]).reshape(
            a.size, b.size
        ),
        torch=lambda a, b: torch.outer(a.ravel(), b.ravel()),
        jax=jnp.outer,
    ),
    Row(
        "Inverse",
        Inverse,
        [
            (regular(3, 3),),
            (regular(2, 3, 3),),
            (regular(1, 1),),
            (sample(0, 0),),
            (sample(0, 2, 2),),
        ],
        by_cofactors,
        torch=torch.linalg.inv,
        jax=jnp.linalg.inv,
        bad=[
            Bad(Inverse, (SINGULAR,), NumericalError, "Inverse(): a matrix is singular"),
            Bad(
                Inverse,
                (sample(3, 4),),
                ShapeError,
                f"Inverse(): the input has shape (3, 4); {NOT_SQUARE}",
            ),
        ],
    ),
    Row(
        "Solve",
        Solve,
        [
            (regular(3, 3), sample(3, 2)),
            (regular(3, 3), sample(3)),
            (regular(2, 3, 3), sample(3)),
            (regular(2, 3, 3), sample(3, 2)),
            (regular(3, 3), sample(2, 3, 1)),
            (regular(2, 1, 3, 3), sample(4, 3, 2)),
            (sample(0, 0), sample(0, 2)),
            (regular(2, 2), sample(2, 0)),
            (sample(0, 2, 2), sample(2)),
        ],
        solved,
        torch=lambda a, b: (
            torch.linalg.solve(a, b) if b.ndim > 1 else torch.linalg.solve(a, b[:, None])[..., 0]
        ),
        jax=jnp.linalg.solve,
        bad=[
            Bad(Solve, (SINGULAR, sample(2)), NumericalError, "Solve(): a matrix is singular"),
            Bad(
                Solve,
                (sample(3, 4), sample(3)),
                ShapeError,
                f"Solve(): left has shape (3, 4); {NOT_SQUARE}",
            ),
            *[
                Bad(
                    Solve,
                    (regular(3, 3), right),
                    ShapeError,
                    f"Solve(): left has shape (3, 3) and right has shape {right.shape}; "
                    "expected right of shape (..., 3, m) or (3,)",
                )
                for right in [sample(), sample(2), sample(2, 3)]
            ],
            Bad(
                Solve,
                (regular(2, 3, 3), sample(4, 3, 1)),
                ShapeError,
                "Solve(): left has shape (2, 3, 3) and right has shape (4, 3, 1); "
                "the batch axes (2,) and (4,) cannot be broadcast",
            ),
        ],
    ),
    Row(
        "Determinant",
        Determinant,
        [(sample(3, 3),), (sample(2, 4, 4),), *SMALL],
        by_permutations,
        torch=torch.linalg.det,
        # JAX fails on matrices without elements.
        jax=lambda x: jnp.linalg.det(x) if x.size else jnp.ones(x.shape[:-2]) + jnp.sum(x),
        kinks=[
            Kink((SINGULAR,), (np.array([[4.0, -2.0], [-2.0, 1.0]]),), ("jax",)),
            Kink((np.zeros((2, 2)),), (np.zeros((2, 2)),), ("torch", "jax")),
            Kink((np.diag([2.0, 0, 3]),), (np.diag([0.0, 6, 0]),), ("jax",)),
        ],
        bad=[
            Bad(
                Determinant,
                (sample(3),),
                ShapeError,
                f"Determinant(): the input has shape (3,); {NOT_SQUARE}",
            )
        ],
    ),
    Row(
        "Cofactors",
        Cofactors,
        [
            (regular(3, 3),),
            (regular(2, 4, 4),),
            (regular(1, 1),),
            (sample(0, 0),),
            (sample(0, 2, 2),),
        ],
        by_minors,
        torch=torch_cofactors,
    ),
    Row(
        "LogDeterminant",
        LogDeterminant,
        [
            (regular(3, 3),),
            (-regular(3, 3, seed=1),),
            (regular(2, 4, 4),),
            (sample(0, 0),),
            (sample(0, 2, 2),),
        ],
        lambda x: np.log(np.abs(by_permutations(x))),
        torch=lambda x: torch.linalg.slogdet(x).logabsdet,
        jax=lambda x: jnp.linalg.slogdet(x)[1],
    ),
    Row(
        "Cholesky",
        Cholesky,
        [(positive(3, 3),), (positive(2, 4, 4),), (positive(1, 1),), (sample(0, 0),)],
        rows_of_cholesky,
        torch=torch.linalg.cholesky,
        jax=jnp.linalg.cholesky,
        project=symmetric,
        bad=[
            Bad(
                Cholesky,
                (-np.eye(2),),
                NumericalError,
                "Cholesky(): a matrix is not positive definite",
            )
        ],
    ),
]

"""NumPy's functions with arguments to call them with: what the tests of dispatch follow from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from typegrad.operations.transposed import times_transposed
from typegrad.types import Array


@dataclass(frozen=True, eq=False)
class Row:
    """A formula, written with the module `np` that it gets, and arrays to call it with."""

    name: str
    formula: Callable[..., Any]
    inputs: tuple[Array, ...]
    in_jax: bool = True

    def __str__(self) -> str:
        return self.name


def normal(*shape: int, seed: int = 0) -> Array:
    return np.asarray(np.random.default_rng([seed, *shape]).normal(size=shape))


def positive(*shape: int) -> Array:
    return np.asarray(0.3 + np.abs(normal(*shape)))


def inside(*shape: int) -> Array:
    """Numbers between -0.8 and 0.8."""
    return np.asarray(0.8 * np.tanh(normal(*shape)))


def definite(count: int) -> Array:
    root = normal(count, count)
    return np.asarray(root @ root.T + count * np.eye(count))


A, B, V, W = normal(3, 4), normal(3, 4, seed=1), normal(4), normal(3)
CUBE = normal(2, 3, 4)
MASK = A > 0.1
CODES = np.array([2, 0, 0, 1])

UNARY = {
    "negative": A, "absolute": A, "fabs": A, "sign": A, "square": A, "exp": A, "expm1": A,
    "exp2": A, "sin": A, "cos": A, "tan": inside(3, 4), "sinh": A, "cosh": A, "tanh": A,
    "arctan": A, "arcsinh": A, "arcsin": inside(3, 4), "arccos": inside(3, 4),
    "arctanh": inside(3, 4), "arccosh": 1.0 + positive(3, 4), "sqrt": positive(3, 4),
    "log": positive(3, 4), "log1p": positive(3, 4), "log2": positive(3, 4),
    "log10": positive(3, 4), "reciprocal": positive(3, 4), "positive": A, "deg2rad": A,
    "rad2deg": A, "radians": A, "degrees": A, "floor": A, "ceil": A, "trunc": A, "rint": A,
    "ravel": CUBE, "transpose": CUBE, "flip": CUBE, "flipud": CUBE, "fliplr": CUBE,
    "squeeze": normal(3, 1, 4), "copy": A, "diag": normal(3, 3), "diagonal": CUBE,
    "trace": CUBE, "tril": CUBE, "triu": CUBE, "sort": A, "cumsum": A, "cumprod": A, "ptp": A,
    "diff": A, "atleast_1d": A, "atleast_2d": V, "sum": A, "mean": A, "prod": A, "max": A, "min": A,
    "amax": A, "amin": A, "var": A, "std": A, "zeros_like": A, "ones_like": A,
}  # fmt: skip
"""Functions of one array without options."""

BINARY = {
    "add": (A, B), "subtract": (A, V), "multiply": (A, B), "divide": (A, positive(3, 4)),
    "power": (positive(3, 4), B), "float_power": (positive(3, 4), B), "maximum": (A, B),
    "minimum": (A, V), "logaddexp": (A, B), "arctan2": (A, B), "matmul": (A, B.T),
    "dot": (A, B.T), "vdot": (A, B), "inner": (A, B), "outer": (A, V),
}  # fmt: skip
"""Functions of two arrays without options."""


def named(name: str) -> Callable[..., Any]:
    return lambda np, *inputs: getattr(np, name)(*inputs)


ROWS = [
    *[Row(name, named(name), (x,)) for name, x in UNARY.items()],
    *[Row(name, named(name), inputs) for name, inputs in BINARY.items()],
    Row("operators", lambda np, a, b: (2.0 - a) * b / (1.0 + b**2) + a - 3.0, (A, B)),
    Row("right operators", lambda np, a: 1.5 + 2.0 / a - (3.0 - a) * 2.0, (positive(3, 4),)),
    Row(
        "arrays on the left", lambda np, a: np.asarray(B) * a + np.asarray(B) / a, (positive(3, 4),)
    ),
    Row("negation and abs", lambda np, a: abs(-a) + (+a), (A,)),
    Row("number ** array", lambda np, a: 2.0**a, (A,)),
    Row("array ** number", lambda np, a: a**3 + a**2.5 + a**-1 + a**0 + a**1, (positive(3, 4),)),
    Row("array ** array", lambda np, a, b: a**b, (positive(3, 4), V)),
    Row("matrix @ vector", lambda np, a, v: a @ v, (A, V)),
    Row("vector @ matrix", lambda np, w, a: w @ a, (W, A)),
    Row("vector @ vector", lambda np, v, w: v @ w, (V, normal(4, seed=5))),
    Row("batch @ vector", lambda np, a, v: a @ v, (CUBE, V)),
    Row("vector @ batch", lambda np, w, a: w @ a, (W, CUBE)),
    Row("batch @ matrix", lambda np, a, b: a @ b, (CUBE, normal(4, 2))),
    Row("matrix @ constant", lambda np, a: np.asarray(B) @ a.T + (a @ np.asarray(B.T)).T, (A,)),
    Row("dot of vectors", lambda np, v, w: np.dot(v, w), (V, normal(4, seed=5))),
    Row("dot with a number", lambda np, a: np.dot(a, 3.0), (A,)),
    Row("dot of cubes", lambda np, a, b: np.dot(a, b), (CUBE, normal(2, 4, 3))),
    Row("product with transposed", lambda _, a, b: times_transposed(a, b), (A, B), in_jax=False),
    Row("inner with a number", lambda np, a: np.inner(a, 3.0), (A,)),
    Row("inner of vectors", lambda np, v, w: np.inner(v, w), (V, normal(4, seed=5))),
    Row(
        "tensordot", lambda np, a, b: np.tensordot(a, b, ((0, 2), (1, 0))), (CUBE, normal(4, 2, 2))
    ),
    Row("tensordot, one axis", lambda np, a, b: np.tensordot(a, b, (1, 0)), (A, normal(4, 2))),
    Row("tensordot, number", lambda np, a, b: np.tensordot(a, b, axes=1), (CUBE, normal(4, 2))),
    Row("einsum", lambda np, a, b: np.einsum("bij,jk->bik", a, b), (CUBE, normal(4, 2))),
    Row("einsum, one operand", lambda np, a: np.einsum("ij->j", a), (A,)),
    Row("sum, axis", lambda np, a: np.sum(a, axis=1), (CUBE,)),
    Row("sum, axes", lambda np, a: np.sum(a, axis=(0, 2), keepdims=True), (CUBE,)),
    Row("mean, axis", lambda np, a: np.mean(a, axis=-1), (CUBE,)),
    Row("prod, axis", lambda np, a: np.prod(a, axis=1, keepdims=True), (CUBE,)),
    Row("max, axis", lambda np, a: np.max(a, axis=(0, 1)), (CUBE,)),
    Row("min, axis", lambda np, a: np.min(a, axis=2, keepdims=True), (CUBE,)),
    Row("var, axis", lambda np, a: np.var(a, axis=1, ddof=1), (CUBE,)),
    Row("std, axis", lambda np, a: np.std(a, axis=1, ddof=1, keepdims=True), (CUBE,)),
    Row("cumsum, axis", lambda np, a: np.cumsum(a, axis=1), (CUBE,)),
    Row("cumprod, axis", lambda np, a: np.cumprod(a, axis=1), (CUBE,)),
    Row("norm of a vector", lambda np, a: np.linalg.norm(a), (V,)),
    Row("norm of a matrix", lambda np, a: np.linalg.norm(a), (A,)),
    Row("norm, Frobenius", lambda np, a: np.linalg.norm(a, "fro"), (A,)),
    Row("norm, 1", lambda np, a: np.linalg.norm(a, 1, axis=0), (A,)),
    Row("norm, inf", lambda np, a: np.linalg.norm(a, np.inf, axis=1, keepdims=True), (A,)),
    Row("reshape", lambda np, a: np.reshape(a, (4, -1)), (CUBE,)),
    Row("reshape to a row", lambda np, a: np.reshape(a, -1), (CUBE,)),
    Row("transpose, axes", lambda np, a: np.transpose(a, (1, 2, 0)), (CUBE,)),
    Row("swapaxes", lambda np, a: np.swapaxes(a, 0, -1), (CUBE,)),
    Row("moveaxis", lambda np, a: np.moveaxis(a, 0, -1), (CUBE,)),
    Row("broadcast_to", lambda np, a: np.broadcast_to(a, (5, 3, 4)), (A,)),
    Row("broadcast_arrays", lambda np, a, b: np.multiply(*np.broadcast_arrays(a, b)), (A, CUBE)),
    Row("expand_dims", lambda np, a: np.expand_dims(a, (0, 2)), (A,)),
    Row("atleast_2d of two", lambda np, a, b: np.matmul(*np.atleast_2d(a, b)), (V, A.T)),
    Row("concatenate", lambda np, a, b: np.concatenate([a, b, a], axis=1), (A, normal(3, 1))),
    Row("concatenate, flat", lambda np, a, b: np.concatenate([a, b], axis=None), (A, V)),
    Row("concatenate, constant", lambda np, a: np.concatenate([a, np.asarray(B)]), (A,)),
    Row("stack", lambda np, a, b: np.stack([a, b], axis=-1), (A, B)),
    Row("stack of elements", lambda np, v: np.stack([v[0] * v[1], v[2] ** 2]), (V,)),
    Row("vstack", lambda np, a, b: np.vstack([a, b]), (A, V)),
    Row("hstack", lambda np, a, b: np.hstack([a, b]), (A, normal(3, 2))),
    Row("hstack of vectors", lambda np, a, b: np.hstack([a, b]), (V, W)),
    Row("column_stack", lambda np, a, b: np.column_stack([a, b]), (W, A)),
    Row("split", lambda np, a: np.split(a, 2, axis=1)[1], (A,)),
    Row("split at", lambda np, a: np.split(a, [1, 3], axis=1)[1], (A,)),
    Row("array_split", lambda np, a: np.array_split(a, 2)[1], (A,)),
    Row("pad", lambda np, a: np.pad(a, ((1, 0), (2, 3))), (A,)),
    Row("pad with a number", lambda np, a: np.pad(a, 1, constant_values=2.0), (A,)),
    Row("flip, axis", lambda np, a: np.flip(a, axis=(0, 1)), (CUBE,)),
    Row("roll", lambda np, a: np.roll(a, (1, 2), (0, 1)), (A,)),
    Row("roll, flat", lambda np, a: np.roll(a, 3), (A,)),
    Row("repeat", lambda np, a: np.repeat(a, 2, axis=1), (A,)),
    Row("repeat, each", lambda np, a: np.repeat(a, np.array([1, 0, 2]), axis=0), (A,)),
    Row("tile", lambda np, a: np.tile(a, (2, 1, 3)), (A,)),
    Row("take", lambda np, a: np.take(a, np.asarray(CODES), axis=1), (A,)),
    Row("take, flat", lambda np, a: np.take(a, np.array([[0, 5], [5, 2]])), (A,)),
    Row("take_along_axis", lambda np, a: np.take_along_axis(a, np.argsort(a, axis=1), 1), (A,)),
    Row("sort, axis", lambda np, a: np.sort(a, axis=0), (A,)),
    Row("sort, flat", lambda np, a: np.sort(a, axis=None), (A,)),
    Row("where", lambda np, a, b: np.where(np.asarray(MASK), a, b), (A, B)),
    Row("where, own comparison", lambda np, a: np.where(a > 0.1, a**2, 0.5 * a), (A,)),
    Row("where, numbers", lambda np, a: np.where((a > 0.1) & (a < 1.0), 1.0, 2.0 * a), (A,)),
    Row("diff, twice", lambda np, a: np.diff(a, 2, axis=0), (A,)),
    Row("clip", lambda np, a: np.clip(a, -0.5, 0.6), (A,)),
    Row("clip, one bound", lambda np, a: np.clip(a, None, 0.6), (A,)),
    Row("clip, arrays", lambda np, a, b: np.clip(a, b, b + 0.5), (A, V)),
    Row("diag of a vector", lambda np, v: np.diag(v, 1), (V,)),
    Row("diagonal, axes", lambda np, a: np.diagonal(a, 1, 1, 2), (CUBE,)),
    Row("trace, offset", lambda np, a: np.trace(a, offset=-1), (A,)),
    Row("triu, k", lambda np, a: np.triu(a, 1), (A,)),
    Row("full_like", lambda np, a: a * np.full_like(a, 3.0), (A,)),
    Row("inv", lambda np, a: np.linalg.inv(a), (definite(3),)),
    Row("solve", lambda np, a, b: np.linalg.solve(a, b), (definite(3), A)),
    Row("solve, vector", lambda np, a, b: np.linalg.solve(a, b), (definite(3), W)),
    Row("det", lambda np, a: np.linalg.det(a), (definite(3),)),
    Row("slogdet", lambda np, a: np.linalg.slogdet(a)[1], (definite(3),)),
    Row("slogdet, sign", lambda np, a: np.linalg.slogdet(a).sign, (definite(3),)),
    Row("cholesky", lambda np, a: np.linalg.cholesky(a + np.swapaxes(a, 0, 1)), (definite(3),)),
    Row("index", lambda np, a: a[1], (CUBE,)),
    Row("slices", lambda np, a: a[:, ::-2, 1:], (CUBE,)),
    Row("Ellipsis and None", lambda np, a: a[..., None, 0], (CUBE,)),
    Row("integer array", lambda np, a: a[:, np.asarray(CODES)], (A,)),
    Row("boolean array", lambda np, a: a[np.asarray(MASK)] ** 2, (A,), in_jax=False),
    Row("own comparison as key", lambda np, a: a[a > 0.1], (A,), in_jax=False),
    Row("unpacking", lambda np, v: v[0] * sum(v, start=1.0), (V,)),
]

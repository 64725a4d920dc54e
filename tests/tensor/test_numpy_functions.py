"""Every NumPy function that tensors go through: values, derivatives, dtypes, completeness."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from typegrad.autodiff import check_gradients, grad
from typegrad.operations import Operation
from typegrad.tensor import Tensor
from typegrad.tensor.dispatch import HANDLERS, OPERATIONS
from typegrad.types import Array

from .function_table import ROWS, Row

library: Any = jax  # not all of it has type hints
library.config.update("jax_enable_x64", True)

every_row = pytest.mark.parametrize("row", ROWS, ids=str)


def weighted(row: Row, module: Any, weights: Array, *inputs: Any) -> Any:
    return module.sum(row.formula(module, *inputs) * weights)


def weights_for(row: Row) -> Array:
    shape = np.shape(row.formula(np, *row.inputs))
    return np.asarray(np.random.default_rng(7).normal(size=shape))


@every_row
def test_values_are_numpys(row: Row) -> None:
    result = row.formula(np, *[Tensor(x, requires_grad=True) for x in row.inputs])
    assert type(result) is Tensor
    np.testing.assert_allclose(result.numpy(), row.formula(np, *row.inputs), rtol=1e-15, atol=0)


@every_row
def test_first_and_second_derivatives(row: Row) -> None:
    check_gradients(lambda *inputs: row.formula(np, *inputs), *row.inputs, order=2)


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in ROWS if row.in_jax], ids=str)
def test_gradients_are_those_of_jax(row: Row) -> None:
    weights = weights_for(row)
    numbers = tuple(range(len(row.inputs)))
    ours = grad(lambda *inputs: weighted(row, np, weights, *inputs), numbers)(*row.inputs)
    theirs = jax.grad(lambda *inputs: weighted(row, jnp, weights, *inputs), numbers)(*row.inputs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@every_row
def test_single_precision_stays(row: Row) -> None:
    tensors = [Tensor(x.astype(np.float32), requires_grad=True) for x in row.inputs]
    result = row.formula(np, *tensors)
    constants_are_double = row.name in ("matrix @ constant", "arrays on the left")
    constants_are_double |= row.name == "concatenate, constant"
    assert result.dtype == (np.float64 if constants_are_double else np.float32)
    if result.requires_grad:
        result.backward(np.ones(result.shape))
        for tensor in tensors:
            assert tensor.grad is not None
            assert tensor.grad.dtype == np.float32
            assert tensor.grad.shape == tensor.shape


@every_row
def test_nothing_is_recorded_without_gradients(row: Row) -> None:
    result = row.formula(np, *[Tensor(x) for x in row.inputs])
    assert type(result) is Tensor
    assert not result.requires_grad


def test_every_function_is_in_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    called: set[Any] = set()

    class Recorder(dict[Any, Any]):
        def get(self, key: Any, default: Any = None) -> Any:
            called.add(key)
            return super().get(key, default)

    monkeypatch.setattr("typegrad.tensor.dispatch.HANDLERS", Recorder(HANDLERS))
    monkeypatch.setattr("typegrad.tensor.tensor.OPERATIONS", Recorder(OPERATIONS))
    for row in ROWS:
        row.formula(np, *[Tensor(x, requires_grad=True) for x in row.inputs])
    for formula in PLAIN_RESULTS.values():
        formula(Tensor([1.0, 2.0, 3.0]))
    assert HANDLERS.keys() | OPERATIONS.keys() <= called


PLAIN_RESULTS: dict[str, Any] = {
    "less": lambda x: np.less(x, 0.5),
    "less_equal": lambda x: np.less_equal(0.5, x),
    "greater": lambda x: np.greater(x, 0.5),
    "greater_equal": lambda x: np.greater_equal(x, 0.5),
    "equal": lambda x: np.equal(x, x),
    "not_equal": lambda x: np.not_equal(x, x),
    "logical_and": lambda x: np.logical_and(x, [True, False, True]),
    "logical_or": lambda x: np.logical_or(x, 0.0),
    "logical_xor": lambda x: np.logical_xor(x, x),
    "logical_not": np.logical_not,
    "isnan": np.isnan,
    "isinf": np.isinf,
    "isfinite": np.isfinite,
    "signbit": np.signbit,
    "argmax": np.argmax,
    "argmin": lambda x: np.argmin(x, axis=0),
    "argsort": np.argsort,
    "argwhere": np.argwhere,
    "nonzero": np.nonzero,
    "flatnonzero": np.flatnonzero,
    "count_nonzero": np.count_nonzero,
    "searchsorted": lambda x: np.searchsorted(x, 0.1),
    "all": np.all,
    "any": lambda x: np.any(x, axis=0),
    "array_equal": lambda x: np.array_equal(x, x),
    "allclose": lambda x: np.allclose(x, x),
    "isclose": lambda x: np.isclose(x, 1.0),
    "shape": np.shape,
    "ndim": np.ndim,
    "size": np.size,
    "result_type": lambda x: np.result_type(x, np.float32),
    "iscomplexobj": np.iscomplexobj,
    "isrealobj": np.isrealobj,
    "may_share_memory": lambda x: np.may_share_memory(x, x),
    "shares_memory": lambda x: np.shares_memory(x, x),
}
"""Functions whose results have no derivative."""


@pytest.mark.parametrize("name", PLAIN_RESULTS)
def test_whole_numbers_and_booleans_are_plain(name: str) -> None:
    x = np.array([-1.0, 0.0, 2.0])
    result = PLAIN_RESULTS[name](Tensor(x, requires_grad=True))
    assert type(result) is not Tensor
    np.testing.assert_array_equal(result, PLAIN_RESULTS[name](x))


def test_operations_are_shared_only_if_they_keep_nothing() -> None:
    for operation in OPERATIONS.values():
        assert isinstance(operation, Operation)
        assert vars(operation) == {}

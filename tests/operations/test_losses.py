"""Every loss of the table: values, gradients, weights, parts of batches and errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import typegrad.losses
from typegrad.errors import DataError, DTypeError, ShapeError, StateError
from typegrad.losses import Loss
from typegrad.types import Array

from .checks import assert_close, central_difference
from .loss_table import BAD_OPTIONS, ROWS, BadPair, LossRow, Pair
from .row import sample

each_row = pytest.mark.parametrize("row", ROWS, ids=str)
each_sample = pytest.mark.parametrize(
    ("row", "pair"),
    [
        pytest.param(row, pair, id=f"{row}-{pair[0].shape}")
        for row in ROWS
        for pair in (*row.samples, *row.kinks)
    ],
)
each_smooth_sample = pytest.mark.parametrize(
    ("row", "pair"),
    [pytest.param(row, pair, id=f"{row}-{pair[0].shape}") for row in ROWS for pair in row.samples],
)


def evaluate(loss: Loss, pair: Pair, weight: Array | None = None) -> tuple[float, Array]:
    """Loss and gradient, of inputs that cannot be written to."""
    for x in pair:
        x.flags.writeable = False
    value = loss.forward(*pair, sample_weight=weight)
    assert type(value) is float
    return value, loss.backward()


def by_torch(f: Callable[[Any, Any], Any], pair: Pair) -> tuple[float, Array]:
    prediction: Any = torch.tensor(np.array(pair[0]), requires_grad=True)
    value = f(prediction, torch.tensor(np.array(pair[1])))
    value.backward()
    return float(value.detach()), prediction.grad.numpy()


def assert_equal(mine: tuple[float, Array], theirs: tuple[float, Array]) -> None:
    assert mine[0] == pytest.approx(theirs[0], rel=1e-12, abs=1e-14)
    assert_close(mine[1], theirs[1], rtol=1e-12, atol=1e-14)


def test_every_loss_has_a_row() -> None:
    exported = {
        item
        for name in typegrad.losses.__all__
        if not inspect.isabstract(item := getattr(typegrad.losses, name))
    }
    assert exported == {type(row.make()) for row in ROWS}


@each_sample
def test_value_and_gradient_equal_pytorchs(row: LossRow, pair: Pair) -> None:
    mine = evaluate(row.make(), pair)
    assert_equal(mine, by_torch(lambda p, t: row.examples(p, t).mean(), pair))


@pytest.mark.parametrize("row", [row for row in ROWS if row.mean is not None], ids=str)
def test_several_outputs_are_averaged_as_pytorchs_mean_does(row: LossRow) -> None:
    assert row.mean is not None
    for pair in row.samples:
        assert_equal(evaluate(row.make(), pair), by_torch(row.mean, pair))


@each_smooth_sample
def test_gradient_equals_central_differences(row: LossRow, pair: Pair) -> None:
    prediction, target = pair
    prediction = prediction / max(1.0, float(np.max(np.abs(prediction))))
    move = sample(*prediction.shape, seed=9)
    loss = row.make()
    _, grad = evaluate(loss, (prediction, target))
    change = central_difference(lambda t: loss.forward(prediction + t * move, target), 1e-5)
    assert float(np.sum(grad * move)) == pytest.approx(change, rel=1e-8, abs=1e-9)


@each_sample
def test_weights_give_the_weighted_mean(row: LossRow, pair: Pair) -> None:
    weight = np.random.default_rng(3).integers(1, 4, size=len(pair[0])).astype(np.float64)
    weight[-1] = 0.5

    def weighted(prediction: Any, target: Any) -> Any:
        return (row.examples(prediction, target) * torch.tensor(weight)).sum() / weight.sum()

    assert_equal(evaluate(row.make(), pair, weight), by_torch(weighted, pair))


@each_sample
def test_whole_weights_are_repetitions(row: LossRow, pair: Pair) -> None:
    counts = np.arange(1, len(pair[0]) + 1)
    repeated = (np.repeat(pair[0], counts, axis=0), np.repeat(pair[1], counts, axis=0))
    value, _ = evaluate(row.make(), pair, counts.astype(np.float64))
    assert value == pytest.approx(evaluate(row.make(), repeated)[0], rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
@each_row
def test_parts_of_a_batch_add_up(row: LossRow, weighted: bool) -> None:
    prediction, target = row.samples[0]
    n = len(prediction)
    weight = np.arange(1.0, n + 1) if weighted else np.ones(n)
    whole, grad = evaluate(row.make(), (prediction, target), weight)
    loss = row.make()
    values, grads = [], []
    for part in (slice(0, 1), slice(1, 3), slice(3, n)):
        values.append(
            loss.forward(
                prediction[part],
                target[part],
                sample_weight=weight[part] if weighted else None,
                total_weight=float(weight.sum()),
            )
        )
        grads.append(loss.backward())
    assert sum(values) == pytest.approx(whole, rel=1e-13)
    assert_close(np.concatenate(grads), grad, rtol=1e-13, atol=0)


@each_sample
def test_float32_stays_float32(row: LossRow, pair: Pair) -> None:
    value, grad = evaluate(row.make(), pair)
    single, single_grad = evaluate(
        row.make(), (pair[0].astype(np.float32), pair[1].astype(np.float32))
    )
    assert single == pytest.approx(value, rel=1e-5, abs=1e-6)
    assert single_grad.dtype == np.float32
    assert_close(single_grad, grad, rtol=1e-4, atol=1e-6)


@each_row
def test_memory_layout_does_not_matter(row: LossRow) -> None:
    for prediction, target in row.samples:
        plain = evaluate(row.make(), (prediction, target))
        reversed_rows = (np.flip(np.flip(prediction).copy()), np.flip(np.flip(target).copy()))
        fortran = (np.array(prediction, order="F"), np.array(target, order="F"))
        assert_equal(evaluate(row.make(), reversed_rows), plain)
        assert_equal(evaluate(row.make(), fortran), plain)


@pytest.mark.parametrize(
    ("row", "bad"), [pytest.param(row, bad, id=str(row)) for row in ROWS for bad in row.bad]
)
def test_bad_pairs_are_refused(row: LossRow, bad: BadPair) -> None:
    with pytest.raises(bad.error) as caught:
        row.make().forward(bad.prediction, bad.target)
    assert str(caught.value) == bad.message


@pytest.mark.parametrize(("make", "message"), BAD_OPTIONS)
def test_bad_options_are_refused(make: Callable[[], Loss], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        make()
    assert str(caught.value) == message


BAD_WEIGHTS = [
    (np.ones((5, 1)), ShapeError, "sample_weight has shape (5, 1); expected (5,)"),
    (np.ones(4), ShapeError, "sample_weight has shape (4,); expected (5,)"),
    (np.array(list("abcde")), DTypeError, "sample_weight has dtype <U1; expected real numbers"),
    (np.zeros(5), DataError, "the weights of all 5 examples are zero"),
]


@pytest.mark.parametrize(("weight", "error", "message"), BAD_WEIGHTS)
def test_bad_weights_are_refused(weight: Array, error: type[Exception], message: str) -> None:
    loss = typegrad.losses.MSELoss()
    with pytest.raises(error) as caught:
        loss.forward(sample(5, 1), sample(5, 1), sample_weight=weight)
    assert str(caught.value) == f"{loss}: {message}"


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_weights_are_finite_and_not_negative(value: float) -> None:
    loss = typegrad.losses.MSELoss()
    with pytest.raises(DataError) as caught:
        loss.forward(sample(2, 1), sample(2, 1), sample_weight=np.array([1.0, value]))
    assert str(caught.value) == (
        f"{loss}: sample_weight[1] is {value}; expected finite numbers, not negative"
    )


@each_row
def test_mixed_dtypes_are_refused(row: LossRow) -> None:
    prediction, target = row.samples[0]
    loss = row.make()
    with pytest.raises(DTypeError) as caught:
        loss.forward(prediction, target.astype(np.float32))
    assert str(caught.value) == (
        f"{loss}: the prediction is float64 but the target is float32; convert one with .astype()"
    )


@each_row
def test_backward_needs_forward(row: LossRow) -> None:
    loss = row.make()
    with pytest.raises(StateError) as caught:
        loss.backward()
    assert str(caught.value) == f"{loss}.backward was called before forward"

"""The eager engine, called as a trainer calls it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import EagerEngine, Engine, StepSettings, TrainingData
from typegrad.engines.base import all_finite, step_rows
from typegrad.types import Vector

ROWS = 23


def make_data(*, weighted: bool = False) -> TrainingData:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(ROWS, 3))
    weights = generator.uniform(0.5, 1.5, ROWS) if weighted else None
    return TrainingData(x, np.sin(x[:, :2]), weights)


def make_network() -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(3, 4, tg.Tanh()),
        tg.Dropout(0.2),
        tg.Dense(4, 2),
        loss=tg.MSELoss(),
        seed=0,
        dtype=np.float64,
    )


def run(
    settings: StepSettings, *, pieces: int = 1, batch_size: int = 5, weighted: bool = False
) -> tuple[Vector, Vector]:
    """Losses and weights after two epochs, each run in so many calls."""
    network = make_network()
    engine = EagerEngine(network, tg.Adam(0.01), settings)
    data = make_data(weighted=weighted)
    per_step = batch_size * settings.accumulation_steps
    losses = []
    for epoch in range(2):
        rows = np.random.default_rng(epoch).permutation(ROWS)
        for steps in np.array_split(np.arange(-(-ROWS // per_step)), pieces):
            part = rows[steps[0] * per_step : (steps[-1] + 1) * per_step]
            losses.append(engine.run_epoch(data, part, batch_size, np.full(len(steps), 0.01)))
    return np.concatenate(losses), network.flat.values


def test_is_an_engine() -> None:
    assert issubclass(EagerEngine, Engine)
    assert EagerEngine.name == "eager"


@pytest.mark.parametrize("pieces", [2, 5])
def test_an_epoch_in_pieces_is_the_epoch(pieces: int) -> None:
    whole, parts = run(StepSettings()), run(StepSettings(), pieces=pieces)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(whole[1], parts[1])
    assert whole[0].dtype == np.float64


def test_first_loss_by_hand() -> None:
    """Weights have mean one over all data; a step's loss is a mean over its rows."""
    network = make_network()
    data = make_data(weighted=True)
    rows = np.array([3, 1, 22, 7])
    engine = EagerEngine(network, tg.SGD(0.0), StepSettings(mask_seed=5))
    losses = engine.run_epoch(data, rows, 2, np.zeros(2))
    mode = tg.layers.Mode(training=True, seed=5, step=0)
    outputs = network.forward(data.inputs[rows[:2]], mode)
    squares = np.mean((outputs - data.targets[rows[:2]]) ** 2, axis=1)
    assert data.weights is not None
    assert losses[0] == pytest.approx(np.sum(squares * data.weights[rows[:2]]) / 2, rel=1e-14)


def test_masks_differ_by_seed_and_step_and_not_by_batch() -> None:
    seeds = [run(StepSettings(mask_seed=seed))[0] for seed in (0, 1)]
    assert np.all(seeds[0] != seeds[1])
    # The same rows at a learning rate of zero: another step, another mask.
    engine = EagerEngine(make_network(), tg.SGD(0.0), StepSettings())
    rows = np.tile(np.arange(5), 3)
    losses = engine.run_epoch(make_data(), rows, 5, np.zeros(3))
    assert len(set(losses.tolist())) == 3


@pytest.mark.parametrize("weighted", [False, True])
def test_accumulation(weighted: bool) -> None:
    large = run(StepSettings(), batch_size=10, weighted=weighted)
    small = run(StepSettings(accumulation_steps=5), batch_size=2, weighted=weighted)
    np.testing.assert_allclose(small[0], large[0], rtol=1e-12)
    np.testing.assert_allclose(small[1], large[1], rtol=1e-9)


def test_the_gradient_is_synchronised_before_it_is_clipped() -> None:
    """Two machines with the same data: the mean gradient is each one's own."""
    seen: list[Vector] = []

    def keep(gradient: Vector) -> None:
        seen.append(gradient.copy())
        gradient *= 1000.0

    settings = StepSettings(clip_norm=0.01)
    expected = run(settings)
    synchronised = run(replace(settings, synchronize=keep))
    np.testing.assert_allclose(synchronised[1], expected[1], rtol=1e-9)
    assert len(seen) == 2 * 5
    assert min(float(np.linalg.norm(gradient)) for gradient in seen) > 0.01


def test_synchronised_nonsense_is_refused() -> None:
    def poison(gradient: Vector) -> None:
        gradient[7] = np.inf

    network = make_network()
    before = network.flat.values.copy()
    engine = EagerEngine(network, tg.SGD(0.1), StepSettings(synchronize=poison))
    with pytest.raises(tg.NumericalError) as caught:
        engine.run_epoch(make_data(), np.arange(5), 5, np.array([0.1]))
    assert str(caught.value) == (
        "step 1: the gradient of parameter 0.weight is not finite, "
        "though the result of every operation is"
    )
    np.testing.assert_array_equal(network.flat.values, before)


@pytest.mark.parametrize("optimizer", [tg.SGD(0.1), tg.LBFGS()], ids=repr)
def test_a_stop_is_heard_before_each_step(optimizer: tg.SGD | tg.LBFGS) -> None:
    answers = iter([False, False, True])
    engine = EagerEngine(make_network(), optimizer, StepSettings(should_stop=lambda: next(answers)))
    losses = engine.run_epoch(make_data(), np.arange(ROWS), 5, np.full(5, 0.1))
    assert len(losses) == optimizer.steps == 2


def test_full_batch_steps_know_where_the_last_one_ended() -> None:
    """One evaluation a step besides those of the line search: none is repeated."""
    evaluations = 0

    class Counting(tg.Layer):
        def forward(
            self, x: tg.types.Array, mode: tg.layers.Mode = tg.layers.INFERENCE
        ) -> tg.types.Array:
            nonlocal evaluations
            evaluations += 1
            return x

    counts = []
    data = make_data()
    for calls in (1, 4):
        evaluations = 0
        network = tg.NeuralNetwork(
            Counting(), tg.Dense(3, 2), loss=tg.MSELoss(), seed=0, dtype=np.float64
        )
        engine = EagerEngine(network, tg.LBFGS(), StepSettings())
        for _ in range(calls):
            engine.run_epoch(data, np.arange(ROWS), ROWS, np.ones(4 // calls))
        counts.append(evaluations)
    assert counts[0] == counts[1]


def test_full_batch_evaluates_other_data_afresh() -> None:
    network = make_network()
    engine = EagerEngine(network, tg.LBFGS(), StepSettings())
    first = make_data()
    other = TrainingData(first.inputs, first.targets + 10.0)
    engine.run_epoch(first, np.arange(ROWS), ROWS, np.ones(2))
    loss = engine.run_epoch(other, np.arange(ROWS), ROWS, np.ones(1))
    assert loss[0] > 1.0


def test_a_user_may_treat_warnings_as_errors_and_errors_as_wanted() -> None:
    """Numbers underflow in training; NumPy's error state is the user's, and is kept."""
    network = make_network()
    engine = EagerEngine(network, tg.Adam(0.01), StepSettings())
    data = make_data()
    tiny = TrainingData(data.inputs * 1e-300, data.targets * 1e-300)
    with np.errstate(all="raise"):
        engine.run_epoch(tiny, np.arange(ROWS), 5, np.full(5, 0.01))
        assert np.geterr()["under"] == "raise"
    assert np.isfinite(network.flat.values).all()


def test_step_rows() -> None:
    parts = list(step_rows(np.arange(7), 3))
    assert [part.tolist() for part in parts] == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(step_rows(np.arange(0), 3)) == []


def test_taking_rows() -> None:
    data = make_data(weighted=True)
    taken = data.take(np.array([4, 2]))
    assert len(taken) == 2
    assert data.weights is not None
    assert taken.weights is not None
    np.testing.assert_array_equal(taken.inputs, data.inputs[[4, 2]])
    np.testing.assert_array_equal(taken.targets, data.targets[[4, 2]])
    np.testing.assert_array_equal(taken.weights, data.weights[[4, 2]])
    assert make_data().take(np.array([1])).weights is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 2.0], True),
        ([], True),
        ([3e38, 3e38], True),
        ([1.0, np.nan], False),
        ([np.inf, 1.0], False),
        ([np.inf, -np.inf], False),
    ],
)
def test_all_finite(values: list[float], expected: bool) -> None:
    with np.errstate(all="ignore"):
        assert all_finite(np.array(values, np.float32)) is expected

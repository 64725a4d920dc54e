"""The probe behind ``Trainer.fit(batch_size="auto")``.

Steps to a target fall with the batch size B like 1 + B_noise / B (McCandlish et al., 2018), and
a step's time t(B) rises with it; the probe measures both and takes the size for which their
product, the seconds to the target, is least.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from typegrad.batch_choice import BatchChoice
from typegrad.engines import (
    Engine,
    EngineName,
    StepSettings,
    TrainingData,
    build_engine,
    training_work,
)
from typegrad.errors import NumericalError
from typegrad.gradient_moments import gradient_moments
from typegrad.network import NeuralNetwork
from typegrad.noise_scale import NoiseScale, noise_scale_of
from typegrad.optimizers import FullBatchOptimizer, Optimizer
from typegrad.options import check_count
from typegrad.per_example import has_formula
from typegrad.types import IntArray

BatchSize: TypeAlias = int | Literal["auto"]
"""What ``Trainer.fit`` takes."""

_MEASURED_AT = (0, 1, 2, 4, 8, 16, 32, 64, 128)
"""Steps of the probe after which the noise scale is measured. They are spaced by factors since
so is training: the noise scale changes fast at first, then slowly."""

PROBED_ROWS = 1 << 14
"""Of data that are not in memory, the probe sees so many rows."""

_PROBE_ROWS = 32
_NOISE_ROWS, _NOISE_ROWS_IN_A_LOOP = 512, 128
_SMALLEST, _LARGEST = 8, 4096
_FULL_BATCH_ROWS = 1024
"""Rows at a time for an optimizer that sums over all of them before it steps."""

_TRAINING_SECONDS, _TIMING_SECONDS = 1.0, 1.0
_ROUNDS = 5
_ROUND_SECONDS = 0.005
_TOLERANCE = 1.1
"""Predicted times up to this factor apart count as equal; then the smaller batch is taken."""

_STREAM = 0xBA7C
"""Sets the probe's random numbers apart from the split's and the order's."""


@dataclass(frozen=True)
class ProbedTraining:
    """A training whose batch size is asked for."""

    network: NeuralNetwork
    optimizer: Optimizer | FullBatchOptimizer
    engine: EngineName
    threads: int | None
    settings: StepSettings
    data: TrainingData
    """All training rows, or some of them."""
    rows: int
    """How many there are in all."""
    epochs: int
    seed: int

    def build_engine(self, optimizer: Optimizer | FullBatchOptimizer) -> Engine:
        """Make the engine that the training will have, for another optimizer."""
        steps = math.ceil(self.rows / _PROBE_ROWS)
        work = training_work(self.network, self.rows, steps, self.epochs)
        return build_engine(
            self.engine,
            self.network,
            optimizer,
            self.settings,
            lambda note: None,
            work=work,
            threads=self.threads,
        )


def check_batch_size(batch_size: object, initial_epoch: int) -> None:
    """Require a whole number of 1 or more, or ``"auto"`` for a training from its beginning.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if batch_size == "auto":
        if initial_epoch:
            raise ValueError(
                f"batch_size is 'auto' and initial_epoch {initial_epoch}; expected the batch size "
                "that the training began with, which its history has"
            )
    elif isinstance(batch_size, str):
        raise ValueError(
            f"batch_size is {batch_size!r}; expected a whole number of 1 or more, or 'auto'"
        )
    else:
        check_count("batch_size", batch_size)


def choose_batch_size(training: ProbedTraining) -> BatchChoice:
    """Measure for about a second, at most two; leave everything as it was.

    The noise scale is measured at the first parameters and after 1, 2, 4, ... 128 steps of
    training with batches of 32 rows: a function of the seed, unless that takes more than a
    second, which ends it. Then steps of 8, 16, 32, ... rows are timed; so the choice may differ
    from run to run where two sizes are nearly as good.

    Of the sizes up to the noise scale, the smallest whose predicted seconds to the target are
    within 10 % of the least is taken. Larger ones would go through the data, for whose number
    of epochs the caller has decided, with less than half the effect of small ones.
    """
    started = time.perf_counter()
    n = training.rows
    if isinstance(training.optimizer, FullBatchOptimizer):
        return BatchChoice(
            min(n, _FULL_BATCH_ROWS),
            f"{type(training.optimizer).__name__} steps on all rows, whatever passes at a time",
        )
    sizes = _candidates(n, training.settings.accumulation_steps)
    if len(sizes) == 1:
        return BatchChoice(sizes[0], f"with {n} training rows there is nothing to choose")
    with _left_as_it_was(training.network):
        noise = _noise_along_training(training, training.optimizer)
    scale = _typical(noise, n)
    with _left_as_it_was(training.network):
        seconds = _step_seconds(training, training.optimizer, sizes)
    return _decide(training, noise, scale, seconds, started)


def _candidates(n: int, accumulation_steps: int) -> list[int]:
    """Powers of two such that a step takes 8 to 4096 rows, no more than there are."""
    powers = [1 << power for power in range(_LARGEST.bit_length())]
    fitting = [
        size for size in powers if _SMALLEST <= size * accumulation_steps <= min(n, _LARGEST)
    ]
    return fitting or [max(n // accumulation_steps, 1)]


def _decide(
    training: ProbedTraining,
    noise: list[tuple[int, NoiseScale]],
    scale: float,
    seconds: dict[int, float],
    started: float,
) -> BatchChoice:
    together = training.settings.accumulation_steps
    costs = {size: time * (1.0 + scale / (size * together)) for size, time in seconds.items()}
    smallest = min(costs)
    allowed = [size for size in costs if size == smallest or size * together <= scale]
    least = min(costs[size] for size in allowed)
    chosen = next(size for size in allowed if costs[size] <= _TOLERANCE * least)
    best = min(costs.values())
    return BatchChoice(
        batch_size=chosen,
        reason=_reason(scale, seconds, chosen),
        noise_scale=scale,
        noise_scales=tuple(noise),
        step_seconds=tuple(seconds.items()),
        predicted_cost=tuple((size, cost / best) for size, cost in costs.items()),
        seconds=time.perf_counter() - started,
    )


def _noise_along_training(
    training: ProbedTraining, optimizer: Optimizer
) -> list[tuple[int, NoiseScale]]:
    """Noise scales by step of a short training, which is cut short if it diverges."""
    data, together = training.data, training.settings.accumulation_steps
    generator = np.random.default_rng([training.seed, _STREAM])
    at_a_time = min(max(_PROBE_ROWS // together, 1), max(len(data) // together, 1))
    rows = _endless(generator, len(data), _MEASURED_AT[-1] * at_a_time * together)
    trained = copy.deepcopy(optimizer)  # its state too, and its schedule's
    engine = training.build_engine(trained)
    total = training.epochs * math.ceil(training.rows / (at_a_time * together))
    rates = trained.rates(0, _MEASURED_AT[-1], max(total, _MEASURED_AT[-1]))
    limit = _NOISE_ROWS if has_formula(training.network) else _NOISE_ROWS_IN_A_LOOP
    measured_on = data.take(generator.permutation(len(data))[:limit])
    found: list[tuple[int, NoiseScale]] = []
    started = time.perf_counter()
    for begin, end in zip((0, *_MEASURED_AT), _MEASURED_AT, strict=False):
        if found and time.perf_counter() - started > _TRAINING_SECONDS:
            break
        taken = rows[begin * at_a_time * together : end * at_a_time * together]
        try:
            engine.run_epoch(data, taken, at_a_time, rates[begin:end])
            found.append((end, _noise_scale(training.network, measured_on)))
        except NumericalError:  # the training itself will meet it, and tell
            break
    return found


def _noise_scale(network: NeuralNetwork, data: TrainingData) -> NoiseScale:
    with np.errstate(all="ignore"):
        moments = gradient_moments(network, data.inputs, data.targets, data.weights)
        return noise_scale_of(moments, 0.95)


def _typical(noise: list[tuple[int, NoiseScale]], n: int) -> float:
    """Geometric mean; where the gradient drowns in noise, all rows together are the most."""
    logs = [math.log(min(max(measured.value, 1.0), n)) for _, measured in noise]
    return math.exp(sum(logs) / len(logs)) if logs else float(_PROBE_ROWS)


def _step_seconds(
    training: ProbedTraining, optimizer: Optimizer, sizes: list[int]
) -> dict[int, float]:
    """Seconds that a step takes, for sizes in ascending order as far as time allows."""
    data, together = training.data, training.settings.accumulation_steps
    generator = np.random.default_rng([training.seed, _STREAM])
    engine = training.build_engine(copy.deepcopy(optimizer))

    def run(size: int, steps: int) -> float:
        rows = _endless(generator, len(data), steps * size * together)
        # At a rate of zero no weight moves, so nothing can diverge; the work is the same.
        rates = np.zeros(steps)
        begun = time.perf_counter()
        engine.run_epoch(data, rows, size, rates)
        return time.perf_counter() - begun

    started = time.perf_counter()
    steps: dict[int, int] = {}
    for size in sizes:
        if steps and time.perf_counter() - started > 0.5 * _TIMING_SECONDS:
            break
        run(size, 2)  # what has to be set up for a size
        steps[size] = min(max(int(_ROUND_SECONDS / max(run(size, 1), 1e-6)), 1), 50)
    times: dict[int, list[float]] = {size: [] for size in steps}
    for _ in range(_ROUNDS):
        for size, count in steps.items():
            times[size].append(run(size, count) / count)
        if time.perf_counter() - started > _TIMING_SECONDS:
            break
    return _undisturbed({size: min(measured) for size, measured in times.items()})


def _undisturbed(seconds: dict[int, float]) -> dict[int, float]:
    """Take off what else the machine did: no step takes longer than one of more rows."""
    sizes = list(seconds)
    least = np.minimum.accumulate(np.array(list(seconds.values()))[::-1])[::-1]
    return dict(zip(sizes, least.tolist(), strict=True))


def _endless(generator: np.random.Generator, n: int, count: int) -> IntArray:
    """Draw `count` rows, of which none comes again before all have come."""
    rounds = -(-count // n)
    return np.concatenate([generator.permutation(n) for _ in range(rounds)])[:count]


@contextmanager
def _left_as_it_was(network: NeuralNetwork) -> Iterator[None]:
    flat, buffers = network.flat, list(network.buffers.values())
    before = flat.values.copy(), flat.grads.copy(), [buffer.value.copy() for buffer in buffers]
    try:
        yield
    finally:
        flat.values[...], flat.grads[...] = before[:2]
        for buffer, value in zip(buffers, before[2], strict=True):
            buffer.assign(value)


def _reason(scale: float, seconds: dict[int, float], chosen: int) -> str:
    shown = sorted({min(seconds), chosen, max(seconds)})
    times = ", ".join(f"{_duration(seconds[size])} with {size}" for size in shown)
    return f"the gradient noise scale is about {scale:.0f} rows; steps take {times} rows"


def _duration(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"

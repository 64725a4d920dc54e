"""From measurements whose answer is known to numbers and recommendations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from typegrad.benchmark.analysis import Analysis, choose_target
from typegrad.benchmark.campaign import contenders
from typegrad.benchmark.loss_curve import LossCurve
from typegrad.benchmark.measurements import Measurements
from typegrad.benchmark.recommendation import (
    check_objective,
    number,
    recommend,
    smoothed_logs,
)
from typegrad.benchmark.resampling import Estimate
from typegrad.benchmark.step_timing import StepTiming

TARGET = 0.1


def curve(size: int, seed: int, steps: float, *, misses: bool = False) -> LossCurve:
    """A curve that reaches the target after so many steps: loss = target * steps / step."""
    at = [1, *(round(steps * 1.1**power) for power in range(-10, 11))]
    losses = [TARGET * (2.0 if misses else steps / step) for step in at]
    return LossCurve(size, seed, 0.1, tuple(at), tuple(size * step for step in at), tuple(losses))


def timing(size: int, seconds: float, spread: float = 0.01, peak: int | None = None) -> StepTiming:
    noise = np.random.default_rng(size).lognormal(0.0, spread, 30)
    return StepTiming("auto", "planned", size, size, tuple((seconds * noise).tolist()), peak)


def measured(
    steps: dict[int, float],
    seconds: dict[int, float],
    *,
    scatter: float = 0.1,
    spread: float = 0.01,
    seeds: int = 8,
) -> Measurements:
    curves = [
        curve(size, seed, number * np.random.default_rng([size, seed]).lognormal(0.0, scatter))
        for size, number in steps.items()
        for seed in range(seeds)
    ]
    timings = [timing(size, each, spread, 1000 * size) for size, each in seconds.items()]
    return Measurements(timings=timings, curves=curves)


STEPS = {8: 4000.0, 32: 1200.0, 128: 600.0, 512: 500.0}
SECONDS = {8: 40e-6, 32: 50e-6, 128: 120e-6, 512: 400e-6}


def test_times_are_products() -> None:
    analysis = Analysis(measured(STEPS, SECONDS, scatter=0.0, spread=0.0), TARGET)
    for size, count in STEPS.items():
        time = analysis.seconds_to_target("auto", size)
        assert time is not None
        assert time.value == pytest.approx(count * SECONDS[size], rel=0.01)
        assert time.low == pytest.approx(time.value)
        steps, examples = analysis.steps_to_target(size), analysis.examples_to_target(size)
        assert steps is not None
        assert examples is not None
        assert examples.value == pytest.approx(size * steps.value)
    rate = analysis.throughput("auto", 8)
    assert rate.value == pytest.approx(8 / 40e-6)


def test_intervals_contain_the_truth() -> None:
    analysis = Analysis(measured(STEPS, SECONDS, scatter=0.2, seeds=20), TARGET)
    for size, count in STEPS.items():
        time = analysis.seconds_to_target("auto", size)
        assert time is not None
        assert 0.85 * time.low <= count * SECONDS[size] <= 1.15 * time.high
        assert time.low < time.value < time.high


def test_ratios_are_of_common_seeds() -> None:
    """The seeds' own ups and downs, which both sizes share, drop out of the ratio."""
    curves = []
    for seed in range(10):
        luck = float(np.random.default_rng(seed).lognormal(0.0, 0.5))
        curves += [curve(8, seed, 1000 * luck), curve(16, seed, 700 * luck)]
    curves += [curve(8, seed, 1000) for seed in range(10, 30)]
    found = Measurements(timings=[timing(8, 1e-4), timing(16, 1e-4)], curves=curves)
    ratio = Analysis(found, TARGET).time_ratio("auto", 16, 8)
    assert ratio is not None
    assert ratio.value == pytest.approx(0.7, rel=0.03)
    assert ratio.high < 0.75
    assert ratio.low > 0.65


def test_the_fastest_is_recommended() -> None:
    analysis = Analysis(measured(STEPS, SECONDS, scatter=0.05), TARGET)
    found = recommend(analysis, list(STEPS), "auto", "time")
    assert found is not None
    assert (found.batch_size, found.alike, found.unit) == (32, (), "s")
    assert str(found).startswith("32, 0.06")
    assert "(95 % interval 0.0" in str(found)


def test_the_other_objectives() -> None:
    analysis = Analysis(measured(STEPS, SECONDS, scatter=0.05), TARGET)
    examples = recommend(analysis, list(STEPS), "auto", "examples")
    throughput = recommend(analysis, list(STEPS), "auto", "throughput")
    memory = recommend(analysis, list(STEPS), "auto", "memory")
    assert examples is not None
    assert throughput is not None
    assert memory is not None
    assert (examples.batch_size, examples.unit) == (8, "examples")
    assert (throughput.batch_size, throughput.unit) == (512, "examples/s")
    assert (memory.batch_size, str(memory)) == (8, "8, 0.008 MB")


def test_sizes_that_are_alike_are_named() -> None:
    steps = {16: 4000.0, 64: 1000.0, 256: 1010.0}
    seconds = {16: 1e-4, 64: 1e-4, 256: 1e-4}
    analysis = Analysis(measured(steps, seconds, scatter=0.2), TARGET)
    found = recommend(analysis, list(steps), "auto", "time")
    assert found is not None
    assert {found.batch_size, *found.alike} == {64, 256}
    assert "; no measurable difference from " in str(found)


def test_of_sizes_that_are_alike_the_neighbours_decide() -> None:
    """128 came out lowest by chance; a parabola through all of them has its minimum at 64."""
    values = {8: 2.0, 16: 1.4, 32: 1.1, 64: 1.02, 128: 1.0, 256: 1.5, 512: 2.2}
    estimates = {size: Estimate(value, value * 0.9, value * 1.1) for size, value in values.items()}
    smooth = smoothed_logs(estimates)
    assert min(smooth, key=lambda size: smooth[size]) == 64
    assert smooth[8] == pytest.approx(math.log(2.0), abs=0.1)


def test_smoothing_leaves_a_parabola_as_it_is() -> None:
    logs = {2**power: 0.1 * (power - 4) ** 2 for power in range(9)}
    estimates = {size: Estimate(*[math.exp(log)] * 3) for size, log in logs.items()}
    assert smoothed_logs(estimates) == pytest.approx(logs, abs=1e-9)


def test_few_sizes_are_not_smoothed() -> None:
    estimates = {1: Estimate(1.0, 0.9, 1.1), 2: Estimate(3.0, 2.0, math.inf)}
    assert smoothed_logs(estimates) == pytest.approx({1: 0.0, 2: math.log(3.0)})


def test_a_size_that_misses_the_target_has_no_time_but_a_count() -> None:
    found = measured({8: 1000.0}, {8: 1e-4, 16: 1e-4}, seeds=4)
    found.curves += [curve(16, seed, 1000.0, misses=seed > 1) for seed in range(4)]
    analysis = Analysis(found, TARGET)
    assert analysis.seconds_to_target("auto", 16) is None
    assert analysis.steps_to_target(16) is None
    assert analysis.examples_to_target(16) is None
    assert analysis.time_ratio("auto", 8, 16) is None
    assert analysis.reached(16) == (2, 4)
    recommended = recommend(analysis, [8, 16], "auto", "time")
    assert recommended is not None
    assert (recommended.batch_size, recommended.alike) == (8, ())


def test_one_seed_of_five_may_miss_the_target() -> None:
    found = measured({8: 1000.0}, {8: 1e-4}, seeds=4)
    found.curves.append(curve(8, 4, 1000.0, misses=True))
    time = Analysis(found, TARGET).seconds_to_target("auto", 8)
    assert time is not None
    assert math.isfinite(time.value)


def test_nothing_is_recommended_where_nothing_was_reached_or_measured() -> None:
    found = Measurements(timings=[timing(8, 1e-4)], curves=[curve(8, 0, 1000.0, misses=True)])
    analysis = Analysis(found, TARGET)
    assert recommend(analysis, [8], "auto", "time") is None
    assert recommend(analysis, [8], "auto", "memory") is None
    assert contenders(analysis, [8], "auto") == []


def test_contenders_are_those_that_may_be_the_fastest() -> None:
    steps = {8: 4000.0, 32: 1000.0, 128: 1050.0}
    seconds = dict.fromkeys(steps, 1e-4)
    analysis = Analysis(measured(steps, seconds, scatter=0.3), TARGET)
    assert contenders(analysis, list(steps), "auto") == [32, 128]
    clear = Analysis(measured(STEPS, SECONDS, scatter=0.05), TARGET)
    assert contenders(clear, list(STEPS), "auto") == []


def test_alike_within_five_percent_is_contest_enough() -> None:
    steps, seconds = {8: 1000.0, 32: 1001.0}, {8: 1e-4, 32: 1e-4}
    analysis = Analysis(measured(steps, seconds, scatter=0.001, spread=0.001), TARGET)
    assert contenders(analysis, [8, 32], "auto") == []


def test_a_target_is_chosen_that_most_sizes_reach() -> None:
    floors = {8: 0.5, 16: 0.2, 32: 0.1, 64: 0.1, 128: 0.1}
    steps = tuple(range(0, 101, 10))
    curves = [
        LossCurve(
            size, seed, 0.1, steps, steps, tuple(max(floor, 1.0 - step / 40) for step in steps)
        )
        for size, floor in floors.items()
        for seed in range(3)
    ]
    target = choose_target(curves, dict.fromkeys(floors, 100.0))
    # Of 1.0 to 0.1 the way down, less 2 %.
    assert target == pytest.approx(0.1 + 0.02 * 0.9)


def test_no_target_is_chosen_where_nothing_was_learned() -> None:
    curves = [LossCurve(8, 0, 0.1, (0, 1, 2, 3, 4), (0, 8, 16, 24, 32), (1.0, 2.0, 3.0, 4.0, 5.0))]
    assert choose_target(curves, {8: 4.0}) is None
    assert choose_target([LossCurve(8, 0, 0.1, (0,), (0,), (1.0,))], {8: 4.0}) is None


def test_objectives() -> None:
    assert check_objective("memory") == "memory"
    with pytest.raises(
        ValueError, match="objective is 'speed'; expected one of 'time', 'examples'"
    ):
        check_objective("speed")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.5e-7, "1.50e-07"), (0.0012345, "0.00123"), (999.4, "999"), (12345.0, "12,300"),
     (1.5e12, "1.50e+12"), (math.inf, "infinity"), (-2.5, "-2.5")],
)  # fmt: skip
def test_numbers_for_people(value: float, text: str) -> None:
    assert number(value) == text

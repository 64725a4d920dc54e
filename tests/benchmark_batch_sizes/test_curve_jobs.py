"""Curves as jobs, and the noise scale along the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.benchmark import curve_jobs
from typegrad.benchmark.curve_jobs import CurveJob, CurveRunner, run_job
from typegrad.benchmark.problem import Problem, prepare_problem
from typegrad.noise_scale import gradient_noise_scale

from .problems import line_problem, linear_data

JOB = CurveJob(8, 0, 0.01, max_steps=20, max_seconds=100.0)


def noisy(job: CurveJob = JOB) -> CurveJob:
    return CurveJob(job.batch_size, job.seed, job.learning_rate, 20, 100.0, noise=True)


def with_dropout() -> Problem:
    def build(seed: int) -> tg.NeuralNetwork:
        layers = (tg.Dense(3, 4), tg.Dropout(0.1), tg.Dense(4, 1))
        return tg.NeuralNetwork(*layers, loss=tg.MSELoss(), seed=seed)

    x, y = linear_data()
    return prepare_problem(build, tg.SGD(0.01), x, y, validation_data=(x, y))


def test_noise_scales_are_those_of_the_network_at_that_moment() -> None:
    problem = line_problem()
    points = run_job(problem, noisy()).noise
    assert [point.step for point in points] == [1, 2, 3, 5, 8, 13, 20]
    network = problem.build_network(0)
    data = problem.training
    rows = np.random.default_rng([0, 0]).permutation(len(data))[:8]
    trainer = tg.Trainer(network, tg.SGD(0.01))
    trainer.fit(data.inputs[rows], data.targets[rows], epochs=1, batch_size=8, shuffle=False)
    expected = gradient_noise_scale(network, data.inputs, data.targets)
    assert points[0].noise_scale == pytest.approx(expected.value, rel=1e-4)
    assert (points[0].low, points[0].high) == pytest.approx((expected.low, expected.high), rel=1e-4)


@pytest.mark.parametrize(
    ("problem", "limit", "rows"),
    [(line_problem, "NOISE_ROWS", 50), (with_dropout, "NOISE_ROWS_ONE_BY_ONE", 20)],
)
def test_of_many_rows_some_are_taken(
    problem: Any, limit: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def count(network: tg.NeuralNetwork, x: Any, y: Any, **options: Any) -> Any:
        seen.append(len(x))
        return gradient_noise_scale(network, x, y, **options)

    monkeypatch.setattr(curve_jobs, limit, rows)
    monkeypatch.setattr(curve_jobs, "gradient_noise_scale", count)
    run_job(problem(), noisy())
    assert set(seen) == {rows}


def test_a_noise_scale_that_cannot_be_computed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise tg.NumericalError("infinite")

    monkeypatch.setattr(curve_jobs, "gradient_noise_scale", fail)
    result = run_job(line_problem(), noisy())
    assert result.noise == []
    assert len(result.curves) == 1


def test_curves_of_a_search_are_kept_apart() -> None:
    job = CurveJob(8, 0, 0.01, 20, 100.0, search=True)
    result = run_job(line_problem(), job)
    assert (len(result.curves), len(result.searches)) == (0, 1)


def test_a_job_is_cut_short_when_its_time_is_up() -> None:
    (curve,) = run_job(line_problem(), CurveJob(8, 0, 0.01, 1000, 0.0)).curves
    assert curve.steps == (0, 1)


def test_with_one_process_jobs_are_done_in_order() -> None:
    jobs = [CurveJob(size, 0, 0.01, 3, 100.0) for size in (32, 4, 8)]
    with CurveRunner(line_problem(), 1) as runner:
        sizes = [result.curves[0].batch_size for result in runner.run(jobs)]
    assert sizes == [32, 4, 8]

"""The course of a benchmark of batch sizes: which cell is measured when.

1. Steps of all engines and sizes are timed, in turns. How long a step takes gives the number of
   steps that fill each curve's share of the time budget.
2. If it is asked for, a learning rate is searched for each size.
3. Every size is trained with every seed, to the end of that share. No clock runs: these curves
   are a function of size, seed and number of steps.
4. A target is chosen, unless it was given.
5. Sizes that may be the fastest are trained to the target with further seeds, a few at a time,
   until one is measurably the fastest, or those left are alike, or time or seeds run out.
6. Steps are timed once more, so that not all times are from the same minute.

On a machine so busy that this takes much longer than the budget, seeds are left out, and the report
says so.

Each cell's result goes to the `Store` before the next begins; a continued campaign finds there
what need not be done again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from typegrad.benchmark.analysis import Analysis, choose_target
from typegrad.benchmark.crossing import best_loss
from typegrad.benchmark.curve_jobs import CurveJob, CurveRunner
from typegrad.benchmark.loss_curve import LossCurve
from typegrad.benchmark.measurements import Measurements
from typegrad.benchmark.problem import Problem
from typegrad.benchmark.settings import Settings
from typegrad.benchmark.state_file import Store
from typegrad.benchmark.step_timing import Clock
from typegrad.benchmark.timing_session import TimingSession

TIMING_SHARE, CURVE_SHARE, SEARCH_SHARE, FURTHER_SHARE = 0.04, 0.45, 0.25, 0.35
"""Of the time budget, for a timing session, the curves, a search, and further seeds.

Evaluations, and the planning of steps, take the rest.
"""

SESSIONS = 2
SEEDS_AT_A_TIME = 5

CLOSE = 1.05
"""Ratio to the fastest size's time that is as good as it."""

FEWEST_STEPS, FEWEST_SEEDS = 5, 2
"""Of a curve, and of a size, however late it is."""

SEARCH_CURVES = 5
"""Curves that a search of one learning rate takes, about."""

_LATE_FOR_SEEDS, _LATE = 1.3, 1.8
"""Times the budget after which no seed for all sizes, and no further seed, is begun."""

_LATE_CURVE, _LATE_SECONDS = 10.0, 5.0
"""Times a curve's share of the budget, and seconds, after both of which it is cut short."""

_TELLING = 0.15
"""Share of the budget after which it is known how long a planned second takes."""

SEARCH_FACTOR, MOST_SEARCHED = 2.0, 9


@dataclass(frozen=True)
class ProgressReport:
    """How far a benchmark is.

    Attributes
    ----------
    stage
        What is being done, for people.
    done, total
        Cells of the stage.
    remaining_seconds
        Estimate of the time to the end of the whole benchmark.
    """

    stage: str
    done: int
    total: int
    remaining_seconds: float


Listener = Callable[[ProgressReport], None]


class Campaign:
    """One benchmark.

    Parameters
    ----------
    problem
        What is trained.
    settings
        What is to be measured.
    store
        Gets what is measured, and may have some of it already.
    clock
        Measures the steps.
    listener
        Hears of every cell.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        store: Store,
        clock: Clock = time.perf_counter,
        listener: Listener | None = None,
    ) -> None:
        self.problem = problem
        self.settings = settings
        self.store = store
        self.target = settings.target
        self.rates: dict[int, float] = {}
        self.notes: list[str] = []
        self._runner = CurveRunner(problem, settings.processes)
        self._clock = clock
        self._listener = listener
        self._budget = settings.budget_seconds * settings.processes
        self._left = settings.budget_seconds
        self._started = time.perf_counter()

    @property
    def measured(self) -> Measurements:
        """What was measured so far."""
        return self.store.measurements

    @property
    def seconds_per_curve(self) -> float:
        """Time that a curve's steps may take: its share of the budget."""
        cells = len(self.settings.batch_sizes) * len(self.settings.seeds)
        return CURVE_SHARE * self._budget / cells

    def run(self) -> None:
        """Measure what is not measured yet."""
        with self._runner:
            self._measure()
        self._left = 0.0
        self._tell("done", 1, 1)

    def _measure(self) -> None:
        session: TimingSession | None = None
        seconds = TIMING_SHARE * self.settings.budget_seconds
        if self.measured.sessions < 1:
            self._tell("timing steps", 0, SESSIONS)
            session = self._new_session()
            first = session.measure_memory_and_parts(session.measure(seconds))
            first.step_budgets = self._step_budgets(first)
            self.store.add(first)
        self._spend(seconds)
        self._choose_rates()
        self._train_all()
        if self.target is None:
            budgets = {size: float(steps) for size, steps in self.measured.step_budgets.items()}
            self.target = choose_target(self.measured.curves, budgets)
        # The second session ends a benchmark: one that is resumed then is not to go on.
        if self.measured.sessions < SESSIONS:
            if self.target is not None:
                self._train_further(self.target)
            self._tell("timing steps again", 1, SESSIONS)
            session = session or self._new_session()
            self.store.add(session.measure(seconds))

    def _new_session(self) -> TimingSession:
        settings = self.settings
        return TimingSession(self.problem, settings.engines, settings.batch_sizes, self._clock)

    def _step_budgets(self, measured: Measurements) -> dict[int, int]:
        budgets = {}
        for timing in measured.timings:
            if timing.engine == self.settings.engines[0]:
                # By the fastest round: a busy machine must not cut the curves short.
                steps = self.seconds_per_curve / min(timing.seconds)
                budgets[timing.batch_size] = max(FEWEST_STEPS, int(steps))
        return budgets

    # Learning rates.

    def _choose_rates(self) -> None:
        rule, base = self.settings.learning_rate, self.settings.base_batch_size
        powers = {"kept": 0.0, "searched": 0.0, "linear": 1.0, "sqrt": 0.5}
        own = self.problem.learning_rate
        for number, size in enumerate(self.settings.batch_sizes):
            self.rates[size] = own * (size / base) ** powers[rule]
            if rule == "searched":
                self._tell("searching learning rates", number, len(self.settings.batch_sizes))
                self.rates[size] = self._search_rate(size)

    def _search_rate(self, size: int) -> float:
        """Double or halve the rate as long as that lowers the loss that a short run reaches."""
        own = self.problem.learning_rate
        losses = {0: self._searched_loss(size, own)}
        for direction in (1, -1):
            power = direction
            while len(losses) < MOST_SEARCHED:
                losses[power] = self._searched_loss(size, own * SEARCH_FACTOR**power)
                if not losses[power] < losses[power - direction]:
                    break
                power += direction
            if power != direction:  # it got better this way, so the other way is worse
                break
        return own * SEARCH_FACTOR ** min(losses, key=lambda power: losses[power])

    def _searched_loss(self, size: int, rate: float) -> float:
        curves = SEARCH_CURVES * len(self.settings.batch_sizes)
        seconds = SEARCH_SHARE * self._budget / curves
        steps = self.measured.step_budgets[size] * seconds / self.seconds_per_curve
        job = CurveJob(
            size,
            self.settings.seeds[0],
            rate,
            max(FEWEST_STEPS, int(steps)),
            self._longest_curve(),
            search=True,
        )
        curve = self._found(self.measured.searches, job)
        if curve is None:
            self.store.add(next(self._runner.run([job])))
            curve = self.measured.searches[-1]
            self._spend(seconds)
        best = best_loss(curve.steps, curve.losses, math.inf)
        return math.inf if best is None or curve.diverged else best

    # Curves.

    def _train_all(self) -> None:
        settings = self.settings
        share = CURVE_SHARE * settings.budget_seconds / len(settings.seeds)
        for number, seed in enumerate(settings.seeds):
            if number >= FEWEST_SEEDS and self._late(_LATE_FOR_SEEDS):
                self.notes.append(
                    f"Only {number} of {len(settings.seeds)} seeds were trained: the machine takes "
                    f"longer than {settings.budget_seconds:g} s for them, probably because other "
                    "programs are running."
                )
                break
            jobs = [self._job(size, seed, noise=number == 0) for size in settings.batch_sizes]
            self._run(jobs, f"training with seed {number + 1} of {len(settings.seeds)}", share)

    def _train_further(self, target: float) -> None:
        """Train sizes that may be the fastest with further seeds."""
        settings = self.settings
        engine = settings.engines[0]
        further = settings.further_seeds
        while further:
            analysis = Analysis(self.measured, target)
            sizes = contenders(analysis, settings.batch_sizes, engine)
            seeds, further = further[:SEEDS_AT_A_TIME], further[SEEDS_AT_A_TIME:]
            spent = self._further_seconds() > FURTHER_SHARE * self._budget
            if len(sizes) < 2 or spent or self._late(_LATE):
                break
            jobs = [self._job(size, seed, target) for seed in seeds for size in sizes]
            names = ", ".join(map(str, sizes))
            share = FURTHER_SHARE * settings.budget_seconds * len(seeds) / settings.most_seeds
            self._run(jobs, f"training {names} with further seeds", share)
        self._spend(FURTHER_SHARE * settings.budget_seconds)

    def _job(
        self, size: int, seed: int, target: float | None = None, *, noise: bool = False
    ) -> CurveJob:
        steps = self.measured.step_budgets[size]
        return CurveJob(size, seed, self.rates[size], steps, self._longest_curve(), target, noise)

    def _longest_curve(self) -> float:
        return max(_LATE_CURVE * self.seconds_per_curve, _LATE_SECONDS)

    def _further_seconds(self) -> float:
        """Time that further seeds' steps took: the same whenever it is asked for."""
        seconds = {
            timing.batch_size: float(np.median(timing.seconds))
            for timing in self.measured.timings
            if timing.engine == self.settings.engines[0]
        }
        return sum(
            curve.steps[-1] * seconds[curve.batch_size]
            for curve in self.measured.curves
            if curve.seed not in self.settings.seeds
        )

    def _run(self, jobs: Sequence[CurveJob], stage: str, seconds: float) -> None:
        """Train those of the curves that are not there yet."""
        missing = [job for job in jobs if self._found(self.measured.curves, job) is None]
        done = len(jobs) - len(missing)
        self._spend(seconds * done / len(jobs))
        self._tell(stage, done, len(jobs))
        for result in self._runner.run(missing):
            self.store.add(result)
            done += 1
            self._spend(seconds / len(jobs))
            self._tell(stage, done, len(jobs))

    @staticmethod
    def _found(curves: Sequence[LossCurve], job: CurveJob) -> LossCurve | None:
        key = (job.batch_size, job.seed, job.learning_rate)
        for curve in curves:
            if (curve.batch_size, curve.seed, curve.learning_rate) == key:
                return curve
        return None

    # Progress.

    def _late(self, factor: float) -> bool:
        """Whether this run takes so many times as long as it should."""
        return time.perf_counter() - self._started > factor * self.settings.budget_seconds

    def _spend(self, seconds: float) -> None:
        """Note that what was planned to take so long is done."""
        self._left = max(0.0, self._left - seconds)

    def _tell(self, stage: str, done: int, total: int) -> None:
        if self._listener is None:
            return
        planned = self.settings.budget_seconds - self._left
        elapsed = time.perf_counter() - self._started
        # What took longer than planned so far will go on to; at first that is chance.
        slowness = elapsed / planned if planned > _TELLING * self._budget else 1.0
        self._listener(ProgressReport(stage, done, total, self._left * max(1.0, slowness)))


def contenders(analysis: Analysis, batch_sizes: Sequence[int], engine: str) -> list[int]:
    """Sizes that may be the fastest to the target; none if all that may are alike."""
    times = {
        size: estimate
        for size in batch_sizes
        if (estimate := analysis.seconds_to_target(engine, size)) is not None
    }
    if not times:
        return []
    best = min(times, key=lambda size: times[size].value)
    ratios = {
        size: ratio
        for size in times
        if size != best and (ratio := analysis.time_ratio(engine, size, best)) is not None
    }
    close = [size for size, ratio in ratios.items() if ratio.low <= CLOSE]
    if all(ratios[size].high <= CLOSE for size in close):
        return []
    return sorted([best, *close])

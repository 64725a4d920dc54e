"""Which batch size? The entry to the benchmark."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from os import PathLike

import numpy.typing as npt

from typegrad.benchmark.campaign import Campaign, Listener
from typegrad.benchmark.loss_curve import validation_loss
from typegrad.benchmark.machine import describe_machine
from typegrad.benchmark.problem import BuildNetwork, Problem, prepare_problem
from typegrad.benchmark.report import BatchSizeReport, operations_per_example
from typegrad.benchmark.settings import LearningRateRule, Settings, check_settings
from typegrad.benchmark.state_file import Store
from typegrad.benchmark.step_timing import Clock
from typegrad.feeding import Examples
from typegrad.optimizers import Optimizer

__all__ = ["batch_sizes"]


def batch_sizes(
    build_network: BuildNetwork,
    optimizer: Optimizer,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    batch_sizes: Iterable[int] | None = None,
    seeds: int | Sequence[int] = 5,
    most_seeds: int = 40,
    engines: Sequence[str] = ("auto",),
    target: float | None = None,
    learning_rate: LearningRateRule = "kept",
    base_batch_size: int = 32,
    budget_seconds: float = 120.0,
    validation_data: Examples | None = None,
    validation_split: float = 0.2,
    split_seed: int = 0,
    sample_weight: npt.ArrayLike | None = None,
    processes: int = 1,
    state: str | PathLike[str] | None = None,
    resume: bool = False,
    clock: Clock = time.perf_counter,
    listener: Listener | None = None,
) -> BatchSizeReport:
    """Measure which batch size trains a network best.

    Parameters
    ----------
    build_network
        Takes a seed and returns a new network: ``lambda seed: NeuralNetwork(..., seed=seed)``.
    optimizer
        One that steps on batches, with a constant learning rate. It is not changed.
    x, y
        Inputs (n, in_features) and targets (n, outputs), in their own units, as for
        ``Trainer.fit``.
    batch_sizes
        Sizes to measure; None takes the powers of two up to the training rows, and 4096.
    seeds
        How many trainings of each size, or their seeds: of first weights and order of rows.
    most_seeds
        Sizes that may be the fastest are trained with further seeds, up to so many in all.
    engines
        Whose steps are timed: engines of `Trainer`, and ``"torch"`` and ``"jax"``, which take the
        same steps where these are installed. Recommendations are for the first, and so is the
        time budget. All take the same steps, so the loss curves are everyone's.
    target
        Validation loss to be reached, in the units trained in. None chooses one that most
        sizes reach well within their time.
    learning_rate
        How the optimizer's learning rate depends on the size: ``"kept"``; ``"linear"`` or
        ``"sqrt"``, times the ratio of the size to `base_batch_size` or its square root;
        ``"searched"``, by short trainings for each size.
    base_batch_size
        The size that the optimizer's learning rate is for, where it is scaled.
    budget_seconds
        Time for everything, about, on a machine that does nothing else. Longer trainings
        reach lower losses.
    validation_data
        ``(x, y)`` or ``(x, y, sample_weight)`` to evaluate on.
    validation_split
        Without it, share of the rows to evaluate on instead of training on them.
    split_seed
        Of the choice of these rows. It is the same for all trainings.
    sample_weight
        Weight of each example in the loss, (n,).
    processes
        How many trainings run beside one another. Times are taken while none does.
    state
        File that every result is written to at once, so that a benchmark that was stopped
        can be continued with the same arguments and ``resume=True``.
    resume
        Whether to go on with what that file has. If there is none, it begins.
    clock
        Measures the steps. On a busy machine, ``time.process_time`` leaves out the time in which
        other programs ran; use it with one thread, since it adds up those of all threads.
    listener
        Told how far the benchmark is, after every cell.

    Returns
    -------
    BatchSizeReport
        Also if no size reaches the target; it says so.

    Raises
    ------
    ValueError, TypeError
        If an argument is not allowed, or the optimizer has a schedule or no batches.
    ContestantError
        If a contestant cannot train this network; it is a TypeError.
    MissingExtraError
        If a contestant is not installed.
    ShapeError, DTypeError, DataError
        If the data does not fit the network or has NaN or infinity; if the state file is of
        another benchmark.

    Examples
    --------
    >>> import numpy as np
    >>> import typegrad as tg
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = x @ np.array([[1.0], [2.0], [3.0]])
    >>> def build_network(seed):
    ...     return tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), seed=seed)
    >>> report = tg.benchmark.batch_sizes(
    ...     build_network, tg.SGD(0.01), x, y, batch_sizes=[1, 32], seeds=2, budget_seconds=1
    ... )
    >>> report.batch_sizes
    (1, 32)
    """
    problem = prepare_problem(
        build_network,
        optimizer,
        x,
        y,
        sample_weight=sample_weight,
        validation_data=validation_data,
        validation_split=validation_split,
        split_seed=split_seed,
    )
    settings = check_settings(
        len(problem.training),
        batch_sizes=batch_sizes,
        seeds=seeds,
        most_seeds=most_seeds,
        engines=engines,
        target=target,
        learning_rate=learning_rate,
        base_batch_size=base_batch_size,
        budget_seconds=budget_seconds,
        processes=processes,
    )
    check_target(settings, problem)
    machine = describe_machine()
    identity = {**problem.fingerprint(), **settings.identity(), "clock": _name(clock)}
    store = Store(state, identity, resume=resume)
    campaign = Campaign(problem, settings, store, clock, listener)
    campaign.run()
    network = problem.build_network(0)
    return BatchSizeReport(
        arguments={**settings.to_dict(), "split_seed": split_seed, "clock": _name(clock)},
        problem={
            **problem.fingerprint(),
            "training rows": len(problem.training),
            "validation rows": len(problem.validation),
            "parameters": int(network.flat.values.size),
            "operations per example": operations_per_example(network),
        },
        machine=machine,
        learning_rates=campaign.rates,
        seconds_per_curve=campaign.seconds_per_curve,
        target=campaign.target,
        target_was_given=target is not None,
        notes=tuple(campaign.notes),
        measurements=campaign.measured,
    )


def _name(clock: Clock) -> str:
    return getattr(clock, "__name__", None) or str(clock)


def check_target(settings: Settings, problem: Problem) -> None:
    """Raise ValueError if the target is reached before the first step."""
    if settings.target is None:
        return
    first = validation_loss(problem.build_network(settings.seeds[0]), problem)
    if settings.target >= first:
        raise ValueError(
            f"target is {settings.target:g}, but the validation loss is {first:.4g} before the "
            "first step (in the units trained in); give a lower target"
        )

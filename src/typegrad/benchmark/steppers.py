"""Who takes the steps: engines by name, and other libraries as contestants."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import get_args

import numpy as np

from typegrad.benchmark.problem import Problem
from typegrad.benchmark.step_timing import Stepper
from typegrad.engines import EngineName, StepSettings, build_engine
from typegrad.errors import MissingExtraError
from typegrad.network import NeuralNetwork
from typegrad.types import IntArray

CONTESTANTS: dict[str, tuple[str, str]] = {
    "torch": ("typegrad.benchmark.torch_stepper", "TorchStepper"),
    "jax": ("typegrad.benchmark.jax_stepper", "JaxStepper"),
}
"""Module and class of each other library, by the name that it is imported by."""

ENGINES: tuple[str, ...] = (*get_args(EngineName), *CONTESTANTS)
"""All that may be asked for."""


class EngineStepper:
    """One of typegrad's engines.

    Attributes
    ----------
    name
        Of the engine that runs: of ``"auto"``, the chosen one's.
    """

    def __init__(self, problem: Problem, engine: EngineName, learning_rate: float = 0.0) -> None:
        self.network: NeuralNetwork = problem.build_network(0)
        self.learning_rate = learning_rate
        self._data = problem.training
        optimizer = problem.new_optimizer(learning_rate)
        self._engine = build_engine(engine, self.network, optimizer, StepSettings(), _ignore)
        self.name: str = self._engine.name

    def run(self, rows: IntArray, batch_size: int) -> None:
        """Take steps."""
        steps = -(-len(rows) // batch_size)
        self._engine.run_epoch(self._data, rows, batch_size, np.full(steps, self.learning_rate))


def check_engines(engines: Sequence[str]) -> tuple[str, ...]:
    """Require known names, each once, at least one, and the contestants' libraries.

    Raises
    ------
    ValueError
        If a name is not known or given twice, or there is none.
    MissingExtraError
        If a contestant is not installed.
    """
    if isinstance(engines, str):
        raise ValueError(f"engines is {engines!r}; expected several names: ({engines!r},)")
    if not engines:
        raise ValueError("engines is empty; expected at least one name, such as 'auto'")
    for index, name in enumerate(engines):
        if name not in ENGINES:
            raise ValueError(
                f"there is no engine {name!r}; expected some of {', '.join(map(repr, ENGINES))}"
            )
        if name in engines[:index]:
            raise ValueError(f"engine {name!r} is given twice")
        if name in CONTESTANTS and find_spec(name) is None:
            raise MissingExtraError(
                f"engine {name!r} needs {name}, which is not installed: "
                f"run `pip install {name}`, or leave it out of the engines"
            )
    return tuple(engines)


def make_stepper(problem: Problem, engine: str) -> Stepper:
    """Make what takes an engine's, or a contestant's, steps.

    Raises
    ------
    ContestantError
        If a contestant has no counterpart of a layer, loss or optimizer; names it.
    """
    if engine in CONTESTANTS:
        module, name = CONTESTANTS[engine]
        stepper: Stepper = getattr(import_module(module), name)(problem)
        return stepper
    chosen: EngineName = next(name for name in get_args(EngineName) if name == engine)
    return EngineStepper(problem, chosen)


def peak_bytes(problem: Problem, engine: str, batch_size: int) -> int | None:
    """Most memory that training holds at once beside the data; None for contestants.

    Python's tracemalloc counts it, which knows of NumPy's arrays and of nothing that other
    libraries allocate by themselves: weights, gradients, the optimizer's state, intermediate
    results and what an engine plans with.
    """
    if engine in CONTESTANTS:
        return None
    rows = np.arange(min(batch_size, len(problem.training)))
    tracemalloc.start()
    try:
        stepper = make_stepper(problem, engine)
        stepper.run(rows, batch_size)
        gc.collect()  # what planning left behind would count or not as chance has it
        tracemalloc.reset_peak()
        stepper.run(rows, batch_size)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _ignore(note: str) -> None:
    """Do nothing: the stepper's name says which engine runs."""

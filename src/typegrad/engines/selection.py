"""Engines by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from typegrad.engines.base import Engine, StepSettings
from typegrad.engines.compiled import CompiledEngine
from typegrad.engines.eager import EagerEngine
from typegrad.engines.planned import PlannedEngine
from typegrad.optimizers import FullBatchOptimizer, Optimizer
from typegrad.options import check_choice

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork

EngineName: TypeAlias = Literal["auto", "eager", "planned", "compiled"]
"""What `Trainer` takes as its engine."""


LONG_TRAINING = 1e10
"""Multiply-adds from which on native code saves more time than it takes to load: about 1 s of the
planned engine's."""

STEP_OVERHEAD = 10**6
"""Multiply-adds that take as long as what a planned step does besides."""


def training_work(network: NeuralNetwork, rows: int, steps_per_epoch: int, epochs: int) -> float:
    """Estimate the work of a training, in multiply-adds: parameters count for each row thrice.

    It depends on the arguments of ``fit`` alone, not on the time of day or on what is compiled
    already: so does the engine that ``"auto"`` takes, and so do the last bits of its numbers.
    """
    per_epoch = 3 * network.flat.values.size * rows + STEP_OVERHEAD * steps_per_epoch
    return float(per_epoch) * epochs


def check_engine_name(name: str) -> None:
    """Raise ValueError unless there is an engine of this name."""
    check_choice("engine", name, get_args(EngineName))


def build_engine(
    name: EngineName,
    network: NeuralNetwork,
    optimizer: Optimizer | FullBatchOptimizer,
    settings: StepSettings,
    note: Callable[[str], None],
    *,
    work: float = math.inf,
    threads: int | None = None,
) -> Engine:
    """Make an engine, and let `note` know which it is and why.

    Parameters
    ----------
    name
        ``"auto"`` takes the compiled engine where its extra ``fast`` is installed and the
        training is long, else the planned one.
    note
        Also hears, later on, of what could not be compiled or planned.
    work
        Of the whole training, as `training_work` estimates it; it counts as long without.
    threads
        Of the compiled engine; None for the cores that the process may use.

    Raises
    ------
    MissingExtraError
        If the compiled engine is asked for and its extra is not installed.
    """
    if name == "eager":
        note("engine: eager, as asked for")
        return EagerEngine(network, optimizer, settings)
    if name == "planned":
        note("engine: planned, as asked for")
        return PlannedEngine(network, optimizer, settings, note)
    if name == "auto":
        problem = None
        if work < LONG_TRAINING:
            problem = "the training is too short to be worth native code"
        elif find_spec("llvmlite") is None:
            problem = "native code would be faster, but needs pip install 'typegrad[fast]'"
        if problem is not None:
            note(f"engine: planned; {problem}")
            return PlannedEngine(network, optimizer, settings, note)
    try:
        engine = CompiledEngine(network, optimizer, settings, note, threads=threads)
    except (ImportError, OSError, RuntimeError) as error:
        if name == "compiled":
            raise
        note(f"engine: planned; the compiled one cannot start: {error}")
        return PlannedEngine(network, optimizer, settings, note)
    why = "the training is long enough" if name == "auto" else "as asked for"
    note(f"engine: compiled, {why}")
    return engine

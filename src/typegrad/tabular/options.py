"""Losses, optimizers and schedules by the names that `train_table` and the command line take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from typegrad.losses import (
    GaussianNLLLoss,
    HuberLoss,
    LogCoshLoss,
    Loss,
    MAELoss,
    MSELoss,
    PoissonNLLLoss,
    QuantileLoss,
)
from typegrad.optimizers import (
    LBFGS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    FullBatchOptimizer,
    Lion,
    NAdam,
    Optimizer,
    RAdam,
    RMSProp,
)
from typegrad.schedules import (
    ConstantSchedule,
    CosineSchedule,
    LinearSchedule,
    OneCycleSchedule,
    ReduceOnPlateau,
    Schedule,
)

LOSSES: Mapping[str, Callable[[], Loss]] = {
    "mse": MSELoss,
    "mae": MAELoss,
    "huber": HuberLoss,
    "log_cosh": LogCoshLoss,
    "quantile": lambda: QuantileLoss(non_crossing=True),
    "gaussian": GaussianNLLLoss,
    "poisson": PoissonNLLLoss,
}
"""Losses by name; the quantiles are 0.1, 0.5 and 0.9 and do not cross."""

SCHEDULES: Mapping[str, Callable[[float], Schedule]] = {
    "one_cycle": OneCycleSchedule,
    "cosine": lambda rate: CosineSchedule(rate, warmup_fraction=0.05),
    "linear": LinearSchedule,
    "constant": ConstantSchedule,
    "plateau": ReduceOnPlateau,
}
"""Learning-rate schedules by name."""


Choice = TypeVar("Choice")

_DECAY_TIMES_ROWS = 40.0
_SMALLEST_DECAY, _LARGEST_DECAY = 0.01, 0.5


@dataclass(frozen=True)
class OptimizerChoice:
    """An optimizer by name, with defaults that suit standardised tables."""

    make: Callable[..., Optimizer | FullBatchOptimizer]
    learning_rate: float
    """The largest of the schedule."""
    options: Mapping[str, Any]
    schedule: str = "one_cycle"


OPTIMIZERS: Mapping[str, OptimizerChoice] = {
    "adamw": OptimizerChoice(AdamW, 0.02, {}),
    "adam": OptimizerChoice(Adam, 0.02, {}),
    "nadam": OptimizerChoice(NAdam, 0.02, {}),
    "radam": OptimizerChoice(RAdam, 0.02, {}),
    "lion": OptimizerChoice(Lion, 0.002, {"weight_decay": 0.5}),
    "sgd": OptimizerChoice(SGD, 0.1, {"momentum": 0.9, "nesterov": True}),
    "rmsprop": OptimizerChoice(RMSProp, 0.005, {}),
    "adagrad": OptimizerChoice(Adagrad, 0.05, {}),
    "adadelta": OptimizerChoice(Adadelta, 1.0, {}, "constant"),
    "lbfgs": OptimizerChoice(LBFGS, 1.0, {}, "constant"),
}
"""Optimizers by name. Learning rates are the largest of a schedule, which falls later."""


def make_loss(loss: str | Loss) -> Loss:
    """Turn a name into a loss; return a loss as it is.

    Raises
    ------
    ValueError
        If the name is not known.
    """
    if isinstance(loss, Loss):
        return loss
    return _find("loss", loss, LOSSES)()


def make_optimizer(
    optimizer: str | Optimizer | FullBatchOptimizer,
    learning_rate: float | None = None,
    schedule: str | None = None,
    weight_decay: float | None = None,
    rows: int | None = None,
) -> Optimizer | FullBatchOptimizer:
    """Turn a name into an optimizer; return an optimizer as it is.

    Parameters
    ----------
    optimizer
        A name, or an optimizer, which has its own learning rate and weight decay.
    learning_rate
        The largest of the schedule; None takes the optimizer's default.
    schedule
        A name; None takes the optimizer's default.
    weight_decay
        None takes the optimizer's default.
    rows
        How many the optimizer will see: AdamW's default weight decay depends on it. Like a
        prior's share in what is believed, it falls with the number of rows.

    Raises
    ------
    ValueError
        If a name is not known, a value is not allowed, or the optimizer has no such option.
    """
    given = {
        "learning_rate": learning_rate, "schedule": schedule, "weight_decay": weight_decay
    }  # fmt: skip
    if not isinstance(optimizer, str):
        if extra := [name for name, value in given.items() if value is not None]:
            raise ValueError(f"{extra[0]} is for an optimizer given by name; {optimizer} has one")
        return optimizer
    choice = _find("optimizer", optimizer, OPTIMIZERS)
    if optimizer == "lbfgs" and weight_decay is not None:
        raise ValueError("optimizer 'lbfgs' has no weight_decay")
    if optimizer == "lbfgs" and schedule not in (None, "constant"):
        raise ValueError("optimizer 'lbfgs' searches its step itself; it takes no schedule")
    options = dict(choice.options)
    if weight_decay is None and optimizer == "adamw" and rows is not None:
        weight_decay = min(max(_DECAY_TIMES_ROWS / rows, _SMALLEST_DECAY), _LARGEST_DECAY)
    if weight_decay is not None:
        options["weight_decay"] = weight_decay
    rate = choice.learning_rate if learning_rate is None else learning_rate
    name = schedule or choice.schedule
    scheduled = rate if name == "constant" else _find("schedule", name, SCHEDULES)(rate)
    return choice.make(scheduled, **options)


def _find(what: str, name: str, known: Mapping[str, Choice]) -> Choice:
    if name not in known:
        raise ValueError(f"{what} is {name!r}; expected {one_of(known)}")
    return known[name]


def one_of(names: Iterable[str]) -> str:
    """List names in a message: ``"a, b or c"``."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last

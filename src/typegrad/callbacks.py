"""Callbacks: objects that hear of training as it goes on, and may end it."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typegrad.errors import MissingExtraError, import_extra
from typegrad.history import EpochRecord, History
from typegrad.options import check_count
from typegrad.types import AnyArray, Vector

__all__ = [
    "Callback",
    "EarlyStopping",
    "EpochEnd",
    "ProgressBar",
    "StepEnd",
    "TrainBegin",
    "TrainEnd",
]

if TYPE_CHECKING:
    from typegrad.trainer import Trainer


@dataclass(frozen=True)
class TrainBegin:
    """Training is about to begin."""

    trainer: Trainer
    history: History
    epochs: int
    steps_per_epoch: int
    initial_epoch: int = 0


@dataclass(frozen=True)
class StepEnd:
    """Some steps were taken: as many as the callback's `step_interval`, or what was left.

    Attributes
    ----------
    epoch
        Number of the epoch, from 1.
    step
        Steps taken in this epoch.
    losses
        Loss of each step since the last such event.
    """

    trainer: Trainer
    epoch: int
    step: int
    losses: Vector


@dataclass(frozen=True)
class EpochEnd:
    """An epoch ended; its evaluation, if any, is done."""

    trainer: Trainer
    history: History
    record: EpochRecord


@dataclass(frozen=True)
class TrainEnd:
    """Training ended, for whatever reason the history gives."""

    trainer: Trainer
    history: History


class Callback:
    """Base class; override what you want to hear.

    To end training, call ``event.trainer.stop("reason")``: it ends after the epoch.

    Attributes
    ----------
    step_interval : int or None
        How many steps lie between two calls of `on_step_end`; None asks for none.

    Examples
    --------
    >>> class PrintLoss(Callback):
    ...     def on_epoch_end(self, event: EpochEnd) -> None:
    ...         print(event.record.epoch, event.record.training_loss)
    """

    step_interval: int | None = None

    def on_train_begin(self, event: TrainBegin) -> None:
        """Hear that training is about to begin."""

    def on_step_end(self, event: StepEnd) -> None:
        """Hear that some steps were taken."""

    def on_epoch_end(self, event: EpochEnd) -> None:
        """Hear that an epoch ended."""

    def on_train_end(self, event: TrainEnd) -> None:
        """Hear that training ended."""


@dataclass
class _Best:
    """The best evaluation so far, and how many came after it."""

    score: float = math.inf
    epoch: int | None = None
    state: dict[str, AnyArray] | None = None
    waited: int = 0


class EarlyStopping(Callback):
    """Stop when a value has not improved for some epochs, and restore the best weights.

    The best weights are restored however training ends: early, in time, or by Ctrl-C.

    Parameters
    ----------
    patience
        Evaluations without improvement after which training stops.
    min_delta
        By how much a value must be better than the best to count as an improvement.
    monitor
        ``"validation_loss"``, ``"training_loss"`` or a metric such as
        ``"validation_rmse"``; None takes the validation loss if there is validation
        data, else the training loss.
    maximize
        Whether larger is better, as for ``"validation_r2"``.
    """

    def __init__(
        self,
        patience: int = 10,
        min_delta: float = 0.0,
        monitor: str | None = None,
        *,
        maximize: bool = False,
    ) -> None:
        if not 0 <= min_delta < math.inf:
            raise ValueError(f"EarlyStopping: min_delta is {min_delta}; expected 0 or more")
        self.patience: int = check_count("EarlyStopping: patience", patience)
        self.min_delta = min_delta
        self.monitor = monitor
        self.maximize = maximize
        self._best = _Best()

    def on_train_begin(self, event: TrainBegin) -> None:
        """Forget what an earlier training left."""
        self._best = _Best()

    def on_epoch_end(self, event: EpochEnd) -> None:
        """Compare with the best value, where the epoch was evaluated."""
        if not event.record.evaluated:
            return
        value = monitored_value(event.record, self.monitor)
        score = -value if self.maximize else value
        best = self._best
        if score < best.score - self.min_delta:
            self._best = _Best(score, event.record.epoch, event.trainer.network.state_dict())
            return
        best.waited += 1
        if best.waited >= self.patience:
            since = "" if best.epoch is None else f" after epoch {best.epoch}"
            event.trainer.stop(
                f"early stopping: no improvement{since} in {best.waited} evaluations"
            )

    def on_train_end(self, event: TrainEnd) -> None:
        """Restore the best weights."""
        if self._best.state is not None:
            event.trainer.network.load_state_dict(self._best.state)
            event.history.best_epoch = self._best.epoch


class ProgressBar(Callback):
    """Show progress on stderr: a tqdm bar if tqdm is installed, else a line now and then."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._line_interval = 1

    def on_train_begin(self, event: TrainBegin) -> None:
        """Open the bar."""
        self._line_interval = max(1, event.epochs // 10)
        try:
            tqdm = import_extra("tqdm", "progress", "ProgressBar")
        except MissingExtraError:
            self._bar = None
        else:
            self._bar = tqdm.tqdm(
                total=event.epochs, initial=event.initial_epoch, unit="epoch", file=sys.stderr
            )

    def on_epoch_end(self, event: EpochEnd) -> None:
        """Move the bar, or print a line."""
        text = ", ".join(f"{name}={value:.4g}" for name, value in event.record.values().items())
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update()
        elif event.record.epoch % self._line_interval == 0:
            print(f"epoch {event.record.epoch}: {text}", file=sys.stderr)

    def on_train_end(self, event: TrainEnd) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()


def monitored_value(record: EpochRecord, monitor: str | None) -> float:
    """Value to watch of an epoch that was evaluated.

    Raises
    ------
    ValueError
        If there is no such value.
    """
    values = record.values()
    if monitor is None:
        monitor = "validation_loss" if "validation_loss" in values else "training_loss"
    if monitor not in values:
        raise ValueError(f"monitor is {monitor!r}; expected one of {', '.join(values)}")
    return values[monitor]

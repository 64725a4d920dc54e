"""History: what training recorded, epoch by epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from typegrad.batch_choice import BatchChoice
from typegrad.errors import import_extra
from typegrad.types import IntArray, Vector

__all__ = ["EpochRecord", "History"]

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class EpochRecord:
    """One epoch: what callbacks hear and the history keeps.

    Attributes
    ----------
    epoch
        Number of the epoch, from 1.
    training_loss
        Mean of the losses of its steps, weighted by their rows. The network changes from
        step to step, so it is not the loss of the network at the epoch's end.
    learning_rate
        Of the last step.
    seconds
        Since training began, evaluation included.
    validation_loss
        None where the epoch was not evaluated, or there is no validation data.
    metrics
        In the target's own units; ``"validation_rmse"`` and so on, or ``"training_rmse"``
        without validation data. Empty where the epoch was not evaluated.
    evaluated
        Whether the epoch's end was evaluated: not if `evaluate_every` left it out, nor if
        Ctrl-C ended the epoch early.
    """

    epoch: int
    training_loss: float
    learning_rate: float
    seconds: float
    validation_loss: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    evaluated: bool = False

    def values(self) -> dict[str, float]:
        """All numbers by name."""
        named = {"training_loss": self.training_loss}
        if self.validation_loss is not None:
            named["validation_loss"] = self.validation_loss
        return {**named, **self.metrics}


@dataclass(repr=False)
class History:
    """Record of a call of ``Trainer.fit``.

    Attributes
    ----------
    records : list of EpochRecord
        One for each epoch; the last is of a part of an epoch if Ctrl-C ended it.
    stop_reason : str
        Why training ended: ``"finished"``, ``"converged"``, ``"interrupted"``, what a
        callback gave, or an error's text.
    best_epoch : int or None
        Epoch whose weights early stopping restored.
    seed : int
        Of data order, split and masks: the same seed gives the same training.
    notes : list of str
        What was decided on the way: the engine, conversions of the data.
    batch_size : int or None
        Rows that passed through the network at a time.
    batch_choice : BatchChoice or None
        Why so many, where ``batch_size="auto"`` was asked for.
    """

    seed: int
    records: list[EpochRecord] = field(default_factory=list)
    stop_reason: str = "finished"
    best_epoch: int | None = None
    notes: list[str] = field(default_factory=list)
    batch_size: int | None = None
    batch_choice: BatchChoice | None = None

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        shown = [f"{len(self)} {'epoch' if len(self) == 1 else 'epochs'}", repr(self.stop_reason)]
        if self.records:
            last = self.records[-1].values()
            shown += [f"{name.replace('_', ' ')} {value:.4g}" for name, value in last.items()]
        return f"History({', '.join(shown)})"

    @property
    def epochs(self) -> IntArray:
        """Numbers of the epochs, (epochs,)."""
        return np.array([record.epoch for record in self.records], np.int64)

    @property
    def training_loss(self) -> Vector:
        """Mean loss over each epoch's steps, (epochs,)."""
        return np.array([record.training_loss for record in self.records], np.float64)

    @property
    def validation_loss(self) -> Vector:
        """Loss on the validation data after each epoch, (epochs,); NaN where not evaluated."""
        return self._column("validation_loss")

    @property
    def learning_rates(self) -> Vector:
        """Learning rate of each epoch's last step, (epochs,)."""
        return np.array([record.learning_rate for record in self.records], np.float64)

    @property
    def seconds(self) -> Vector:
        """Time since training began, at the end of each epoch, (epochs,)."""
        return np.array([record.seconds for record in self.records], np.float64)

    @property
    def metrics(self) -> dict[str, Vector]:
        """Each metric after each epoch, (epochs,); NaN where not evaluated."""
        names = dict.fromkeys(name for record in self.records for name in record.metrics)
        return {name: self._column(name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """All columns as lists, and what belongs to the training as a whole; fit for JSON.

        None stands for NaN and infinity, which JSON does not have.
        """
        return {
            "seed": self.seed,
            "stop_reason": self.stop_reason,
            "best_epoch": self.best_epoch,
            "notes": list(self.notes),
            "batch_size": self.batch_size,
            "batch_choice": None if self.batch_choice is None else self.batch_choice.to_dict(),
            **{
                name: [value if math.isfinite(value) else None for value in column.tolist()]
                for name, column in self._columns().items()
            },
        }

    def to_dataframe(self) -> Any:
        """Columns as a pandas DataFrame with one row an epoch (extra ``dataframe``)."""
        pandas = import_extra("pandas", "dataframe", "History.to_dataframe")
        return pandas.DataFrame(self._columns())

    def plot(self) -> Figure:
        """Draw the loss curves (extra ``plot``); the figure is returned, not shown."""
        from typegrad.plotting import plot_history

        return plot_history(self)

    def _column(self, name: str) -> Vector:
        return np.array([record.values().get(name, np.nan) for record in self.records], np.float64)

    def _columns(self) -> dict[str, Any]:
        return {
            "epoch": self.epochs,
            "training_loss": self.training_loss,
            "validation_loss": self.validation_loss,
            "learning_rate": self.learning_rates,
            "seconds": self.seconds,
            **self.metrics,
        }

"""One call of `Trainer.fit`: epochs, evaluation, callbacks."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np

from typegrad.callbacks import Callback, EpochEnd, StepEnd, TrainBegin, TrainEnd, monitored_value
from typegrad.engines import Engine, build_engine, training_work
from typegrad.errors import NumericalError
from typegrad.evaluation import evaluate_network
from typegrad.feeding import HeldSupply, Shuffle, epoch_orders
from typegrad.fit_data import FitData
from typegrad.history import EpochRecord, History
from typegrad.interrupts import DeferredInterrupt
from typegrad.optimizers import FullBatchOptimizer
from typegrad.schedules import ReduceOnPlateau
from typegrad.types import IntArray, Vector

if TYPE_CHECKING:
    from typegrad.trainer import Trainer

logger: logging.Logger = logging.getLogger("typegrad")


class TrainingRun:
    """One call of `Trainer.fit`."""

    def __init__(
        self,
        trainer: Trainer,
        data: FitData,
        history: History,
        *,
        epochs: int,
        batch_size: int,
        shuffle: Shuffle,
        evaluate_every: int,
    ) -> None:
        self.trainer = trainer
        self.data = data
        self.history = history
        self.epochs = epochs
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.evaluate_every = evaluate_every
        self.interrupt: DeferredInterrupt = DeferredInterrupt()
        for note in history.notes:
            logger.info(note)
        warning = data.training.blocks.warning(shuffle)
        if warning is not None:
            history.notes.append(warning)
            logger.warning(warning)
        full_batch = isinstance(trainer.optimizer, FullBatchOptimizer)
        if full_batch and not isinstance(data.training, HeldSupply):
            raise TypeError(
                f"{type(trainer.optimizer).__name__} needs all rows in memory at each step; give "
                "them as arrays, such as np.array(x), or take an optimizer such as tg.Adam()"
            )
        n = len(data.training)
        self.rows_per_step: int = n if full_batch else batch_size * trainer.accumulation_steps
        self.steps_per_epoch: int = math.ceil(n / self.rows_per_step)
        self.engine: Engine = self._build_engine()

    def run(self, initial_epoch: int, callbacks: list[Callback]) -> History:
        trainer, history = self.trainer, self.history
        trainer.requested_stop = None
        started = time.perf_counter()
        begin = TrainBegin(trainer, history, self.epochs, self.steps_per_epoch, initial_epoch)
        begun: list[Callback] = []
        with self.interrupt:
            try:
                for callback in callbacks:
                    callback.on_train_begin(begin)
                    begun.append(callback)
                epochs = range(initial_epoch, self.epochs)
                with self._orders(epochs) as orders:
                    for epoch, order in zip(epochs, orders, strict=True):
                        if not self._run_epoch(epoch, order, callbacks, started):
                            break
            except NumericalError as error:
                history.stop_reason = str(error)
                error.history = history
                raise
            except BaseException as error:
                history.stop_reason = f"{type(error).__name__}: {error}"
                raise
            finally:
                for callback in begun:
                    callback.on_train_end(TrainEnd(trainer, history))
        if self.interrupt.requested:  # While callbacks heard of the end, at the latest.
            history.stop_reason = "interrupted"
        return history

    def _run_epoch(
        self, epoch: int, order: IntArray, callbacks: list[Callback], started: float
    ) -> bool:
        """Train for an epoch, evaluate, tell the callbacks; return whether to go on."""
        rates = self._learning_rates(epoch)
        losses = self._run_steps(epoch, order, rates, callbacks)
        if len(losses) == 0:
            self.history.stop_reason = "interrupted"
            return False
        record = EpochRecord(
            epoch=epoch + 1,
            training_loss=self._mean_loss(losses),
            learning_rate=float(rates[len(losses) - 1]),
            seconds=0.0,
        )
        complete = len(losses) == len(rates)
        if complete and self._is_evaluated(epoch):
            self._evaluate(record)
        record.seconds = time.perf_counter() - started
        self.history.records.append(record)
        for callback in callbacks:
            callback.on_epoch_end(EpochEnd(self.trainer, self.history, record))
        if self.interrupt.requested:
            self.history.stop_reason = "interrupted"
        elif self.trainer.requested_stop is not None:
            self.history.stop_reason = self.trainer.requested_stop
        elif self._converged():
            self.history.stop_reason = "converged"
        else:
            return True
        return False

    def _run_steps(
        self, epoch: int, order: IntArray, rates: Vector, callbacks: list[Callback]
    ) -> Vector:
        """Run an epoch's steps, pausing wherever a callback wants to hear of them."""
        listeners = [
            (callback, callback.step_interval)
            for callback in callbacks
            if callback.step_interval is not None
        ]
        training, size = self.data.training, self.rows_per_step
        losses: Vector = np.empty(len(rates))
        done = 0
        with training.parts(order, size, lambda: self.interrupt.requested) as parts:
            for data, rows in parts:
                first, last = done, done + math.ceil(len(rows) / size)
                while done < last:
                    start = done
                    stop = min([last, *((start // each + 1) * each for _, each in listeners)])
                    used = rows[(start - first) * size : (stop - first) * size]
                    reached = self.engine.run_epoch(data, used, self.batch_size, rates[start:stop])
                    done += len(reached)
                    losses[start:done] = reached
                    if done < stop:
                        return losses[:done]
                    for callback, each in listeners:
                        if stop % each == 0 or stop == len(rates):
                            told = losses[(stop - 1) // each * each : stop]
                            callback.on_step_end(StepEnd(self.trainer, epoch + 1, stop, told))
        return losses[:done]

    def _evaluate(self, record: EpochRecord) -> None:
        trainer, data = self.trainer, self.data
        supply = data.training if data.validation is None else data.validation
        prefix = "training" if data.validation is None else "validation"
        compute_outputs = self.engine.compute_outputs
        result = evaluate_network(trainer.network, supply, trainer.metrics, compute_outputs)
        if data.validation is not None:
            record.validation_loss = result.loss
        record.metrics = {f"{prefix}_{name}": value for name, value in result.metrics.items()}
        record.evaluated = True
        schedule = trainer.optimizer.learning_rate
        if isinstance(schedule, ReduceOnPlateau):
            schedule.observe(monitored_value(record, None))

    def _is_evaluated(self, epoch: int) -> bool:
        last = (
            epoch + 1 == self.epochs or self._converged() or self.trainer.requested_stop is not None
        )
        return last or (epoch + 1) % self.evaluate_every == 0

    def _converged(self) -> bool:
        optimizer = self.trainer.optimizer
        return isinstance(optimizer, FullBatchOptimizer) and optimizer.converged

    def _orders(self, epochs: range) -> AbstractContextManager[Iterator[IntArray]]:
        training = self.data.training
        return epoch_orders(
            training.blocks, self.shuffle, self.history.seed, epochs, training.order_dtype
        )

    def _learning_rates(self, epoch: int) -> Vector:
        first = epoch * self.steps_per_epoch
        return self.trainer.optimizer.rates(
            first, first + self.steps_per_epoch, self.epochs * self.steps_per_epoch
        )

    def _mean_loss(self, losses: Vector) -> float:
        """Mean over examples: each step counts with its rows."""
        rows = np.full(len(losses), float(self.rows_per_step))
        if len(losses) == self.steps_per_epoch:
            rows[-1] = len(self.data.training) - self.rows_per_step * (len(losses) - 1)
        return float((losses * rows).sum() / rows.sum())

    def _build_engine(self) -> Engine:
        trainer = self.trainer
        settings = trainer.step_settings(self.history.seed, lambda: self.interrupt.requested)
        return build_engine(
            trainer.engine,
            trainer.network,
            trainer.optimizer,
            settings,
            self._note,
            work=training_work(
                trainer.network, len(self.data.training), self.steps_per_epoch, self.epochs
            ),
            threads=trainer.threads,
        )

    def _note(self, note: str) -> None:
        self.history.notes.append(note)
        logger.info(note)

"""Trainer: fits a network to data."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Sequence
from functools import partial
from types import UnionType

import numpy as np
import numpy.typing as npt

from typegrad.callbacks import (
    Callback,
    EarlyStopping,
    EpochEnd,
    ProgressBar,
    StepEnd,
    TrainBegin,
    TrainEnd,
    monitored_value,
)
from typegrad.engines import (
    Engine,
    EngineName,
    StepSettings,
    TrainingData,
    build_engine,
    check_engine_name,
    training_work,
)
from typegrad.engines.base import forward_in_parts
from typegrad.errors import NumericalError
from typegrad.evaluation import Evaluation, evaluate_network
from typegrad.fit_data import Examples, FitData, prepare, prepare_evaluation
from typegrad.history import EpochRecord, History
from typegrad.interrupts import DeferredInterrupt
from typegrad.metrics import Metric, select_metrics
from typegrad.network import NeuralNetwork
from typegrad.optimizers import FullBatchOptimizer, Optimizer
from typegrad.options import check_count
from typegrad.schedules import ReduceOnPlateau
from typegrad.types import IntArray, Vector

__all__ = ["Trainer"]

logger = logging.getLogger("typegrad")


class Trainer:
    """Fits a network to data with an optimizer.

    Parameters
    ----------
    network
        What is trained. Its weights change in place.
    optimizer
        It keeps its state from one `fit` to the next.
    callbacks
        Hear of training as it goes on, in this order.
    metrics
        What is reported besides the loss, in the target's own units: names (``"mse"``,
        ``"rmse"``, ``"mae"``, ``"max_error"``, ``"r2"``) or functions
        ``metric(prediction, target, sample_weight)``. None takes those that suit the loss.
    clip_norm
        Gradients longer than this Euclidean norm are scaled down to it.
    clip_value
        Each element of the gradient is then limited to this size.
    accumulation_steps
        Batches whose gradients make one step together: the same, up to rounding, as one
        batch of all their rows, with less memory. (`BatchNorm` sees each batch by itself.)
    engine
        How steps are carried out. ``"eager"`` runs each operation as it is written.
        ``"planned"`` traces a step once for each batch size and then runs NumPy alone, without
        allocation; its numbers are the same. ``"compiled"`` (extra ``fast``) runs whole epochs
        in native code; its numbers differ by rounding. What an engine cannot take, the next
        simpler one runs, and the history's notes name it. ``"auto"`` takes the compiled engine
        where its extra is installed and the training is long (about a second in NumPy, judged
        by rows, parameters, steps and epochs alone), else the planned one.
    threads
        How many threads the compiled engine may use; None for the cores that the process may
        use. Its results are the same for any number.

    Examples
    --------
    >>> import typegrad as tg
    >>> x = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> network = tg.NeuralNetwork(tg.Dense(1, 1), loss=tg.MSELoss(), seed=0)
    >>> trainer = tg.Trainer(network, tg.SGD(0.1))
    >>> history = trainer.fit(x, 3 * x + 2, epochs=50, batch_size=10, seed=0)
    >>> bool(history.training_loss[-1] < 1e-6)
    True
    """

    def __init__(
        self,
        network: NeuralNetwork,
        optimizer: Optimizer | FullBatchOptimizer,
        *,
        callbacks: Sequence[Callback] = (),
        metrics: Iterable[str | Metric] | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        accumulation_steps: int = 1,
        engine: EngineName = "auto",
        threads: int | None = None,
    ) -> None:
        _check_kind("network", network, NeuralNetwork, "a NeuralNetwork")
        kinds = Optimizer | FullBatchOptimizer
        _check_kind("optimizer", optimizer, kinds, "an object such as tg.Adam(0.001)")
        for callback in callbacks:
            _check_kind("callback", callback, Callback, "an object such as tg.ProgressBar()")
        check_engine_name(engine)
        for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if limit is not None and not 0 < limit < math.inf:
                raise ValueError(f"Trainer: {name} is {limit}; expected a positive number")
        self.network = network
        self.optimizer = optimizer
        self.callbacks = list(callbacks)
        chosen = network.loss.default_metrics if metrics is None else metrics
        self.metrics = select_metrics(chosen)
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.accumulation_steps = check_count("accumulation_steps", accumulation_steps)
        self.engine: EngineName = engine
        self.threads = None if threads is None else check_count("threads", threads)
        self._stop_reason: str | None = None

    def stop(self, reason: str) -> None:
        """End training after the current epoch; callbacks call this."""
        self._stop_reason = reason

    def fit(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        epochs: int,
        batch_size: int = 32,
        validation_data: Examples | None = None,
        validation_split: float | None = None,
        sample_weight: npt.ArrayLike | None = None,
        shuffle: bool = True,
        seed: int | None = None,
        early_stopping: EarlyStopping | int | None = None,
        evaluate_every: int = 1,
        initial_epoch: int = 0,
        progress: bool = False,
    ) -> History:
        """Train.

        Parameters
        ----------
        x, y
            Inputs (n, in_features) and targets (n, outputs), in their own units. They are
            converted once to the network's dtype; the history's notes say so.
        epochs
            How often to go through the data. For a full-batch optimizer such as `LBFGS`, an
            epoch is one iteration.
        batch_size
            Rows that pass through the network at a time. The last batch of an epoch has
            what is left; each row counts the same.
        validation_data
            ``(x, y)`` or ``(x, y, sample_weight)`` to evaluate on.
        validation_split
            Share of the rows, drawn at random, to evaluate on instead of training on them.
        sample_weight
            Weight of each example in the loss, (n,), not negative; only ratios matter.
        shuffle
            Whether each epoch takes the rows in a new random order.
        seed
            Of split, order and random masks. None draws one; the history tells it.
        early_stopping
            An `EarlyStopping`, or its patience.
        evaluate_every
            Epochs between two evaluations; the last of `epochs` is always evaluated.
        initial_epoch
            Epochs that were done before: training goes on, with the same `seed` and the
            optimizer's state, as if it had never stopped.
        progress
            Whether to show progress on stderr.

        Returns
        -------
        History
            Also when Ctrl-C ended the training: weights and optimizer are then those after
            the last finished step. A second Ctrl-C interrupts at once.

        Raises
        ------
        ShapeError, DTypeError, DataError
            If the data does not fit the network, or has NaN or infinity; says where.
        NumericalError
            If a loss, gradient or weight is not finite; says which operation made it so.
            The weights are those before that step, unless early stopping restores better
            ones, and ``error.history`` is what was recorded.
        """
        epochs = check_count("epochs", epochs)
        initial_epoch = check_count("initial_epoch", initial_epoch, at_least=0)
        if initial_epoch >= epochs:
            raise ValueError(
                f"initial_epoch is {initial_epoch}; expected 0 to {epochs - 1}, less than epochs"
            )
        history = History(
            seed=_fresh_seed() if seed is None else check_count("seed", seed, at_least=0)
        )
        callbacks = _all_callbacks(self.callbacks, early_stopping, progress)
        batch_size = check_count("batch_size", batch_size)
        evaluate_every = check_count("evaluate_every", evaluate_every)
        data = prepare(
            self.network,
            (x, y, sample_weight),
            validation_data=validation_data,
            validation_split=validation_split,
            seed=history.seed,
        )
        history.notes.extend(data.notes)
        run = _Run(
            self,
            data,
            history,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            evaluate_every=evaluate_every,
        )
        return run.run(initial_epoch, callbacks)

    def evaluate(
        self, x: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> dict[str, float]:
        """Compute the loss, in the units trained in, and the metrics, in the target's own.

        Parameters are as for `fit`. Returns numbers by name; ``"loss"`` comes first.
        """
        data, targets = prepare_evaluation(self.network, (x, y, sample_weight))
        compute_outputs = partial(forward_in_parts, self.network)
        result = evaluate_network(self.network, data, targets, self.metrics, compute_outputs)
        return {"loss": result.loss, **result.metrics}


class _Run:
    """One call of `Trainer.fit`."""

    def __init__(
        self,
        trainer: Trainer,
        data: FitData,
        history: History,
        *,
        epochs: int,
        batch_size: int,
        shuffle: bool,
        evaluate_every: int,
    ) -> None:
        self.trainer = trainer
        self.data = data
        self.history = history
        self.epochs = epochs
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.evaluate_every = evaluate_every
        self.interrupt = DeferredInterrupt()
        for note in history.notes:
            logger.info(note)
        full_batch = isinstance(trainer.optimizer, FullBatchOptimizer)
        n = len(data.training)
        self.rows_per_step = n if full_batch else batch_size * trainer.accumulation_steps
        self.steps_per_epoch = math.ceil(n / self.rows_per_step)
        self.engine: Engine = self._build_engine()

    def run(self, initial_epoch: int, callbacks: list[Callback]) -> History:
        trainer, history = self.trainer, self.history
        trainer._stop_reason = None
        started = time.perf_counter()
        begin = TrainBegin(trainer, history, self.epochs, self.steps_per_epoch, initial_epoch)
        begun: list[Callback] = []
        with self.interrupt:
            try:
                for callback in callbacks:
                    callback.on_train_begin(begin)
                    begun.append(callback)
                for epoch in range(initial_epoch, self.epochs):
                    if not self._run_epoch(epoch, callbacks, started):
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

    def _run_epoch(self, epoch: int, callbacks: list[Callback], started: float) -> bool:
        """Train for an epoch, evaluate, tell the callbacks; return whether to go on."""
        rows = self._permutation(epoch)
        rates = self._learning_rates(epoch)
        losses = self._run_steps(epoch, rows, rates, callbacks)
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
        elif self.trainer._stop_reason is not None:
            self.history.stop_reason = self.trainer._stop_reason
        elif self._converged():
            self.history.stop_reason = "converged"
        else:
            return True
        return False

    def _run_steps(
        self, epoch: int, rows: IntArray, rates: Vector, callbacks: list[Callback]
    ) -> Vector:
        """Run an epoch's steps, pausing wherever a callback wants to hear of them."""
        listeners = [
            (callback, callback.step_interval)
            for callback in callbacks
            if callback.step_interval is not None
        ]
        losses: Vector = np.zeros(0)
        while len(losses) < len(rates):
            start = len(losses)
            pauses = [(start // interval + 1) * interval for _, interval in listeners]
            stop = min([len(rates), *pauses])
            done = self.engine.run_epoch(
                self.data.training,
                rows[start * self.rows_per_step : stop * self.rows_per_step],
                self.batch_size,
                rates[start:stop],
            )
            losses = np.concatenate([losses, done])
            if len(done) < stop - start:
                break
            for callback, interval in listeners:
                if stop % interval == 0 or stop == len(rates):
                    first = (stop - 1) // interval * interval
                    callback.on_step_end(StepEnd(self.trainer, epoch + 1, stop, losses[first:stop]))
        return losses

    def _evaluate(self, record: EpochRecord) -> None:
        trainer, data = self.trainer, self.data
        if data.validation is not None:
            result = self._evaluation(data.validation, data.validation_targets)
            record.validation_loss = result.loss
            prefix = "validation"
        else:
            result = self._evaluation(data.training, data.targets)
            prefix = "training"
        record.metrics = {f"{prefix}_{name}": value for name, value in result.metrics.items()}
        record.evaluated = True
        schedule = trainer.optimizer.learning_rate
        if isinstance(schedule, ReduceOnPlateau):
            schedule.observe(monitored_value(record, None))

    def _evaluation(self, data: TrainingData, targets: npt.NDArray[np.float64]) -> Evaluation:
        trainer, compute_outputs = self.trainer, self.engine.compute_outputs
        return evaluate_network(trainer.network, data, targets, trainer.metrics, compute_outputs)

    def _is_evaluated(self, epoch: int) -> bool:
        last = (
            epoch + 1 == self.epochs or self._converged() or self.trainer._stop_reason is not None
        )
        return last or (epoch + 1) % self.evaluate_every == 0

    def _converged(self) -> bool:
        optimizer = self.trainer.optimizer
        return isinstance(optimizer, FullBatchOptimizer) and optimizer.converged

    def _permutation(self, epoch: int) -> IntArray:
        """Rows in the order of an epoch: a function of seed and epoch, so training can go on."""
        n = len(self.data.training)
        if not self.shuffle:
            return np.arange(n)
        return np.random.default_rng([self.history.seed, epoch]).permutation(n)

    def _learning_rates(self, epoch: int) -> Vector:
        first = epoch * self.steps_per_epoch
        return self.trainer.optimizer.rates(
            first, first + self.steps_per_epoch, self.epochs * self.steps_per_epoch
        )

    def _mean_loss(self, losses: Vector) -> float:
        """Mean over examples: each step counts with its rows."""
        rows = np.full(len(losses), self.rows_per_step)
        if len(losses) == self.steps_per_epoch:
            rows[-1] = len(self.data.training) - rows[:-1].sum()
        return float(np.average(losses, weights=rows))

    def _build_engine(self) -> Engine:
        trainer = self.trainer
        settings = StepSettings(
            clip_norm=trainer.clip_norm,
            clip_value=trainer.clip_value,
            accumulation_steps=trainer.accumulation_steps,
            mask_seed=self.history.seed,
            should_stop=lambda: self.interrupt.requested,
        )
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


def _all_callbacks(
    given: Sequence[Callback], early_stopping: EarlyStopping | int | None, progress: bool
) -> list[Callback]:
    """Those given, and those that `fit` was asked for by other arguments."""
    callbacks = list(given)
    if early_stopping is not None:
        if not isinstance(early_stopping, EarlyStopping):
            early_stopping = EarlyStopping(check_count("early_stopping", early_stopping))
        # First, so that the others find the best weights restored when training has ended.
        callbacks.insert(0, early_stopping)
    if progress:
        callbacks.append(ProgressBar())
    for callback in callbacks:
        if callback.step_interval is not None:
            check_count(f"{type(callback).__name__}.step_interval", callback.step_interval)
    return callbacks


def _check_kind(name: str, given: object, kind: type | UnionType, expected: str) -> None:
    if not isinstance(given, kind):
        raise TypeError(f"Trainer: {name} is {given!r}; expected {expected}")


def _fresh_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1))

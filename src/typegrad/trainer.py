"""Trainer: fits a network to data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from types import UnionType
from typing import Any, Generic, overload

import numpy as np
import numpy.typing as npt
from typing_extensions import TypeVar

from typegrad.batch_probe import (
    PROBED_ROWS,
    BatchSize,
    ProbedTraining,
    check_batch_size,
    choose_batch_size,
)
from typegrad.callbacks import (
    Callback,
    EarlyStopping,
    ProgressBar,
)
from typegrad.data.dataset import Dataset
from typegrad.engines import (
    EngineName,
    StepSettings,
    check_engine_name,
)
from typegrad.engines.base import never
from typegrad.evaluation import evaluate_network
from typegrad.feeding import Examples, Shuffle, Supply, check_shuffle
from typegrad.fit_data import given_examples, prepare, prepare_evaluation
from typegrad.history import History
from typegrad.metrics import Metric, select_metrics
from typegrad.network import NeuralNetwork
from typegrad.optimizers import FullBatchOptimizer, Optimizer
from typegrad.options import check_count
from typegrad.training_run import TrainingRun

__all__ = ["Trainer"]


NetworkT_co = TypeVar(
    "NetworkT_co", bound=NeuralNetwork[Any, Any, Any, Any], covariant=True, default=NeuralNetwork
)


class Trainer(Generic[NetworkT_co]):
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

    @overload
    def __init__(
        self: Trainer[NetworkT_co],
        network: NetworkT_co,
        optimizer: Optimizer | FullBatchOptimizer,
        *,
        callbacks: Sequence[Callback] = (),
        metrics: Iterable[str | Metric] | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        accumulation_steps: int = 1,
        engine: EngineName = "auto",
        threads: int | None = None,
    ) -> None: ...
    # Where a variable of another trainer's type is assigned to.
    @overload
    def __init__(
        self: Trainer[Any],
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
    ) -> None: ...
    def __init__(
        self,
        network: Any,
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
        self.callbacks: list[Callback] = list(callbacks)
        chosen = network.loss.default_metrics if metrics is None else metrics
        self.metrics: dict[str, Metric] = select_metrics(chosen)
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.accumulation_steps: int = check_count("accumulation_steps", accumulation_steps)
        self.engine: EngineName = engine
        self.threads: int | None = None if threads is None else check_count("threads", threads)
        self.requested_stop: str | None = None

    def stop(self, reason: str) -> None:
        """End training after the current epoch; callbacks call this."""
        self.requested_stop = reason

    def fit(
        self,
        x: npt.ArrayLike | Dataset,
        y: npt.ArrayLike | None = None,
        *,
        epochs: int,
        batch_size: BatchSize = 32,
        validation_data: Examples | Dataset | None = None,
        validation_split: float | None = None,
        sample_weight: npt.ArrayLike | None = None,
        shuffle: Shuffle = True,
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
            converted once to the network's dtype; the history's notes say so. If one is a
            ``numpy.memmap``, or if `x` is a `Dataset`, which brings its own targets, rows are
            read and converted while those before are trained on, and memory is bounded.
        epochs
            How often to go through the data. For a full-batch optimizer such as `LBFGS`, an
            epoch is one iteration.
        batch_size
            Rows that pass through the network at a time. The last batch of an epoch has
            what is left; each row counts the same. ``"auto"`` lets a probe of a second or two
            choose: it measures the gradient noise scale and how long steps take, and leaves
            everything as it was; ``history.batch_choice`` and the notes say what it found. The
            noise scale is a function of the seed. Times are not, so the choice may vary: to
            repeat a training, give the ``batch_size`` of its history.
        validation_data
            ``(x, y)`` or ``(x, y, sample_weight)``, or a `Dataset`, to evaluate on.
        validation_split
            Share of the rows, drawn at random, to evaluate on instead of training on them.
        sample_weight
            Weight of each example in the loss, (n,), not negative; only ratios matter.
        shuffle
            Whether each epoch takes the rows in a new random order. ``"blocks"`` reads nearly
            in order: blocks of consecutive rows come in random order, and the rows of 16 of
            them, 8192 each, are shuffled with each other. (A `Dataset` may set other blocks.)
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
        check_batch_size(batch_size, initial_epoch)
        evaluate_every = check_count("evaluate_every", evaluate_every)
        shuffle = check_shuffle(shuffle)
        data = prepare(
            self.network,
            given_examples(x, y, sample_weight),
            validation_data=validation_data,
            validation_split=validation_split,
            seed=history.seed,
        )
        history.notes.extend(data.notes)
        history.batch_size = self._rows_at_a_time(batch_size, data.training, epochs, history)
        run = TrainingRun(
            self,
            data,
            history,
            epochs=epochs,
            batch_size=history.batch_size,
            shuffle=shuffle,
            evaluate_every=evaluate_every,
        )
        return run.run(initial_epoch, callbacks)

    def evaluate(
        self,
        x: npt.ArrayLike | Dataset,
        y: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> dict[str, float]:
        """Compute the loss, in the units trained in, and the metrics, in the target's own.

        Parameters are as for `fit`. Returns numbers by name; ``"loss"`` comes first.
        """
        supply = prepare_evaluation(self.network, given_examples(x, y, sample_weight))
        compute_outputs = self.network.forward
        result = evaluate_network(self.network, supply, self.metrics, compute_outputs)
        return {"loss": result.loss, **result.metrics}

    def step_settings(self, seed: int, should_stop: Callable[[], bool] = never) -> StepSettings:
        """What a step does besides forward, backward and update; `seed` is of random masks."""
        return StepSettings(
            clip_norm=self.clip_norm,
            clip_value=self.clip_value,
            accumulation_steps=self.accumulation_steps,
            mask_seed=seed,
            should_stop=should_stop,
        )

    def _rows_at_a_time(
        self, batch_size: BatchSize, data: Supply, epochs: int, history: History
    ) -> int:
        if batch_size != "auto":
            return int(batch_size)
        choice = choose_batch_size(
            ProbedTraining(
                self.network,
                self.optimizer,
                self.engine,
                self.threads,
                self.step_settings(history.seed),
                data.some(PROBED_ROWS, history.seed),
                len(data),
                epochs,
                history.seed,
            )
        )
        history.batch_choice = choice
        history.notes.append(f"batch size: {choice.batch_size}, chosen: {choice.reason}")
        return choice.batch_size


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

"""From what a user gives `Trainer.fit` to what supplies an engine: split, scaled, converted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from typegrad.data.dataset import Dataset
from typegrad.data.moments import ROWS_AT_A_TIME
from typegrad.data.standardizer import Standardizer, StandardizerFit
from typegrad.errors import ShapeError
from typegrad.feeding import Examples, HeldSupply, Supply
from typegrad.feeding.conversion import Converter, relative_weights
from typegrad.feeding.rows import Rows, as_rows
from typegrad.feeding.sources import Source, find_source, is_dataset
from typegrad.feeding.supply import StreamedSupply
from typegrad.network import NeuralNetwork
from typegrad.types import AnyArray, IntArray

_SPLIT_STREAM = 0x5B11


@dataclass(frozen=True)
class FitData:
    """Training and validation data; the notes say what is done to them."""

    training: Supply
    validation: Supply | None
    notes: tuple[str, ...]


def given_examples(
    x: npt.ArrayLike | Dataset, y: npt.ArrayLike | None, sample_weight: npt.ArrayLike | None
) -> Examples | Dataset:
    """Put together what was given as inputs, targets and weights.

    Raises
    ------
    TypeError
        If it is neither inputs with targets nor a data set alone.
    """
    if is_dataset(x):
        if y is not None or sample_weight is not None:
            raise TypeError(
                "x is a data set, whose take(indices) brings targets and weights; "
                "give neither y nor sample_weight"
            )
        return x
    if y is None:
        raise TypeError(
            "y is missing; only a data set, with __len__ and take(indices), brings its own targets"
        )
    arrays: Any = x
    return arrays, y, sample_weight


def prepare(
    network: NeuralNetwork,
    examples: Examples | Dataset,
    *,
    validation_data: Examples | Dataset | None = None,
    validation_split: float | None = None,
    seed: int = 0,
) -> FitData:
    """Check and split the data, fit scalers on the training rows, convert what is in memory.

    If anything does not fit, scalers are left as they were.

    Raises
    ------
    ShapeError, DTypeError, DataError
        If the data does not fit the network or itself, or is not finite.
    """
    if validation_data is not None and validation_split is not None:
        raise ValueError("give validation_data or validation_split, not both")
    training = _given(examples, "")
    validation = None if validation_data is None else _given(validation_data, "validation ")
    if validation_split is not None:
        training, validation = training.split(validation_split, seed)
    with _scalers_restored_on_error(network):
        supply = training.supply(network, fit_scalers=True)
        return FitData(
            training=supply,
            validation=None if validation is None else validation.supply(network),
            notes=_notes(network, training.sample, supply),
        )


def prepare_evaluation(network: NeuralNetwork, examples: Examples | Dataset) -> Supply:
    """Check and convert examples to evaluate on.

    Raises
    ------
    ShapeError, DTypeError, DataError
        If the data does not fit the network or itself, or is not finite.
    StateError
        If a scaler of the network is not fitted.
    """
    return _given(examples, "").supply(network)


def _given(data: Examples | Dataset, prefix: str) -> _Held | _Streamed:
    source = find_source(data, prefix)
    if source is not None:
        return _Streamed(source)
    arrays: Any = data
    rows = as_rows(arrays, prefix)
    rows.check_finite(prefix)
    return _Held(rows, prefix)


@dataclass(frozen=True)
class _Held:
    """Examples in memory, and what messages call them."""

    sample: Rows
    prefix: str

    def split(self, share: float, seed: int) -> tuple[_Held, _Held]:
        training, validation = _split(len(self.sample), share, seed)
        return (
            _Held(self.sample.take(training), self.prefix),
            _Held(self.sample.take(validation), "validation "),
        )

    def supply(self, network: NeuralNetwork, *, fit_scalers: bool = False) -> HeldSupply:
        rows, prefix = self.sample, self.prefix
        if fit_scalers:
            parts = (
                Rows(rows.inputs[start:stop], rows.targets[start:stop], None)
                for start, stop in _ranges(len(rows))
            )
            for _ in _seen_by_scalers(network, rows, parts):
                pass
        convert = Converter(network, rows, prefix)
        weights = relative_weights(network, rows.weights, prefix)
        return HeldSupply(convert(rows, weights), rows.targets)


@dataclass(frozen=True)
class _Streamed:
    """Examples to be read; those of ascending numbers, or all."""

    source: Source
    numbers: IntArray | None = None
    prefix: str | None = None

    @property
    def sample(self) -> Rows:
        return self.source.sample

    def split(self, share: float, seed: int) -> tuple[_Streamed, _Streamed]:
        training, validation = _split(len(self.source), share, seed)
        return _Streamed(self.source, training), _Streamed(self.source, validation, "validation ")

    def supply(self, network: NeuralNetwork, *, fit_scalers: bool = False) -> StreamedSupply:
        source = self.source
        prefix = source.prefix if self.prefix is None else self.prefix
        weights = source.weights
        if weights is not None and self.numbers is not None:
            weights = weights[self.numbers]
        if source.weights_are_read or (fit_scalers and _unfitted(network)):
            parts = self._read_all()
            if fit_scalers:
                parts = _seen_by_scalers(network, source.sample, parts)
            read = [rows.weights for rows in parts]
            if source.weights_are_read:
                weights = np.concatenate([each for each in read if each is not None])
        convert = Converter(network, source.sample, prefix)
        return StreamedSupply(
            source, self.numbers, relative_weights(network, weights, prefix), convert
        )

    def _read_all(self) -> Iterator[Rows]:
        n = len(self.source) if self.numbers is None else len(self.numbers)
        for start, stop in _ranges(n):
            numbers = np.arange(start, stop) if self.numbers is None else self.numbers[start:stop]
            yield self.source.read(numbers)


def _ranges(n: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + ROWS_AT_A_TIME, n)) for start in range(0, n, ROWS_AT_A_TIME))


def _split(n: int, share: float, seed: int) -> tuple[IntArray, IntArray]:
    """Numbers of the rows to train and to validate on, ascending."""
    held_out = round(n * share) if 0 < share < 1 else 0
    if not 0 < held_out < n:
        raise ValueError(
            f"validation_split is {share}; of {n} rows it leaves none for training or for "
            "validation, expected a share between 0 and 1"
        )
    order = np.random.default_rng([seed, _SPLIT_STREAM]).permutation(n)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def _unfitted(network: NeuralNetwork) -> bool:
    scalers = (network.input_scaler, network.target_scaler)
    return any(scaler is not None and not scaler.fitted for scaler in scalers)


def _seen_by_scalers(network: NeuralNetwork, sample: Rows, parts: Iterable[Rows]) -> Iterator[Rows]:
    """Fit the scalers that are not fitted to all parts, which are passed on."""
    inputs = _begin_fit(network.input_scaler, sample.inputs, "x")
    targets = _begin_fit(network.target_scaler, sample.targets, "y")
    for rows in parts:
        with np.errstate(all="ignore"):  # the conversion reports an overflow
            if inputs is not None:
                inputs.add(rows.inputs)
            if targets is not None:
                targets.add(rows.targets)
        yield rows
    for fit in (inputs, targets):
        if fit is not None:
            with np.errstate(all="ignore"):
                fit.end()


def _begin_fit(scaler: Standardizer | None, sample: AnyArray, name: str) -> StandardizerFit | None:
    if scaler is None or scaler.fitted:
        return None
    if sample.ndim == 1:
        raise ShapeError(
            f"{name} has shape {sample.shape}; its scaler expects (rows, columns): "
            f"for one column use {name}.reshape(-1, 1)"
        )
    return scaler.begin_fit(sample.shape)


@contextmanager
def _scalers_restored_on_error(network: NeuralNetwork) -> Iterator[None]:
    """Let the next call of fit start from the same scalers, should this one be refused."""
    scalers = [each for each in (network.input_scaler, network.target_scaler) if each is not None]
    before = [dict(vars(scaler)) for scaler in scalers]
    try:
        yield
    except Exception:
        for scaler, attributes in zip(scalers, before, strict=True):
            vars(scaler).update(attributes)
        raise


def _notes(network: NeuralNetwork, sample: Rows, supply: Supply) -> tuple[str, ...]:
    named = (("x", sample.inputs), ("y", sample.targets))
    notes = [
        f"{name} converted from {data.dtype} to the network's {network.dtype}"
        for name, data in named
        if data.dtype != network.dtype
    ]
    if isinstance(supply, StreamedSupply):
        notes.append("rows are read while training goes on, a part at a time")
    return tuple(notes)

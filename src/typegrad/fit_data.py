"""From what a user gives `Trainer.fit` to what an engine takes: split, scaled, converted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from typegrad.engines.base import TrainingData
from typegrad.errors import DataError, ShapeError
from typegrad.losses.base import check_sample_weight
from typegrad.network import NeuralNetwork, as_real_array
from typegrad.types import AnyArray, IntArray, Vector

Examples: TypeAlias = (
    tuple[npt.ArrayLike, npt.ArrayLike] | tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike | None]
)
"""Inputs and targets, or inputs, targets and weights."""

_SPLIT_STREAM = 0x5B11


@dataclass(frozen=True)
class FitData:
    """Training and validation data as the engine takes them; targets in their own units too.

    The notes say what was converted.
    """

    training: TrainingData
    targets: npt.NDArray[np.float64]
    validation: TrainingData | None
    validation_targets: npt.NDArray[np.float64]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Raw:
    """Examples as they came, as arrays of equal length."""

    inputs: AnyArray
    targets: AnyArray
    weights: Vector | None

    def take(self, rows: IntArray) -> _Raw:
        weights = None if self.weights is None else self.weights[rows]
        return _Raw(self.inputs[rows], self.targets[rows], weights)


def prepare(
    network: NeuralNetwork,
    examples: Examples,
    *,
    validation_data: Examples | None = None,
    validation_split: float | None = None,
    seed: int = 0,
) -> FitData:
    """Check and split the data, fit scalers on the training rows, convert.

    If anything does not fit, scalers are left as they were.

    Raises
    ------
    ShapeError, DTypeError, DataError
        If the data does not fit the network or itself, or is not finite.
    """
    raw = _as_raw(examples, "")
    validation: _Raw | None = None
    if validation_data is not None:
        if validation_split is not None:
            raise ValueError("give validation_data or validation_split, not both")
        validation = _as_raw(validation_data, "validation ")
    elif validation_split is not None:
        raw, validation = _split(raw, validation_split, seed)
    with _scalers_restored_on_error(network):
        _fit_scalers(network, raw)
        return FitData(
            training=_convert(network, raw, ""),
            targets=_own_units(raw),
            validation=None if validation is None else _convert(network, validation, "validation "),
            validation_targets=np.zeros(0) if validation is None else _own_units(validation),
            notes=_conversion_notes(network, raw),
        )


def prepare_evaluation(
    network: NeuralNetwork, examples: Examples
) -> tuple[TrainingData, npt.NDArray[np.float64]]:
    """Check and convert examples to evaluate on; return their targets in their own units too.

    Raises
    ------
    ShapeError, DTypeError, DataError
        If the data does not fit the network or itself, or is not finite.
    StateError
        If a scaler of the network is not fitted.
    """
    raw = _as_raw(examples, "")
    return _convert(network, raw, ""), _own_units(raw)


def _as_raw(examples: Examples, prefix: str) -> _Raw:
    given: Any = examples
    if not isinstance(given, tuple) or len(given) not in (2, 3):
        raise ValueError(f"{prefix}data must be a tuple (x, y) or (x, y, sample_weight)")
    inputs = as_real_array(examples[0], f"{prefix}x")
    targets = as_real_array(examples[1], f"{prefix}y")
    if inputs.ndim == 0 or targets.ndim == 0 or len(inputs) != len(targets):
        raise ShapeError(
            f"{prefix}x has shape {inputs.shape} and {prefix}y {targets.shape}; "
            "expected as many rows in both"
        )
    if len(inputs) == 0:
        raise DataError(f"{prefix}x and {prefix}y have no rows; nothing can be learnt from them")
    _check_finite(inputs, f"{prefix}x")
    _check_finite(targets, f"{prefix}y")
    return _Raw(inputs, targets, _weights(examples, len(inputs), prefix))


def _weights(examples: Examples, n: int, prefix: str) -> Vector | None:
    given = examples[2] if len(examples) == 3 else None
    if given is None:
        return None
    return check_sample_weight(f"{prefix}data", np.asarray(given), n).astype(np.float64)


def _check_finite(array: AnyArray, name: str) -> None:
    bad = _first_nonfinite(array)
    if bad is not None:
        raise DataError(
            f"{name} has {array[bad]} at {_place(bad)}; drop or fill such rows first "
            "(a TableEncoder fills gaps)"
        )


def _check_range(converted: AnyArray, given: AnyArray, name: str) -> None:
    """Require that finite numbers stayed finite when they were converted."""
    bad = _first_nonfinite(converted)
    if bad is not None:
        wider = ", or build the network with dtype=float64" if converted.itemsize < 8 else ""
        raise DataError(
            f"{name} has {given[bad]} at {_place(bad)}, which is too large for the network's "
            f"{converted.dtype}; rescale it{wider}"
        )


def _first_nonfinite(array: AnyArray) -> tuple[int, ...] | None:
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    return tuple(int(index) for index in np.argwhere(~np.isfinite(array))[0])


def _place(index: tuple[int, ...]) -> str:
    return f"row {index[0]}" + "".join(f", column {number}" for number in index[1:])


def _split(raw: _Raw, share: float, seed: int) -> tuple[_Raw, _Raw]:
    n = len(raw.inputs)
    held_out = round(n * share) if 0 < share < 1 else 0
    if not 0 < held_out < n:
        raise ValueError(
            f"validation_split is {share}; of {n} rows it leaves none for training or for "
            "validation, expected a share between 0 and 1"
        )
    order = np.random.default_rng([seed, _SPLIT_STREAM]).permutation(n)
    return raw.take(np.sort(order[held_out:])), raw.take(np.sort(order[:held_out]))


def _fit_scalers(network: NeuralNetwork, raw: _Raw) -> None:
    for scaler, data, name in (
        (network.input_scaler, raw.inputs, "x"),
        (network.target_scaler, raw.targets, "y"),
    ):
        if scaler is not None and not scaler.fitted:
            if data.ndim == 1:
                raise ShapeError(
                    f"{name} has shape {data.shape}; its scaler expects (rows, columns): "
                    f"for one column use {name}.reshape(-1, 1)"
                )
            with np.errstate(all="ignore"):  # `_check_range` reports an overflow
                scaler.fit(data.astype(np.float64, copy=False))


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


def _convert(network: NeuralNetwork, raw: _Raw, prefix: str) -> TrainingData:
    with np.errstate(all="ignore"):  # an overflow in the network is for the engine to report
        inputs = network.prepare_inputs(raw.inputs, f"{prefix}x")
        targets = network.prepare_targets(raw.targets, f"{prefix}y")
        _check_range(inputs, raw.inputs, f"{prefix}x")
        _check_range(targets, raw.targets, f"{prefix}y")
        # Predictions are in the target's own units, but of the network's dtype.
        _check_range(raw.targets.astype(network.dtype), raw.targets, f"{prefix}y")
        outputs = network.forward(inputs[:1])
    network.loss.check_shapes((len(inputs), *outputs.shape[1:]), targets.shape)
    network.loss.check_targets(targets)
    return TrainingData(inputs, targets, _relative_weights(network, raw.weights, prefix))


def _relative_weights(network: NeuralNetwork, weights: Vector | None, prefix: str) -> Vector | None:
    """Weights with mean one, so that only their ratios matter."""
    if weights is None:
        return None
    if not weights.any():
        raise DataError(f"{prefix}sample_weight is zero for all {len(weights)} rows")
    # Scaled by the largest first, so that the sum of huge weights stays finite.
    relative = weights / weights.max()
    converted: Vector = (relative / relative.mean()).astype(network.dtype)
    return converted


def _own_units(raw: _Raw) -> npt.NDArray[np.float64]:
    return raw.targets.astype(np.float64, copy=False)


def _conversion_notes(network: NeuralNetwork, raw: _Raw) -> tuple[str, ...]:
    named = (("x", raw.inputs), ("y", raw.targets))
    return tuple(
        f"{name} converted from {data.dtype} to the network's {network.dtype}"
        for name, data in named
        if data.dtype != network.dtype
    )

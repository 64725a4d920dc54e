"""Networks, optimizers and histories to descriptions with tensors, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

import numpy as np

from typegrad.batch_choice import BatchChoice
from typegrad.data import Standardizer, TableEncoder
from typegrad.data.encoded_column import fields_of
from typegrad.errors import DataError, FileFormatError, StateError, TypegradError
from typegrad.history import EpochRecord, History
from typegrad.initializers import Zeros
from typegrad.layers import Buffer, Chain, Layer, named_parts
from typegrad.losses import Loss
from typegrad.network import NeuralNetwork
from typegrad.operations import Parameter
from typegrad.optimizers import (
    BaseOptimizer,
    FullBatchOptimizer,
    Optimizer,
    optimizer_from_config,
)
from typegrad.serialization.container import Content
from typegrad.serialization.values import Decoder, Definition, Encoder
from typegrad.tabular.model import TableModel
from typegrad.types import AnyArray

_SMALL = 1 << 20
"""Sizes up to this are accepted in any file."""

_SCALERS = ("input_scaler", "target_scaler")


def describe_network(network: NeuralNetwork) -> Content:
    """Describe layers, loss and dtype; parameters, buffers and scalers are tensors.

    Raises
    ------
    DataError
        If a layer cannot be made again from its attributes.
    StateError
        If a scaler is not fitted.
    """
    encoder = Encoder()
    description = {
        "layers": [
            encoder.encode(layer, f"layer {index}") for index, layer in enumerate(network.layers)
        ],
        "loss": encoder.encode(network.loss, "the loss"),
        "dtype": str(network.dtype),
    }
    tensors = _prefixed("network", network.state_dict())
    for name in _SCALERS:
        scaler: Standardizer | None = getattr(network, name)
        if scaler is None:
            continue
        if not scaler.fitted:
            raise StateError(f"the network's {name} is not fitted; train the network, then save it")
        tensors |= _prefixed(name, scaler.state())
    try:
        restore_network(description, tensors, encoder.definitions)
    except FileFormatError as error:
        raise DataError(
            f"the network cannot be saved, since it could not be made again: {error}"
        ) from error
    return Content(description, tensors)


def restore_network(
    description: object,
    tensors: Mapping[str, AnyArray],
    definitions: Mapping[str, Definition],
) -> NeuralNetwork:
    """Make a network again.

    Raises
    ------
    FileFormatError
        If description and tensors do not fit each other, or make no network.
    """
    parts = fields_of(description, {"layers", "loss", "dtype"}, "the network")
    state = _without_prefix("network", tensors)
    budget = _Budget(sum(tensor.size for tensor in tensors.values()))
    decoder = Decoder(definitions, max(_SMALL, budget.elements), budget.add)
    if parts["dtype"] not in ("float32", "float64") or not isinstance(parts["layers"], list):
        raise FileFormatError("the network's dtype or layers are not such")
    layers = [
        decoder.decode(layer, f"layer {index}") for index, layer in enumerate(parts["layers"])
    ]
    loss = decoder.decode(parts["loss"], "the loss")
    if not isinstance(loss, Loss):
        raise FileFormatError(f"the loss is {loss!r:.80}")
    dtype = np.dtype(cast("str", parts["dtype"]))
    try:
        _check_state(Chain(*layers), state, dtype)
        return _built(layers, loss, dtype, state, tensors)
    except FileFormatError:
        raise
    except Exception as error:  # layers may fail in any way on what a file says
        raise FileFormatError(f"the network cannot be made: {error}") from error


class _Budget:
    """Sees that layers hold no more numbers than the file has, before memory is taken."""

    def __init__(self, elements: int) -> None:
        self.elements = elements
        self._used = 0
        self._seen: dict[int, object] = {}

    def add(self, layer: Layer) -> None:
        parameters: list[tuple[str, Parameter | Buffer]] = [*named_parts(layer, Parameter)]
        for _, part in (*parameters, *named_parts(layer, Buffer)):
            if id(part) not in self._seen:
                self._seen[id(part)] = part
                self._used += math.prod(part.shape)
        if self._used > self.elements:
            raise FileFormatError(
                f"the layers up to {layer} have {self._used} parameters, but the file holds "
                f"{self.elements} numbers"
            )


def _check_state(chain: Chain, state: Mapping[str, AnyArray], dtype: np.dtype[Any]) -> None:
    """Compare names, shapes and dtypes of tensors with those of the layers."""
    expected: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
    for index, layer in enumerate(chain.layers):
        for name, parameter in named_parts(layer, Parameter):
            expected[f"{index}.{name}"] = (parameter.shape, dtype)
        for name, buffer in named_parts(layer, Buffer):
            expected[f"{index}.{name}"] = (buffer.shape, np.dtype(np.float64))
    if missing := sorted(expected.keys() - state.keys()):
        raise FileFormatError(f"the tensor network.{missing[0]} is missing")
    if unknown := sorted(state.keys() - expected.keys()):
        raise FileFormatError(f"the tensor network.{unknown[0]} belongs to no layer")
    for name, (shape, wanted) in expected.items():
        if state[name].shape != shape or state[name].dtype != wanted:
            raise FileFormatError(
                f"the tensor network.{name} is {state[name].dtype} of shape "
                f"{state[name].shape}; expected {wanted} of shape {shape}"
            )


def _built(
    layers: list[Any],
    loss: Loss,
    dtype: np.dtype[Any],
    state: Mapping[str, AnyArray],
    tensors: Mapping[str, AnyArray],
) -> NeuralNetwork:
    chain = Chain(*layers)
    parameters = [part for layer in chain.layers for _, part in named_parts(layer, Parameter)]
    initializers = [parameter.initializer for parameter in parameters]
    for parameter in parameters:
        parameter.initializer = Zeros()  # the first values are replaced at once
    network = NeuralNetwork(layers, loss=loss, dtype=dtype, seed=0)
    for parameter, initializer in zip(parameters, initializers, strict=True):
        parameter.initializer = initializer
    network.load_state_dict(state)
    for name in _SCALERS:
        if arrays := _without_prefix(name, tensors):
            setattr(network, name, Standardizer.from_state(arrays))
    _check_scalers(network)
    _try_out(network)
    return network


def _check_scalers(network: NeuralNetwork) -> None:
    if network.input_scaler is not None:
        columns = network.input_scaler.mean.size
        if network.in_features not in (None, columns):
            raise FileFormatError(
                f"the input_scaler has {columns} columns; expected {network.in_features}"
            )
    if network.target_scaler is not None:
        columns = network.target_scaler.mean.size
        outputs = network.loss.output_features(columns)
        if None not in (network.out_features, outputs) and network.out_features != outputs:
            raise FileFormatError(
                f"the target_scaler has {columns} columns, which take {outputs} outputs, but the "
                f"network has {network.out_features}"
            )


def _try_out(network: NeuralNetwork) -> None:
    """Predict a row of zeros, so that what cannot work is told now."""
    if network.in_features is not None:
        with np.errstate(all="ignore"):
            network.predict(np.zeros((1, network.in_features)))


def describe_optimizer(optimizer: BaseOptimizer) -> Content:
    """Describe options and counters; arrays of the state are tensors."""
    state = optimizer.state_dict()
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    values = {name: value for name, value in state.items() if name not in arrays}
    return Content({"config": optimizer.config(), "state": values}, _prefixed("optimizer", arrays))


def restore_optimizer(
    description: object, tensors: Mapping[str, AnyArray], network: NeuralNetwork
) -> Optimizer | FullBatchOptimizer:
    """Make an optimizer of `network` again, with its state.

    Raises
    ------
    FileFormatError
        If it cannot come from `describe_optimizer`.
    """
    parts = fields_of(description, {"config", "state"}, "the optimizer")
    arrays = _without_prefix("optimizer", tensors)
    parameters = network.flat.values
    try:
        optimizer: Any = optimizer_from_config(parts["config"])
        optimizer.load_state_dict({**parts["state"], **arrays})
        if isinstance(optimizer, Optimizer) and arrays:
            optimizer.prepare(parameters)
    except Exception as error:  # options and state may be anything
        raise FileFormatError(f"the optimizer cannot be made: {error}") from error
    for name, array in arrays.items():
        if array.shape[-1:] != parameters.shape or array.dtype != parameters.dtype:
            raise FileFormatError(f"the tensor optimizer.{name} does not fit the network")
    restored: Optimizer | FullBatchOptimizer = optimizer
    return restored


def describe_history(history: History) -> dict[str, Any]:
    """Describe a history, epoch by epoch."""
    return {
        "seed": history.seed,
        "stop_reason": history.stop_reason,
        "best_epoch": history.best_epoch,
        "notes": list(history.notes),
        "batch_size": history.batch_size,
        "batch_choice": history.batch_choice and history.batch_choice.to_dict(),
        "records": [_plain_record(record) for record in history.records],
    }


def _plain_record(record: EpochRecord) -> dict[str, Any]:
    """Fields of a record; a metric that is not finite, which JSON lacks, becomes a text."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    metrics = {name: _plain_number(value) for name, value in record.metrics.items()}
    return {name: _plain_number(value) for name, value in values.items()} | {"metrics": metrics}


def _plain_number(value: object) -> object:
    is_special = isinstance(value, float) and not math.isfinite(value)
    return str(value) if is_special else value


def restore_history(description: object) -> History:
    """Make a history again.

    Raises
    ------
    FileFormatError
        If it cannot come from `describe_history`.
    """
    names = {"seed", "stop_reason", "best_epoch", "notes", "records"}
    if isinstance(description, dict) and "batch_size" in description:  # older files lack these
        names |= {"batch_size", "batch_choice"}
    parts = fields_of(description, names, "the history")
    best, notes, records = parts["best_epoch"], parts["notes"], parts["records"]
    size = parts.get("batch_size")
    fits = (
        isinstance(parts["seed"], int)
        and isinstance(parts["stop_reason"], str)
        and (best is None or isinstance(best, int))
        and (size is None or isinstance(size, int))
        and isinstance(notes, list)
        and isinstance(records, list)
    )
    if not fits:
        raise FileFormatError("the history has fields of the wrong type")
    return History(
        seed=parts["seed"],
        records=[_record(record) for record in records],
        stop_reason=parts["stop_reason"],
        best_epoch=best,
        notes=[str(note) for note in notes],
        batch_size=size,
        batch_choice=_batch_choice(parts.get("batch_choice")),
    )


def _batch_choice(data: Any) -> BatchChoice | None:
    if data is None:
        return None
    try:
        return BatchChoice.from_dict(data)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FileFormatError(f"the history has a wrong choice of batch size: {error}") from error


def _record(data: object) -> EpochRecord:
    values = fields_of(data, {field.name for field in fields(EpochRecord)}, "the history's record")
    try:
        loss = values["validation_loss"]
        return EpochRecord(
            epoch=int(values["epoch"]),
            training_loss=float(values["training_loss"]),
            learning_rate=float(values["learning_rate"]),
            seconds=float(values["seconds"]),
            validation_loss=None if loss is None else float(loss),
            metrics={str(name): float(value) for name, value in values["metrics"].items()},
            evaluated=bool(values["evaluated"]),
        )
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FileFormatError(f"the history has a record with a wrong value: {error}") from error


def describe_table_model(model: TableModel) -> dict[str, Any]:
    """Describe what a table model has besides its network."""
    details = Encoder().encode(model.details, "details")
    return {"encoder": model.encoder.to_dict(), "details": details}


def restore_table_model(description: object, network: NeuralNetwork) -> TableModel:
    """Make a table model of a network again.

    Raises
    ------
    FileFormatError
        If the description is wrong or does not fit the network.
    """
    parts = fields_of(description, {"encoder", "details"}, "the table")
    details = Decoder({}, 0, lambda layer: None).decode(parts["details"], "details")
    if not isinstance(details, dict):
        raise FileFormatError("the table's details are not such")
    encoder = TableEncoder.from_dict(parts["encoder"])
    try:
        return TableModel(network, encoder, details)
    except TypegradError as error:
        raise FileFormatError(str(error)) from error


def _prefixed(prefix: str, arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def _without_prefix(prefix: str, tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    start = f"{prefix}."
    return {
        name.removeprefix(start): array for name, array in tensors.items() if name.startswith(start)
    }

"""Save and load: one safetensors file with everything that belongs to a model.

The file holds parameters and buffers as tensors, and in its metadata a JSON description
of layers, loss, preprocessing and, on request, optimizer and history. There is no pickle in
it, and loading runs no code that the file names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any, TypeVar, overload

from typegrad._version import __version__
from typegrad.errors import FileFormatError
from typegrad.history import History
from typegrad.network import NeuralNetwork
from typegrad.optimizers import BaseOptimizer, FullBatchOptimizer, Optimizer
from typegrad.serialization.container import Content, read_content, write_content
from typegrad.serialization.models import (
    describe_history,
    describe_network,
    describe_optimizer,
    describe_table_model,
    restore_history,
    restore_network,
    restore_optimizer,
    restore_table_model,
)
from typegrad.serialization.values import Definition, definitions_with
from typegrad.tabular.model import TableModel

__all__ = ["Checkpoint", "load", "load_checkpoint", "save"]

Model = TypeVar("Model", bound=NeuralNetwork | TableModel)


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes
    ----------
    model
        A network, or a network with what it needs to read tables.
    optimizer
        With its state: training goes on as if it had never stopped. None if none was saved.
    history
        None if none was saved.
    version
        Of the typegrad that wrote the file.
    """

    model: NeuralNetwork | TableModel
    optimizer: Optimizer | FullBatchOptimizer | None
    history: History | None
    version: str

    @property
    def network(self) -> NeuralNetwork:
        """The network, whatever is around it."""
        return self.model.network if isinstance(self.model, TableModel) else self.model


def save(
    model: NeuralNetwork | TableModel,
    path: str | PathLike[str],
    *,
    optimizer: BaseOptimizer | None = None,
    history: History | None = None,
) -> None:
    """Save a model in one file (extra ``save``).

    The file is written whole, or what was there stays. Layers, operations, losses and
    initializers are described by their class's name and by what their constructors take,
    read from attributes of the same names; your own classes can be saved if they have these.

    Parameters
    ----------
    model
        A `NeuralNetwork`, with its scalers, or a `TableModel`.
    path
        The file, by custom with the suffix ``.safetensors``.
    optimizer, history
        To go on with the training later; `load_checkpoint` gives them back.

    Raises
    ------
    DataError
        If the file cannot be written, or the model has a part that cannot be described.
    StateError
        If a scaler of the network is not fitted.
    TypeError
        If the model is something else.
    MissingExtraError
        If safetensors is not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> import typegrad as tg
    >>> network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), seed=0)
    >>> with TemporaryDirectory() as folder:
    ...     save(network, Path(folder) / "model.safetensors")
    ...     again = load(Path(folder) / "model.safetensors")
    >>> np.array_equal(again.predict(np.ones((2, 3))), network.predict(np.ones((2, 3))))
    True
    """
    given: object = model
    if not isinstance(given, NeuralNetwork | TableModel):
        raise TypeError(
            f"save got a {type(given).__name__}; expected a NeuralNetwork or a TableModel"
        )
    network = model.network if isinstance(model, TableModel) else model
    stored = describe_network(network)
    description: dict[str, Any] = {"typegrad": __version__, "network": stored.description}
    tensors = dict(stored.tensors)
    if isinstance(model, TableModel):
        description["table"] = describe_table_model(model)
    if optimizer is not None:
        state = describe_optimizer(optimizer)
        description["optimizer"] = state.description
        tensors |= state.tensors
    if history is not None:
        description["history"] = describe_history(history)
    write_content(path, Content(description, tensors))


@overload
def load(path: str | PathLike[str], *, custom: Iterable[Definition] = ()) -> Any: ...


@overload
def load(
    path: str | PathLike[str], kind: type[Model], *, custom: Iterable[Definition] = ()
) -> Model: ...


def load(
    path: str | PathLike[str],
    kind: type[Any] | None = None,
    *,
    custom: Iterable[Definition] = (),
) -> Any:
    """Load a model that `save` wrote (extra ``save``).

    Parameters
    ----------
    path
        The file.
    kind
        `NeuralNetwork` or `TableModel`, if the file must hold that.
    custom
        Your own layers, operations, losses and initializers that the model has: a file
        names classes, but nothing is imported because a file names it.

    Returns
    -------
    NeuralNetwork or TableModel
        What was saved; a type checker knows which if `kind` is given.

    Raises
    ------
    FileFormatError
        If the file is damaged, holds something else, or names a class that is not known.
    DataError
        If the file cannot be opened.
    MissingExtraError
        If safetensors is not installed.
    """
    model = load_checkpoint(path, custom=custom).model
    if kind is not None and not isinstance(model, kind):
        raise FileFormatError(f"{path} holds a {type(model).__name__}; expected a {kind.__name__}")
    return model


def load_checkpoint(path: str | PathLike[str], *, custom: Iterable[Definition] = ()) -> Checkpoint:
    """Load a model with all that was saved beside it, to go on with its training.

    Parameters, errors and safety are those of `load`. Optimizers of your own are found by
    name once their module has been imported.

    Examples
    --------
    Training for 20 epochs in two parts, as if in one::

        history = tg.Trainer(network, optimizer).fit(x, y, epochs=20, seed=0)  # Ctrl-C
        tg.save(network, "run.safetensors", optimizer=optimizer, history=history)

        run = tg.load_checkpoint("run.safetensors")
        tg.Trainer(run.network, run.optimizer).fit(
            x, y, epochs=20, seed=run.history.seed, initial_epoch=len(run.history)
        )
    """
    definitions = definitions_with(custom)
    content = read_content(path)
    try:
        return _restore(content, definitions)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from error
    except RecursionError as error:
        raise FileFormatError(f"{path}: its description is nested too deeply") from error


def _restore(content: Content, definitions: Mapping[str, Definition]) -> Checkpoint:
    description, tensors = content.description, content.tensors
    known = {"typegrad", "network", "table", "optimizer", "history"}
    if not {"typegrad", "network"} <= description.keys() <= known:
        raise FileFormatError(f"its description has the entries {sorted(description)!s:.200}")
    for name in tensors:
        part = "network" if name.split(".")[0].endswith("_scaler") else name.split(".")[0]
        if part not in description:
            raise FileFormatError(f"the tensor {name!r:.80} belongs to nothing")
    network = restore_network(description["network"], tensors, definitions)
    optimizer, history = None, None
    if "optimizer" in description:
        optimizer = restore_optimizer(description["optimizer"], tensors, network)
    if "history" in description:
        history = restore_history(description["history"])
    model: NeuralNetwork | TableModel = network
    if "table" in description:
        model = restore_table_model(description["table"], network)
    return Checkpoint(model, optimizer, history, str(description["typegrad"]))

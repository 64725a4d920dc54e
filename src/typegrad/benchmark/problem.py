"""What is benchmarked: a network, an optimizer and data, the same for every batch size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from typegrad.engines.base import TrainingData
from typegrad.feeding import Examples
from typegrad.fit_data import given_examples, prepare
from typegrad.network import NeuralNetwork
from typegrad.optimizers import Optimizer
from typegrad.schedules import ConstantSchedule, Schedule

BuildNetwork: TypeAlias = Callable[[int], NeuralNetwork]
"""Makes a new network whose first weights are a function of the seed it is given."""


@dataclass(frozen=True)
class Problem:
    """A training that can be repeated with any batch size, seed and learning rate.

    Attributes
    ----------
    build_network
        Makes the network of a seed.
    optimizer
        Its options are those of every run; its state is never touched.
    training, validation
        Data as engines take it: standardised, and of the network's dtype.
    """

    build_network: BuildNetwork
    optimizer: Optimizer
    training: TrainingData
    validation: TrainingData

    @property
    def learning_rate(self) -> float:
        """The optimizer's own learning rate."""
        rate = self.optimizer.learning_rate
        return rate.learning_rate if isinstance(rate, Schedule) else rate

    def new_optimizer(self, learning_rate: float) -> Optimizer:
        """Make an optimizer without state, with the same options and this learning rate."""
        return replace(self.optimizer, learning_rate=learning_rate)

    def fingerprint(self) -> dict[str, str]:
        """Tell by short texts what a continued run must have in common with its first part."""
        network = self.build_network(0)
        return {
            "data": _digest(self.training.inputs, self.training.targets, self.training.weights),
            "validation data": _digest(
                self.validation.inputs, self.validation.targets, self.validation.weights
            ),
            "network": f"{network!r}, first weights {_digest(network.flat.values)}",
            "optimizer": str(self.optimizer.config()),
        }


def prepare_problem(
    build_network: BuildNetwork,
    optimizer: Optimizer,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    sample_weight: npt.ArrayLike | None = None,
    validation_data: Examples | None = None,
    validation_split: float = 0.2,
    split_seed: int = 0,
) -> Problem:
    """Check what is to be benchmarked, and prepare its data as ``Trainer.fit`` does.

    Raises
    ------
    TypeError
        If the optimizer takes no batches, or `build_network` builds no new network each time.
    ValueError
        If the optimizer has a schedule, or the split leaves no rows.
    ShapeError, DTypeError, DataError
        If the data does not fit the network or itself, or is not finite.
    """
    _check_optimizer(optimizer)
    network = _checked_network(build_network)
    data = prepare(
        network,
        given_examples(x, y, sample_weight),
        validation_data=validation_data,
        validation_split=validation_split if validation_data is None else None,
        seed=split_seed,
    )
    assert data.validation is not None  # one of the two was given
    parts = [each.some(len(each), split_seed) for each in (data.training, data.validation)]
    return Problem(build_network, optimizer, *parts)


def _check_optimizer(optimizer: object) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer is {optimizer!r}; expected one that steps on batches, such as "
            "tg.Adam(0.001): a full-batch optimizer has no batch size"
        )
    rate = optimizer.learning_rate
    if isinstance(rate, Schedule) and not isinstance(rate, ConstantSchedule):
        raise ValueError(
            f"the optimizer's learning rate is a {type(rate).__name__}, which depends on how many "
            "steps there will be, and that is what is measured: give a constant learning rate"
        )


def _checked_network(build_network: BuildNetwork) -> NeuralNetwork:
    if not callable(build_network):
        raise TypeError(
            f"build_network is {build_network!r}; expected a function that takes a seed and "
            "returns a new NeuralNetwork"
        )
    network = build_network(0)
    if not isinstance(network, NeuralNetwork):
        raise TypeError(f"build_network(0) returned {network!r}; expected a NeuralNetwork")
    again = build_network(0)
    if again is network:
        raise TypeError("build_network returned the same network twice; it must build a new one")
    if not np.array_equal(network.flat.values, again.flat.values):
        raise ValueError(
            "build_network(0) returned other first weights the second time; pass its argument on: "
            "NeuralNetwork(..., seed=seed)"
        )
    return network


def _digest(*arrays: npt.NDArray[np.generic] | None) -> str:
    found = hashlib.sha256()
    for array in arrays:
        if array is not None:
            found.update(f"{array.dtype} {array.shape}".encode())
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]

"""typegrad's engines, called as `Trainer` calls them."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

import typegrad as tg
from training.contestant import Contestant
from training.problem import Floats, Problem
from typegrad.engines import (
    CompiledEngine,
    EagerEngine,
    Engine,
    PlannedEngine,
    StepSettings,
    TrainingData,
)


class TypegradContestant(Contestant):
    """A network, an optimizer and an engine of typegrad."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        inputs, targets, self.order = problem.data()
        self.data = TrainingData(inputs, targets)
        *hidden, last = zip(problem.widths[:-1], problem.widths[1:], strict=True)
        activation = None if problem.activation == "identity" else problem.activation
        self.network = tg.NeuralNetwork(
            *[tg.Dense(*widths, tg.make_activation(activation)) for widths in hidden if activation],
            tg.Dense(*last),
            loss=tg.MSELoss(),
            dtype=problem.dtype,
            seed=0,
        )
        rates = {"adam": tg.Adam, "sgd": tg.SGD}
        self.optimizer: tg.Adam | tg.SGD = rates[problem.optimizer](problem.learning_rate)
        self.rates = np.full(problem.steps, problem.learning_rate)
        self.engine = self.build_engine()

    @abstractmethod
    def build_engine(self) -> Engine:
        """Make the engine for network and optimizer."""

    def reset(self) -> None:
        self.optimizer.reset()
        parameters = self.network.parameters.values()
        for parameter, value in zip(parameters, self.problem.weights(), strict=True):
            parameter.value[...] = value
        self.optimizer.prepare(self.network.flat.values)

    def run_epoch(self) -> float:
        losses = self.engine.run_epoch(self.data, self.order, self.problem.batch_size, self.rates)
        return float(losses.mean())

    def weights(self) -> list[Floats]:
        return [parameter.value.copy() for parameter in self.network.parameters.values()]


class TypegradEager(TypegradContestant):
    """The eager engine."""

    def build_engine(self) -> Engine:
        return EagerEngine(self.network, self.optimizer, StepSettings())


class TypegradPlanned(TypegradContestant):
    """The planned engine."""

    def build_engine(self) -> Engine:
        return PlannedEngine(self.network, self.optimizer, StepSettings())


class TypegradCompiled(TypegradContestant):
    """The compiled engine."""

    def build_engine(self) -> Engine:
        return CompiledEngine(self.network, self.optimizer, StepSettings())

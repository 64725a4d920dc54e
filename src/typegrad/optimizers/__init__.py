"""Optimizers: from a gradient to new parameters, on one flat vector of them."""

from __future__ import annotations

from typegrad.optimizers.adam import Adam, AdamW, NAdam, RAdam
from typegrad.optimizers.adaptive import Adadelta, Adagrad, RMSProp
from typegrad.optimizers.base import BaseOptimizer, StateValue, optimizer_from_config
from typegrad.optimizers.full_batch import FullBatchOptimizer
from typegrad.optimizers.lbfgs import LBFGS
from typegrad.optimizers.lion import Lion
from typegrad.optimizers.optimizer import Optimizer
from typegrad.optimizers.sgd import SGD

__all__ = [
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "BaseOptimizer",
    "FullBatchOptimizer",
    "Lion",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSProp",
    "StateValue",
    "optimizer_from_config",
]

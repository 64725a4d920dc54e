"""Compiling ahead of time: what would otherwise be compiled when it is first used."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import isabstract
from pathlib import Path
from typing import Any

import numpy as np

from typegrad import losses, optimizers
from typegrad.engines import CompiledEngine, StepSettings, TrainingData
from typegrad.engines.compiled.cache import CodeCache
from typegrad.engines.compiled.library import library_for
from typegrad.engines.compiled.target import host
from typegrad.layers import (
    ACTIVATIONS,
    BatchNorm,
    Dense,
    Dropout,
    LayerLike,
    LayerNorm,
    Residual,
)
from typegrad.network import NeuralNetwork
from typegrad.options import check_float_dtype
from typegrad.types import FloatDType

__all__ = ["Warmup", "warmup"]


@dataclass(frozen=True)
class Warmup:
    """What `warmup` did.

    Attributes
    ----------
    folder
        Where native code is kept.
    files, size
        How many files it holds now, and their bytes.
    compiled
        How many of them are new.
    seconds
        How long it took.
    problem
        Why code could not be kept, such as a folder that cannot be written; or None.
    """

    folder: Path
    files: int
    size: int
    compiled: int
    seconds: float
    problem: OSError | None


def warmup() -> Warmup:
    """Compile what training and predicting with the library's own parts needs, and keep it.

    That is every activation, loss and optimizer with its default options, and the layers, in
    float32 and float64. What has other options is compiled when it is first used, a few
    hundredths of a second for each formula.

    Raises
    ------
    MissingExtraError
        If the extra ``fast`` is not installed.
    """
    start = time.perf_counter()
    cache = CodeCache(host().key)
    before, _ = cache.contents()
    problem = None
    for dtype in (np.float32, np.float64):
        kind = check_float_dtype("warmup", dtype)
        library = library_for(8 * kind.itemsize)
        for network, optimizer, settings in _trainings(kind):
            _compile(network, optimizer, settings)
        problem = problem or library.cache.problem
    files, size = cache.contents()
    seconds = time.perf_counter() - start
    return Warmup(cache.folder, files, size, files - before, seconds, problem)


def _trainings(dtype: FloatDType) -> Iterator[tuple[NeuralNetwork, Any, StepSettings]]:
    """Networks that have each part of the library once, with what they are trained with."""

    def build(*layers: LayerLike, loss: Callable[[], losses.Loss] = losses.MSELoss) -> Any:
        return NeuralNetwork(*layers, loss=loss(), seed=0, dtype=dtype)

    plain = StepSettings()
    sgd = optimizers.SGD
    for activation in ACTIVATIONS.values():
        yield build(Dense(3, 2, activation()), Dense(2, 1)), sgd(), plain
    for kind in _kinds(optimizers, optimizers.Optimizer):
        for settings in (plain, StepSettings(clip_norm=1.0)):
            yield build(Dense(3, 1)), kind(), settings
    for loss in _kinds(losses, losses.Loss):
        for columns in (1, 2):
            outputs = columns * (loss().output_features(1) or 2)
            yield build(Dense(3, outputs), loss=loss), sgd(), plain
    inner = (Residual(Dense(4, 4, "relu"), LayerNorm(4), Dropout(0.1)), BatchNorm(4))
    for layer in inner:
        yield build(Dense(3, 4), layer, Dense(4, 1)), sgd(), plain


def _kinds(module: Any, base: type) -> Iterator[Any]:
    """All public classes of a module that can be made without arguments."""
    for name in module.__all__:
        kind = getattr(module, name)
        if isinstance(kind, type) and issubclass(kind, base) and not isabstract(kind):
            yield kind


def _compile(network: NeuralNetwork, optimizer: Any, settings: StepSettings) -> None:
    """Take a step and predict, with and without weights of the examples."""
    generator = np.random.default_rng(0)
    inputs = generator.uniform(size=(8, network.in_features or 1)).astype(network.dtype)
    columns = (network.out_features or 1) // (network.loss.output_features(1) or 1)
    targets = np.ones((8, columns), network.dtype)
    engine = CompiledEngine(network, optimizer, settings, _ignore)
    for weights in (None, np.ones(8, network.dtype)):
        data = TrainingData(inputs, targets, weights)
        engine.run_epoch(data, np.arange(8), 8, np.zeros(1))
    network.predict(inputs, engine="compiled")


def _ignore(note: str) -> None:
    """What has no native code is no news here."""

"""Engines: how training steps are carried out."""

from __future__ import annotations

from typegrad.engines.base import Engine, StepSettings, TrainingData
from typegrad.engines.compiled import CompiledEngine
from typegrad.engines.eager import EagerEngine
from typegrad.engines.planned import PlannedEngine
from typegrad.engines.selection import (
    EngineName,
    build_engine,
    check_engine_name,
    training_work,
)

__all__ = [
    "CompiledEngine",
    "EagerEngine",
    "Engine",
    "EngineName",
    "PlannedEngine",
    "StepSettings",
    "TrainingData",
    "build_engine",
    "check_engine_name",
    "training_work",
]

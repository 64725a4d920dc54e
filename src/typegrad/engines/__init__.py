"""Engines: how training steps are carried out."""

from __future__ import annotations

from typegrad.engines.base import Engine, StepSettings, TrainingData
from typegrad.engines.eager import EagerEngine
from typegrad.engines.planned import PlannedEngine

__all__ = ["EagerEngine", "Engine", "PlannedEngine", "StepSettings", "TrainingData"]

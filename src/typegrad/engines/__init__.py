"""Engines: how training steps are carried out."""

from __future__ import annotations

from typegrad.engines.base import Engine, StepSettings, TrainingData
from typegrad.engines.eager import EagerEngine

__all__ = ["EagerEngine", "Engine", "StepSettings", "TrainingData"]

"""Losses: what training minimises."""

from __future__ import annotations

from typegrad.losses.base import ElementwiseLoss, Loss
from typegrad.losses.classification import CrossEntropyLoss
from typegrad.losses.likelihood import GaussianNLLLoss, PoissonNLLLoss
from typegrad.losses.quantile import QuantileLoss
from typegrad.losses.regression import HuberLoss, LogCoshLoss, MAELoss, MSELoss

__all__ = [
    "CrossEntropyLoss",
    "ElementwiseLoss",
    "GaussianNLLLoss",
    "HuberLoss",
    "LogCoshLoss",
    "Loss",
    "MAELoss",
    "MSELoss",
    "PoissonNLLLoss",
    "QuantileLoss",
]

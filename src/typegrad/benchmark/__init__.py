"""Benchmarks of one's own training: which batch size, which learning rate."""

from __future__ import annotations

from typegrad.benchmark.batch_sizes import batch_sizes
from typegrad.benchmark.learning_rate_report import LearningRateReport
from typegrad.benchmark.learning_rates import learning_rates
from typegrad.benchmark.report import BatchSizeReport
from typegrad.benchmark.tradeoff import Tradeoff, fit_tradeoff
from typegrad.noise_scale import NoiseScale, gradient_noise_scale, two_batch_noise_scale

__all__ = [
    "BatchSizeReport",
    "LearningRateReport",
    "NoiseScale",
    "Tradeoff",
    "batch_sizes",
    "fit_tradeoff",
    "gradient_noise_scale",
    "learning_rates",
    "two_batch_noise_scale",
]

"""Benchmarks of one's own training: which batch size, which learning rate."""

from __future__ import annotations

from typegrad.benchmark.batch_sizes import batch_sizes
from typegrad.benchmark.report import BatchSizeReport
from typegrad.benchmark.tradeoff import Tradeoff, fit_tradeoff
from typegrad.noise_scale import NoiseScale, gradient_noise_scale, two_batch_noise_scale

__all__ = [
    "BatchSizeReport",
    "NoiseScale",
    "Tradeoff",
    "batch_sizes",
    "fit_tradeoff",
    "gradient_noise_scale",
    "two_batch_noise_scale",
]

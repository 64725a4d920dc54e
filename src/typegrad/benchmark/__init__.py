"""Which batch size, which learning rate: answers from measurements."""

from typegrad.benchmark.tradeoff import Tradeoff, fit_tradeoff
from typegrad.noise_scale import NoiseScale, gradient_noise_scale, two_batch_noise_scale

__all__ = [
    "NoiseScale",
    "Tradeoff",
    "fit_tradeoff",
    "gradient_noise_scale",
    "two_batch_noise_scale",
]

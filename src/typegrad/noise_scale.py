"""The gradient noise scale: how large a batch has to be before its gradient is mostly signal.

Source: McCandlish, Kaplan, Amodei and the OpenAI Dota Team, "An Empirical Model of
Large-Batch Training", 2018: the simple noise scale, B_simple = tr(Sigma) / |G|^2, with Sigma
the covariance of single examples' gradients and G their mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from statistics import NormalDist
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from typegrad.gradient_moments import GradientMoments, check_examples, gradient_moments
from typegrad.losses.base import check_sample_weight
from typegrad.network import NeuralNetwork
from typegrad.options import check_count
from typegrad.types import Array, Vector

__all__ = ["NoiseScale", "gradient_noise_scale", "two_batch_noise_scale"]


@dataclass(frozen=True)
class NoiseScale:
    """A gradient noise scale, with its interval.

    With batches much smaller than it, twice the batch needs half the steps; with batches
    much larger, as many steps as before.

    Attributes
    ----------
    value : float
        tr(Sigma) / |G|^2, in examples; infinity where the estimate of |G|^2 is not positive,
        that is, where the gradient cannot be told from its noise.
    low, high : float
        Interval for it; `high` is infinity where |G| may be zero.
    confidence : float
        Probability with which such an interval contains the true value.
    trace : float
        tr(Sigma): how far single examples' gradients scatter.
    squared_gradient : float
        |G|^2, corrected for the noise of the mean; it may come out negative.
    examples : int
        How many examples it was estimated from.
    """

    value: float
    low: float
    high: float
    confidence: float
    trace: float
    squared_gradient: float
    examples: int

    def __str__(self) -> str:
        return (
            f"noise scale {self.value:.3g} examples "
            f"({self.confidence:.0%} interval {self.low:.3g} to {self.high:.3g})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers by name, fit for JSON: None stands for infinity."""
        return {
            name: number if math.isfinite(number) else None for name, number in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> Self:
        """Make again what `to_dict` described.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it comes from elsewhere.
        """
        values: dict[str, Any] = {
            field.name: math.inf if described[field.name] is None else float(described[field.name])
            for field in fields(cls)
        }
        values["examples"] = int(values["examples"])
        return cls(**values)


def gradient_noise_scale(
    network: NeuralNetwork,
    x: Array,
    y: Array,
    *,
    sample_weight: npt.ArrayLike | None = None,
    confidence: float = 0.95,
    population: bool = False,
) -> NoiseScale:
    """Measure the gradient noise scale from the gradients of single examples.

    With g_i the gradients of n examples and m their mean, tr(Sigma) is estimated by the sum of
    |g_i - m|^2 over n - 1, and |G|^2 by |m|^2 - tr(Sigma) / n: |m|^2 alone is too large by
    the noise of m, and the ratio could then never exceed n. Both are unbiased.

    The interval comes from a test inverted: it has the ratios that the two estimates do not
    contradict, given their covariance if that ratio were the true one. So it stays right
    near a minimum, where |G|^2 is small against its error, and reaches up to infinity there.

    Parameters
    ----------
    network
        At its present parameters; nothing of it changes. Layers other than `Dense` and
        element-wise activations take a loop over examples, which run as in inference.
    x, y
        Inputs and targets as ``forward`` takes them: standardised, of the network's dtype.
        Examples drawn at random, two or more.
    sample_weight
        Weight of each example in the loss, (n,), not negative; only ratios matter.
    confidence
        Of the interval, between 0 and 1.
    population
        Whether the examples are all there are, instead of a sample of them. Then mean and
        covariance are exact (|G|^2 = |m|^2, and tr(Sigma) divides by n), and so the interval
        has no width. It answers for the training rows; the default answers for data like them.

    Raises
    ------
    ShapeError, DTypeError, DataError
        If the data does not fit the network or itself.
    NumericalError
        If an example's gradient is not finite.

    Examples
    --------
    >>> import typegrad as tg
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(500, 3)).astype("float32")
    >>> y = x.sum(axis=1, keepdims=True)
    >>> network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), seed=0)
    >>> print(gradient_noise_scale(network, x, y))
    noise scale 5.17 examples (95% interval 4.48 to 5.96)
    """
    check_confidence(confidence)
    return noise_scale_of(
        gradient_moments(network, x, y, sample_weight), confidence, population=population
    )


def noise_scale_of(
    moments: GradientMoments, confidence: float, *, population: bool = False
) -> NoiseScale:
    """Noise scale of gradients whose moments are known; arguments as `gradient_noise_scale`'s."""
    n = len(moments)
    distances = moments.squares - 2.0 * moments.along_mean + moments.squared_mean
    if population:
        trace, squared = float(distances.mean()), moments.squared_mean
        low = high = _ratio(trace, squared)
    else:
        trace = float(distances.sum()) / (n - 1)
        squared = moments.squared_mean - trace / n
        low, high = _interval(moments, distances, trace, squared, confidence)
    return NoiseScale(_ratio(trace, squared), low, high, confidence, trace, squared, n)


def two_batch_noise_scale(
    network: NeuralNetwork,
    x: Array,
    y: Array,
    *,
    small: int,
    big: int,
    repeats: int = 100,
    sample_weight: npt.ArrayLike | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> NoiseScale:
    """Estimate the noise scale from gradients of batches of two sizes (the paper's A.1).

    It needs no gradients of single examples, only the norms of batches' gradients: those of
    a batch of b rows have the expected square |G|^2 + tr(Sigma) / b, and two sizes give both
    unknowns. Rows are drawn without replacement, so the expected values are
    `gradient_noise_scale`'s; the scatter is larger.

    Parameters
    ----------
    network, x, y, sample_weight, confidence
        As for `gradient_noise_scale`.
    small, big
        Rows in a batch of either size, ``small < big <= n``.
    repeats
        Pairs of batches, two or more.
    seed
        Of the batches.

    Returns
    -------
    NoiseScale
        Its interval is for the draw of the batches, not for that of the data.

    Raises
    ------
    ValueError
        If the sizes are not in order.
    ShapeError, DTypeError, DataError
        If the data does not fit the network or itself.
    """
    check_confidence(confidence)
    check_examples(network, x, y)
    check_count("small", small)
    check_count("big", big, at_least=small + 1)
    check_count("repeats", repeats, at_least=2)
    if big > len(x):
        raise ValueError(f"big is {big}, but there are {len(x)} examples; expected no more")
    weight = np.ones(len(x))
    if sample_weight is not None:
        weight = np.asarray(sample_weight)
    weight = check_sample_weight("gradient noise", weight, len(x)).astype(network.dtype)
    generator = np.random.default_rng(seed)
    norms = np.array(
        [
            [_batch_norm(network, x, y, weight, generator.permutation(len(x))[:size])
             for size in (small, big)]
            for _ in range(repeats)
        ]
    )  # fmt: skip
    squared = (big * norms[:, 1] - small * norms[:, 0]) / (big - small)
    trace = (norms[:, 0] - norms[:, 1]) / (1.0 / small - 1.0 / big)
    means = float(trace.mean()), float(squared.mean())
    low, high = _fieller(trace, squared, confidence)
    return NoiseScale(_ratio(*means), low, high, confidence, *means, repeats * (small + big))


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless it is a probability strictly between 0 and 1."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence}; expected a number between 0 and 1")


def normal_quantile(confidence: float) -> float:
    """How many standard deviations to either side hold such a share of a normal distribution."""
    return NormalDist().inv_cdf(0.5 + confidence / 2.0)


def _batch_norm(network: NeuralNetwork, x: Array, y: Array, weight: Vector, rows: Any) -> float:
    """Squared norm of the gradient that a step on these rows takes."""
    kept = network.flat.grads.copy()
    network.zero_grad()
    outputs = network.forward(x[rows])
    network.loss.forward(outputs, y[rows], weight[rows], total_weight=len(rows))
    network.backward(network.loss.backward())
    square = float(np.sum(np.square(network.flat.grads, dtype=np.float64)))
    network.flat.grads[...] = kept
    return square


def _ratio(trace: float, squared: float) -> float:
    if trace <= 0.0:
        return 0.0
    return trace / squared if squared > 0.0 else math.inf


def _interval(
    moments: GradientMoments, distances: Vector, trace: float, squared: float, confidence: float
) -> tuple[float, float]:
    """Noise scales that trace and squared gradient do not contradict.

    Let rho = |G|^2 / tr(Sigma). If it is the true ratio, squared - rho * trace has mean zero and
    the variance V(rho), with

        Var(squared)        = 2 tr(Sigma^2) / (n (n-1)) + 4 |G|^2 var(g.u) / n
        Var(trace)          = var(|g - G|^2) / n
        Cov(squared, trace) = 2 |G| cov(g.u, |g - G|^2) / n

    where u is the direction of G and |G|^2 = rho tr(Sigma). (The variance of a U-statistic,
    with the term that is left when G is zero.) In r = sqrt(rho), those not contradicted have
    (squared - r^2 trace)^2 <= z^2 V, a polynomial of degree four.
    """
    n = len(moments)
    z2 = normal_quantile(confidence) ** 2
    if trace <= 0.0:
        return 0.0, 0.0
    length = math.sqrt(moments.squared_mean)
    along = moments.along_mean / length if length > 0.0 else np.zeros(n)
    covariance = np.cov(along, distances) / n
    degenerate = 2.0 * moments.squared_covariance / (n * (n - 1))
    # Where chance has made it smaller than any |G|^2 explains, |G| = 0 explains it best.
    squared = max(squared, -math.sqrt(z2 * degenerate))
    polynomial = [
        trace**2 - z2 * covariance[1, 1],
        4.0 * z2 * math.sqrt(trace) * covariance[0, 1],
        -2.0 * squared * trace - 4.0 * z2 * trace * covariance[0, 0],
        0.0,
        squared**2 - z2 * degenerate,
    ]
    inside = _nonpositive_range(np.array(polynomial) / trace**2)
    return _reciprocal(inside[1] ** 2), _reciprocal(inside[0] ** 2)


def _nonpositive_range(polynomial: Vector) -> tuple[float, float]:
    """Smallest and largest r >= 0 where a polynomial that somewhere is not positive is not."""
    roots = np.roots(polynomial)
    real = np.abs(roots.imag) <= 1e-6 * np.maximum(np.abs(roots), 1e-300)
    positive = roots.real[real & (roots.real > 0.0)]
    low = 0.0 if polynomial[-1] <= 0.0 or not len(positive) else float(positive.min())
    high = math.inf if polynomial[0] <= 0.0 else float(positive.max(initial=0.0))
    return low, high


def _fieller(trace: Vector, squared: Vector, confidence: float) -> tuple[float, float]:
    """Interval for the ratio of the means of two columns (Fieller, 1954), from 0 to infinity."""
    z2 = normal_quantile(confidence) ** 2
    (var_t, cov), (_, var_s) = np.cov(trace, squared) / len(trace)
    t, s = float(trace.mean()), float(squared.mean())
    a, b, c = s**2 - z2 * var_s, t * s - z2 * cov, t**2 - z2 * var_t
    discriminant = b**2 - a * c
    if a <= 0.0 or s <= 0.0:
        # |G| may be zero: no upper limit, and the lower one is the positive root, if any.
        if c <= 0.0 or discriminant < 0.0:
            return 0.0, math.inf
        root = math.sqrt(discriminant)
        positive = [x for x in ((b - root) / a, (b + root) / a) if x > 0.0] if a else []
        return (min(positive) if positive else 0.0), math.inf
    root = math.sqrt(max(discriminant, 0.0))
    return max((b - root) / a, 0.0), max((b + root) / a, 0.0)


def _reciprocal(value: float) -> float:
    return 1.0 / value if value > 0.0 else math.inf

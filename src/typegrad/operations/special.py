"""The error function and the normal distribution's, which NumPy does not have."""

from __future__ import annotations

import math

import numpy as np

from typegrad.operations.base import ElementwiseOperation
from typegrad.types import Array

TWO_OVER_SQRT_PI = 1.1283791670955126

# Rational Chebyshev approximations of W. J. Cody, "Rational Chebyshev approximations
# for the error function", Mathematics of Computation 23 (1969), 631-637; highest power
# first. erf(x) = x P1(x^2) / Q1(x^2) for |x| <= 0.5, then
# erfc(x) = exp(-x^2) P2(x) / Q2(x) up to 4. Cody's third formula, for larger x, is not needed.
_P1 = (
    1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2,
    3.77485237685302021e2, 3.20937758913846947e3,
)  # fmt: skip
_Q1 = (
    1.0, 2.36012909523441209e1, 2.44024637934444173e2,
    1.28261652607737228e3, 2.84423683343917062e3,
)  # fmt: skip
_P2 = (
    2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0,
    6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2,
    1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3,
)  # fmt: skip
_Q2 = (
    1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
    1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3,
    3.43936767414372164e3, 1.23033935480374942e3,
)  # fmt: skip

# In float32 one formula does for all x: erf(x) = tanh(x P(x^2) / Q(x^2)), with a least largest
# relative error of 3.3e-9 where erf is not yet 1. Found by iteratively reweighted least squares in
# Chebyshev polynomials of x^2, up to 4.1. Beyond that it is cut where NumPy's tanh gives 1. A
# quotient that is erf itself needs twice the terms, and NumPy a pass for each.
_SINGLE_END = 4.4
_P = (6.703968803, 131.2508543, 861.1457484, 3472.749500)
_Q = (1.0, 72.90910751, 482.8594390, 3077.644102)

# The same formula for Phi(x) = 1/2 + erf(x / sqrt(2)) / 2, with the factor put into its numbers:
# of P(x^2 / 2) / sqrt(2) / Q(x^2 / 2), both times 8.
_CDF_END = math.sqrt(2.0) * _SINGLE_END
_CDF_P = tuple(coefficient * math.sqrt(0.5) * 2.0**power for power, coefficient in enumerate(_P))
_CDF_Q = tuple(coefficient * 2.0**power for power, coefficient in enumerate(_Q))


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's rule, highest power first."""
    first = coefficients[0]
    value = (x if first == 1.0 else first * x) + coefficients[1]
    for coefficient in coefficients[2:]:
        value = value * x + coefficient
    return value


def _short_erf(x: Array, end: float, above: tuple[float, ...], below: tuple[float, ...]) -> Array:
    """In float32, by the quotient of these polynomials up to an end."""
    near = np.clip(x, -end, end)
    square = near * near
    return np.tanh(near * _polynomial(above, square) / _polynomial(below, square))


class Erf(ElementwiseOperation):
    """Error function, element-wise: y = 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    dL/dx = dL/dy * 2/sqrt(pi) * exp(-x^2). Accurate to a few units in the last place
    (float64: W. J. Cody, 1969; float32: at most 5, in native code 6).
    """

    def output(self, x: Array) -> Array:
        if x.dtype == np.float32:
            return _short_erf(x, _SINGLE_END, _P, _Q)
        # Beyond 6 the result is 1 to the last bit of float64.
        size = np.clip(np.abs(x), 0.0, 6.0)
        square = size * size
        near = x * _polynomial(_P1, square) / _polynomial(_Q1, square)
        # The tail's formula is good to 4; further out erfc is below 2e-8, and the
        # formula's error there, some 1e-5 of that, cannot be seen in 1 - erfc.
        tail = np.exp(-square) * _polynomial(_P2, size) / _polynomial(_Q2, size)
        return np.where(size <= 0.5, near, np.sign(x) * (1.0 - tail))

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * (TWO_OVER_SQRT_PI * np.exp(-x * x))


def erf(x: Array) -> Array:
    """Error function, element-wise; see `Erf`."""
    return Erf().forward(x)


class NormalCDF(ElementwiseOperation):
    """Distribution function of the standard normal, element-wise: y = (1 + erf(x/sqrt(2))) / 2.

    dL/dx = dL/dy * exp(-x^2/2) / sqrt(2 pi).
    """

    def output(self, x: Array) -> Array:
        if x.dtype == np.float32:
            return 0.5 * _short_erf(x, _CDF_END, _CDF_P, _CDF_Q) + 0.5
        return 0.5 * (1.0 + erf(x * math.sqrt(0.5)))

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * normal_density(x)


def normal_cdf(x: Array) -> Array:
    """Distribution function of the standard normal, element-wise; see `NormalCDF`."""
    return NormalCDF().forward(x)


def normal_density(x: Array) -> Array:
    """Density of the standard normal, element-wise."""
    return math.sqrt(0.5 / math.pi) * np.exp(-0.5 * x * x)

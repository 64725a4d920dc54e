"""The model functions of NIST's nonlinear regression problems, in plain NumPy.

Each takes its parameters and the predictor x, (n,), or two predictors, (2, n), and returns
(n,) predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from typegrad.types import Array

Parameters = Iterable[Array]
"""The numbers b1, b2, ..., p of them: an array of shape (p,)."""

Model = Callable[[Parameters, Array], Array]


def misra1a(b: Parameters, x: Array) -> Array:
    """b1 (1 - exp(-b2 x))."""
    b1, b2 = b
    return -b1 * np.expm1(-b2 * x)


def misra1b(b: Parameters, x: Array) -> Array:
    """b1 (1 - (1 + b2 x / 2)^-2)."""
    b1, b2 = b
    return b1 * (1.0 - (1.0 + b2 * x / 2.0) ** -2.0)


def misra1c(b: Parameters, x: Array) -> Array:
    """b1 (1 - (1 + 2 b2 x)^-1/2)."""
    b1, b2 = b
    return b1 * (1.0 - (1.0 + 2.0 * b2 * x) ** -0.5)


def misra1d(b: Parameters, x: Array) -> Array:
    """b1 b2 x / (1 + b2 x)."""
    b1, b2 = b
    return b1 * b2 * x / (1.0 + b2 * x)


def chwirut(b: Parameters, x: Array) -> Array:
    """exp(-b1 x) / (b2 + b3 x)."""
    b1, b2, b3 = b
    return np.exp(-b1 * x) / (b2 + b3 * x)


def lanczos(b: Parameters, x: Array) -> Array:
    """b1 exp(-b2 x) + b3 exp(-b4 x) + b5 exp(-b6 x)."""
    b1, b2, b3, b4, b5, b6 = b
    return b1 * np.exp(-b2 * x) + b3 * np.exp(-b4 * x) + b5 * np.exp(-b6 * x)


def gauss(b: Parameters, x: Array) -> Array:
    """b1 exp(-b2 x) + b3 exp(-(x - b4)^2 / b5^2) + b6 exp(-(x - b7)^2 / b8^2)."""
    b1, b2, b3, b4, b5, b6, b7, b8 = b
    first = b3 * np.exp(-(((x - b4) / b5) ** 2))
    second = b6 * np.exp(-(((x - b7) / b8) ** 2))
    return b1 * np.exp(-b2 * x) + first + second


def danwood(b: Parameters, x: Array) -> Array:
    """b1 x^b2."""
    b1, b2 = b
    return b1 * x**b2


def kirby2(b: Parameters, x: Array) -> Array:
    """(b1 + b2 x + b3 x^2) / (1 + b4 x + b5 x^2)."""
    b1, b2, b3, b4, b5 = b
    return (b1 + x * (b2 + x * b3)) / (1.0 + x * (b4 + x * b5))


def cubic_ratio(b: Parameters, x: Array) -> Array:
    """(b1 + b2 x + b3 x^2 + b4 x^3) / (1 + b5 x + b6 x^2 + b7 x^3)."""
    b1, b2, b3, b4, b5, b6, b7 = b
    numerator = b1 + x * (b2 + x * (b3 + x * b4))
    return numerator / (1.0 + x * (b5 + x * (b6 + x * b7)))


def nelson(b: Parameters, x: Array) -> Array:
    """b1 - b2 x1 exp(-b3 x2), which predicts log y."""
    b1, b2, b3 = b
    log_y: Array = b1 - b2 * x[0] * np.exp(-b3 * x[1])
    return log_y


def mgh17(b: Parameters, x: Array) -> Array:
    """b1 + b2 exp(-b4 x) + b3 exp(-b5 x)."""
    b1, b2, b3, b4, b5 = b
    return b1 + b2 * np.exp(-b4 * x) + b3 * np.exp(-b5 * x)


def roszman1(b: Parameters, x: Array) -> Array:
    """b1 - b2 x - arctan(b3 / (x - b4)) / pi."""
    b1, b2, b3, b4 = b
    return b1 - b2 * x - np.arctan(b3 / (x - b4)) / np.pi


def enso(b: Parameters, x: Array) -> Array:
    """b1, and waves of period 12 (b2, b3), of period b4 (b5, b6) and of period b7 (b8, b9)."""
    b1, b2, b3, b4, b5, b6, b7, b8, b9 = b
    year, first, second = 2.0 * np.pi * x / 12.0, 2.0 * np.pi * x / b4, 2.0 * np.pi * x / b7
    y: Array = b1 + b2 * np.cos(year) + b3 * np.sin(year)
    y = y + b5 * np.cos(first) + b6 * np.sin(first)
    return y + b8 * np.cos(second) + b9 * np.sin(second)


def mgh09(b: Parameters, x: Array) -> Array:
    """b1 (x^2 + b2 x) / (x^2 + b3 x + b4)."""
    b1, b2, b3, b4 = b
    return b1 * x * (x + b2) / (x * (x + b3) + b4)


def mgh10(b: Parameters, x: Array) -> Array:
    """b1 exp(b2 / (x + b3))."""
    b1, b2, b3 = b
    return b1 * np.exp(b2 / (x + b3))


def rat42(b: Parameters, x: Array) -> Array:
    """b1 / (1 + exp(b2 - b3 x))."""
    b1, b2, b3 = b
    return b1 / (1.0 + np.exp(b2 - b3 * x))


def rat43(b: Parameters, x: Array) -> Array:
    """b1 / (1 + exp(b2 - b3 x))^(1 / b4)."""
    b1, b2, b3, b4 = b
    return b1 / (1.0 + np.exp(b2 - b3 * x)) ** (1.0 / b4)


def eckerle4(b: Parameters, x: Array) -> Array:
    """(b1 / b2) exp(-((x - b3) / b2)^2 / 2)."""
    b1, b2, b3 = b
    return b1 / b2 * np.exp(-0.5 * ((x - b3) / b2) ** 2)


def bennett5(b: Parameters, x: Array) -> Array:
    """b1 (b2 + x)^(-1 / b3)."""
    b1, b2, b3 = b
    return b1 * (b2 + x) ** (-1.0 / b3)


MODELS: dict[str, Model] = {
    "Misra1a": misra1a,
    "Chwirut2": chwirut,
    "Chwirut1": chwirut,
    "Lanczos3": lanczos,
    "Gauss1": gauss,
    "Gauss2": gauss,
    "DanWood": danwood,
    "Misra1b": misra1b,
    "Kirby2": kirby2,
    "Hahn1": cubic_ratio,
    "Nelson": nelson,
    "MGH17": mgh17,
    "Lanczos1": lanczos,
    "Lanczos2": lanczos,
    "Gauss3": gauss,
    "Misra1c": misra1c,
    "Misra1d": misra1d,
    "Roszman1": roszman1,
    "ENSO": enso,
    "MGH09": mgh09,
    "Thurber": cubic_ratio,
    "BoxBOD": misra1a,
    "Rat42": rat42,
    "MGH10": mgh10,
    "Eckerle4": eckerle4,
    "Rat43": rat43,
    "Bennett5": bennett5,
}
"""By problem, from the easiest to the hardest, in NIST's order."""

"""exp, log, tanh, sin and their kin on vectors, by argument reduction and polynomials.

In float32, tanh is one rational function.

The largest errors, in units in the last place over all float32 numbers and dense float64
samples, are measured by benchmarks/vector_math.py and stated in docs/performance.md.
Method: Cody and Waite, *Software Manual for the Elementary Functions*, 1980.
"""

from __future__ import annotations

import math
from typing import Any

from typegrad.engines.compiled import llvm
from typegrad.engines.compiled.code import Value
from typegrad.engines.compiled.vector import Vectors

_LOG2_E = 1.0 / math.log(2.0)
# ln 2 in two parts, the first short enough that its product with an exponent is exact.
_LN2_PARTS = {
    32: (0.693359375, -2.12194440054690583e-4),
    64: (6.93147180369123816490e-01, 1.90821492927058770002e-10),
}
# log10(2) in the same way; 1 / ln(2) and 1 / ln(10) in two parts of which the first is rounded.
_LOG10_2_PARTS = {
    32: (0.3010292053222656, 7.903417155702139e-7),
    64: (0.30102999566361177, 3.694239077158931e-13),
}
_LOG2_E_PARTS = {
    32: (1.4426950216293335, 1.925962991126617e-8),
    64: (1.4426950408889634, 2.035527374093103e-17),
}
_LOG10_E_PARTS = {
    32: (0.4342944920063019, -1.0103050052231684e-8),
    64: (0.4342944819032518, 1.098319650216765e-17),
}
# Beyond these exp overflows, or is zero even as a denormal number.
_EXP_RANGE = {32: (-105.0, 89.0), 64: (-746.0, 710.0)}
_TAYLOR_DEGREE = {32: 7, 64: 13}
_ATANH_TERMS = {32: 5, 64: 11}
# tanh(x) = x P(x^2) / Q(x^2) in float32, with a least largest relative error of 9.5e-10 up to
# where it rounds to 1. Found by iteratively reweighted least squares. What it gives at the end
# is a little over 1, which is cut. Highest powers first.
_TANH_BOUND = 9.02
_TANH_OF_32 = (
    (5.07624307e-8, 3.158911984e-5, 4.0085114960e-3, 0.13785365961, 1.0),
    (7.374477e-10, 1.617489976e-6, 4.2074121638e-4, 2.7737521191e-2, 0.4711869836507, 1.0),
)
# pi / 2 in three parts, each the nearest number to what is left. Some 10^4 times the first are
# taken off without an error, since what remains has few digits.
_HALF_PI_PARTS = {
    32: (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    64: (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}
_SINE_RANGE = {32: 2.0**15, 64: 2.0**20}
_SINE_DEGREE = {32: 9, 64: 17}
_SMALLEST_NORMAL = {32: 2.0**-126, 64: 2.0**-1022}


def exp(v: Vectors, x: Value) -> Value:
    """e^x."""
    exponent, fraction = _reduce(v, x)
    tail = _expm1_of_fraction(v, fraction)
    return _scale(v, v.add(v.constant(1.0), tail), exponent)


def expm1(v: Vectors, x: Value) -> Value:
    """e^x - 1, accurate near zero."""
    exponent, fraction = _reduce(v, x)
    tail = _expm1_of_fraction(v, fraction)
    # Halved, so that 2^exponent does not overflow before the result does.
    half_power = v.power_of_two(v.builder.sub(exponent, v.integer_constant(1)))
    half = v.fma(tail, half_power, v.subtract(half_power, v.constant(0.5)))
    result = v.multiply(half, v.constant(2.0))
    # Keeps the sign of zero, and -1 where e^x is lost against it.
    low = v.compare("<", x, v.constant(-40.0))
    result = v.select(low, v.constant(-1.0), result)
    tiny = v.compare("<", v.absolute(x), v.constant(2.0 ** -(v.mantissa_bits + 2)))
    return v.select(tiny, x, result)


def log(v: Vectors, x: Value) -> Value:
    """Natural logarithm; -inf at zero, NaN below."""
    exponent, f = _split(v, x)
    result = _log_of_parts(v, exponent, f)
    return _log_specials(v, x, result)


def log2(v: Vectors, x: Value) -> Value:
    """Logarithm to base 2, whole numbers for powers of two."""
    return _log_to_base(v, x, (1.0, 0.0), _LOG2_E_PARTS[v.bits])


def log10(v: Vectors, x: Value) -> Value:
    """Logarithm to base 10."""
    return _log_to_base(v, x, _LOG10_2_PARTS[v.bits], _LOG10_E_PARTS[v.bits])


def logaddexp(v: Vectors, a: Value, b: Value) -> Value:
    """log(e^a + e^b) = max(a, b) + log1p(e^-|a - b|); equal infinities differ by zero."""
    distance = v.absolute(v.subtract(a, b))
    distance = v.select(v.compare("==", a, b), v.constant(0.0), distance)
    return v.add(v.maximum(a, b), log1p(v, exp(v, v.negative(distance))))


def log1p(v: Vectors, x: Value) -> Value:
    """log(1 + x), accurate near zero."""
    one = v.constant(1.0)
    u = v.add(one, x)
    lost = v.subtract(x, v.subtract(u, one))
    exponent, f = _split(v, u)
    result = v.add(_log_of_parts(v, exponent, f), v.divide(lost, u))
    result = _log_specials(v, u, result)
    tiny = v.compare("<", v.absolute(x), v.constant(2.0 ** -(v.mantissa_bits + 2)))
    return v.select(tiny, x, result)


def tanh(v: Vectors, x: Value) -> Value:
    """Hyperbolic tangent: t / (t + 2) with t = e^(2|x|) - 1; in float32, `_TANH_OF_32`."""
    if v.bits == 32:
        return _short_tanh(v, x)
    bound = v.constant(20.0)
    size = v.absolute(x)
    size = v.select(v.compare(">", size, bound), bound, size)
    t = expm1(v, v.add(size, size))
    return v.copysign(v.divide(t, v.add(t, v.constant(2.0))), x)


def sin(v: Vectors, x: Value) -> Value:
    """Sine."""
    return _of_quarter_turns(v, x, "sin", 0)


def cos(v: Vectors, x: Value) -> Value:
    """Cosine: the sine of a quarter turn more."""
    return _of_quarter_turns(v, x, "cos", 1)


def _of_quarter_turns(v: Vectors, x: Value, name: str, more: int) -> Value:
    """Sine of x and some quarter turns more; the C library computes it of large numbers."""
    result = v.variable(x)
    is_small = v.holds_everywhere(v.compare("<=", v.absolute(x), v.constant(_SINE_RANGE[v.bits])))
    with v.builder.if_else(is_small) as (then, otherwise):
        with then:
            result.set(_sine(v, x, more))
        with otherwise:
            result.set(v.by_c_library(name, x))
    return result.get()


def _sine(v: Vectors, x: Value, more: int) -> Value:
    b = v.builder
    whole, quarters = v.round_to_integer(v.multiply(x, v.constant(2.0 / math.pi)))
    r = x
    for part in _HALF_PI_PARTS[v.bits]:
        r = v.fused(whole, v.constant(-part), r)
    square, degree = v.multiply(r, r), _SINE_DEGREE[v.bits]
    odd = [(-1.0) ** (k // 2) / math.factorial(k) for k in range(degree, 2, -2)]
    even = [(-1.0) ** (k // 2) / math.factorial(k) for k in range(degree + 1, 3, -2)]
    sine = v.fma(v.multiply(r, square), v.horner(square, tuple(odd)), r)
    start = v.fma(square, v.constant(-0.5), v.constant(1.0))
    cosine = v.fma(v.multiply(square, square), v.horner(square, tuple(even)), start)
    quarters = b.add(quarters, v.integer_constant(more))
    is_odd = b.trunc(quarters, llvm.ir.VectorType(llvm.ir.IntType(1), v.lanes))
    value = v.select(is_odd, cosine, sine)
    # The second bit of the number of quarter turns is the sign.
    sign = b.shl(b.and_(quarters, v.integer_constant(2)), v.integer_constant(v.bits - 2))
    return v.from_bits(b.xor(v.to_bits(value), sign))


def _short_tanh(v: Vectors, x: Value) -> Value:
    bound, one = v.constant(_TANH_BOUND), v.constant(1.0)
    size = v.absolute(x)
    size = v.select(v.compare(">", size, bound), bound, size)
    square = v.multiply(size, size)
    above, below = (v.horner(square, coefficients) for coefficients in _TANH_OF_32)
    result = v.divide(v.multiply(size, above), below)
    result = v.select(v.compare(">", result, one), one, result)
    return v.copysign(result, x)


def _reduce(v: Vectors, x: Value) -> tuple[Value, Value]:
    """X = exponent * ln 2 + fraction, |fraction| <= ln(2) / 2."""
    low, high = _EXP_RANGE[v.bits]
    x = v.select(v.compare("<", x, v.constant(low)), v.constant(low), x)
    x = v.select(v.compare(">", x, v.constant(high)), v.constant(high), x)
    whole, exponent = v.round_to_integer(v.multiply(x, v.constant(_LOG2_E)))
    first, second = _LN2_PARTS[v.bits]
    fraction = v.fma(whole, v.constant(-first), x)
    return exponent, v.fma(whole, v.constant(-second), fraction)


def _expm1_of_fraction(v: Vectors, r: Value) -> Value:
    """e^r - 1 for |r| <= ln(2) / 2, by its Taylor series."""
    degree = _TAYLOR_DEGREE[v.bits]
    series = v.horner(r, tuple(1.0 / math.factorial(k) for k in range(degree, 1, -1)))
    return v.fma(v.multiply(r, r), series, r)


def _scale(v: Vectors, x: Value, exponent: Value) -> Value:
    """X * 2^exponent in two steps, so that denormal results come out right."""
    half = v.builder.ashr(exponent, v.integer_constant(1))
    rest = v.builder.sub(exponent, half)
    return v.multiply(v.multiply(x, v.power_of_two(half)), v.power_of_two(rest))


def _split(v: Vectors, x: Value) -> tuple[Value, Value]:
    """X = 2^exponent * (1 + f) with 1 + f from sqrt(1/2) to sqrt(2); exponent as float."""
    b = v.builder
    shift = 25.0 if v.bits == 32 else 54.0
    denormal = v.compare("<", x, v.constant(_SMALLEST_NORMAL[v.bits]))
    x = v.select(denormal, v.multiply(x, v.constant(2.0**shift)), x)
    offset = v.select(denormal, v.constant(-shift), v.constant(0.0))
    # Moves the cut between exponents from 1 to sqrt(1/2).
    root = v.to_bits(v.constant(math.sqrt(0.5)))
    moved = b.sub(v.to_bits(x), root)
    exponent = b.ashr(moved, v.integer_constant(v.mantissa_bits))
    mantissa = b.sub(v.to_bits(x), b.shl(exponent, v.integer_constant(v.mantissa_bits)))
    as_float = b.sitofp(exponent, v.type)
    return v.add(as_float, offset), v.subtract(v.from_bits(mantissa), v.constant(1.0))


def _log_of_parts(v: Vectors, exponent: Value, f: Value) -> Value:
    """Exponent * ln 2 + log(1 + f); the large part f is kept apart until last."""
    first, second = _LN2_PARTS[v.bits]
    small = v.fma(exponent, v.constant(second), _log_beyond(v, f))
    return v.fma(exponent, v.constant(first), v.add(f, small))


def _log_to_base(
    v: Vectors, x: Value, of_two: tuple[float, float], of_e: tuple[float, float]
) -> Value:
    """Logarithm to the base whose logarithms of 2 and of e, in two parts, are given."""
    exponent, f = _split(v, x)
    small = v.multiply(_log_beyond(v, f), v.constant(of_e[0]))
    small = v.fma(f, v.constant(of_e[1]), small)
    small = v.fma(exponent, v.constant(of_two[1]), small)
    result = v.fma(exponent, v.constant(of_two[0]), v.fma(f, v.constant(of_e[0]), small))
    return _log_specials(v, x, result)


def _log_beyond(v: Vectors, f: Value) -> Value:
    """log(1 + f) - f, with log(1 + f) = 2 atanh(s), s = f / (2 + f), and 2 s = f - s f."""
    s = v.divide(f, v.add(v.constant(2.0), f))
    z = v.multiply(s, s)
    terms = _ATANH_TERMS[v.bits]
    series = v.horner(z, tuple(2.0 / (2 * k + 1) for k in range(terms, 0, -1)))
    return v.fma(v.multiply(s, z), series, v.negative(v.multiply(s, f)))


def _log_specials(v: Vectors, x: Value, result: Any) -> Value:
    infinity = v.constant(math.inf)
    result = v.select(v.compare("==", x, infinity), infinity, result)
    result = v.select(v.compare("==", x, v.constant(0.0)), v.constant(-math.inf), result)
    result = v.select(v.compare("<", x, v.constant(0.0)), v.constant(math.nan), result)
    return v.select(v.is_nan(x), x, result)

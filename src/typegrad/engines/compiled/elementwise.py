"""Element-wise functions: what a chain is made of, by the names that programs use."""

from __future__ import annotations

from collections.abc import Mapping

from typegrad.engines.compiled import vector_math
from typegrad.engines.compiled.code import Value
from typegrad.engines.compiled.vector import VectorFunction, Vectors


def _flag(relation: str) -> VectorFunction:
    """Comparison whose result is 1.0 or 0.0: what LLVM makes of it when it is used is a bit."""

    def compare(v: Vectors, a: Value, b: Value) -> Value:
        return v.select(v.compare(relation, a, b), v.constant(1.0), v.constant(0.0))

    return compare


def _sign(v: Vectors, a: Value) -> Value:
    zero = v.constant(0.0)
    below = v.select(v.compare("<", a, zero), v.constant(-1.0), zero)
    sign = v.select(v.compare(">", a, zero), v.constant(1.0), below)
    return v.select(v.is_nan(a), a, sign)


def _where(v: Vectors, condition: Value, a: Value, b: Value) -> Value:
    return v.select(v.compare("!=", condition, v.constant(0.0)), a, b)


def _both(v: Vectors, a: Value, b: Value) -> Value:
    zero, one = v.constant(0.0), v.constant(1.0)
    return v.select(v.compare("!=", a, zero), v.select(v.compare("!=", b, zero), one, zero), zero)


def _either(v: Vectors, a: Value, b: Value) -> Value:
    zero, one = v.constant(0.0), v.constant(1.0)
    return v.select(v.compare("!=", a, zero), one, v.select(v.compare("!=", b, zero), one, zero))


def _not(v: Vectors, a: Value) -> Value:
    zero = v.constant(0.0)
    return v.select(v.compare("==", a, zero), v.constant(1.0), zero)


def _power(exponent: int) -> VectorFunction:
    def power(v: Vectors, a: Value) -> Value:
        result = a
        for _ in range(exponent - 1):
            result = v.multiply(result, a)
        return result

    return power


def _by_c_library(name: str) -> VectorFunction:
    if name in ("atan2", "pow"):
        return lambda v, a, b: v.by_c_library(name, a, b)
    return lambda v, a: v.by_c_library(name, a)


C_NAMES: Mapping[str, str] = {
    "tan": "tan", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2",
    "sinh": "sinh", "cosh": "cosh", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
    "power": "pow",
}  # fmt: skip
"""Functions that are rare in networks, and what the C library calls them."""

FUNCTIONS: Mapping[str, VectorFunction] = {
    "copy": lambda v, a: a,
    "flush_denormals": Vectors.flush_denormals,
    "negative": Vectors.negative,
    "absolute": Vectors.absolute,
    "sqrt": Vectors.sqrt,
    "square": _power(2),
    "cube": _power(3),
    "fourth_power": _power(4),
    "reciprocal": lambda v, a: v.divide(v.constant(1.0), a),
    "inverse_root": lambda v, a: v.divide(v.constant(1.0), v.sqrt(a)),
    "inverse_square": lambda v, a: v.divide(v.constant(1.0), v.multiply(a, a)),
    "sign": _sign,
    "floor": Vectors.floor,
    "exp": vector_math.exp,
    "expm1": vector_math.expm1,
    "log": vector_math.log,
    "log1p": vector_math.log1p,
    "log2": vector_math.log2,
    "log10": vector_math.log10,
    "logaddexp": vector_math.logaddexp,
    "tanh": vector_math.tanh,
    "sin": vector_math.sin,
    "cos": vector_math.cos,
    "add": Vectors.add,
    "subtract": Vectors.subtract,
    "multiply": Vectors.multiply,
    # Sums of products begin with zero, which makes 0 of -0.
    "outer": lambda v, a, b: v.fma(a, b, v.constant(0.0)),
    "divide": Vectors.divide,
    "maximum": Vectors.maximum,
    "minimum": Vectors.minimum,
    "greater": _flag(">"),
    "greater_equal": _flag(">="),
    "less": _flag("<"),
    "less_equal": _flag("<="),
    "equal": _flag("=="),
    "not_equal": _flag("!="),
    "logical_and": _both,
    "logical_or": _either,
    "logical_not": _not,
    "where": _where,
    **{name: _by_c_library(c_name) for name, c_name in C_NAMES.items()},
}

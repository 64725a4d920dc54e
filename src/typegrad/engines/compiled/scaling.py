"""Kernels between a table's own units, in float64, and a network's, in its own float type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from typegrad.engines.compiled import llvm
from typegrad.engines.compiled.code import WORD, Int, Value
from typegrad.engines.compiled.kernel import Kernel


def emit_standardize(module: Any, name: str, bits: int, lanes: int) -> None:
    """out[i, j] = (x[i, j] - mean[j]) / scale[j]; operands: out, x, mean, scale.

    All but `out` are float64, and so is the arithmetic: as in `Standardizer.transform`.
    """
    code = Kernel(module, name, bits, lanes)
    b = code.builder

    def standardize(x: Value, mean: Value, scale: Value) -> Value:
        return b.fdiv(b.fsub(x, mean), scale)

    _emit_conversion(code, (bits, 64, 64, 64), standardize)


def emit_unscale(module: Any, name: str, bits: int, lanes: int) -> None:
    """out[i, j] = z[i, j] * scale[j] + location[j]; operands: out, z, scale, location.

    All but `z` are float64, and so is the arithmetic: as in `Loss.predictions`.
    """
    code = Kernel(module, name, bits, lanes)
    b = code.builder

    def unscale(z: Value, scale: Value, location: Value) -> Value:
        return b.fadd(b.fmul(z, scale), location)

    _emit_conversion(code, (64, bits, 64, 64), unscale)


def _emit_conversion(code: Kernel, bits: Sequence[int], function: Callable[..., Value]) -> None:
    """Apply a function of float64 to rows; `bits` are those of the result and of its operands.

    Operands after the first two are one row each.
    """
    places = [code.operand(i) for i in range(len(bits))]

    def convert(row: Int, column: Int, count: int) -> None:
        addresses = [
            start + (row * stride if i < 2 else 0) + column * (width // WORD)
            for i, ((start, stride), width) in enumerate(zip(places, bits, strict=True))
        ]
        values = [
            _load(code, address, width, count)
            for address, width in zip(addresses[1:], bits[1:], strict=True)
        ]
        _store(code, function(*values), addresses[0], bits[0], count)

    lanes = code.v.lanes
    whole = code.columns // lanes * lanes
    with code.loop(code.rows) as row:
        with code.loop(whole, lanes) as column:
            convert(row, column, lanes)
        with code.loop(code.columns, 1, whole) as column:
            convert(row, column, 1)
    code.finish()


def _float_type(bits: int, count: int) -> Any:
    element = llvm.ir.FloatType() if bits == 32 else llvm.DOUBLE
    return element if count == 1 else llvm.ir.VectorType(element, count)


def _load(code: Kernel, address: Int, bits: int, count: int) -> Value:
    """Load floats, and widen them to float64."""
    b = code.builder
    value = b.load(b.inttoptr(address.value, _float_type(bits, count).as_pointer()))
    value.align = bits // 8
    return value if bits == 64 else b.fpext(value, _float_type(64, count))


def _store(code: Kernel, value: Value, address: Int, bits: int, count: int) -> None:
    """Narrow float64 numbers to their type, and store them."""
    b = code.builder
    kind = _float_type(bits, count)
    narrow = value if bits == 64 else b.fptrunc(value, kind)
    b.store(narrow, b.inttoptr(address.value, kind.as_pointer())).align = bits // 8

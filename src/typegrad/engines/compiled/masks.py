"""Random masks: the numbers of `Mode.uniform`, as native code."""

from __future__ import annotations

from typing import Any

from typegrad.engines.compiled import llvm
from typegrad.engines.compiled.code import WORD, Value
from typegrad.engines.compiled.kernel import Kernel
from typegrad.engines.compiled.program import FIRST_ROW, KEYS

_GOLDEN = 0x9E3779B97F4A7C15
_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def emit_mask(module: Any, name: str, bits: int, lanes: int) -> None:
    """Put a number where a hash of (key, row, column) is not below the threshold, else 0.

    The operands are the mask and the number; the numbers are which of the frame's keys it is,
    and the threshold as a 53-bit integer.
    """
    code = Kernel(module, name, bits, lanes)
    v, b = code.v, code.builder
    (out, out_row), (kept, _) = code.operand(0), code.operand(1)
    key = code.read(code.read(code.frame, KEYS) + code.number(2) * WORD)
    wide = llvm.ir.VectorType(llvm.I64, lanes)

    def constant(value: int) -> Value:
        return llvm.ir.Constant(wide, [value] * lanes)

    def spread(value: Value) -> Value:
        first = b.insert_element(llvm.ir.Constant(wide, llvm.ir.Undefined), value, llvm.I32(0))
        zeros = llvm.ir.Constant(llvm.ir.VectorType(llvm.I32, lanes), [0] * lanes)
        return b.shuffle_vector(first, llvm.ir.Constant(wide, llvm.ir.Undefined), zeros)

    def mix(z: Value) -> Value:
        """Finalizer of SplitMix64, as in `typegrad.layers.mode`."""
        for shift, factor in _ROUNDS:
            z = b.mul(b.xor(z, b.lshr(z, constant(shift))), constant(factor))
        return b.xor(z, b.lshr(z, constant(31)))

    golden_columns = llvm.ir.Constant(wide, [(_GOLDEN * (j + 1)) % 2**64 for j in range(lanes)])
    threshold = spread(code.number(2, 1).value)
    scale, zero = v.splat(v.load_one(kept)), v.constant(0.0)
    first_row = code.read(code.frame, FIRST_ROW)
    with code.loop(code.rows) as row:
        row_key = mix(spread((key + (first_row + row) * code.integer(_GOLDEN)).value))
        with code.loop(code.columns, lanes) as column:
            shift = spread((column * code.integer(_GOLDEN)).value)
            number = b.lshr(mix(b.add(row_key, b.add(golden_columns, shift))), constant(11))
            is_kept = b.icmp_unsigned(">=", number, threshold)
            place = out + row * out_row + column * v.itemsize
            mask = v.select(is_kept, scale, zero)
            with b.if_else(code.columns.equals(1)) as (single, several):
                with single:  # The rows after it may be another thread's.
                    v.store_one(b.extract_element(mask, llvm.I32(0)), place)
                with several:
                    v.store(mask, place)
    code.finish()

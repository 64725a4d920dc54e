"""Object code of kernels and chains, for a processor and a float type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from typegrad.engines.compiled import llvm
from typegrad.engines.compiled.callbacks import emit_callback
from typegrad.engines.compiled.chain import Chain
from typegrad.engines.compiled.forward_worker import emit_forward
from typegrad.engines.compiled.kernel import emit_chain
from typegrad.engines.compiled.lookups import (
    emit_lookup,
    emit_lookup_sums,
    emit_take_columns,
)
from typegrad.engines.compiled.masks import emit_mask
from typegrad.engines.compiled.products import emit_product, emit_product_transposed
from typegrad.engines.compiled.rows import (
    emit_column_sums,
    emit_gather,
    emit_outer,
    emit_pack,
    emit_prefetch,
    emit_row_dots,
    emit_row_maxima,
    emit_row_sums,
    emit_total,
    emit_transpose,
    emit_unpad,
    emit_zero_ends,
)
from typegrad.engines.compiled.scaling import emit_standardize, emit_unscale
from typegrad.engines.compiled.target import Target
from typegrad.engines.compiled.worker import Worker

_PRODUCTS: Mapping[str, Callable[[Any, str, int, int, int], None]] = {
    "product": emit_product,
    "product_transposed": emit_product_transposed,
}

_ALSO_OF_ONE_ROW: Mapping[str, Callable[..., None]] = {
    "gather": emit_gather,
    "row_dots": emit_row_dots,
    "column_sums": emit_column_sums,
    "total": emit_total,
}

_OF_ROWS: Mapping[str, Callable[[Any, str, int, int], None]] = {
    **_ALSO_OF_ONE_ROW,
    "unpad": emit_unpad,
    "prefetch": emit_prefetch,
    "pack": emit_pack,
    "zero_ends": emit_zero_ends,
    "outer": emit_outer,
    "row_sums": emit_row_sums,
    "row_maxima": emit_row_maxima,
    "transpose": emit_transpose,
    "lookup": emit_lookup,
    "lookup_sums": emit_lookup_sums,
    "take_columns": emit_take_columns,
    "mask": emit_mask,
    "standardize": emit_standardize,
    "unscale": emit_unscale,
    "callback": emit_callback,
}

OF_ONE_ROW: Mapping[str, str] = {name: f"{name}_of_one_row" for name in _ALSO_OF_ONE_ROW}
"""What takes a tile of one row, in half the time, by the name of what takes any."""

KERNELS = (*_PRODUCTS, *_OF_ROWS, *OF_ONE_ROW.values())
"""What is always there, beside the workers."""

WORKERS = ("worker", "forward", "forward_alone")


class Compiler:
    """Makes object code.

    Parameters
    ----------
    bits
        Of a float.
    target
        The processor; it need not be this machine's.
    """

    def __init__(self, bits: int, target: Target) -> None:
        self._bits = bits
        self._target = target
        self._machine = target.machine()

    def kernels(self) -> bytes:
        """Return the code of `KERNELS` and `WORKERS`."""
        bits, target = self._bits, self._target
        lanes, registers = target.lanes(bits), target.vector_registers
        module = llvm.ir.Module("kernels")
        for name, emit_with_blocks in _PRODUCTS.items():
            emit_with_blocks(module, name, bits, lanes, registers)
        for name, emit in _OF_ROWS.items():
            emit(module, name, bits, lanes)
        for name, emit in _ALSO_OF_ONE_ROW.items():
            emit(module, OF_ONE_ROW[name], bits, lanes, has_one_row=True)
        Worker(module, "worker", bits, lanes, target.pause).write_all()
        emit_forward(module, "forward")
        return self._compile(module, unrolls=True)

    def chain(self, chain: Chain) -> bytes:
        """Return the code of a chain."""
        module = llvm.ir.Module(chain.name)
        emit_chain(module, chain, self._bits, self._target.lanes(self._bits))
        # Formulas have work enough for a processor within a turn of their loops. What prepares for
        # several turns at once would cost a step of one row a tenth of its time.
        return self._compile(module, unrolls=False)

    def _compile(self, module: Any, *, unrolls: bool) -> bytes:
        module.triple = self._target.triple
        parsed = llvm.binding.parse_assembly(str(module))
        parsed.verify()
        options = llvm.binding.create_pipeline_tuning_options(speed_level=2)
        options.loop_unrolling = unrolls
        options.loop_vectorization = options.slp_vectorization = False
        passes = llvm.binding.create_pass_builder(self._machine, options)
        passes.getModulePassManager().run(parsed, passes)
        code: bytes = self._machine.emit_object(parsed)
        return code

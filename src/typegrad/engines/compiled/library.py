"""The native functions of a float type: compiled when they are first needed, and kept."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from typegrad.engines.compiled import llvm
from typegrad.engines.compiled.cache import CodeCache
from typegrad.engines.compiled.chain import Chain
from typegrad.engines.compiled.forward_worker import emit_forward
from typegrad.engines.compiled.kernel import emit_chain
from typegrad.engines.compiled.masks import emit_mask
from typegrad.engines.compiled.products import emit_product, emit_product_transposed
from typegrad.engines.compiled.rows import (
    emit_column_sums,
    emit_fill,
    emit_gather,
    emit_pack,
    emit_prefetch,
    emit_row_dots,
    emit_row_maxima,
    emit_row_sums,
    emit_total,
    emit_transpose,
    emit_zero_ends,
)
from typegrad.engines.compiled.scaling import emit_standardize, emit_unscale
from typegrad.engines.compiled.target import Target, host
from typegrad.engines.compiled.worker import Worker

logger = logging.getLogger("typegrad")

COMPILING = "compiling native code"
"""How the note begins that says so."""

KERNELS: Mapping[str, Callable[[Any, str, int, int], None]] = {
    "product": emit_product,
    "product_transposed": emit_product_transposed,
    "gather": emit_gather,
    "prefetch": emit_prefetch,
    "fill": emit_fill,
    "pack": emit_pack,
    "zero_ends": emit_zero_ends,
    "row_dots": emit_row_dots,
    "row_sums": emit_row_sums,
    "row_maxima": emit_row_maxima,
    "column_sums": emit_column_sums,
    "total": emit_total,
    "transpose": emit_transpose,
    "mask": emit_mask,
    "standardize": emit_standardize,
    "unscale": emit_unscale,
}
"""What is always there, beside the workers."""


class Library:
    """Addresses of native functions for floats of 32 or 64 bits.

    Parameters
    ----------
    bits
        Of a float.
    target
        The processor.
    note
        Told if this takes a while.

    Attributes
    ----------
    cache
        Where compiled code is kept on disk.
    """

    def __init__(self, bits: int, target: Target, note: Callable[[str], None]) -> None:
        self.bits = bits
        self.lanes = target.lanes(bits)
        self._target = target
        self.cache = CodeCache(target.key)
        self._lock = threading.Lock()
        self._addresses: dict[str, int] = {}
        machine = target.machine()
        self._machine = machine
        empty = llvm.binding.parse_assembly("")
        self._engine = llvm.binding.create_mcjit_compiler(empty, target.machine())
        self._note: Callable[[str], None] = note
        self._add("kernels", [*KERNELS, "worker", "forward", "forward_alone"], self._emit_kernels)
        self._note = logger.debug
        self._prototype = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 4)
        self.worker = self._prototype(self._addresses["worker"])
        self.forward = self._prototype(self._addresses["forward"])
        # It keeps Python's lock: letting go of it takes as long as a row does.
        self.forward_alone = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(
            self._addresses["forward_alone"]
        )

    def kernel(self, name: str) -> int:
        """Return the address of one of `KERNELS`."""
        return self._addresses[name]

    def chains(self, chains: Iterable[Chain]) -> dict[Chain, int]:
        """Return the addresses of chains, compiled if they are new."""
        wanted = dict.fromkeys(chains)
        with self._lock:
            for chain in wanted:
                if chain.name not in self._addresses:
                    self._add(chain.name, [chain.name], partial(self._emit_chain, chain))
        return {chain: self._addresses[chain.name] for chain in wanted}

    def _add(self, name: str, functions: list[str], emit: Callable[[Any], None]) -> None:
        """Load a module's functions from the cache, or compile them."""
        file = f"{name}_{self.bits}"
        code = self.cache.load(file)
        if code is None:
            self._note(
                f"{COMPILING} for this processor: some seconds, once; it is kept in "
                f"{self.cache.folder}"
            )
            module = llvm.ir.Module(name)
            module.triple = self._target.triple
            emit(module)
            code = self._compile(module)
            self.cache.save(file, code)
        self._engine.add_object_file(llvm.binding.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        for function in functions:
            self._addresses[function] = self._engine.get_function_address(function)

    def _emit_chain(self, chain: Chain, module: Any) -> None:
        emit_chain(module, chain, self.bits, self.lanes)

    def _emit_kernels(self, module: Any) -> None:
        for name, emit in KERNELS.items():
            emit(module, name, self.bits, self.lanes)
        Worker(module, "worker", self.bits, self.lanes, self._target.pause).write_all()
        emit_forward(module, "forward")

    def _compile(self, module: Any) -> bytes:
        parsed = llvm.binding.parse_assembly(str(module))
        parsed.verify()
        options = llvm.binding.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = options.slp_vectorization = False
        passes = llvm.binding.create_pass_builder(self._machine, options)
        passes.getModulePassManager().run(parsed, passes)
        code: bytes = self._machine.emit_object(parsed)
        return code


_libraries: dict[int, Library] = {}
_libraries_lock = threading.Lock()


def library_for(bits: int, note: Callable[[str], None] = logger.info) -> Library:
    """Return the library for floats of so many bits: one for all engines of a process.

    `note` is told if it has to be compiled, which takes a while.
    """
    with _libraries_lock:
        if bits not in _libraries:
            _libraries[bits] = Library(bits, host(), note)
        return _libraries[bits]

"""The native functions of a float type: compiled when they are first needed, and kept."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial

from typegrad.engines.compiled import llvm
from typegrad.engines.compiled.cache import CodeCache
from typegrad.engines.compiled.chain import Chain
from typegrad.engines.compiled.compiler import KERNELS, WORKERS, Compiler
from typegrad.engines.compiled.target import Target, host

logger: logging.Logger = logging.getLogger("typegrad")

COMPILING = "compiling native code"
"""How the note begins that says so."""


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
        self.lanes: int = target.lanes(bits)
        self.cache: CodeCache = CodeCache(target.key)
        self._lock = threading.Lock()
        self._addresses: dict[str, int] = {}
        self._compiler = Compiler(bits, target)
        empty = llvm.binding.parse_assembly("")
        self._engine = llvm.binding.create_mcjit_compiler(empty, target.machine())
        self._note: Callable[[str], None] = note
        self._add("kernels", [*KERNELS, *WORKERS], self._compiler.kernels)
        self._note = logger.debug
        self._prototype = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 4)
        self.worker: Callable[..., int] = self._prototype(self._addresses["worker"])
        self.forward: Callable[..., int] = self._prototype(self._addresses["forward"])
        # It keeps Python's lock: letting go of it takes as long as a row does.
        self.forward_alone: Callable[..., int] = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(
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
                    self._add(chain.name, [chain.name], partial(self._compiler.chain, chain))
        return {chain: self._addresses[chain.name] for chain in wanted}

    def _add(self, name: str, functions: list[str], make_code: Callable[[], bytes]) -> None:
        """Load a module's functions from the cache, or compile them."""
        file = f"{name}_{self.bits}"
        code = self.cache.load(file)
        if code is None:
            self._note(
                f"{COMPILING} for this processor: some seconds, once; it is kept in "
                f"{self.cache.folder}"
            )
            code = make_code()
            self.cache.save(file, code)
        self._engine.add_object_file(llvm.binding.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        for function in functions:
            self._addresses[function] = self._engine.get_function_address(function)


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

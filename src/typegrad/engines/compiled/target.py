"""The processor that native code is made for."""

from __future__ import annotations

import ctypes
import hashlib
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from typegrad._version import __version__
from typegrad.engines.compiled import llvm


@dataclass(frozen=True)
class Target:
    """A processor, as LLVM describes it."""

    cpu: str
    features: str
    triple: str

    @cached_property
    def vector_bits(self) -> int:
        """Width of the widest vectors that it computes with."""
        enabled = self.features.split(",")
        if "+avx512f" in enabled:
            return 512
        return 256 if "+avx2" in enabled else 128

    def lanes(self, bits: int) -> int:
        """Floats of so many bits in a vector."""
        return self.vector_bits // bits

    @property
    def vector_registers(self) -> int:
        """How many vectors it holds in registers."""
        return 16 if self._is_x86 and self.vector_bits < 512 else 32

    @property
    def pause(self) -> str:
        """Instruction for a loop that waits for another thread."""
        return "pause" if self._is_x86 else "yield"

    @property
    def _is_x86(self) -> bool:
        return self.triple.startswith(("x86_64", "i686"))

    @cached_property
    def key(self) -> str:
        """Name for all that compiled code depends on: processor, compiler, and this package."""
        digest = hashlib.sha256()
        for text in (self.cpu, self.features, self.triple, llvm.VERSION, sys.platform):
            digest.update(text.encode() + b"\0")
        for path in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(path.read_bytes())
        return f"{__version__}-{digest.hexdigest()[:32]}"

    def machine(self) -> Any:
        """Return LLVM's description."""
        # Some processors are said to prefer narrower vectors, for code that uses few of them.
        features = f"{self.features},-prefer-256-bit" if self.vector_bits == 512 else self.features
        return llvm.binding.Target.from_triple(self.triple).create_target_machine(
            cpu=self.cpu, features=features, opt=3, jit=True
        )


@cache
def host() -> Target:
    """Return this machine's processor."""
    llvm.binding.initialize_native_target()
    llvm.binding.initialize_native_asmprinter()
    llvm.binding.initialize_native_asmparser()
    features = llvm.binding.get_host_cpu_features().flatten()
    return Target(llvm.binding.get_host_cpu_name(), features, llvm.binding.get_process_triple())


@cache
def yield_function() -> int:
    """Return the address of the system's function that lets other threads run."""
    if sys.platform == "win32":
        function = ctypes.windll.kernel32.SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0

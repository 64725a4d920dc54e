"""The compiled engine: training steps in native code, made by LLVM on this machine.

A step's graph is lowered to a program for tiles of rows (`lowering`, `handlers`, `fusion`,
`schedule`), whose instructions are calls of native kernels (`kernel`, `products`, `rows`,
`masks`). A worker on each thread runs the programs for all steps of an epoch (`worker`,
`job`, `runner`). Kernels take sizes at run time, and chains of element-wise functions are compiled
once for each formula; both are kept on disk (`library`, `cache`).
"""

from __future__ import annotations

from typegrad.engines.compiled.engine import CompiledEngine

__all__ = ["CompiledEngine"]

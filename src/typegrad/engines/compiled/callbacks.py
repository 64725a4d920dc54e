"""The kernel that calls Python."""

from __future__ import annotations

from typing import Any

from typegrad.engines.compiled.code import WORD
from typegrad.engines.compiled.kernel import Kernel
from typegrad.engines.compiled.program import LENGTH

DONE, FRAME = range(2)
"""Words that the kernel and Python share: whether a call has come to its end, and its frame."""


def emit_callback(module: Any, name: str, bits: int, lanes: int) -> None:
    """Call a function with the instruction; the last numbers are its address and the words'.

    Returns 1 if it has not said that it is done. What it returns itself says nothing: where an
    exception could not be caught, that is anything.
    """
    code = Kernel(module, name, bits, lanes)
    length = code.read(code.instruction, LENGTH)
    function, words = (code.read(code.instruction + (length - i) * WORD) for i in (2, 1))
    code.write(words, code.integer(0), DONE)
    code.write(words, code.frame, FRAME)
    code.call_address(function, code.instruction)
    code.finish(code.integer(1) - code.read(words, DONE))

"""Random masks without allocation: the numbers of `Mode.uniform`, written in place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from typegrad.engines.planned_memory import Arena
from typegrad.types import AnyArray


class MaskGenerator:
    """Draws what `Mode.uniform` draws for the mode of the pass that is being run."""

    def __init__(self, function: Any, out: AnyArray, arena: Arena) -> None:
        self.function = function
        self.out = out

    def fill(self) -> None:
        """Draw the numbers."""
        function = self.function
        mode = replace(function.current.mode, path=function.path)
        np.copyto(self.out, mode.uniform(function.rows, function.columns))

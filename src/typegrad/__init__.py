"""typegrad: tensor autodiff and regression networks in plain NumPy.

Public names are loaded when they are first used, so that importing the package costs
next to nothing; `typegrad._exports` says where each of them lives.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from typegrad._exports import EXPORTS, SUBMODULES
from typegrad._version import __version__ as __version__

if TYPE_CHECKING:
    from typegrad import benchmark as benchmark
    from typegrad import datasets as datasets
    from typegrad import initializers as initializers
    from typegrad import metrics as metrics
    from typegrad.autodiff import *  # noqa: F403
    from typegrad.batch_choice import *  # noqa: F403
    from typegrad.callbacks import *  # noqa: F403
    from typegrad.data import *  # noqa: F403
    from typegrad.dimensions import *  # noqa: F403
    from typegrad.errors import *  # noqa: F403
    from typegrad.history import *  # noqa: F403
    from typegrad.layers import *  # noqa: F403
    from typegrad.losses import *  # noqa: F403
    from typegrad.network import *  # noqa: F403
    from typegrad.noise_scale import *  # noqa: F403
    from typegrad.numerical import *  # noqa: F403
    from typegrad.operations import *  # noqa: F403
    from typegrad.optimizers import *  # noqa: F403
    from typegrad.per_example import *  # noqa: F403
    from typegrad.plotting import *  # noqa: F403
    from typegrad.predictor import *  # noqa: F403
    from typegrad.schedules import *  # noqa: F403
    from typegrad.serialization import *  # noqa: F403
    from typegrad.tabular import *  # noqa: F403
    from typegrad.tensor import *  # noqa: F403
    from typegrad.trainer import *  # noqa: F403
    from typegrad.warming import *  # noqa: F403
else:
    _MODULE_OF = {name: module for module, names in EXPORTS.items() for name in names}

    __all__ = ["__version__", *SUBMODULES, *_MODULE_OF]  # noqa: PLE0604 - all are strings

    def __getattr__(name):
        """Load a public name on its first use."""
        if name in SUBMODULES:
            return import_module(f"typegrad.{name}")
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'typegrad' has no attribute {name!r}")
        value = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted(__all__)

"""What typegrad raises. Each message says what came, what was expected and what to do."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__all__ = [
    "DTypeError",
    "DataError",
    "FileFormatError",
    "MissingExtraError",
    "NumericalError",
    "ShapeError",
    "StateError",
    "TypegradError",
]


class TypegradError(Exception):
    """Base class of every error that typegrad raises on purpose."""


class ShapeError(TypegradError, ValueError):
    """An array has the wrong shape."""


class DTypeError(TypegradError, TypeError):
    """An array has the wrong dtype, or is no array at all."""


class DataError(TypegradError, ValueError):
    """A table, file of data or argument cannot be used; says where."""


class StateError(TypegradError, RuntimeError):
    """Something was asked for before what it depends on was done."""


class FileFormatError(TypegradError, ValueError):
    """A file is not a typegrad model, or is damaged."""


class NumericalError(TypegradError, ArithmeticError):
    """A computation produced NaN or infinity.

    Attributes
    ----------
    history : History or None
        What training had recorded, if it was ``Trainer.fit`` that stopped.
    """

    history: Any = None


class MissingExtraError(TypegradError, ImportError):
    """An optional dependency is not installed, or does not work; says what to do."""


def import_extra(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency, or say which extra brings it.

    Parameters
    ----------
    module
        What to import, e.g. ``"matplotlib.pyplot"``.
    extra
        The extra of typegrad that installs it, e.g. ``"plot"``.
    purpose
        What it is needed for, as the start of a sentence, e.g. ``"Plotting"``.

    Raises
    ------
    MissingExtraError
        If the package is not installed, or is but cannot be imported.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        if find_spec(package) is None:
            raise MissingExtraError(
                f"{purpose} needs {package}, which is not installed: "
                f"run `pip install 'typegrad[{extra}]'`"
            ) from error
        raise MissingExtraError(
            f"{purpose} needs {package}, which is installed but cannot be imported ({error}): "
            f"run `pip install --force-reinstall 'typegrad[{extra}]'`"
        ) from error

"""Errors: what each can be caught as, and the advice for missing extras."""

from __future__ import annotations

import re
import sys

import pytest

from typegrad import errors
from typegrad.errors import MissingExtraError, TypegradError, import_extra


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.ShapeError, ValueError),
        (errors.DTypeError, TypeError),
        (errors.DataError, ValueError),
        (errors.StateError, RuntimeError),
        (errors.FileFormatError, ValueError),
        (errors.NumericalError, ArithmeticError),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_errors_are_typegrads_and_pythons(error: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(error, TypegradError)
    assert issubclass(error, builtin)


def test_one_class_catches_all() -> None:
    defined = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert {cls.__name__ for cls in defined} == set(errors.__all__)
    assert all(issubclass(cls, TypegradError) for cls in defined)


def test_an_extra_that_is_installed() -> None:
    import json.decoder

    assert import_extra("json.decoder", "save", "Saving") is json.decoder


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.part"])
def test_an_extra_that_is_missing(module: str) -> None:
    message = (
        "Plotting needs no_such_package, which is not installed: run `pip install 'typegrad[plot]'`"
    )
    with pytest.raises(MissingExtraError, match=re.escape(message) + "$") as caught:
        import_extra(module, "plot", "Plotting")
    assert isinstance(caught.value.__cause__, ImportError)


def test_an_extra_that_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingExtraError, match="Saving needs safetensors"):
        import_extra("safetensors.numpy", "save", "Saving")

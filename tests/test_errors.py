"""Errors: what each can be caught as, and the advice for missing extras."""

from __future__ import annotations

import re
import sys
from pathlib import Path

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
    # Another test may have loaded it, and Python then asks for nothing else.
    monkeypatch.delitem(sys.modules, "safetensors.numpy", raising=False)
    with pytest.raises(MissingExtraError, match="Saving needs safetensors, which is not installed"):
        import_extra("safetensors.numpy", "save", "Saving")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("import no_such_package", "No module named 'no_such_package'"),
        ("raise ImportError('a library is missing')", "a library is missing"),
    ],
)
def test_an_extra_that_is_broken(
    content: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_package.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    message = (
        f"Plotting needs broken_package, which is installed but cannot be imported ({reason}): "
        "run `pip install --force-reinstall 'typegrad[plot]'`"
    )
    with pytest.raises(MissingExtraError, match=re.escape(message) + "$"):
        import_extra("broken_package", "plot", "Plotting")

"""The file: tensors in the safetensors format, and a JSON description of what they are."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from typegrad.errors import DataError, FileFormatError, import_extra
from typegrad.output_files import check_writable, write_whole
from typegrad.types import AnyArray

FORMAT_VERSION = 1
_KEY = "typegrad"
_DTYPES = {"F32": np.float32, "F64": np.float64, "I64": np.int64}


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes
    ----------
    description
        JSON's types.
    tensors
        Arrays of float32, float64 or int64, by name.
    """

    description: dict[str, Any]
    tensors: dict[str, AnyArray]


def write_content(path: str | PathLike[str], content: Content) -> None:
    """Write a file whole, or leave what was there.

    Raises
    ------
    DataError
        If the file cannot be written.
    MissingExtraError
        If safetensors is not installed.
    """
    safetensors = import_extra("safetensors.numpy", "save", "Saving a model")
    check_writable(path)
    tensors = {name: np.array(array, order="C") for name, array in content.tensors.items()}
    header = {
        "version": FORMAT_VERSION,
        "sha256": _digest(content.description, tensors),
        "content": content.description,
    }
    # One entry: safetensors keeps several in no particular order.
    write_whole(path, safetensors.save(tensors, {_KEY: _to_json(header)}))


def read_content(path: str | PathLike[str]) -> Content:
    """Read what `write_content` wrote.

    Raises
    ------
    FileFormatError
        If the file is damaged, or something else.
    DataError
        If the file cannot be opened.
    MissingExtraError
        If safetensors is not installed.
    """
    safetensors = import_extra("safetensors", "save", "Loading a model")
    file = Path(path)
    try:
        _check_is_file(file)
        with safetensors.safe_open(file, framework="np") as stored:
            header = _header(stored.metadata())
            dtypes = {name: stored.get_slice(name).get_dtype() for name in stored.keys()}  # noqa: SIM118 (no mapping)
            if unknown := set(dtypes.values()) - _DTYPES.keys():
                raise FileFormatError(f"it has tensors of the dtype {min(unknown)}")
            tensors = {name: stored.get_tensor(name) for name in dtypes}
    except FileFormatError as error:
        raise FileFormatError(f"{file}: {error}") from error
    except safetensors.SafetensorError as error:
        raise FileFormatError(
            f"{file} is not a safetensors file, or is damaged: {error}"
        ) from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
    if header["sha256"] != _digest(header["content"], tensors):
        raise FileFormatError(f"{file} is damaged: its checksum does not fit what it holds")
    return Content(header["content"], tensors)


def _check_is_file(file: Path) -> None:
    if not file.exists():
        raise DataError(f"{file}: there is no such file")
    if not file.is_file():
        raise DataError(f"{file} is no file; give a file that typegrad saved")
    with file.open("rb"):  # safetensors says of a file without permission that there is none
        pass


def _header(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    if not metadata or _KEY not in metadata:
        raise FileFormatError("this safetensors file holds no model of typegrad")
    header = parse_json(metadata[_KEY])
    if not isinstance(header, dict) or header.keys() != {"version", "sha256", "content"}:
        raise FileFormatError("its description is not one of typegrad")
    version = header["version"]
    if version != FORMAT_VERSION:
        raise FileFormatError(
            f"its format is version {version!r:.20}; this typegrad reads version "
            f"{FORMAT_VERSION}, a newer one may read it"
        )
    if not isinstance(header["content"], dict):
        raise FileFormatError("its description is not one of typegrad")
    return header


def parse_json(text: str) -> Any:
    """Parse JSON without NaN and infinities.

    Raises
    ------
    FileFormatError
        If the text is something else.
    """

    def refuse(constant: str) -> NoReturn:
        raise FileFormatError(f"its description has the number {constant}")

    def finite(number: str) -> float:
        value = float(number)
        return value if math.isfinite(value) else refuse(number[:20])

    try:
        return json.loads(text, parse_constant=refuse, parse_float=finite)
    except (ValueError, RecursionError) as error:
        reason = error if isinstance(error, FileFormatError) else f"it is not JSON ({error})"
        raise FileFormatError(f"its description cannot be read: {reason}") from error


def _to_json(value: object) -> str:
    return json.dumps(value, allow_nan=False, sort_keys=True, separators=(",", ":"))


def _digest(description: Mapping[str, Any], tensors: Mapping[str, AnyArray]) -> str:
    """SHA-256 of everything: it tells damage, not malice."""
    digest = hashlib.sha256(_to_json(description).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {tensor.shape}\n".encode())
        digest.update(np.ascontiguousarray(tensor).data)
    return digest.hexdigest()

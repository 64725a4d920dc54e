"""Objects as JSON, by one convention: constructor parameters are attributes of the same name.

`Dense(8, 64, tg.ReLU())` becomes ``{"class": "Dense", "arguments": {"in_features": 8, ...}}``.
Only classes that the reader already has are ever made again; nothing is imported by a
name in a file.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any, TypeAlias

import numpy as np

from typegrad import initializers, layers, losses, operations
from typegrad.errors import DataError, FileFormatError
from typegrad.layers import Layer
from typegrad.operations import Operation, Parameter

Definition: TypeAlias = Callable[..., Any]
"""A class, or a function such as an initializer."""


def built_in_definitions() -> dict[str, Definition]:
    """Return the classes of typegrad that a description may name."""
    found: dict[str, Definition] = {}
    for module in (operations, layers, losses):
        for name in module.__all__:
            value = getattr(module, name)
            is_part = isinstance(value, type) and issubclass(value, Layer | Operation)
            if is_part and not inspect.isabstract(value):
                found[name] = value
    return found | {name: getattr(initializers, name) for name in initializers.__all__}


def definitions_with(custom: Iterable[Definition]) -> dict[str, Definition]:
    """Return the built-in definitions, and those that the user gave.

    Raises
    ------
    ValueError
        If something given is neither class nor function, or has a name that is taken.
    """
    definitions = built_in_definitions()
    for definition in custom:
        if not isinstance(definition, type | FunctionType):
            raise ValueError(f"custom has {definition!r}; expected classes and functions")
        name = definition.__name__
        if definitions.setdefault(name, definition) is not definition:
            raise ValueError(f"custom: the name {name!r} is taken; rename the class")
    return definitions


class Encoder:
    """Turns objects into JSON values, and notes which definitions they need."""

    def __init__(self) -> None:
        self.definitions: dict[str, Definition] = built_in_definitions()

    def encode(self, value: object, place: str) -> Any:
        """Encode a value; `place` says in messages what it is.

        Raises
        ------
        DataError
            If the value cannot be described so that it can be made again.
        """
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            raise DataError(f"{place} is {value}; only finite numbers can be saved")
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list | tuple):
            parts = [self.encode(part, place) for part in value]
            return parts if isinstance(value, list) else {"tuple": parts}
        if isinstance(value, Mapping):
            items = value.items()
            return {"dict": [[self.encode(k, place), self.encode(v, place)] for k, v in items]}
        if isinstance(value, FunctionType):
            return {"function": self._name(value, place)}
        return self._encode_object(value, place)

    def _encode_object(self, value: object, place: str) -> Any:
        cls = type(value)
        if cls.__module__ in ("builtins", "numpy") or isinstance(value, Parameter):
            raise DataError(
                f"{place} is of type {cls.__name__}; what is saved must be numbers, texts, lists, "
                "layers, operations, initializers or other objects whose constructor "
                "parameters are attributes of the same name"
            )
        name = self._name(cls, place)
        arguments = {
            parameter.name: self.encode(
                _argument(value, parameter), _inside(place, name, parameter.name)
            )
            for parameter in _parameters(cls)
        }
        return {"class": name, "arguments": arguments}

    def _name(self, definition: Definition, place: str) -> str:
        name = definition.__name__
        if name == "<lambda>":
            raise DataError(f"{place} is a lambda; use a function or class with a name")
        if self.definitions.setdefault(name, definition) is not definition:
            raise DataError(
                f"{place}: two classes or functions are named {name!r}; rename one of them"
            )
        return name


class Decoder:
    """Makes objects of what `Encoder` gave; trusts none of it.

    Parameters
    ----------
    definitions
        What a description may name.
    largest_size
        Numbers in the arguments of typegrad's own classes are sizes; none may be larger
        than this, so that a damaged one does not fill the memory.
    on_layer
        Called with each layer as soon as it is made.
    """

    def __init__(
        self,
        definitions: Mapping[str, Definition],
        largest_size: int,
        on_layer: Callable[[Layer], None],
    ) -> None:
        self._definitions = definitions
        self._built_in = built_in_definitions()
        self._largest_size = largest_size
        self._on_layer = on_layer

    def decode(self, data: object, place: str) -> Any:
        """Decode a value.

        Raises
        ------
        FileFormatError
            If it cannot come from `Encoder`, or names what is not defined.
        """
        if isinstance(data, list):
            return [self.decode(part, place) for part in data]
        if not isinstance(data, dict):
            return data
        if set(data) == {"class", "arguments"}:
            return self._decode_object(data["class"], data["arguments"], place)
        if set(data) == {"function"}:
            return self._definition(data["function"], place)
        inner = next(iter(data.values())) if len(data) == 1 else None
        if isinstance(inner, list) and "tuple" in data:
            return tuple(self.decode(part, place) for part in inner)
        if isinstance(inner, list) and "dict" in data:
            return dict(self._pair(item, place) for item in inner)
        raise FileFormatError(f"{place} has the fields {sorted(data)!r:.80}")

    def _pair(self, item: object, place: str) -> tuple[Any, Any]:
        key, value = item if isinstance(item, list) and len(item) == 2 else (None, None)
        if not isinstance(key, int | str):
            raise FileFormatError(f"{place} has a dictionary with the entry {item!r:.80}")
        return key, self.decode(value, place)

    def _definition(self, name: object, place: str) -> Definition:
        if not isinstance(name, str) or name not in self._definitions:
            raise FileFormatError(
                f"{place} is a {name!r:.80}, which is not part of typegrad; if it is yours, "
                f"pass it: load(path, custom=[{name if isinstance(name, str) else '...'!s:.80}])"
            )
        return self._definitions[name]

    def _decode_object(self, name: object, arguments: object, place: str) -> Any:
        definition = self._definition(name, place)
        if not isinstance(arguments, dict) or not isinstance(definition, type):
            raise FileFormatError(f"{place}: {name} is not described by its arguments")
        parameters = {parameter.name: parameter for parameter in _parameters(definition)}
        if arguments.keys() != parameters.keys():
            raise FileFormatError(
                f"{place}: {name} has the arguments {sorted(arguments)!r:.200}; "
                f"expected {sorted(parameters)}"
            )
        values = {
            key: self.decode(value, _inside(place, str(name), key))
            for key, value in arguments.items()
        }
        if self._built_in.get(str(name)) is definition:
            self._check_sizes(values.values(), f"{place}: {name}")
        made = _construct(definition, parameters, values, place)
        if isinstance(made, Layer):
            self._on_layer(made)
        return made

    def _check_sizes(self, values: Iterable[object], place: str) -> None:
        for value in _whole_numbers(values):
            if abs(value) > self._largest_size:
                raise FileFormatError(f"{place} has the size {value!r:.20}, but the file is small")


def _inside(place: str, name: str, argument: str) -> str:
    """Name an argument by its owner and by the outermost place, however deep it is."""
    return f"{place.partition(':')[0]}: {name}.{argument}"


def _whole_numbers(values: Iterable[object]) -> Iterator[int]:
    for value in values:
        if isinstance(value, int):
            yield value
        elif isinstance(value, list | tuple):
            yield from _whole_numbers(value)
        elif isinstance(value, dict):
            yield from _whole_numbers([*value, *value.values()])


def _parameters(cls: type) -> list[inspect.Parameter]:
    return list(inspect.signature(cls).parameters.values())


def _argument(owner: object, parameter: inspect.Parameter) -> object:
    """What the constructor was given, read from the attribute of the same name."""
    cls = type(owner).__name__
    if parameter.kind is parameter.VAR_KEYWORD or not hasattr(owner, parameter.name):
        raise DataError(
            f"{cls} cannot be saved: its constructor takes {parameter.name!r}, but there is no "
            f"attribute of that name; set self.{parameter.name} in __init__"
        )
    value = getattr(owner, parameter.name)
    if parameter.kind is parameter.VAR_POSITIONAL:
        return list(value)
    if isinstance(parameter.default, bool) and not isinstance(value, bool):
        # Whether there is a part, such as a bias: the attribute holds the part, or None.
        return value is not None
    return value


def _construct(
    cls: type, parameters: Mapping[str, inspect.Parameter], values: Mapping[str, Any], place: str
) -> Any:
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.extend(values[name] if isinstance(values[name], list) else [values[name]])
        elif parameter.kind is parameter.KEYWORD_ONLY:
            keywords[name] = values[name]
        else:
            positional.append(values[name])
    try:
        return cls(*positional, **keywords)
    except Exception as error:  # a constructor may fail in any way on what a file says
        raise FileFormatError(f"{place}: {cls.__name__} cannot be made: {error}") from error

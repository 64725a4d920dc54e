"""Widths as mypy's types write them, and the parts of a sequence of layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mypy.maptype import map_instance_to_supertype
from mypy.nodes import Expression, TypeInfo
from mypy.types import AnyType, Instance, LiteralType, Type, TypeOfAny, get_proper_type

DIM = "typegrad.dimensions.Dim"
LAYER = "typegrad.layers.base.Layer"

_MODULES_OF_PLAIN_REPRS = ("builtins", "typegrad.layers.base", "typegrad.operations.base")
UNKNOWN = AnyType(TypeOfAny.special_form)


@dataclass(frozen=True)
class Width:
    """Numbers of features that are possible; no types if nothing is known."""

    types: tuple[Type, ...] = ()

    @property
    def type(self) -> Type:
        """The width as an argument of a type."""
        return self.types[0] if len(self.types) == 1 else UNKNOWN

    def excludes(self, other: Width) -> bool:
        """Whether both are known and have nothing in common."""
        names, others = ({width_name(each) for each in side.types} for side in (self, other))
        return bool(names and others) and not names & others

    def __str__(self) -> str:
        return " or ".join(short_name(each) for each in self.types) or "..."


ANY_WIDTH = Width()


@dataclass(frozen=True)
class Part:
    """One layer of a sequence, or what is known of it."""

    node: Expression
    text: str
    takes: Width = ANY_WIDTH
    gives: Width = ANY_WIDTH
    keeps: bool = False
    """Whether it gives what it takes, whatever that is."""


def width_name(width: Type) -> str | None:
    """Return a text that is equal for equal widths; None if the width is not known."""
    proper = get_proper_type(width)
    if isinstance(proper, LiteralType) and type(proper.value) is int:
        return str(proper.value)
    if isinstance(proper, Instance) and proper.type.has_base(DIM):
        return proper.type.fullname
    return None


def short_name(width: Type) -> str:
    """Return the width as a user writes it."""
    return (width_name(width) or "...").rpartition(".")[2] or "..."


def call_text(made: TypeInfo) -> str:
    """Write an object as its ``repr`` does, with dots for options that are not known."""
    owner = made.get_containing_type_info("__repr__")
    has_options = made.metadata.get("dataclass", {}).get("attributes")
    is_plain = owner is None or owner.module_name in _MODULES_OF_PLAIN_REPRS
    return f"{made.name}()" if is_plain and not has_options else f"{made.name}(...)"


def width_of(types: Iterable[Type]) -> Width:
    """Return the width that is one of several types."""
    named = {width_name(each): each for each in types}
    return ANY_WIDTH if None in named else Width(tuple(named.values()))


def layer_widths(given: Instance) -> tuple[Width, Width] | None:
    """Return what a layer takes and gives; None if it is no layer."""
    layer = as_layer(given)
    if layer.type.fullname != LAYER:
        return None
    takes, gives = layer.args
    return width_of([takes]), width_of([gives])


def as_layer(given: Instance) -> Instance:
    """Return a layer's type as one of `Layer`; another type as it is."""
    bases = (base for base in given.type.mro if base.fullname == LAYER)
    return next((map_instance_to_supertype(given, base) for base in bases), given)


def literal_int(given: Type) -> LiteralType | None:
    """Return the type of a whole number that is written out."""
    proper = get_proper_type(given)
    if isinstance(proper, Instance) and proper.last_known_value is not None:
        proper = proper.last_known_value
    if isinstance(proper, LiteralType) and type(proper.value) is int:
        return proper
    return None

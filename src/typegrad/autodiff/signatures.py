"""Types of the functions that grad and its kin make.

They are protocols rather than ``Callable``, since mypy calls what it finds out about a
lambda through a ``Callable`` untyped.
"""

from __future__ import annotations

from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
X_contra = TypeVar("X_contra", contravariant=True)
Y_contra = TypeVar("Y_contra", contravariant=True)
D_co = TypeVar("D_co", covariant=True)


class FunctionOfOne(Protocol[X_contra, P, D_co]):
    """Takes an argument that matters for the result's type, and others."""

    def __call__(self, x: X_contra, /, *args: P.args, **kwargs: P.kwargs) -> D_co: ...


class FunctionOfTwo(Protocol[X_contra, Y_contra, P, D_co]):
    """Takes two arguments that matter for the result's type, and others."""

    def __call__(self, x: X_contra, y: Y_contra, /, *args: P.args, **kwargs: P.kwargs) -> D_co: ...

"""Derivatives of functions of arrays, of any order, and the steps that they take."""

from __future__ import annotations

from typegrad.autodiff.checking import check_gradients
from typegrad.autodiff.drawing import Drawing, draw_graph
from typegrad.autodiff.forward import hvp, jvp
from typegrad.autodiff.gradient import grad, value_and_grad, vjp
from typegrad.autodiff.jacobian import hessian, jacobian
from typegrad.autodiff.tracing import Computation, Step, trace

__all__ = [
    "Computation",
    "Drawing",
    "Step",
    "check_gradients",
    "draw_graph",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "trace",
    "value_and_grad",
    "vjp",
]

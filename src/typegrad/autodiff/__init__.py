"""Derivatives of functions of arrays, of any order."""

from __future__ import annotations

from typegrad.autodiff.checking import check_gradients
from typegrad.autodiff.forward import hvp, jvp
from typegrad.autodiff.gradient import grad, value_and_grad, vjp
from typegrad.autodiff.jacobian import hessian, jacobian

__all__ = ["check_gradients", "grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

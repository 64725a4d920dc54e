"""Tensors: arrays that record what is computed from them."""

from __future__ import annotations

from typegrad.tensor import products as products
from typegrad.tensor import reductions as reductions
from typegrad.tensor import shaping as shaping
from typegrad.tensor import ufuncs as ufuncs
from typegrad.tensor.recording import no_grad
from typegrad.tensor.tensor import Tensor

__all__ = ["Tensor", "no_grad"]

"""Layers: configurations that hold parameters and operations."""

from __future__ import annotations

from typegrad.layers.base import Buffer, ElementwiseLayer, Layer, named_parts
from typegrad.layers.containers import Chain, Flatten, Residual
from typegrad.layers.dense import ACTIVATIONS, Activation, ActivationName, Dense, make_activation
from typegrad.layers.embedding import ColumnEmbedding, Embedding
from typegrad.layers.mode import INFERENCE, Mode
from typegrad.layers.normalization import BatchNorm, LayerNorm
from typegrad.layers.regularization import Dropout
from typegrad.operations.layer_like import LayerLike

__all__ = [
    "ACTIVATIONS",
    "INFERENCE",
    "Activation",
    "ActivationName",
    "BatchNorm",
    "Buffer",
    "Chain",
    "ColumnEmbedding",
    "Dense",
    "Dropout",
    "ElementwiseLayer",
    "Embedding",
    "Flatten",
    "Layer",
    "LayerLike",
    "LayerNorm",
    "Mode",
    "Residual",
    "make_activation",
    "named_parts",
]

"""typegrad: tensor autodiff and regression networks in plain NumPy."""

from __future__ import annotations

from typegrad import datasets as datasets
from typegrad import initializers as initializers
from typegrad._version import __version__ as __version__
from typegrad.layers import *  # noqa: F403
from typegrad.losses import *  # noqa: F403
from typegrad.network import NeuralNetwork as NeuralNetwork
from typegrad.operations import *  # noqa: F403

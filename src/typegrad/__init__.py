"""typegrad: tensor autodiff and regression networks in plain NumPy."""

from __future__ import annotations

from typegrad import datasets as datasets
from typegrad import initializers as initializers
from typegrad._version import __version__ as __version__
from typegrad.callbacks import *  # noqa: F403
from typegrad.data import *  # noqa: F403
from typegrad.history import History as History
from typegrad.layers import *  # noqa: F403
from typegrad.losses import *  # noqa: F403
from typegrad.network import NeuralNetwork as NeuralNetwork
from typegrad.operations import *  # noqa: F403
from typegrad.optimizers import *  # noqa: F403
from typegrad.schedules import *  # noqa: F403
from typegrad.trainer import Trainer as Trainer

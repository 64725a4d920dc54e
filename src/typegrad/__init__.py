"""typegrad: tensor autodiff and regression networks in plain NumPy."""

from typegrad._version import __version__

"""Calculus for machine learning: derivatives, gradients and gradient descent."""

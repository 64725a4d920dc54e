"""Contestants of `training_step.py`: libraries that train the same network."""

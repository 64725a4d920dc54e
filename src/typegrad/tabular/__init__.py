"""Train on tables: from a file of data to a model that reads such files."""

from typegrad.tabular.model import TableModel
from typegrad.tabular.training import TrainingResult, train_table

__all__ = ["TableModel", "TrainingResult", "train_table"]

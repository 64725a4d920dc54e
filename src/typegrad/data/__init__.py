"""From files and data frames to the matrices that a network learns from."""

from typegrad.data.dataset import BlockedDataset, Dataset
from typegrad.data.encoder import TableEncoder
from typegrad.data.parquet_dataset import ParquetDataset
from typegrad.data.reading import read_table
from typegrad.data.standardizer import Standardizer
from typegrad.data.table import Table

__all__ = [
    "BlockedDataset",
    "Dataset",
    "ParquetDataset",
    "Standardizer",
    "Table",
    "TableEncoder",
    "read_table",
]

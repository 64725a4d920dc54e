"""From files and data frames to the matrices that a network learns from."""

from typegrad.data.encoder import TableEncoder
from typegrad.data.reading import read_table
from typegrad.data.standardizer import Standardizer
from typegrad.data.table import Table

__all__ = ["Standardizer", "Table", "TableEncoder", "read_table"]

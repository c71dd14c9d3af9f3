"""Modes, high quality and divergence against samples whose answers are known."""

import numpy as np
import pytest

from npgan.data.mixture import grid, ring
from npgan.errors import ShapeError
from npgan.study.studies.quality import quality


def test_the_data_themselves():
    mixture = grid()
    x = np.empty((20_000, 2))
    mixture.batch(np.arange(20_000), x)
    found = quality(x, mixture)
    assert found.modes == 25
    assert found.high == pytest.approx(1 - np.exp(-4.5), abs=0.003)
    assert 0 <= found.divergence < 0.002


def test_edges():
    mixture = ring()
    at = mixture.means[[0, 0, 0, 3]]
    found = quality(at, mixture)
    assert (found.modes, found.high) == (2, 1.0)
    # Of the shares ¾ and ¼ against ⅛: ¾ ln 6 + ¼ ln 2.
    assert found.divergence == pytest.approx(0.75 * np.log(6) + 0.25 * np.log(2))
    assert quality(mixture.means + np.array([0.0299, 0]), mixture).high == 1.0
    assert quality(mixture.means + np.array([0.0301, 0]), mixture).high == 0.0
    none = quality(np.zeros((3, 2)), mixture)
    assert (none.modes, none.high, none.divergence) == (0, 0.0, np.inf)
    assert quality(np.array([[np.nan, 0.0], [1.0, 0.0]]), mixture).high == 0.5
    with pytest.raises(ShapeError, match=r"expected \(N, 2\)"):
        quality(np.zeros((3, 3)), mixture)

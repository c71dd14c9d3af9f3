import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.errors import ConfigError, ShapeError
from npgan.optimizers import clip_norm, clip_value, finite, norm

backends = pytest.mark.parametrize("backend", ["cpu", "reference"])


@backends
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 50), most=st.floats(1e-3, 1e3))
@settings(max_examples=30, deadline=None)
def test_clip_norm(backend, seed, size, most):
    gradient = np.random.default_rng(seed).normal(size=size) * 10
    before = gradient.copy()
    found = clip_norm(gradient, most, backend=backend)
    assert found == pytest.approx(np.linalg.norm(before), rel=1e-12)
    if found <= most:
        np.testing.assert_array_equal(gradient, before)
    else:
        assert np.linalg.norm(gradient) == pytest.approx(most, rel=1e-12)
        np.testing.assert_allclose(gradient * found, before * most, rtol=1e-12)


@backends
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_norm_that_is_not_finite_is_left_to_be_seen(backend, bad):
    gradient = np.array([3, bad, 4], np.float32)
    before = gradient.copy()
    found = clip_norm(gradient, 1.0, backend=backend)
    assert not math.isfinite(found)
    np.testing.assert_array_equal(gradient, before)
    assert not finite(gradient, backend=backend)
    assert not math.isfinite(clip_value(gradient, 1.0, backend=backend))
    np.testing.assert_array_equal(gradient, np.clip(before, -1, 1))


@backends
def test_clip_value_norm_and_finite(backend):
    gradient = np.array([3, -4, 0.5], np.float32)
    assert clip_value(gradient, 1.0, backend=backend) == pytest.approx(math.sqrt(25.25))
    np.testing.assert_array_equal(gradient, np.array([1, -1, 0.5], np.float32))
    assert norm(gradient, backend=backend) == 1.5
    assert finite(gradient, backend=backend)
    assert finite(np.array([3e38, -3e38], np.float32), backend=backend)
    assert finite(np.zeros(0), backend=backend)


def test_errors():
    for most in (0, -1, np.nan, None):
        with pytest.raises(ConfigError, match="clip_norm: most is"):
            clip_norm(np.ones(2), most)
        with pytest.raises(ConfigError, match="clip_value: most is"):
            clip_value(np.ones(2), most)
    with pytest.raises(ShapeError, match=r"norm: the vector is \(2, 2\)"):
        norm(np.ones((2, 2)))

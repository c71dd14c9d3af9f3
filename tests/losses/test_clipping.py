import numpy as np
import pytest

from npgan.errors import ConfigError, ShapeError
from npgan.losses import clip_weights

backends = pytest.mark.parametrize("backend", ["cpu", "reference"])


@backends
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clips_in_place_and_only_the_ranges(backend, dtype):
    theta = np.array([-3, -0.005, 0.5, 3, np.nan, 2, -2], dtype)
    assert clip_weights(theta, 0.01, [(0, 2), (3, 5)], backend=backend) is theta
    np.testing.assert_array_equal(theta, np.array([-0.01, -0.005, 0.5, 0.01, np.nan, 2, -2], dtype))
    clip_weights(theta, 0.01, backend=backend)
    np.testing.assert_array_equal(theta, np.array([-0.01, -0.005, 0.01, 0.01, np.nan, 0.01, -0.01], dtype))


def test_errors():
    for c in (0, -1, np.nan, "1"):
        with pytest.raises(ConfigError, match="clip_weights: c is"):
            clip_weights(np.zeros(3), c)
    for span in ((0, 4), (2, 1), (-1, 2)):
        with pytest.raises(ConfigError, match="is not in theta"):
            clip_weights(np.zeros(3), 1, [span])
    with pytest.raises(ShapeError, match="flat vector"):
        clip_weights(np.zeros((3, 1)), 1)

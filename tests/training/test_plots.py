import math
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from npgan.errors import CheckpointError, ConfigError
from npgan.training.plots import loss_plot, running_mean


def rows(n):
    wave = np.sin(np.arange(n))
    return [
        {"step": 10 * i, "loss_d": 1 + wave[i], "loss_g": 3 + wave[i], "grad_norm_d": 2 + wave[i], "grad_norm_g": 9.0}
        for i in range(n)
    ]


def near(picture, rgb):
    return np.argwhere((np.abs(picture.astype(int) - rgb) < 30).all(axis=2))


def pixels(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_the_png_has_both_players_in_both_panels(tmp_path):
    loss_plot(rows(200), tmp_path / "losses.png", "a run")
    picture = pixels(tmp_path / "losses.png")
    half = len(picture) // 2
    blue, orange = near(picture, (0, 114, 178)), near(picture, (213, 94, 0))
    for color in (blue, orange):
        assert (color[:, 0] < half).sum() > 500
        assert (color[:, 0] > half).sum() > 500
    # G's loss lies above D's.
    assert np.median(orange[orange[:, 0] < half, 0]) < np.median(blue[blue[:, 0] < half, 0])
    assert os.listdir(tmp_path) == ["losses.png"]


def test_svg_has_its_labels(tmp_path):
    import matplotlib as mpl

    def texts(metrics):
        with mpl.rc_context({"svg.fonttype": "none"}):
            loss_plot(metrics, tmp_path / "losses.svg", "a run")
        return {e.text for e in ET.parse(tmp_path / "losses.svg").iter() if e.tag.endswith("}text")}

    found = texts([*rows(3), {"step": 40, "loss_penalty": 1.0}])
    assert {"a run", "loss", "gradient norm", "step", "D", "G", "penalty", "0", "20", "40"} <= found
    assert {"no values yet", "0", "1000"} <= texts([{"step": 500 * i, "loss_d": 1.0} for i in range(3)])


@pytest.mark.parametrize(
    "metrics",
    [
        [],
        [{"step": 1}],
        rows(1),
        [{"step": 1, "loss_d": math.nan, "grad_norm_d": math.nan}, {"step": 2, "loss_d": math.inf}],
        [{"step": 1, "grad_norm_d": 0.0}, {"step": 2, "grad_norm_d": -1.0}],
        [{"step": i, "loss_d": 1e300 * (-1) ** i, "grad_norm_g": 10.0**-i} for i in range(300)],
        [{"step": i, f"loss_{i}": 1.0} for i in range(12)],
        [{"step": i, "loss_d": 1.0} for i in range(30_001)],
    ],
)
def test_odd_metrics(tmp_path, metrics):
    loss_plot(metrics, tmp_path / "losses.png")
    assert pixels(tmp_path / "losses.png").shape[2] == 3


def test_names_and_places(tmp_path):
    with pytest.raises(ConfigError, match=r"losses\.pdf, expected a name that ends in \.png or \.svg"):
        loss_plot([], tmp_path / "losses.pdf")
    with pytest.raises(CheckpointError, match="No such file"):
        loss_plot([], tmp_path / "none" / "losses.png")


def test_no_state_of_pyplot(tmp_path):
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from npgan.training.plots import loss_plot; from npgan.training.pictures import scatter_picture\n"
        f"loss_plot([], Path({str(tmp_path / 'a.png')!r})); scatter_picture(np.zeros((3, 2)))\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@given(hnp.arrays(np.float64, st.integers(0, 40), elements=st.floats(-1e3, 1e3)), st.integers(0, 50))
def test_running_mean(values, half):
    expected = [values[max(i - half, 0) : i + half + 1].mean() for i in range(len(values))]
    np.testing.assert_allclose(running_mean(values, half), expected, rtol=1e-12, atol=1e-9)

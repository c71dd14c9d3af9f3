"""The plot is drawn for what has peers, and refused for what has none."""

from __future__ import annotations

import pytest

from npgan.bench.plot import speedup_plot
from npgan.bench.results import PEERS, Report, Row, Sample
from npgan.errors import ConfigError


def rows(*ratios):
    peers = dict(zip(PEERS, ratios, strict=False))
    samples = {"npgan": Sample((1.0,)), **{name: Sample((ratio,)) for name, ratio in peers.items()}}
    return [Row("steps", "", "ring", samples=samples), Row("layers", "dcgan", "D/0", samples=samples)]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_files(tmp_path, ending):
    path = tmp_path / f"plot.{ending}"
    speedup_plot(Report({}, rows=rows(2.0, 0.5, 100.0, 1.0, 12.0)), path)
    assert path.stat().st_size > 1000


def test_labels(tmp_path):
    path = tmp_path / "plot.svg"
    report = Report({"machine": {"cpu": "Some CPU"}, "threads": 7}, rows=[*rows(2.0, 0.5), Row("steps", "", "lonely")])
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none"}):
        speedup_plot(report, path)
    text = path.read_text()
    for word in ("2.0x", "0.50x", "PyTorch, eager", "channels_last", "Some CPU, 7 threads", "ring", "layers, dcgan"):
        assert word in text
    assert "JAX" not in text
    assert "lonely" not in text


def test_refusals(tmp_path):
    with pytest.raises(ConfigError, match="expected a name that ends"):
        speedup_plot(Report({}, rows=rows(2.0)), tmp_path / "plot.jpg")
    with pytest.raises(ConfigError, match="nothing to draw"):
        speedup_plot(Report({}, rows=rows()), tmp_path / "plot.png")

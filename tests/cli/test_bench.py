from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from npgan.bench.results import load
from npgan.layers import LeakyReLU

RING = ("--filter", "ring", "--batch", "4", "--rounds", "2")


@pytest.fixture(autouse=True)
def _small_roofline(monkeypatch):
    monkeypatch.setattr("npgan.bench.machine._SIZES", ((64, 64, 64),))
    monkeypatch.setattr("npgan.bench.machine._COPY", 1 << 16)
    monkeypatch.setattr("npgan.bench.timing._MOST_CALLS", 2)


@pytest.fixture
def _no_frameworks(monkeypatch):
    import sys

    for name in ("torch", "jax"):
        monkeypatch.setitem(sys.modules, name, None)  # as where it is not installed


@pytest.mark.usefixtures("_no_frameworks")
def test_steps_without_frameworks(cli, tmp_path):
    path, plot = tmp_path / "found.json", tmp_path / "plot.png"
    result = cli("bench", "--filter", "ring", "--batch", 4, "--rounds", 3, "--json", path, "--plot", plot)
    assert result.code == 0
    for words in (
        *("npgan's median, and how many times", "ring, batch 4", "reference", "GF/s", "peaks of this machine"),
        *("PyTorch, eager is left out: import of torch halted", "JAX, jit is left out", "the control"),
    ):
        assert words in result.out
    assert all(len(line) <= 100 or "left out" in line for line in result.out.splitlines())
    assert plot.read_bytes().startswith(b"\x89PNG")
    report = load(path)
    assert report.complete
    (row,) = report.rows
    assert set(row.samples) == {"npgan", "reference"}
    assert len(row.samples["npgan"].values) == 3
    assert row.agreement["reference"] < 1e-9
    assert set(row.left_out) == {"PyTorch", "compile", "JAX"}
    assert set(report.roofline) == {"gemm", "copy"}
    assert report.about["command"] == "npgan bench steps --rounds 3 --backend cpu --peers --filter ring --batch 4"
    assert report.about["threads"] >= 1


def test_no_peers(cli, tmp_path):
    path = tmp_path / "found.json"
    names = ("--filter", "G/0 dense 2", "--filter", "ring G")
    result = cli("bench", "layers", "products", *names, "--batch", 4, "--rounds", 1, "--no-peers", "--json", path)
    assert result.code == 0
    assert "left out" not in result.out
    rows = load(path).rows
    assert {row.suite for row in rows} == {"layers", "products"}
    assert all(set(row.samples) == {"npgan"} for row in rows)
    assert all(row.agreement["reference"] < 1e-9 for row in rows)


def test_a_wrong_derivative_is_refused(cli, monkeypatch, tmp_path):
    right = LeakyReLU.backward

    def wrong(self, f):
        right(self, f)
        if f.dx is not None and f.k.version == "reference":  # the fast one may not ask the layer
            f.dx[0] *= 1.001

    monkeypatch.setattr(LeakyReLU, "backward", wrong)
    path = tmp_path / "found.json"
    result = cli("bench", *RING, "--no-peers", "--json", path)
    assert result.code == 1
    assert "WRONG steps, ring, batch 4: reference differs from npgan in float64" in result.err
    assert "WRONG" in result.out
    (row,) = load(path).rows
    assert row.refused
    assert not row.samples


def test_an_interrupt_leaves_what_was_measured(cli, monkeypatch, tmp_path):
    from npgan.bench import suites

    original, count = suites.contest, iter(range(9))

    def contest(*arguments, **options):
        if next(count) == 1:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(suites, "contest", contest)
    path = tmp_path / "found.json"
    result = cli("bench", "products", *RING, "--no-peers", "--json", path)
    assert result.code == 1
    assert "ring G, batch 4" in result.out
    assert "interrupted" in result.err
    report = load(path)
    assert [row.name for row in report.rows] == ["ring G, batch 4"]
    assert not report.complete


def test_kernels(cli, tmp_path):
    path = tmp_path / "found.json"
    result = cli("bench", "kernels", "--filter", "dcgan-64", "--json", path)
    assert result.code == 0
    assert "D/2 conv 4/2, 64 to 128 at 32 winograd" in " ".join(result.out.split())
    assert "ring" not in result.out
    assert max(map(len, result.out.splitlines())) <= 100
    assert {each["group"] for each in json.loads(path.read_text())["algorithms"]} == {"dcgan-64, batch 64"}


def test_products_of_a_game_are_counted_in_gradients(cli, tmp_path):
    path = tmp_path / "found.json"
    result = cli("bench", "products", "-k", "ring Ju, ", "--batch", 4, "--rounds", 3, "--no-peers", "--json", path)
    assert result.code == 0
    (row,) = load(path).rows
    assert (row.group, row.name) == ("game", "ring Ju, batch 4")
    shown = next(line for line in result.out.splitlines() if "ring Ju, batch 4" in line)
    assert f"{row.gradients:.2f}x" in shown
    assert "gradients: how many times as long" in result.out


@pytest.fixture
def pair(cli, tmp_path):
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    assert cli("bench", *RING, "--no-peers", "--json", before).code == 0
    report = load(before)
    report.control = [[1.0, 1.0, 1.0]]
    report.save(before)
    return before, after, report


@pytest.mark.parametrize(("factor", "code", "word"), [(1.0, 0, ""), (3.0, 1, "SLOWER"), (0.2, 0, "faster")])
def test_compare(cli, pair, factor, code, word):
    before, after, report = pair
    sample = report.rows[0].samples["npgan"]
    report.rows[0].samples["npgan"] = replace(sample, values=tuple(np.median(sample.values) * np.array([factor] * 3)))
    report.save(after)
    result = cli("bench", "compare", before, after)
    assert result.code == code
    assert word in result.out
    assert "steps, ring, batch 4" in result.out
    assert f"{code} of 1 worse by more than the noise of both" in result.out


def test_compare_says_what_differs(cli, pair):
    before, after, report = pair
    report.about["threads"] = 999
    report.save(after)
    result = cli("bench", "compare", before, after)
    assert "note: threads differs" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stepps"], "did you mean steps?"),
        (["steps", "--filter", "nothing"], "no work has 'nothing' in its name"),
        (["--rounds", "0"], "--rounds"),
        (["--batch", "0"], "--batch"),
        (["--backend", "tpu"], "--backend"),
        (["--plot", "plot.jpg"], "expected a name that ends in .png"),
        (["--plot", "missing/plot.png"], "there is no folder"),
        (["--json", "missing/found.json"], "there is no folder"),
        (["compare"], "compare takes two files, and 0 came"),
        (["compare", "a.json"], "compare takes two files, and 1 came"),
        (["compare", "a.json", "b.json"], "a.json cannot be read: No such file"),
    ],
)
def test_wrong_usage(cli, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("bench", *arguments)
    assert result.code == 2
    assert message in result.err


def test_foreign_json(cli, tmp_path, pair):
    foreign = tmp_path / "foreign.json"
    foreign.write_text('{"rows": []}')
    result = cli("bench", "compare", foreign, pair[0])
    assert result.code == 2
    assert "is not of `npgan bench`" in result.err


def test_nothing_in_common(cli, pair):
    before, after, report = pair
    report.rows[0].suite = "layers"
    report.save(after)
    result = cli("bench", "compare", before, after)
    assert result.code == 2
    assert "no row in common" in result.err


def test_nothing_to_draw(cli, tmp_path):
    result = cli("bench", *RING, "--no-peers", "--plot", tmp_path / "plot.png")
    assert result.code == 2
    assert "nothing to draw" in result.err


def test_as_a_module():
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-m", "npgan", "bench", "compare"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "compare takes two files" in done.stderr

"""npgan's contestants on a GPU, or on the emulator of one: they compute what plain NumPy does, recorded too."""

from __future__ import annotations

import json

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.bench import contest, machine, processes, suites
from npgan.bench.contest import EXACT, difference
from npgan.bench.machine import roofline
from npgan.bench.results import OURS, REFERENCE, Report


@pytest.fixture
def backend(cupy, monkeypatch):
    monkeypatch.setattr(contest, "BURST", 3)
    return get_backend("gpu:tf32")


@pytest.mark.parametrize("suite", ["steps", "layers", "products"])
def test_reference(tiny, backend, suite):
    left = [work for work in suites.select([suite], backend, [], []) if "dcgan-64" not in work.name]
    assert left
    for work in left:
        makers = work.make("float64", True)
        ours, other = (
            [np.array(a) for _ in range(work.checks) for a in makers[name]().result()] for name in (OURS, REFERENCE)
        )
        assert difference(other, ours) < EXACT, work


@pytest.mark.parametrize("words", [["ring"], ["mlp wgan-gp"]])
def test_steps_are_recorded_and_run_in_bursts(tiny, backend, words):
    (work,) = suites.select(["steps"], backend, [4], words)
    entrant = work.make("float32", False)[OURS]()
    assert entrant.burst == 3
    entrant.run()
    entrant.run()
    if "ring" in words:
        assert entrant.steps.reason is None
        assert entrant.count == 6
    else:
        assert entrant.step.recording is not None
        assert entrant.adam.t == 6
    entrant.result()


def test_a_row_of_each_kind(tiny, backend, monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "_PICTURES", 64)
    monkeypatch.setattr(processes, "_EPOCH_RECIPE", "mlp")
    monkeypatch.setattr(suites, "roofline", lambda backend, rounds: {"gemm": 1e9, "copy": 1e9})
    monkeypatch.setattr(processes, "_EPOCHS", 1)
    works = suites.select(["steps", "epoch"], backend, [8], ["ring, batch", "28 x 28"])
    report = Report({})
    rows = list(suites.run(works, backend, report, rounds=1, peers=False, say=lambda text: None))
    assert {row.suite for row in rows} == {"steps", "epoch"}
    assert not any(row.refused for row in rows)
    assert all(row.samples[OURS].median > 0 for row in rows)
    report.save(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["complete"] is False


def test_peaks(backend, monkeypatch):
    monkeypatch.setattr(machine, "_SIZES", ((32, 32, 32),))
    monkeypatch.setattr(machine, "_COPY", 1 << 16)
    assert set(roofline(backend, 1)) == {"gemm", "copy"}

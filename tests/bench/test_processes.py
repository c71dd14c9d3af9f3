"""What only a fresh process can tell."""

from __future__ import annotations

import pytest

from npgan.backend import get_backend
from npgan.bench import processes
from npgan.bench.probe import ProbeError, ask
from npgan.errors import NpganError


def test_a_fresh_process_answers():
    assert 0 < ask("import") < 60


def test_a_failure_is_said():
    with pytest.raises(ProbeError, match="KeyError"):
        ask("memory", "nobody", "ring", "2")
    assert issubclass(ProbeError, NpganError)


def test_memory_of_a_step():
    # The pass of 4096 samples alone holds some 2 x 4096 x 128 numbers for G and as much for D.
    small, large = (ask("memory", "npgan", "ring", batch) for batch in ("64", "16384"))
    assert large > max(small, 16384 * 128 * 4)


def rows(errands, rounds):
    return [each.measure(rounds, True) for each in errands]


def test_memory_leaves_out_who_is_not_installed(monkeypatch):
    def answer(*arguments):
        if arguments[1] != "npgan":
            raise ProbeError("ModuleNotFoundError: No module named 'torch'")
        return 5e8

    monkeypatch.setattr(processes, "ask", answer)
    (row,) = rows(processes.memory(get_backend("cpu"), []), 3)
    assert (row.unit, row.samples["npgan"].values) == ("bytes", (5e8, 5e8, 5e8))
    assert set(row.left_out) == {"PyTorch", "NHWC"}
    assert "torch" in row.left_out["PyTorch"]


def test_npgan_s_failure_is_not_hidden(monkeypatch):
    def fail(*arguments):
        raise ProbeError("broken")

    monkeypatch.setattr(processes, "ask", fail)
    with pytest.raises(ProbeError):
        rows(processes.memory(get_backend("cpu"), []), 1)


def test_cold_is_the_first_with_an_empty_cache(monkeypatch):
    asked = []

    def answer(*arguments, environment=None):
        asked.append((arguments, environment))
        return 10.0 if arguments[0] == "startup" and arguments[2].endswith("run-0") else 1.0

    monkeypatch.setattr(processes, "ask", answer)
    found = {row.name: row.samples["npgan"].values for row in rows(processes.startup(get_backend("cpu"), []), 2)}
    assert found == {
        "import npgan": (1.0, 1.0),
        "ring, to the end of the first step, cold": (10.0,),
        "ring, to the end of the first step, warm": (1.0, 1.0),
        "dcgan, to the end of the first step, cold": (10.0,),
        "dcgan, to the end of the first step, warm": (1.0, 1.0),
    }
    caches = {environment["NPGAN_CACHE_DIR"] for _, environment in asked if environment}
    assert len(caches) == 4  # one a row: none begins with what another compiled


def test_the_first_step_of_a_real_run(tmp_path):
    import time

    assert 0 < ask("startup", "ring", str(tmp_path / "run"), repr(time.time())) < 300

"""The command that runs the whole proof: what it runs is there, and what it says of a goal is so."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from npgan.bench import suites
from npgan.cli.options import BackendName


@pytest.fixture(scope="module")
def proof():
    path = Path(__file__).parents[2] / "bench" / "gpu_proof.py"
    spec = importlib.util.spec_from_file_location("gpu_proof", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_proof"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["gpu_proof"]


def measured(part, name):
    """Return the works of a part's command that have this in their names."""

    class Gpu:
        name, compute = "gpu", "tf32"

    words = part.command[part.command.index("bench") + 1 :]
    chosen = [words[i + 1] for i, word in enumerate(words) if word == "-k"]
    assert BackendName(words[words.index("--backend") + 1])
    batches = [int(words[i + 1]) for i, word in enumerate(words) if word == "--batch"]
    return [work for work in suites.select([words[0]], Gpu(), batches, chosen) if name in work.name]


def test_every_goal_is_measured_by_a_command_that_there_is(proof, tmp_path):
    parts = {part.name: part for part in proof.parts(tmp_path, quick=False)}
    assert parts["gradcheck"].most == 300
    for part in parts.values():
        if "bench" in part.command:
            assert measured(part, "") or part.name == "kernels"
    for goal in proof.GOALS:
        assert len(measured(parts[goal.report], goal.row)) == 1, goal


@pytest.mark.parametrize(
    ("seconds", "ratios", "reached"),
    [
        (50e-6, {"PyTorch": 11.0, "compile": 2.5}, True),
        (70e-6, {"PyTorch": 11.0, "compile": 2.5}, False),
        (50e-6, {"PyTorch": 9.0, "compile": 2.5}, False),
        (50e-6, {"PyTorch": 11.0}, False),
    ],
)
def test_a_goal_is_judged(proof, tmp_path, seconds, ratios, reached):
    row = {"name": "ring, batch 256", "samples": {"npgan": {"median": seconds}}, "ratios": ratios}
    (tmp_path / "steps-tf32.json").write_text(json.dumps({"rows": [row]}))
    text, found = proof.judge(proof.GOALS[0], tmp_path)
    assert found is reached
    assert f"{seconds * 1e6:.0f} us" in text


def test_what_was_not_measured_is_missed(proof, tmp_path, capsys):
    assert proof.judge(proof.GOALS[0], tmp_path) == ("was not measured", False)
    assert proof.report(tmp_path, {"info": None, "tests": "exit code 1"}) is False
    said = capsys.readouterr().out
    assert "FAILED  tests: exit code 1" in said
    assert (tmp_path / "summary.txt").read_text() == said


def test_a_part_that_fails_or_takes_too_long(proof, tmp_path):
    ok = proof.Part("ok", [sys.executable, "-c", "print(3)"])
    assert proof.run(ok, tmp_path) is None
    assert "\n3\nexit code 0" in (tmp_path / "ok.txt").read_text()
    assert "exit code 5" in proof.run(proof.Part("bad", [sys.executable, "-c", "raise SystemExit(5)"]), tmp_path)
    assert "are allowed" in proof.run(proof.Part("slow", ok.command, 1e-9), tmp_path)

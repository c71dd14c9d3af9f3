"""The examples run, and stay short enough to be read."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, *arguments, folder):
    program = [sys.executable, "-W", "error", EXAMPLES / name, *arguments]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(path):
    assert len(path.read_text().splitlines()) < 150


def test_both_examples_are_there():
    assert {"own_layer.py", "training_loop.py"} <= {path.name for path in EXAMPLES.glob("*.py")}


def test_training_loop(tmp_path):
    from PIL import Image

    out = run("training_loop.py", "3", "picture.png", folder=tmp_path)
    assert "step 3: L_D " in out
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.mode == "L"
        assert picture.size == (8 * (7 * 8 + 2) + 2,) * 2


def test_own_layer(tmp_path):
    out = run("own_layer.py", folder=tmp_path)
    assert "this is how a mistake looks:" in out
    assert "Swish" in out
    assert not list(tmp_path.iterdir())


def test_minimax_gradients(tmp_path):
    out = run("minimax_gradients.py", folder=tmp_path)
    assert "predicted: radius 1.004988, a turn in 63.0407 steps" in out
    assert "measured:  radius 1.004988, a turn in 63.0407 steps" in out
    assert "eigenvalues [-0.15+0.4769696j -0.15-0.4769696j]" in out
    assert "A GAN of 691 weights" in out
    assert not list(tmp_path.iterdir())

"""Signals, and readers that go away: in processes of their own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and pipes")

# Whoever runs the tests in the background has SIGINT ignored, and children inherit that.
PROGRAM = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from npgan.cli import main; main()"
TRAIN = ("train", "mlp", "--set", "model.width=8", "--set", "batch=8", "--set", "log.every=1")


def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.Popen(command, text=True, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})


@pytest.mark.parametrize(("name", "cause"), [("SIGINT", "Ctrl-C"), ("SIGTERM", "SIGTERM")])
def test_a_signal_saves_and_says_how_to_resume(cli, tmp_path, name, cause):
    run = tmp_path / "my run"
    with start(*TRAIN, "--steps", 10**9, "--out", run, "--json") as process:
        metrics = run / "metrics.jsonl"
        while not (metrics.exists() and metrics.stat().st_size):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(getattr(signal, name))
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in err
    answer = json.loads(out)
    step = answer["step"]
    assert (answer["finished"], answer["stopped_by"]) == (False, name)
    assert answer["files"]["checkpoint"].endswith(f"step-{step:08d}.safetensors")
    assert Path(answer["files"]["checkpoint"]).is_file()
    assert f"stopped by {cause} at step {step} of 1000000000" in err
    (command,) = [line.strip() for line in err.splitlines() if "npgan train --resume" in line]
    program, *arguments = shlex.split(command)
    assert program == "npgan"
    result = cli(*arguments, "--steps", step + 2)
    assert result.code == 0
    assert f"at step {step}\n" in result.out


def test_ctrl_c_before_the_first_step(tmp_path):
    # Raised where the data are opened: nothing is there to be saved.
    program = (
        "import npgan.training.trainer as t\n"
        "def stop(*args, **options): raise KeyboardInterrupt\n"
        "t.train = stop\n"
        "from npgan.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program, *TRAIN], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "stopped at once; nothing was written\n"


@pytest.mark.parametrize(
    "interrupted",
    [
        "import sys\nclass Stop:\n  def find_spec(self, *_): raise KeyboardInterrupt\nsys.meta_path[:0] = [Stop()]\n",
        "import npgan.recipes as r\ndef stop(*a): raise KeyboardInterrupt\nr.get_recipe = stop\n",
    ],
    ids=["while modules are loaded", "at work"],
)
def test_ctrl_c_at_a_command_that_keeps_nothing(interrupted):
    program = f"from npgan.cli import main\n{interrupted}main(['recipes', 'dcgan'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (1, "", "")


def test_a_reader_that_has_gone_does_not_cost_the_run(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    with start(*TRAIN, "--steps", 3, "--out", tmp_path / "run", stdout=writing) as process:
        os.close(writing)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert (tmp_path / "run" / "checkpoints" / "step-00000003.safetensors").is_file()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("recipes",), ("recipes", "--json"), ("--version",), ("info",), ("--help",)])
def test_an_answer_that_cannot_be_written_is_a_failure(arguments):
    with open("/dev/full", "w") as full, start(*arguments, stdout=full) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.count("error") == 1
    assert "No space left on device" in err


def test_help_imports_nothing_heavy():
    program = (
        "import sys\nfrom npgan.cli import main\n"
        "try: main(['train', '--help'])\nexcept SystemExit as stop: assert not stop.code\n"
        "heavy = {'numpy', 'numba', 'scipy', 'sklearn', 'matplotlib', 'PIL', 'cupy', 'pooch', 'tensorboardX'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

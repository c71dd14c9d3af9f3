from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from npgan.training import checkpoint
from npgan.training.folder import read_toml

SMALL = ("--set", "model.width=8", "--set", "batch=8")


def arrays_of(run: Path):
    return checkpoint.latest(run / "checkpoints")[0].arrays


def assert_same_bits(a: Path, b: Path) -> None:
    one, other = arrays_of(a), arrays_of(b)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], strict=True, err_msg=name)


def test_says_what_is_trained_where_it_is_and_how_to_go_on(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("train", "mlp", *SMALL, "--steps", 3)
    assert result.code == 0
    assert result.err == ""
    for text in (
        "mlp: dense layers",
        "digits: 1,797 samples of 8 x 8 x 1, 10 classes",
        # 100 -> 8 -> 8 -> 64, and 64 -> 8 -> 8 -> 1, with biases
        f"G {101 * 8 + 9 * 8 + 9 * 64:,} weights, D {65 * 8 + 9 * 8 + 9:,} weights",
        "float32 on cpu",
        "3 with batches of 8",
        "runs/mlp-digits",
        "done: step 3 of 3",
        "npgan sample runs/mlp-digits",
        "npgan train --resume runs/mlp-digits --steps 6",
    ):
        assert text in result.out
    told = [line.split()[-1] for line in result.out.splitlines() if line.endswith((".png", ".safetensors"))]
    assert len(told) == 3
    assert all(Path(path).is_file() for path in told)
    assert cli("train", "mlp", *SMALL, "--steps", 1, "--quiet").code == 0
    assert Path("runs/mlp-digits-2/config.toml").is_file()


def test_trains_dcgan_on_the_digits_when_nothing_is_said(cli, tmp_path):
    result = cli(
        *("train", "--steps", 1, "--set", "model.channels=2", "--set", "batch=4"),
        *("--out", tmp_path / "run", "--json", "--quiet"),
    )
    assert (result.json["recipe"], result.json["data"]) == ("dcgan", "digits")


def test_json_alone_is_on_standard_output(cli, tmp_path):
    run = tmp_path / "run"
    result = cli("train", "mlp", *SMALL, "--steps", 3, "--out", run, "--json")
    assert result.code == 0
    assert "done: step 3 of 3" in result.err
    answer = json.loads(result.out)
    assert answer["run"] == str(run)
    assert (answer["step"], answer["steps"], answer["finished"], answer["stopped_by"]) == (3, 3, True, None)
    assert answer["metrics"]["step"] == 3
    assert answer["metrics"]["loss_d"] > 0
    assert set(answer["files"]) == {"config", "metrics", "losses", "samples", "checkpoint"}
    assert all(Path(path).is_file() for path in answer["files"].values())


def test_options_win_over_a_config_file_which_wins_over_the_recipe(cli, tmp_path):
    config = tmp_path / "mine.toml"
    config.write_text('recipe = "mlp"\nsteps = 2\nbatch = 4\n[model]\nwidth = 8\n[generator]\nlr = 1e-3\n')
    run = tmp_path / "run"
    result = cli("train", config, "--steps", 3, "--set", "batch=5", "--out", run)
    assert result.code == 0
    assert "  steps: 2 -> 3" in result.out
    assert "  batch: 4 -> 5" in result.out
    assert "lr:" not in result.out
    used = read_toml(run / "config.toml")
    assert (used["recipe"], used["steps"], used["batch"]) == ("mlp", 3, 5)
    assert used["generator"]["lr"] == 1e-3
    assert used["latent"]["distribution"] == "uniform"  # the recipe's, where the default is normal


@pytest.mark.parametrize("name", ["config.toml", "settings"])
def test_the_config_of_a_run_trains_the_same_again(cli, image_run, tmp_path, name):
    shutil.copy(image_run / "config.toml", tmp_path / name)
    result = cli("train", tmp_path / name, "--out", tmp_path / "again", "--quiet")
    assert (result.code, result.err) == (0, "")
    assert_same_bits(image_run, tmp_path / "again")


def test_another_optimizer_leaves_the_options_of_the_old_one(cli, image_run, tmp_path):
    result = cli(
        *("train", image_run / "config.toml", "--set", "generator.optimizer=sgd"),
        *("--out", tmp_path / "run", "--quiet"),
    )
    assert (result.code, result.err) == (0, "")
    used = read_toml(tmp_path / "run" / "config.toml")
    assert used["generator"]["optimizer_options"] == {}
    assert used["discriminator"]["optimizer_options"] != {}


def test_resume_prints_what_changes_and_gives_the_bits_of_an_uninterrupted_run(cli, tmp_path):
    straight, halted = tmp_path / "straight", tmp_path / "halted"
    assert cli("train", "mlp", *SMALL, "--steps", 4, "--out", straight, "--quiet").code == 0
    assert cli("train", "mlp", *SMALL, "--steps", 2, "--out", halted, "--quiet").code == 0
    result = cli("train", "--resume", halted, "--steps", 4, "--set", "log.keep=7")
    assert result.code == 0
    assert f"resuming {halted} at step 2" in result.out
    assert "  steps: 2 -> 4" in result.out
    assert "  log.keep: 3 -> 7" in result.out
    assert "seed:" not in result.out
    assert_same_bits(straight, halted)
    assert read_toml(halted / "config.toml")["steps"] == 4

    less = cli("train", "--resume", halted, "--steps", 3)
    assert less.code == 2
    assert "steps is 3, but the run is at step 4 already" in less.err
    assert cli("train", "--resume", halted, "--quiet").code == 0  # nothing is left to do
    assert_same_bits(straight, halted)


def test_an_existing_folder_is_refused_and_untouched(cli, image_run, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for folder in (tmp_path, image_run):
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        result = cli("train", "mlp", *SMALL, "--steps", 1, "--out", folder)
        assert result.code == 2
        assert "exists already" in result.err
        assert "--resume" in result.err
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


WRONG_USAGE = {
    "recipe": (["train", "dcgna"], ["'dcgna'", "did you mean dcgan?"]),
    "setting": (["train", "mlp", "--set", "bacth=4"], ["no setting bacth", "did you mean batch?"]),
    "nested setting": (["train", "mlp", "--set", "generator.lrr=1"], ["did you mean generator.lr?"]),
    "model setting": (["train", "mlp", "--set", "model.wdith=8"], ["did you mean width?"]),
    "value": (["train", "mlp", "--set", "batch=many"], ["batch is 'many'", "whole number"]),
    "option value": (["train", "mlp", "--set", "loss=hing"], ["hing", "hinge"]),
    "dtype": (["train", "mlp", "--set", "dtype=float16"], ["'float16'", "float32"]),
    "no equals": (["train", "mlp", "--set", "batch"], ["key=value"]),
    "seed": (["train", "mlp", "--seed", str(2**63)], ["seed is", "2**63"]),
    "config": (["train", "missing.toml"], ["cannot read missing.toml"]),
    "folder": (["train", "."], ["--resume .", "--data ."]),
    "two recipes": (["train", "mlp", "--set", "recipe=ring"], ["mlp", "one of the two"]),
    "recipe and resume": (["train", "mlp", "--resume", "run"], ["--resume"]),
    "out and resume": (["train", "--out", "x", "--resume", "run"], ["--out"]),
    "not for these data": (["train", "dcgan", "--data", "ring-8"], ["dcgan", "use mlp"]),
    "steps": (["train", "--steps", "0"], ["--steps"]),
    "time": (["train", "--max-time", "soon"], ["--max-time", "10m"]),
    "backend": (["train", "--backend", "tpu"], ["--backend", "gpu"]),
    "option": (["train", "--sed", "1"], ["--sed"]),
}


@pytest.mark.parametrize(("arguments", "texts"), WRONG_USAGE.values(), ids=WRONG_USAGE.keys())
def test_wrong_usage_ends_with_2_and_leaves_nothing(cli, tmp_path, monkeypatch, arguments, texts):
    monkeypatch.chdir(tmp_path)
    result = cli(*arguments)
    assert result.code == 2
    assert result.out == ""
    for text in texts:
        assert text in result.err
    assert list(tmp_path.iterdir()) == []


FAILURES = {
    "data": (["train", "mlp", "--data", "mnits"], ["'mnits'", "Did you mean mnist"]),
    "data dir": (["train", "mlp", "--data", "mnist", "--data-dir", "."], ["train-images-idx3-ubyte.gz"]),
    "resume": (["train", "--resume", "nowhere"], ["nowhere does not exist"]),
    "no run": (["train", "--resume", "."], ["config.toml"]),
    "gpu": (["train", "mlp", "--backend", "gpu"], ["CuPy", "npgan[gpu-cuda13]"]),
}


@pytest.mark.parametrize(("arguments", "texts"), FAILURES.values(), ids=FAILURES.keys())
def test_failures_end_with_1_and_leave_nothing(cli, tmp_path, monkeypatch, arguments, texts):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "cupy", None)  # as where it is not installed
    result = cli(*arguments)
    assert result.code == 1
    assert result.err.startswith("error: ")
    for text in texts:
        assert text in result.err
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder(cli, tmp_path):
    (tmp_path / "file").write_text("")
    result = cli("train", "mlp", *SMALL, "--steps", 1, "--out", tmp_path / "file" / "run")
    assert result.code == 1
    assert f"cannot make the run folder {tmp_path / 'file' / 'run'}" in result.err


def test_a_damaged_run_is_a_failure_and_not_wrong_usage(cli, image_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(image_run, run)
    (run / "config.toml").write_text("steps = \n")
    for arguments in (("train", "--resume", run), ("sample", run)):
        result = cli(*arguments)
        assert result.code == 1
        assert "config.toml" in result.err


def test_a_value_that_is_not_finite_ends_with_1_and_says_how_to_go_on(cli, tmp_path):
    run = tmp_path / "run"
    result = cli("train", "mlp", *SMALL, "--steps", 50, "--set", "generator.lr=1e38", "--out", run)
    assert result.code == 1
    message = result.err
    assert message.startswith("error: step ")
    assert f"--resume {run}" in message
    assert "Warning" not in message
    assert checkpoint.latest(run / "checkpoints")[0].meta["step"] == 0


def test_max_time_ends_well(cli, tmp_path):
    result = cli(
        *("train", "mlp", *SMALL, "--steps", 10**9, "--max-time", "0.2s"),
        *("--out", tmp_path / "run", "--json"),
    )
    assert result.code == 0
    assert (result.json["finished"], result.json["stopped_by"]) == (False, "max-time")
    assert "stopped by --max-time at step" in result.err
    assert f"npgan train --resume {tmp_path / 'run'}\n" in result.err


def test_no_memory_a_full_disk_and_a_bug_are_told_apart(cli, tmp_path, monkeypatch):
    from npgan.training import trainer

    for error, text in (
        (MemoryError("9 TB"), "not enough memory (9 TB)"),
        (OSError(28, "No space left on device", "/disk/x"), "/disk/x: No space left on device"),
        (ZeroDivisionError("oops"), "ZeroDivisionError: oops\nThis is a bug in npgan"),
    ):

        def fail(*args, error=error, **kwargs):
            raise error

        monkeypatch.setattr(trainer, "train", fail)
        result = cli("train", "mlp", "--out", tmp_path / "run")
        assert result.code == 1
        assert result.err.startswith(f"error: {text}" if text[0] != "n" else "error: there is not enough memory")
        assert text in result.err


def test_another_rule_is_trained_with(cli, tmp_path):
    own = ("--set", "rule_options.k=2", "--set", "rule_options.inner=optimistic")
    assert (
        cli("train", "ring", *SMALL, "--steps", 2, "--rule", "lookahead", *own, "--out", tmp_path / "a", "--quiet").code
        == 0
    )
    settings = read_toml(tmp_path / "a" / "config.toml")
    assert settings["rule"] == "lookahead"
    assert settings["rule_options"] == {"k": 2, "inner": "optimistic"}
    assert "rule/memory" in arrays_of(tmp_path / "a")
    result = cli("train", "--resume", tmp_path / "a", "--rule", "optimistic", "--steps", 3)
    assert result.code == 0
    assert "rule: lookahead -> optimistic" in result.out
    assert not read_toml(tmp_path / "a" / "config.toml").get("rule_options")
    result = cli("train", "ring", *SMALL, "--rule", "extragrad", "--out", tmp_path / "b")
    assert result.code == 2
    assert "extragradient" in result.err
    for name in ("consensus", "unrolled", "competitive"):
        assert name in result.err
    assert not (tmp_path / "b").exists()

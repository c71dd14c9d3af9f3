from __future__ import annotations

import os

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from npgan.backend.threads import thread_count
from npgan.cli.options import duration
from npgan.training.folder import read_toml


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("0.5m", 30), ("1m1s", 61)],
)
def test_duration(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "s", "1d", "1 h", "1e3", "nan", "inf", "1h x", "m1", "9" * 400])
def test_not_a_duration(text):
    with pytest.raises(typer.BadParameter):
        duration(text)


@given(st.text(alphabet="0123456789.smh -e", max_size=8))
def test_a_duration_is_above_0_or_refused(text):
    try:
        seconds = duration(text)
    except typer.BadParameter:
        return
    assert 0 < seconds < float("inf")


@pytest.fixture
def threads(monkeypatch):
    """Leave the number of threads as it was."""
    monkeypatch.setenv("NPGAN_THREADS", "2")
    thread_count.cache_clear()
    yield
    monkeypatch.undo()
    thread_count.cache_clear()


@pytest.mark.usefixtures("threads")
def test_threads_are_taken_said_and_recorded(cli, tmp_path):
    run = tmp_path / "run"
    small = ("--set", "model.width=8", "--set", "batch=8", "--steps")
    result = cli("train", "ring", *small, 1, "--threads", 3, "--out", run)
    assert result.code == 0
    assert "(3 threads)" in result.out
    assert read_toml(run / "config.toml")["environment"]["threads"] == "3"
    assert (thread_count(), os.environ["NPGAN_THREADS"]) == (3, "3")
    assert cli("info", "--json").json["threads"] == 3
    assert "3 (NPGAN_THREADS is set)" in cli("info").out
    result = cli("train", "--resume", run, "--steps", 2, "--threads", 1)
    assert "threads was 3, is 1: the bits may differ" in result.out
    assert cli("sample", run, "--threads", 2, "--quiet").code == 0
    assert thread_count() == 2
    assert cli("gradcheck", "Dense", "--threads", 1).code == 0
    assert thread_count() == 1


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "", "²", "99999999999", "100000"])
@pytest.mark.parametrize("command", [("train", "ring"), ("sample", "run"), ("gradcheck",)])
def test_a_number_of_threads_that_is_none(cli, command, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli(*command, "--threads", value)
    assert result.code == 2
    said = " ".join(result.err.replace("│", " ").split())
    assert "--threads" in said
    assert "is not a number of threads: a whole number from 1 to 1024" in said
    assert repr(value) in said
    assert thread_count() == 2
    assert not any(tmp_path.iterdir())

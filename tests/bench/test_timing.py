"""Turns: everybody has one a round, in changing order, after a wait and a call that does not count."""

from __future__ import annotations

import gc
import threading

import pytest

from npgan.bench import timing


@pytest.fixture
def log(monkeypatch):
    """Replace the clock: a call takes what it returns, and is written down."""
    events = []

    def timed(call):
        seconds = call()
        events.append(seconds)
        return seconds

    monkeypatch.setattr(timing, "timed", timed)
    monkeypatch.setattr(timing, "settle", lambda: events.append("quiet"))
    return events


def test_turns(log):
    calls = []

    def contestant(name, seconds):
        return lambda: calls.append(name) or seconds

    found = timing.interleaved({"a": contestant("a", 0.02), "b": contestant("b", 0.1)}, 2, turn=0.05)
    assert found == {"a": (0.02, 0.02), "b": (0.1, 0.1)}
    # One call each to learn how long it takes; then a turn is a call that warms up and as many as fill 0.05 seconds.
    assert "".join(calls) == "ab" + "aaaa" + "bb" + "bb" + "aaaa"
    assert log == ["quiet", 0.02, "quiet", 0.1, "quiet", *[0.02] * 3, *["quiet", 0.1] * 2, "quiet", *[0.02] * 3]


def test_a_round_s_value_is_the_median_of_its_calls(log):
    lengths = iter([0.02, 0.0, 0.05, 0.01, 0.02])
    assert timing.interleaved({"a": lambda: next(lengths)}, 1, turn=0.05) == {"a": (0.02,)}


def test_slow_ones_sit_out_rounds_evenly_and_are_not_warmed_up(log):
    calls = {"fast": lambda: 0.1, "slow": lambda: 10.0, "very slow": lambda: 50.0}
    found = timing.interleaved(calls, 12)
    assert len(found["fast"]) == 12
    assert found["slow"] == (10.0,) * 4
    assert found["very slow"] == (50.0,)


def test_a_few_rounds_are_for_all(log):
    assert len(timing.interleaved({"slow": lambda: 10.0}, 2)["slow"]) == 2


def test_quiet_is_waited_for():
    stop = threading.Event()

    def spin():
        while not stop.is_set():
            sum(range(1000))

    spinning = threading.Thread(target=spin)
    spinning.start()
    clock = [0.0]
    try:
        timing.settle(0.05)  # returns though it never becomes quiet
        clock.append(1.0)
    finally:
        stop.set()
        spinning.join()
    assert clock[-1] == 1.0


def test_the_wait_ends_when_the_process_sleeps(monkeypatch):
    used = iter([0.0, 0.01, 0.01, 0.02, 0.02, 0.02, 5.0, 5.0])  # busy, busy, quiet
    naps = []
    monkeypatch.setattr(timing.time, "process_time", lambda: next(used))
    monkeypatch.setattr(timing.time, "sleep", naps.append)
    timing.settle(60.0)
    assert len(naps) == 3


def test_the_collector_comes_back():
    assert gc.isenabled()
    with timing.no_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0

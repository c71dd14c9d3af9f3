"""The peaks and the control run, and the report names the machine."""

from __future__ import annotations

import json

from npgan.backend import get_backend
from npgan.bench import machine


def test_roofline(monkeypatch):
    monkeypatch.setattr(machine, "_SIZES", ((8, 16, 32),))
    monkeypatch.setattr(machine, "_COPY", 1 << 12)
    monkeypatch.setattr(machine, "interleaved", lambda calls, rounds, **o: dict.fromkeys(calls, (2.0, 1.0)))
    assert machine.roofline(get_backend("cpu"), 2) == {"gemm": 2.0 * 8 * 16 * 32, "copy": 2.0 * (1 << 12)}


def test_the_copy_copies_all(monkeypatch):
    monkeypatch.setattr(machine, "thread_count", lambda: 3)
    backend = get_backend("cpu")
    made = []
    zeros = backend.zeros
    monkeypatch.setattr(backend, "zeros", lambda *a: made.append(zeros(*a)) or made[-1])
    copy = machine._copying(backend, 1 << 12)
    made[0][...] = range(len(made[0]))
    copy()
    assert (made[0] == made[1]).all()


def test_about():
    found = machine.about(get_backend("cpu"), "npgan bench steps")
    assert found["threads"] >= 1
    assert found["command"] == "npgan bench steps"
    assert found["versions"]["numpy"]
    assert found["machine"]["cpu"]
    json.dumps(found)
    machine.control()()

"""The cores that a process may use, under made-up control groups."""

import os

import pytest

from npgan.backend.cores import usable_cores


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Make a machine of 16 cores with these control groups and files under /sys/fs/cgroup."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)

    def make(groups, files):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(groups)
        for name, text in files.items():
            path = tmp_path / "sys/fs/cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return usable_cores(tmp_path)

    return make


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000", 16),
        ("400000 100000", 4),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("3200000 100000", 16),
        ("", 16),
        ("nonsense", 16),
        ("100000 0", 16),
    ],
)
def test_version_2(machine, limit, cores):
    assert machine("0::/\n", {"cpu.max": limit}) == cores


def test_version_2_the_group_around_it_counts(machine):
    files = {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000", "cpu.max": "800000 100000"}
    assert machine("0::/a/b\n", files) == 3


@pytest.mark.parametrize(("quota", "cores"), [("-1", 16), ("200000", 2), ("10000", 1)])
@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct", "cpu/docker/x", "cpu,cpuacct/docker"])
def test_version_1(machine, folder, quota, cores):
    groups = "12:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/\n"
    assert machine(groups, {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": "100000\n"}) == cores


def test_of_another_controller(machine):
    assert machine("3:cpuset:/\n", {"cpu.max": "100000 100000", "cpu/cpu.cfs_quota_us": "100000"}) == 16


def test_without_control_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 5}, raising=False)
    assert usable_cores(tmp_path) == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores(tmp_path) == os.cpu_count()


def test_here():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)

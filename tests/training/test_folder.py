import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgan
from npgan.backend import get_backend
from npgan.errors import CheckpointError, ConfigError, RunLockedError
from npgan.training.folder import RunFolder, environment, environment_changes, read_toml, write_atomically

keys = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
)
tables = st.recursive(
    st.dictionaries(keys, scalars | st.lists(scalars, max_size=3), max_size=4),
    lambda inner: st.dictionaries(keys, inner | scalars, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return RunFolder.create(tmp_path_factory.mktemp("runs") / "deep" / "one")


def test_create_makes_the_parents_and_the_subfolders(tmp_path):
    run = RunFolder.create(str(tmp_path / "runs" / "one"))
    assert run.samples.is_dir()
    assert run.checkpoints.is_dir()
    assert run.events.is_dir()
    assert run.config_path == tmp_path / "runs" / "one" / "config.toml"
    assert run.metrics_path.name == "metrics.jsonl"


def test_create_takes_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    assert RunFolder.create(tmp_path / "empty").samples.is_dir()


def test_create_refuses_what_exists_and_leaves_it_alone(tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "precious").write_text("x")
    (tmp_path / "file").write_text("y")
    for path in (full, tmp_path / "file"):
        with pytest.raises(ConfigError, match=r"exists already.*--out.*--resume"):
            RunFolder.create(path)
    assert os.listdir(full) == ["precious"]
    assert (tmp_path / "file").read_text() == "y"


def test_create_says_why_it_cannot(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("y")
    with pytest.raises(CheckpointError, match=r"cannot make the run folder .*one: Not a directory"):
        RunFolder.create(tmp_path / "file" / "one")

    def denied(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "mkdir", denied)
    with pytest.raises(CheckpointError, match="Permission denied"):
        RunFolder.create(tmp_path / "other")


def test_open_says_what_is_missing(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"no config\.toml and no checkpoints/"):
        RunFolder.open(tmp_path)
    run = RunFolder.create(tmp_path / "one")
    with pytest.raises(CheckpointError, match=r"it has no config\.toml$"):
        RunFolder.open(run.path)
    run.write_config({})
    with pytest.raises(CheckpointError, match="is a file"):
        RunFolder.open(run.config_path)
    assert RunFolder.open(run.path) == run


def test_lock_holds_and_makes_lost_subfolders_again(tmp_path):
    run = RunFolder.create(tmp_path / "one")
    run.samples.rmdir()
    with run.lock():
        assert run.samples.is_dir()
        with pytest.raises(RunLockedError, match=f"process {os.getpid()} on host"):
            run.lock()
    run.lock().release()


def test_lock_is_free_after_a_subfolder_could_not_be_made(tmp_path):
    run = RunFolder.create(tmp_path / "one")
    run.samples.rmdir()
    run.samples.write_text("a file in the way")
    with pytest.raises(CheckpointError, match="cannot write to the run folder"):
        run.lock()
    run.samples.unlink()
    run.lock().release()


@given(tables)
def test_a_config_reads_back(folder, config):
    folder.write_config(config)
    assert folder.read_config() == config


def test_none_is_left_out_and_tuples_are_lists(folder):
    folder.write_config({"a": None, "b": {"c": None, "d": (1, 2)}, "e": []})
    assert folder.read_config() == {"b": {"d": [1, 2]}, "e": []}


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"model": {"layers": [1, None]}}, r"model\.layers\[1\]"),
        ({"model": {"x": object()}}, r"model\.x"),
        ({"a": {1: 2}}, r"a\.1"),
        ({"a": "\ud800"}, "Unicode"),
    ],
)
def test_what_toml_cannot_hold_is_named_and_the_old_config_stays(folder, config, key):
    folder.write_config({"kept": True})
    with pytest.raises(ConfigError, match=key):
        folder.write_config(config)
    assert folder.read_config() == {"kept": True}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a = \n", "not valid TOML.*line 1"),
        (b"\xff\xfe", "not valid TOML"),
        (b"a = " + b"[" * 100_000, "not valid TOML"),
        (b"a = " + b"9" * 100_000, "not valid TOML"),
        (b"#" * (2 << 20), "more than 1.0 MB"),
    ],
)
def test_damaged_and_hostile_toml(tmp_path, data, message):
    (tmp_path / "config.toml").write_bytes(data)
    with pytest.raises(ConfigError, match=message):
        read_toml(tmp_path / "config.toml")


def test_toml_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml: No such file"):
        read_toml(tmp_path / "none.toml")


def test_write_atomically_replaces(tmp_path):
    path = tmp_path / "a.bin"
    (tmp_path / "a.bin.tmp").write_text("left from a crash")
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a.bin"]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, where):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, where, full)
    with pytest.raises(CheckpointError, match=r"a\.bin \(needs 3\.0 kB, .* free\): No space left on device"):
        write_atomically(path, b"x" * 3000)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_an_interrupted_write_leaves_no_temporary(tmp_path, monkeypatch):
    def interrupted(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a.bin", b"x")
    assert os.listdir(tmp_path) == []


def test_a_link_in_place_of_the_temporary_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "a.bin.tmp").symlink_to(victim)
    write_atomically(tmp_path / "a.bin", b"x")
    assert victim.read_text() == "precious"


def test_environment_tells_what_decides_the_bits():
    found = environment(get_backend("reference"))
    assert found["npgan"] == npgan.__version__
    assert {"python", "numpy", "blas", "threads", "backend", "system", "machine", "cpu"} <= set(found)
    assert all(isinstance(value, str) and value for value in found.values())


def test_environment_changes():
    old = {"numpy": "2.4.6", "threads": "2", "numba": "0.61"}
    assert environment_changes(old, dict(old)) == []
    assert environment_changes(old, {"numpy": "2.5.0", "threads": "2", "cupy": "14"}) == [
        "numpy was 2.4.6, is 2.5.0: the bits may differ",
        "numba was 0.61, is not there: the bits may differ",
        "cupy was not recorded, is 14: the bits may differ",
    ]

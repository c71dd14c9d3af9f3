import errno
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file, save_file

from npgan.errors import CheckpointError, DTypeError
from npgan.training.checkpoint import checkpoint_path, latest, load, prune, save

ARRAYS = {
    "G.theta": np.arange(7, dtype=np.float32),
    "D.state": np.array([[1.5, np.nan], [np.inf, -0.0]]),
    "step": np.array(3, np.int64),
    "none": np.zeros((0, 4), np.float32),
    "frozen": np.array([True, False, True]),
}
META = {"step": 3, "rate": 0.1, "name": "één", "done": False, "best": {"fid": 1e300, "at": [1, 2]}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
dtypes = st.sampled_from(["f2", "f4", "f8", ">f4", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])
arrays = dtypes.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, min_side=0, max_side=5)))
encodable = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(lambda s: s != "__metadata__")


def same(a, b):
    """Whether two mappings of arrays are equal to the bit, in values, shapes and dtypes."""
    return {
        k: (v.dtype.newbyteorder("="), v.shape, v.astype(v.dtype.newbyteorder("=")).tobytes()) for k, v in a.items()
    } == {k: (v.dtype, v.shape, v.tobytes()) for k, v in b.items()}


@pytest.fixture
def saved(tmp_path):
    path = checkpoint_path(tmp_path, 3)
    save(path, ARRAYS, META)
    return path


def forge(path, arrays, **changes):
    """Write a checkpoint whose metadata lies, though its digest is right (or None to leave one out)."""
    from npgan.training.checkpoint import _digest

    record = {"format": 1, "npgan": "0", "meta": "{}"} | changes
    if "digest" not in record:
        record["digest"] = _digest(record, arrays)
    save_file(arrays, path, {"npgan": json.dumps({k: v for k, v in record.items() if v is not None})})


@given(st.dictionaries(encodable, arrays, max_size=4), st.dictionaries(st.text(), json_values, max_size=4))
def test_what_is_saved_is_loaded(tmp_path_factory, arrays, meta):
    path = tmp_path_factory.getbasetemp() / "one.safetensors"
    before = {name: array.copy() for name, array in arrays.items()}
    save(path, arrays, meta)
    found = load(path)
    assert same(arrays, found.arrays)
    assert found.meta == meta
    assert same(before, {k: v.astype(v.dtype.newbyteorder("=")) for k, v in arrays.items()})


def test_the_file_is_plain_safetensors_and_equal_states_are_equal_files(saved, tmp_path):
    assert saved.name == "step-00000003.safetensors"
    assert same(ARRAYS, load_file(saved))
    save(tmp_path / "again", dict(reversed(ARRAYS.items())), META)
    assert (tmp_path / "again").read_bytes() == saved.read_bytes()


def test_non_contiguous_arrays(tmp_path):
    wide = np.arange(24, dtype=np.float32).reshape(4, 6)
    arrays = {"t": wide.T, "s": wide[::2, ::-3], "b": np.broadcast_to(np.float64(2), (3, 2))}
    save(tmp_path / "x", arrays, {})
    assert same(arrays, load(tmp_path / "x").arrays)


def test_loaded_arrays_outlive_the_file(saved):
    found = load(saved)
    saved.write_bytes(b"")
    assert same(ARRAYS, found.arrays)


def test_nan_and_infinity_in_meta(tmp_path):
    save(tmp_path / "x", {}, {"a": float("nan"), "b": float("-inf")})
    meta = load(tmp_path / "x").meta
    assert meta["a"] != meta["a"]
    assert meta["b"] == float("-inf")


def test_what_cannot_be_saved_is_named(tmp_path):
    with pytest.raises(DTypeError, match=r"array spectrum is complex128, expected one of float64"):
        save(tmp_path / "x", {"spectrum": np.zeros(2, complex)}, {})
    with pytest.raises(DTypeError, match="array o is object"):
        save(tmp_path / "x", {"o": np.array([None])}, {})
    with pytest.raises(CheckpointError, match="meta of x cannot be saved as JSON"):
        save(tmp_path / "x", {}, {"a": object()})
    assert os.listdir(tmp_path) == []


def test_every_flipped_bit_is_found(saved):
    good = saved.read_bytes()
    rng = random.Random(0)
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 1 << rng.randrange(8)
        saved.write_bytes(bad)
        try:
            found = load(saved)
        except CheckpointError as error:
            assert str(saved) in str(error)  # noqa: PT017
        else:
            # White space of the header, or the case of a JSON escape: the content is the same.
            assert same(ARRAYS, found.arrays)
            assert found.meta == META
            assert at < 8 + int.from_bytes(good[:8], "little")


def test_every_truncation_and_any_tail_is_found(saved):
    good = saved.read_bytes()
    for bad in [*(good[:n] for n in range(len(good))), good + b"\0", good * 2]:
        saved.write_bytes(bad)
        with pytest.raises(CheckpointError, match="is not a whole checkpoint"):
            load(saved)


def test_mutated_files_never_crash_nor_lie(saved):
    good = saved.read_bytes()
    rng = random.Random(1)
    for _ in range(1500):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            start = rng.randrange(len(bad))
            kind = rng.randrange(3)
            if kind == 0:
                bad[start : start + rng.randint(1, 9)] = rng.randbytes(rng.randint(0, 9))
            elif kind == 1:
                bad[start] = rng.choice(b'0123456789{}[]",:-eE')
            else:
                bad[start:start] = bad[rng.randrange(len(bad)) :][: rng.randint(1, 40)]
        saved.write_bytes(bad)
        try:
            found = load(saved)
        except CheckpointError:
            continue
        assert same(ARRAYS, found.arrays)


def header_file(path, header):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 200_000,
        b"{}",
        {"x": {"dtype": "F32", "shape": [1 << 62, 4], "data_offsets": [0, 0]}},
        {"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}},
        {"x": {"dtype": "F32", "shape": [0, *[1 << 62] * 40], "data_offsets": [0, 0]}},
        {"__metadata__": {"npgan": "[" * 200_000}},
        {"__metadata__": {"npgan": "[1]"}},
        {"__metadata__": {"npgan": "{}"}},
        {"__metadata__": {"npgan": '{"format": 1, "npgan": "0", "meta": "{}"}'}},
        {"__metadata__": {"npgan": '{"format": 1, "npgan": "0", "meta": "{}", "digest": 5}'}},
        {
            "__metadata__": {"npgan": '{"format": 1, "npgan": "0", "meta": "{}", "digest": ""}'},
            "x": {"dtype": "BF16", "shape": [0], "data_offsets": [0, 0]},
        },
        {
            "__metadata__": {"npgan": '{"format": 1, "npgan": "0", "meta": "{}", "digest": ""}'},
            "x": {"dtype": "F32", "shape": [0, *[1 << 62] * 40], "data_offsets": [0, 0]},
        },
    ],
)
def test_hostile_headers(tmp_path, header):
    header_file(tmp_path / "x", header)
    with pytest.raises(CheckpointError, match=str(tmp_path / "x")):
        load(tmp_path / "x")


def test_a_header_that_claims_to_be_huge_is_refused_unread(tmp_path):
    with open(tmp_path / "x", "wb") as file:
        file.write((90_000_000).to_bytes(8, "little"))
        file.truncate(90_000_008)
    with pytest.raises(CheckpointError, match=r"header claims 90\.0 MB"):
        load(tmp_path / "x")


@pytest.mark.parametrize("meta", ["[]", "nonsense", "[" * 100_000])
def test_meta_that_is_no_mapping(tmp_path, meta):
    forge(tmp_path / "x", {}, meta=meta)
    with pytest.raises(CheckpointError, match="its meta is not"):
        load(tmp_path / "x")


def test_files_of_others_and_of_the_future(tmp_path):
    save_file({"w": np.zeros(3)}, tmp_path / "x")
    with pytest.raises(CheckpointError, match="is a safetensors file, but not a checkpoint of npgan's"):
        load(tmp_path / "x")
    forge(tmp_path / "x", {}, format=2, npgan="9.0")
    with pytest.raises(CheckpointError, match=r"format 2, written by npgan 9\.0; .* up to 1: install a newer npgan"):
        load(tmp_path / "x")
    with pytest.raises(CheckpointError, match=r"cannot read .*nothing: No such file"):
        load(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r"cannot read .*directory"):
        load(tmp_path)


def steps(folder):
    return sorted(int(name[5:13]) for name in os.listdir(folder))


def test_latest_passes_over_damage_and_says_so(tmp_path):
    for step in (1, 9, 10, 100):
        save(checkpoint_path(tmp_path, step), ARRAYS, {"step": step})
    (tmp_path / "step-00000999.safetensors.tmp").write_bytes(b"torn")
    (tmp_path / "step-00000998.safetensors.bak").write_bytes(b"a user's")
    found, warnings = latest(tmp_path)
    assert (found.meta["step"], found.path, warnings) == (100, checkpoint_path(tmp_path, 100), [])
    checkpoint_path(tmp_path, 100).write_bytes(b"torn")
    found, warnings = latest(tmp_path)
    assert found.meta["step"] == 10
    assert len(warnings) == 1
    assert "step-00000100.safetensors is not a whole checkpoint" in warnings[0]


def test_latest_orders_by_number_beyond_the_padding(tmp_path):
    for step in (99_999_999, 100_000_000):
        save(checkpoint_path(tmp_path, step), {}, {"step": step})
    assert latest(tmp_path)[0].meta["step"] == 100_000_000


def test_latest_without_any(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        latest(tmp_path)
    with pytest.raises(CheckpointError, match="cannot read"):
        latest(tmp_path / "none")
    checkpoint_path(tmp_path, 1).write_bytes(b"torn")
    with pytest.raises(CheckpointError, match=r"no checkpoint that can be used: .*step-00000001"):
        latest(tmp_path)


def test_latest_does_not_pass_over_a_newer_format(tmp_path):
    save(checkpoint_path(tmp_path, 1), {}, {})
    forge(checkpoint_path(tmp_path, 2), {}, format=2)
    with pytest.raises(CheckpointError, match="install a newer npgan"):
        latest(tmp_path)


def test_latest_beside_a_run_that_prunes(tmp_path, monkeypatch):
    """The run saves step 2 and removes step 1 between the listing and the loading."""
    from npgan.training import checkpoint

    save(checkpoint_path(tmp_path, 1), {}, {"step": 1})

    def slow(path):
        save(checkpoint_path(tmp_path, 2), {}, {"step": 2})
        prune(tmp_path, 1, 2)
        return load(path)

    monkeypatch.setattr(checkpoint, "load", slow)
    found, warnings = latest(tmp_path)
    assert found.meta["step"] == 2
    assert warnings == []


def test_prune_keeps_the_newest_and_clears_the_rest(tmp_path):
    for step in (1, 2, 3, 4, 7):
        save(checkpoint_path(tmp_path, step), {}, {})
    (tmp_path / "step-00000005.safetensors.tmp").write_bytes(b"torn")
    (tmp_path / "notes.tmp").write_bytes(b"a user's")
    prune(tmp_path, 2, 4)
    assert sorted(os.listdir(tmp_path)) == ["notes.tmp", "step-00000003.safetensors", "step-00000004.safetensors"]
    prune(tmp_path, 0, 4)
    assert sorted(os.listdir(tmp_path)) == ["notes.tmp", "step-00000004.safetensors"]
    prune(tmp_path, 5, 4)
    assert checkpoint_path(tmp_path, 4).exists()


def test_prune_that_cannot(tmp_path):
    checkpoint_path(tmp_path, 1).mkdir()
    save(checkpoint_path(tmp_path, 2), {}, {})
    with pytest.raises(CheckpointError, match=r"cannot remove .*step-00000001"):
        prune(tmp_path, 1, 2)


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_full_disk_leaves_the_others_alone(tmp_path, monkeypatch, where):
    save(checkpoint_path(tmp_path, 1), ARRAYS, {"step": 1})

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, where, full)
        with pytest.raises(CheckpointError, match=r"step-00000002.*needs 40\.\d kB, .* free.*: No space left"):
            save(checkpoint_path(tmp_path, 2), {"x": np.zeros(10_000, np.float32)}, {"step": 2})
    assert steps(tmp_path) == [1]
    assert latest(tmp_path)[0].meta["step"] == 1


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from npgan.errors import CheckpointError
from npgan.training.checkpoint import checkpoint_path, save
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save(checkpoint_path(Path(sys.argv[1]), 2), {"x": np.zeros(100_000, np.float32)}, {"step": 2})
except CheckpointError as error:
    print(error)
"""


def test_a_write_that_the_system_cuts_short(tmp_path):
    """A limit on file sizes makes the kernel itself stop a write half-way, as a full disk does."""
    save(checkpoint_path(tmp_path, 1), ARRAYS, {"step": 1})
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "step-00000002.safetensors (needs 400.2 kB" in done.stdout
    assert "File too large" in done.stdout
    assert steps(tmp_path) == [1]


LOOP = """
import sys
import time
from pathlib import Path
import numpy as np
from npgan.training.checkpoint import checkpoint_path, prune, save
folder, step = Path(sys.argv[1]), int(sys.argv[2])
while True:
    step += 1
    save(checkpoint_path(folder, step), {"x": np.full(300_000, step, np.float32)}, {"step": step})
    print(step, flush=True)
    prune(folder, 2, step)
"""


def test_sigkill_at_any_moment_leaves_the_last_good_one(tmp_path):
    rng, step = random.Random(), 0
    for _ in range(12):
        command = [sys.executable, "-c", LOOP, str(tmp_path), str(step)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            reported = [int(process.stdout.readline())]
            time.sleep(rng.uniform(0, 0.03))
            process.send_signal(signal.SIGKILL)
            reported += [int(line) for line in process.stdout if line.endswith("\n")]
        found, warnings = latest(tmp_path)
        assert warnings == []
        step = found.meta["step"]
        assert step in (reported[-1], reported[-1] + 1)  # renamed, perhaps, before it could be reported
        assert (found.arrays["x"] == step).all()
        prune(tmp_path, 2, step)
        assert all(name.endswith(".safetensors") for name in os.listdir(tmp_path))
    assert steps(tmp_path)[-1] == step


def test_a_file_larger_than_the_memory_is_refused(saved, monkeypatch):
    from npgan.training import checkpoint

    monkeypatch.setattr(checkpoint, "_machine_memory", lambda: 500)
    with pytest.raises(CheckpointError, match=r"has \d+ bytes, more than this machine's 500 bytes of memory"):
        load(saved)

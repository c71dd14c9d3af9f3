import errno
import json
import math
import os
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.errors import CheckpointError, ConfigError
from npgan.training.metrics import MetricsLog, TensorBoardLog, columns, read

rows = st.lists(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=6).filter(lambda s: s != "step"),
        st.booleans() | st.integers(-(2**64), 2**64) | st.floats() | st.floats(width=32).map(np.float32),
        max_size=4,
    ),
    max_size=4,
)


def strict(text):
    """A JSON reader that does not know Python's NaN."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def write(path, steps):
    with MetricsLog(path) as log:
        for step in steps:
            log.log(step, {"loss_d": step / 7})


@given(rows)
def test_rows_read_back_and_any_json_reader_copes(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "m.jsonl"
    path.unlink(missing_ok=True)
    with MetricsLog(path) as log:
        for step, values in enumerate(rows):
            log.log(step, values)
    lines = path.read_text().splitlines()
    assert [next(iter(strict(line))) for line in lines] == ["step"] * len(rows)
    found = read(path)
    assert len(found) == len(rows)
    for step, (row, values) in enumerate(zip(found, rows, strict=True)):
        assert row == {"step": step} | {k: pytest.approx(v, rel=0, abs=0, nan_ok=True) for k, v in values.items()}
        assert [type(row[k]) for k in values] == [
            type(v.item() if isinstance(v, np.generic) else v) for v in values.values()
        ]


def test_numbers_that_json_does_not_have(tmp_path):
    with MetricsLog(tmp_path / "m") as log:
        log.log(np.int64(4), {"a": math.nan, "b": np.float32(np.inf), "c": -math.inf, "d": np.array(0.5)})
    assert (tmp_path / "m").read_text() == '{"step": 4, "a": "NaN", "b": "Infinity", "c": "-Infinity", "d": 0.5}\n'
    row = read(tmp_path / "m")[0]
    assert math.isnan(row["a"])
    assert (row["b"], row["c"], row["d"]) == (math.inf, -math.inf, 0.5)


def test_a_line_is_there_at_once(tmp_path):
    log = MetricsLog(tmp_path / "m")
    log.log(1, {"a": 1.0})
    assert read(tmp_path / "m") == [{"step": 1, "a": 1.0}]
    log.close()


@pytest.mark.parametrize("value", ["text", None, [1.0], np.zeros(2), 1j])
def test_only_numbers(tmp_path, value):
    with MetricsLog(tmp_path / "m") as log:
        with pytest.raises(ConfigError, match=r"metric x is .*, expected a number"):
            log.log(1, {"x": value})
        with pytest.raises(ConfigError, match="called 'step'"):
            log.log(1, {"step": 1})
    assert read(tmp_path / "m") == []


def test_truncate_drops_later_and_torn_lines_and_goes_on(tmp_path):
    path = tmp_path / "m"
    write(path, range(10, 60, 10))
    before = path.read_bytes()
    with path.open("ab") as file:
        file.write(b'{"step": 60, "loss_d": 8.5')
    with MetricsLog(path) as log:
        log.truncate_to(30)
        log.log(40, {"loss_d": 40 / 7})
        log.log(50, {"loss_d": 50 / 7})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.parametrize(
    "junk", [b"\0" * 100, b"[" * 100_000 + b"\n", b"{}\n", b'{"step": "x"}\n', b"\xff\n", b"9" * 9999]
)
def test_truncate_survives_junk(tmp_path, junk):
    path = tmp_path / "m"
    write(path, [1, 2])
    with path.open("ab") as file:
        file.write(junk)
    with MetricsLog(path) as log:
        log.truncate_to(5)
    assert [row["step"] for row in read(path)] == [1, 2]


def test_truncate_to_before_everything(tmp_path):
    write(tmp_path / "m", [1, 2])
    with MetricsLog(tmp_path / "m") as log:
        log.truncate_to(0)
    assert read(tmp_path / "m") == []


def test_a_truncation_that_fails_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "m"
    write(path, [1, 2])
    before = path.read_bytes()

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    log = MetricsLog(path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        log.truncate_to(1)
    assert path.read_bytes() == before
    log.close()


def test_read_of_a_run_in_progress_and_of_damage(tmp_path):
    path = tmp_path / "m"
    write(path, [1, 2, 3])
    lines = path.read_bytes().splitlines(keepends=True)
    for end in range(len(lines[2])):
        path.write_bytes(lines[0] + lines[1] + lines[2][:end])
        assert [row["step"] for row in read(path)] == [1, 2]
    for bad in (
        b"{\n",
        b'{"step": 1.5}\n',
        b'{"step": 1, "a": "x"}\n',
        b'{"step": 1, "a": null}\n',
        b"[" * 99_999 + b"\n",
    ):
        path.write_bytes(lines[0] + bad + lines[2])
        with pytest.raises(CheckpointError, match="line 2, is not a line of metrics"):
            read(path)
    with pytest.raises(CheckpointError, match="cannot read"):
        read(tmp_path / "none")


def test_columns():
    found = columns([{"step": 1, "a": 1.5}, {"step": 2, "b": 2}, {"step": 3, "a": math.inf, "b": 3}])
    assert found["step"].dtype == np.int64
    assert found["step"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(found["a"], [1.5, np.nan, np.inf])
    np.testing.assert_array_equal(found["b"], [np.nan, 2, 3])
    assert columns([])["step"].shape == (0,)


LIMITED = """
import resource, sys
from pathlib import Path
from npgan.errors import CheckpointError
from npgan.training.metrics import MetricsLog, TensorBoardLog
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
folder = Path(sys.argv[1])
for log in (MetricsLog(folder / "m"), TensorBoardLog(folder)):
    try:
        with log:
            for step in range(1000):
                log.log(step, {"a": 1.0})
    except CheckpointError as error:
        print(error)
"""


def test_a_full_disk_is_one_clear_message(tmp_path):
    pytest.importorskip("resource", reason="no limits on file sizes on this system")
    command = [sys.executable, "-W", "error", "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith(f"cannot write {tmp_path / 'm'}: File too large. What was there before is untouched")
    assert second.startswith(f"cannot write {tmp_path / 'events.out.tfevents.'}")
    assert ".npgan: File too large. What was there before is untouched" in second
    assert done.stderr == ""
    steps = [row["step"] for row in read(tmp_path / "m")]
    assert steps == list(range(len(steps)))
    assert len(steps) > 100


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot write .*none.*No such file"):
        MetricsLog(tmp_path / "none" / "m")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot write .*file"):
        TensorBoardLog(tmp_path / "file")


def events(folder):
    """All events of a folder in TensorBoard's order, by a reader of the record format written for this test."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for name in sorted(os.listdir(folder)):
        data = (folder / name).read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found


def test_tensorboard_scalars(tmp_path):
    with TensorBoardLog(tmp_path) as log:
        log.log(10, {"loss_d": 0.5, "grad_norm_d": np.float32(2), "bad": math.nan})
        log.log(20, {"loss_d": 0.25})
    start, first, second = events(tmp_path)
    assert start.file_version == "brain.Event:2"
    assert first.step == 10
    assert [value.tag for value in first.summary.value] == ["loss_d", "grad_norm_d", "bad"]
    assert [value.simple_value for value in first.summary.value] == [0.5, 2.0, pytest.approx(math.nan, nan_ok=True)]
    assert (second.step, second.summary.value[0].simple_value) == (20, 0.25)
    assert abs(second.wall_time - time.time()) < 3600


def test_tensorboard_pictures(tmp_path):
    from io import BytesIO

    from PIL import Image

    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    with TensorBoardLog(tmp_path) as log:
        log.image(3, "samples", image)
        log.image(4, "samples", image[:, :, :1])
    _, color, grey = events(tmp_path)
    value = color.summary.value[0]
    assert (color.step, value.tag, value.image.height, value.image.width, value.image.colorspace) == (
        3,
        "samples",
        5,
        7,
        3,
    )
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(value.image.encoded_image_string))), image)
    found = np.asarray(Image.open(BytesIO(grey.summary.value[0].image.encoded_image_string)))
    np.testing.assert_array_equal(found, image[:, :, 0])


def test_tensorboard_forgets_what_a_resumed_run_does_again(tmp_path):
    for start, purge in ((1, None), (3, 3), (3, 3)):
        with TensorBoardLog(tmp_path, purge) as log:
            for step in range(start, 5):
                log.log(step, {"a": start})
    assert len(os.listdir(tmp_path)) == 3  # though all in one second
    restarts = [event for event in events(tmp_path) if event.HasField("session_log")]
    assert [(event.step, event.session_log.status) for event in restarts] == [(3, 1), (3, 1)]


def test_tensorboard_needs_no_thread(tmp_path):
    before = threading.active_count()
    with TensorBoardLog(tmp_path) as log:
        log.log(1, {"a": 1.0})
        assert threading.active_count() == before


def test_nothing_heavy_is_imported_before_it_is_used():
    modules = ("folder", "lock", "checkpoint", "metrics", "pictures", "plots", "progress", "signals")
    heavy = [
        "numba",
        "cupy",
        "matplotlib",
        "sklearn",
        "PIL",
        "scipy",
        "typer",
        "rich",
        "pooch",
        "safetensors",
        "tomli_w",
    ]
    heavy += ["tensorboardX", "google.protobuf"]
    code = "".join(f"import npgan.training.{name}\n" for name in modules)
    code += f"import sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

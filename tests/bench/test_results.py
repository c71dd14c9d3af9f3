"""JSON comes back as it went, and what is not of the benchmark is refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.bench.results import Report, Row, Sample, contestants, load
from npgan.errors import ConfigError

times = st.lists(st.floats(1e-7, 1e3), min_size=1, max_size=5).map(lambda values: Sample(tuple(values)))
rows = st.builds(
    Row,
    suite=st.sampled_from(["steps", "memory"]),
    group=st.sampled_from(["", "dcgan-64, batch 64"]),
    name=st.text(max_size=5),
    unit=st.sampled_from(["s", "bytes"]),
    samples=st.dictionaries(st.sampled_from(["npgan", "PyTorch", "JAX"]), times),
    agreement=st.dictionaries(st.just("JAX"), st.none() | st.floats(0, 1)),
    left_out=st.dictionaries(st.just("PyTorch"), st.text(max_size=5)),
    refused=st.none() | st.text(max_size=5),
    flops=st.none() | st.floats(1, 1e12),
    gradient=st.none() | times,
)
reports = st.builds(
    Report,
    about=st.fixed_dictionaries({"npgan": st.just("1.0"), "threads": st.integers(1, 64), "machine": st.just({"a": 1})}),
    roofline=st.dictionaries(st.sampled_from(["gemm", "copy"]), st.floats(1, 1e12)),
    control=st.lists(st.lists(st.floats(1e-6, 1), min_size=1, max_size=4), max_size=3),
    rows=st.lists(rows, max_size=3),
    algorithms=st.lists(st.fixed_dictionaries({"layer": st.just("D/0")}), max_size=1),
    complete=st.booleans(),
)


@given(report=reports)
def test_round_trip(report, tmp_path_factory):
    path = tmp_path_factory.mktemp("json") / "found.json"
    report.save(path)
    assert load(path) == report


def test_files_without_gradients_are_read(tmp_path):
    report = Report({}, rows=[Row("steps", "", "work", samples={"npgan": Sample((1.0,))})])
    table = report.to_dict()
    del table["rows"][0]["gradient"], table["rows"][0]["gradients"]
    (tmp_path / "a.json").write_text(json.dumps(table))
    assert load(tmp_path / "a.json") == report
    assert report.rows[0].gradients is None


def test_what_a_row_says(tmp_path):
    row = Row("steps", "", "work", samples={"npgan": Sample((1.0, 2.0, 4.0, 3.0)), "JAX": Sample((5.0,))})
    Report({}, rows=[row], control=[[1.0, 1.0], [1.0, 2.0]]).save(tmp_path / "a.json")
    table = json.loads((tmp_path / "a.json").read_text())
    assert table["format"] == "npgan-bench"
    assert table["rows"][0]["samples"]["npgan"] == {
        "median": 2.5,
        "q1": 1.75,
        "q3": 3.25,
        "values": [1.0, 2.0, 4.0, 3.0],
    }
    assert table["rows"][0]["ratios"] == {"JAX": 2.0}
    assert table["control"]["spread"] == pytest.approx(1.7)  # of 1, 1, 1, 2
    assert table["control"]["spread_within"] == pytest.approx(1.2333 / 0.7667, rel=1e-3)  # of 1, 1, 2/3, 4/3
    assert row.samples["npgan"].noise == pytest.approx(0.6)


def test_order():
    names = ("reference", "JAX", "npgan", "PyTorch", "NHWC")
    rows = [Row("steps", "", name, samples={name: Sample((1.0,))}) for name in names]
    assert contestants(rows) == ["npgan", "PyTorch", "NHWC", "JAX", "reference"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not of `npgan bench`"),
        (b'{"rows": []}', "not of `npgan bench`"),
        (b'{"format": "npgan-bench", "version": 99}', "version 99"),
        (b'{"format": "npgan-bench", "version": 1}', "damaged"),
        (b'{"format": "npgan-bench", "version": 1, "complete": 1, "roofline": {}, "control": null, "rows": 3}', "dama"),
    ],
)
def test_foreign_files(tmp_path, content, message):
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load(path)


@pytest.mark.parametrize("values", [[], [0.0], [-1.0], ["x"], [float("nan")], None])
def test_damaged_values(tmp_path, values):
    path = tmp_path / "file.json"
    Report({}, rows=[Row("steps", "", "work", samples={"npgan": Sample((1.0,))})]).save(path)
    table = json.loads(path.read_text())
    table["rows"][0]["samples"]["npgan"]["values"] = values
    path.write_text(json.dumps(table))
    with pytest.raises(ConfigError, match="damaged"):
        load(path)

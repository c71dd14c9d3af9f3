import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npgan.data.table import Table, open_csv
from npgan.errors import DataError, ShapeError


def write(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@given(
    hnp.arrays(
        "f8",
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9),
        elements=st.integers(-(10**6), 10**6).map(lambda n: n / 64),
    ),
    st.sampled_from(",;\t"),
    st.booleans(),
)
def test_round_trip(tmp_path_factory, rows, delimiter, header):
    path = tmp_path_factory.getbasetemp() / "round.csv"
    lines = [delimiter.join(map(repr, map(float, row))) for row in rows]
    names = [f"c{i}" for i in range(rows.shape[1])]
    path.write_text("\n".join([delimiter.join(names)] * header + lines) + "\n")
    table = open_csv(path)
    out = np.empty(rows.shape)
    table.batch(np.arange(len(rows)), out)
    assert table.classes is None
    assert table.columns == tuple(names) if header else table.columns[0] == "column 1"
    spread = rows.std(axis=0) > 0
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(out.std(axis=0)[spread], 1, rtol=1e-9)
    np.testing.assert_allclose(table.to_units(out), rows, rtol=1e-12, atol=1e-9)


def test_constant_columns(tmp_path, read):
    rows = "\n".join(f"{i},0.1,7" for i in range(7))  # the computed std of 0.1s is not 0
    table = open_csv(write(tmp_path, "a,b,c\n" + rows))
    assert table.constant_columns == ("b", "c")
    assert "b, c" in table.notes[0]
    out, _ = read(table)
    assert not out[:, 1:].any()
    np.testing.assert_array_equal(table.to_units(out)[:, 1:], [[0.1, 7]] * 7)


def test_rows_are_not_changed():
    rows = np.random.default_rng(0).normal(size=(4, 2))
    before = rows.copy()
    table = Table(rows, ("a", "b"))
    np.testing.assert_array_equal(rows, before)
    with pytest.raises(ShapeError, match=r"x is \(4, 3\)"):
        table.to_units(np.zeros((4, 3)))


@pytest.mark.parametrize("name", ["label", "Class"])
def test_label_column(tmp_path, read, name):
    table = open_csv(write(tmp_path, f'a,{name},b\n1,10,2\n3," 2",4\n\n5,x,7\n5,2,6\n'))
    assert table.classes == ("2", "10", "x")
    out, labels = read(table)
    assert labels.tolist() == [1, 0, 2, 0]
    assert table.columns == ("a", "b")
    np.testing.assert_allclose(table.to_units(out), [[1, 2], [3, 4], [5, 7], [5, 6]])


def test_many_classes_take_no_time(tmp_path):
    table = open_csv(write(tmp_path, "label,b\n" + "\n".join(f"k{i},{i}" for i in range(60_000))))
    assert len(table.classes) == 60_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n1,2\n", "is empty"),
        ("a,b\n", "no rows"),
        ("label\nx\n", "no columns"),
        ("a,b\n1,2\n1\n", "line 3 has 1 fields, expected 2"),
        ("a,b\n1,\n", "line 2 has nothing in 'b'"),
        ("a,b\n1,x\n", "line 2 has 'x' in 'b'"),
        ("a,label,b\n1,x,q\n", "line 2 has 'q' in 'b'"),
        ("a,b\n1,2\n1,nan\n", "row 2 of the data has nan in 'b'"),
        ("a,b\n-inf,2\n", "row 1 of the data has -inf in 'a'"),
        ("a,b\n1e999,2\n", "inf in 'a'"),
        ("a\n1e300\n-1e300\n", "too large or too small for a variance"),
        ("a\n1e-320\n2e-320\n", "too large or too small for a variance"),
        ('a,b\n"1,2\n', "cannot be read as CSV"),
        (b"a,b\n1,\xff\n", "not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not UTF-8"),
        ("a,b\n" + "1" * 200_000 + ",2\n", "field larger than field limit"),
        ("1," * 2**20, "longer than"),
        ("1," * 70_000 + "1", "70001 columns"),
        ('"' + "\n" * 500_000, "field larger"),
    ],
)
def test_refused(tmp_path, text, message, memory_below):
    path = write(tmp_path, text)
    with memory_below(2**25), pytest.raises(DataError, match=message):
        open_csv(path)


def test_too_large(tmp_path):
    path = tmp_path / "big.csv"
    with path.open("wb") as file:
        file.truncate(2**28)
    with pytest.raises(DataError, match=r"save it as \.npy"):
        open_csv(path)


def test_fuzz(fuzz):
    plain = "\n".join(",".join(f"{x:.3g}" for x in row) for row in np.random.default_rng(0).normal(size=(6, 3)))
    fuzz(
        open_csv,
        [f"a,b,c\n{plain}\n".encode(), plain.encode(), b'a;"label"\n1;x\n2;"y ""z"""\n3;x\n', b"1\t2\r\n3\t4\r\n"],
        5000,
        name="fuzz.csv",
    )

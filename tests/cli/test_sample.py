from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npgan.training.run import Run


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_grid_goes_into_the_folder_of_the_run_under_a_new_name(cli, image_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(image_run, run)
    for name in ("sample.png", "sample-2.png"):
        result = cli("sample", run)
        assert result.code == 0
        assert result.out == f"wrote 64 samples (8 x 8 x 1) of step 2 to {run / name}\n"
        with Image.open(run / name) as image:
            assert image.size == (8 * (56 + 2) + 2,) * 2
    # The latents are those of the run's own pictures.
    assert (run / "sample.png").read_bytes() == (run / "samples" / "step-00000002.png").read_bytes()
    assert "interpolation.png" in cli("sample", run, "--interpolate").out


def test_what_is_there_is_overwritten_only_when_asked(cli, image_run, here):
    assert cli("sample", image_run, "--out", "a.png", "--seed", 1).code == 0
    before = Path("a.png").read_bytes()
    refused = cli("sample", image_run, "--out", "a.png", "--seed", 2)
    assert refused.code == 2
    assert "--force" in refused.err
    assert Path("a.png").read_bytes() == before
    assert cli("sample", image_run, "--out", "a.png", "--seed", 2, "--force").code == 0
    assert Path("a.png").read_bytes() != before


def test_numbers(cli, image_run, here):
    result = cli("sample", image_run, "-n", 5, "--seed", 3, "--out", "new/x.npz", "--json")
    assert result.json == {
        "file": "new/x.npz",
        "run": str(image_run),
        "step": 2,
        "shape": [5, 8, 8, 1],
        "labels": False,
        "seed": 3,
    }
    with np.load("new/x.npz", allow_pickle=False) as file:
        assert file.files == ["x"]
        np.testing.assert_array_equal(file["x"], Run(image_run).sample(5, seed=3), strict=True)
    # What was written can be learned from.
    again = cli("train", "mlp", "--data", "new/x.npz", "--steps", 1, "--set", "batch=2", "--out", "r", "--quiet")
    assert (again.code, again.err) == (0, "")


def test_single_pictures(cli, image_run, here):
    assert cli("sample", image_run, "-n", 3, "--out", "pictures").code == 0
    assert sorted(path.name for path in Path("pictures").iterdir()) == ["00000.png", "00001.png", "00002.png"]
    with Image.open("pictures/00001.png") as image:
        pixels = np.asarray(image)
    expected = np.rint((Run(image_run).sample(3)[1, :, :, 0].astype(np.float64) + 1) * 127.5)
    np.testing.assert_array_equal(pixels, expected)
    assert cli("sample", image_run, "-n", 3, "--out", "pictures").code == 2
    assert cli("sample", image_run, "-n", 4, "--out", "pictures/", "--force").code == 0
    assert len(list(Path("pictures").iterdir())) == 4


def test_interpolations(cli, image_run, here):
    assert cli("sample", image_run, "--interpolate", "-n", 3, "--steps", 4, "--out", "a.png").code == 0
    with Image.open("a.png") as image:
        assert image.size == (4 * 58 + 2, 3 * 58 + 2)
    assert cli("sample", image_run, "--interpolate", "-n", 4, "--steps", 5, "--out", "a.gif").code == 0
    with Image.open("a.gif") as film:
        assert film.format == "GIF"
        assert film.n_frames == 5 + 3  # there and back
        assert film.size == (2 * 58 + 2,) * 2
    assert cli("sample", image_run, "--interpolate", "-n", 3, "--steps", 4, "--out", "a.npz").code == 0
    with np.load("a.npz", allow_pickle=False) as file:
        walks = file["x"]
    assert walks.shape == (3, 4, 8, 8, 1)
    np.testing.assert_allclose(walks[:, 0], Run(image_run).sample(3), rtol=0, atol=1e-5)


def test_classes(cli, class_run, here):
    assert cli("sample", class_run, "-n", 20, "--out", "x.npz").code == 0
    with np.load("x.npz", allow_pickle=False) as file:
        x, labels = file["x"], file["labels"]
    assert np.bincount(labels, minlength=10).tolist() == [2] * 10
    np.testing.assert_array_equal(x, Run(class_run).sample(20, labels=labels), strict=True)

    assert cli("sample", class_run, "-n", 3, "--label", 7, "--out", "sevens.npz").code == 0
    with np.load("sevens.npz", allow_pickle=False) as file:
        assert file["labels"].tolist() == [7, 7, 7]
        np.testing.assert_array_equal(file["x"], Run(class_run).sample(3, labels=7), strict=True)

    assert cli("sample", class_run, "-n", 20, "--out", "folders").code == 0
    assert sorted(str(path) for path in Path("folders").rglob("*.png"))[:2] == [
        "folders/0/00000.png",
        "folders/0/00010.png",
    ]
    assert {path.name for path in Path("folders").iterdir()} == set("0123456789")

    assert cli("sample", class_run, "--out", "rows.png").code == 0
    with Image.open("rows.png") as image:
        assert image.size == (10 * 58 + 2,) * 2
    assert cli("sample", class_run, "--label", 1, "--out", "ones.png").code == 0
    with Image.open("ones.png") as image:
        assert image.size == (8 * 58 + 2,) * 2
    assert cli("sample", class_run, "--interpolate", "--label", 2, "-n", 2, "--steps", 3, "--out", "w.gif").code == 0

    wrong = cli("sample", class_run, "--label", "ten")
    assert wrong.code == 2
    assert "'ten'" in wrong.err


def test_points_in_the_plane(cli, plane_run, here):
    assert cli("sample", plane_run, "--out", "a.png", "-n", 50).code == 0
    with Image.open("a.png") as image:
        assert image.size == (512, 512)
    assert cli("sample", plane_run, "--out", "a.csv", "-n", 4).code == 0
    header, *rows = csv.reader(Path("a.csv").read_text().splitlines())
    assert header == ["x1", "x2"]
    np.testing.assert_allclose(np.array(rows, float), Run(plane_run).sample(4), rtol=1e-8)
    assert cli("sample", plane_run, "--out", "a.npz", "--interpolate").code == 0


def test_rows_of_a_table_are_in_its_units(cli, table_run, here):
    assert cli("sample", table_run, "--out", "a.csv", "-n", 6).code == 0
    header, *rows = csv.reader(Path("a.csv").read_text().splitlines())
    assert header == ["low", "high, in m", "third"]
    table = np.loadtxt(table_run.parent / "table.csv", delimiter=",", skiprows=1)
    expected = Run(table_run).sample(6) * table.std(axis=0) + table.mean(axis=0)
    np.testing.assert_allclose(np.array(rows, float), expected, rtol=1e-6)


def test_a_table_that_has_gone(cli, table_run, tmp_path):
    shutil.copytree(table_run, tmp_path / "run")
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text().replace("table.csv", "gone.csv"))
    result = cli("sample", tmp_path / "run", "--out", tmp_path / "a.csv")
    assert result.code == 1
    assert "write a .npz" in result.err
    assert cli("sample", tmp_path / "run", "--out", tmp_path / "a.npz").code == 0


@pytest.mark.parametrize(
    ("kind", "arguments", "text"),
    [
        ("image_run", ["--out", "a.jpg"], ".jpg"),
        ("image_run", ["--out", "a.gif"], "--interpolate"),
        ("image_run", ["--out", "a.csv"], "no row of a table"),
        ("image_run", ["--out", "a.csv", "--interpolate"], "interpolation"),
        ("image_run", ["--out", "folder/", "--interpolate"], "interpolation"),
        ("image_run", ["--steps", "4"], "--interpolate"),
        ("image_run", ["--label", "4"], "cgan"),
        ("image_run", ["-n", "0"], "-n"),
        ("image_run", ["--seed", str(2**64)], "seed"),
        ("image_run", ["--backend", "tpu"], "--backend"),
        ("plane_run", ["--out", "a.gif", "--interpolate"], "no picture"),
        ("plane_run", ["--out", "folder/"], "no picture"),
        ("table_run", ["--out", "a.png"], "no picture"),
        ("class_run", ["--label", "10"], "0 to 9"),
        ("class_run", ["--label", "-1"], "0 to 9"),
    ],
)
def test_wrong_usage(cli, here, request, kind, arguments, text):
    run = request.getfixturevalue(kind)
    before = sorted(run.iterdir())
    result = cli("sample", run, *arguments)
    assert result.code == 2
    assert text in result.err
    assert sorted(run.iterdir()) == before
    assert list(here.iterdir()) == []


def test_failures(cli, image_run, here):
    assert cli("sample", "nowhere").code == 1
    Path("file").write_text("")
    result = cli("sample", image_run, "--out", "file/a.png")
    assert result.code == 1
    assert result.err.startswith("error: ")
    assert "file" in result.err


def test_folders_are_named_by_classes_where_names_can_be_told_apart():
    from npgan.cli.drawing import _folder_names

    assert _folder_names(["T-shirt/top", "ankle boot"]) == ["T-shirt-top", "ankle-boot"]
    assert _folder_names(["a/b", "a-b"]) == ["0", "1"]
    assert _folder_names(["..", "A", "a"]) == ["0", "1", "2"]
    assert _folder_names(["a", "A"]) == ["0", "1"]

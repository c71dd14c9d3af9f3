import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from npgan.data.images import ImageFolder
from npgan.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)


def encode(array, kind, **options):
    target = io.BytesIO()
    Image.fromarray(array).save(target, kind, **options)
    return target.getvalue()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set").mkdir()
    return tmp_path / "set"


@pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".ppm", "PPM"), (".PNG", "PNG")])
def test_colour(folder, read, suffix, kind):
    (folder / f"a{suffix}").write_bytes(encode(COLOUR, kind))
    dataset = ImageFolder(folder)
    out, _ = read(dataset)
    np.testing.assert_array_equal(out[0], COLOUR / 127.5 - 1)
    assert dataset.classes is None
    assert dataset.sample_shape == (5, 7, 3)


@pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".pgm", "PPM")])
def test_grey(folder, read, suffix, kind):
    (folder / f"a{suffix}").write_bytes(encode(GREY, kind))
    np.testing.assert_array_equal(read(ImageFolder(folder))[0][0, ..., 0], GREY / 127.5 - 1)
    three, _ = read(ImageFolder(folder, grayscale=False))
    np.testing.assert_array_equal(three[0], np.repeat(GREY[..., None], 3, axis=2) / 127.5 - 1)


def test_jpeg(folder, read):
    smooth = np.add.outer(np.arange(16), np.arange(24))[..., None] * np.array([3, 2, 1])
    (folder / "a.jpeg").write_bytes(encode(smooth.astype(np.uint8), "JPEG", quality=98))
    (folder / "b.jpg").write_bytes(encode(smooth.astype(np.uint8), "JPEG", quality=98))
    out, _ = read(ImageFolder(folder))
    np.testing.assert_allclose(out, np.stack([smooth, smooth]) / 127.5 - 1, atol=0.06)


@pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".pgm", "PPM")])
def test_sixteen_bits(folder, read, suffix, kind):
    deep = RNG.integers(0, 65536, (4, 6), dtype=np.uint16)
    (folder / f"a{suffix}").write_bytes(encode(deep, kind))
    np.testing.assert_array_equal(read(ImageFolder(folder))[0][0, ..., 0], (deep >> 8) / 127.5 - 1)


def test_palette_and_transparency(folder, read):
    image = Image.new("P", (4, 4))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 2), 1)
    image.save(folder / "a.png", transparency=bytes([0, 128]))
    Image.new("RGBA", (4, 4), (10, 20, 30, 0)).save(folder / "b.png")
    out, _ = read(ImageFolder(folder))
    np.testing.assert_allclose((out[0, 2, 1] + 1) * 127.5, [40, 50, 60])
    np.testing.assert_allclose((out[1, 0, 0] + 1) * 127.5, [10, 20, 30])


def test_classes(folder, read):
    for name, level in [("cat", 0), ("ant", 255), ("bee", 51)]:
        (folder / name).mkdir()
        (folder / name / "2.png").write_bytes(encode(np.full((3, 3), level, np.uint8), "PNG"))
        (folder / name / "notes.txt").write_text("passed over")
    (folder / "cat" / "10.png").write_bytes(encode(np.full((3, 3), 102, np.uint8), "PNG"))
    (folder / ".hidden").mkdir()
    dataset = ImageFolder(folder)
    assert dataset.classes == ("ant", "bee", "cat")
    out, labels = read(dataset)
    assert labels.tolist() == [0, 1, 2, 2]
    np.testing.assert_allclose(out[:, 0, 0, 0], [1, -0.6, -0.2, -1])


def test_resize(folder, read):
    wide = np.zeros((8, 24), np.uint8)
    wide[:, 8:16] = 255  # the middle third is white
    (folder / "a.png").write_bytes(encode(wide, "PNG"))
    (folder / "b.png").write_bytes(encode(np.full((9, 9), 255, np.uint8), "PNG"))
    out, _ = read(ImageFolder(folder, image_size=4))
    assert out.shape == (2, 4, 4, 1)
    np.testing.assert_allclose(out[1], 1)
    np.testing.assert_allclose(out[0, :, 1:3], 1)
    assert out[0].min() > 0.8  # the filter reaches a little beyond the part that is kept
    assert ImageFolder(folder, image_size=(2, 6), grayscale=False).sample_shape == (2, 6, 3)
    with pytest.raises(ConfigError, match="image_size is 0"):
        ImageFolder(folder, image_size=0)


def test_without_cache(folder, read, monkeypatch):
    for i in range(3):
        (folder / f"{i}.png").write_bytes(encode(COLOUR + np.uint8(i), "PNG"))
    kept, _ = read(ImageFolder(folder))
    monkeypatch.setattr("npgan.data.images._CACHE_BYTES", 0)
    lazy = ImageFolder(folder)
    np.testing.assert_array_equal(read(lazy)[0], kept)
    (folder / "1.png").write_bytes(encode(COLOUR[:3], "PNG"))
    with pytest.raises(DataError, match=r"1\.png: decodes to shape \(3, 7, 3\), expected \(5, 7, 3\)"):
        read(lazy)
    (folder / "1.png").unlink()
    with pytest.raises(DataError, match=r"1\.png: cannot be read"):
        read(lazy)


def test_different_sizes(folder):
    (folder / "a.png").write_bytes(encode(GREY, "PNG"))
    (folder / "b.png").write_bytes(encode(GREY[:4], "PNG"))
    with pytest.raises(DataError, match=r"b\.png: is 7 x 4 pixels, but .*a\.png is 7 x 5; give image_size"):
        ImageFolder(folder)


def test_folders_that_are_none(folder):
    with pytest.raises(DataError, match="holds no images"):
        ImageFolder(folder)
    (folder / "a").mkdir()
    with pytest.raises(DataError, match="a: holds no images"):
        ImageFolder(folder)
    (folder / "a" / "b").mkdir()
    with pytest.raises(DataError, match="a folder inside a class"):
        ImageFolder(folder)
    (folder / "c.png").write_bytes(encode(GREY, "PNG"))
    with pytest.raises(DataError, match=r"holds images \(c\.png\) beside folders \(a\)"):
        ImageFolder(folder)
    with pytest.raises(DataError, match="cannot be read"):
        ImageFolder(folder / "missing")


@pytest.mark.parametrize("target", ["file", "folder", "loop", "dangling"])
def test_links(folder, tmp_path, target):
    (folder / "a.png").write_bytes(encode(GREY, "PNG"))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(encode(GREY, "PNG"))
    link = folder / "b.png"
    link.symlink_to(
        {"file": outside / "secret.png", "folder": outside, "loop": link, "dangling": outside / "x"}[target]
    )
    with pytest.raises(DataError, match=r"link out of the folder|cannot be read"):
        ImageFolder(folder)


def test_a_link_inside_is_fine(folder, tmp_path):
    (folder / "a.png").write_bytes(encode(GREY, "PNG"))
    (folder / "b.png").symlink_to("a.png")
    (tmp_path / "linked").symlink_to(folder)
    assert len(ImageFolder(tmp_path / "linked")) == 2


def test_a_pipe_does_not_hang(folder):
    os.mkfifo(folder / "a.png")
    with pytest.raises(DataError, match="is a pipe"):
        ImageFolder(folder)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, content):
    start = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", zlib.compress(content, 9)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(60_000, 60_000), (9_000, 9_000), (2**31 - 1, 2**31 - 1)])
def test_decompression_bombs(folder, size, memory_below):
    (folder / "a.png").write_bytes(png(*size, bytes(10**7)))
    with memory_below(2**22), pytest.raises(DataError, match=r"bomb|pixels|cannot be read"):
        ImageFolder(folder, image_size=8)
    (folder / "a.png").unlink()
    (folder / "a.pgm").write_bytes(b"P5 %d %d 255\n" % size)
    with memory_below(2**22), pytest.raises(DataError, match=r"bomb|pixels|cannot be read"):
        ImageFolder(folder, image_size=8)


def test_large_pictures_need_a_size(folder):
    (folder / "a.png").write_bytes(png(3000, 3000, bytes(3001 * 3000)))
    with pytest.raises(DataError, match=r"a\.png: is 3000 x 3000 pixels; give image_size"):
        ImageFolder(folder)
    assert ImageFolder(folder, image_size=8).sample_shape == (8, 8, 1)


def test_mislabelled(folder, read):
    for content in (b"", b"GIF89a" + bytes(30), encode(GREY, "BMP"), encode(COLOUR, "PNG")[:60]):
        (folder / "a.png").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.png: cannot be read as a PNG"):
            read(ImageFolder(folder))


@pytest.mark.parametrize(
    ("name", "examples", "count"),
    [
        ("a.png", [encode(COLOUR, "PNG"), encode(GREY, "PNG")], 3000),
        ("a.jpg", [encode(COLOUR, "JPEG"), encode(GREY, "JPEG"), encode(COLOUR, "JPEG", progressive=True)], 3000),
        ("a.pgm", [encode(GREY, "PPM"), b"P2 3 2 9 1 2 3 4 5 6\n", encode(GREY.astype(np.uint16), "PPM")], 3000),
    ],
)
def test_fuzz(fuzz, folder, name, examples, count):
    fuzz(lambda path: ImageFolder(path.parent), examples, count, name=name, folder=folder)

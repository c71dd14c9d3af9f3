import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from npgan.errors import CheckpointError, ShapeError
from npgan.training.pictures import encode_png, enlarge, grid, scatter_picture, to_uint8, write_gif, write_png

batches = hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3, st.sampled_from([1, 3])))


def random_image(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_to_uint8_maps_the_range_and_clips():
    images = np.array([-1, -0.5, 0, 0.999, 1, 2, -9, np.inf, -np.inf, np.nan], np.float32)
    assert to_uint8(images).tolist() == [0, 64, 128, 255, 255, 255, 0, 255, 0, 0]
    assert to_uint8(np.array([0, 0.5, 1]), (0, 1)).tolist() == [0, 128, 255]


def test_to_uint8_undoes_the_scaling_of_bytes():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    images = pixels.astype(np.float32) / 127.5 - 1
    before = images.copy()
    np.testing.assert_array_equal(to_uint8(images), pixels)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize(("size", "shown"), [(8, 56), (16, 64), (28, 56), (32, 64), (64, 64), (128, 128), (1, 56)])
def test_small_images_become_readable(size, shown):
    assert enlarge(random_image(2, size, size, 3)).shape == (2, shown, shown, 3)


def test_enlarge_repeats_pixels():
    image = random_image(1, 2, 3, 1)
    np.testing.assert_array_equal(enlarge(image, 3)[0, :, :, 0], np.kron(image[0, :, :, 0], np.ones((3, 3), np.uint8)))


@given(batches, st.none() | st.integers(1, 7), st.integers(0, 3), st.integers(1, 2))
def test_grid_puts_every_image_in_its_place(images, columns, padding, factor):
    sheet = grid(images, columns, padding, factor)
    big = enlarge(images, factor)
    N, H, W, C = big.shape
    across = min(N, columns or int(np.ceil(np.sqrt(N))))
    down = -(-N // across)
    assert sheet.shape == (down * (H + padding) + padding, across * (W + padding) + padding, C)
    blank = np.full_like(sheet, 96)
    for n in range(N):
        top, left = padding + n // across * (H + padding), padding + n % across * (W + padding)
        blank[top : top + H, left : left + W] = big[n]
    np.testing.assert_array_equal(sheet, blank)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3, 3, 1), np.float32), np.zeros((0, 3, 3, 1), np.uint8)]
)
def test_grid_names_what_came(images):
    with pytest.raises(ShapeError, match=r"grid: images is \(.*expected \(N, H, W, C\) uint8"):
        grid(images)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_png_holds_the_pixels(tmp_path, channels, mode):
    image = random_image(9, 5, channels)
    write_png(tmp_path / "a.png", image[::-1])
    assert os.listdir(tmp_path) == ["a.png"]
    with Image.open(tmp_path / "a.png") as found:
        assert (found.format, found.mode) == ("PNG", mode)
        np.testing.assert_array_equal(np.asarray(found).reshape(image.shape), image[::-1])


@pytest.mark.parametrize("shape", [(3, 3), (3, 3, 2), (3, 3, 4), (0, 3, 1)])
def test_png_names_what_came(shape):
    with pytest.raises(ShapeError, match=r"picture is .* expected"):
        encode_png(np.zeros(shape, np.uint8))


def test_png_into_nowhere(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot write .*none/a\.png.*No such file"):
        write_png(tmp_path / "none" / "a.png", random_image(2, 2, 1))


@pytest.mark.parametrize("channels", [1, 3])
def test_gif_holds_the_frames(tmp_path, channels):
    frames = [np.full((4, 6, channels), value, np.uint8) for value in (0, 100, 200)]
    write_gif(tmp_path / "a.gif", frames, ms=250)
    with Image.open(tmp_path / "a.gif") as found:
        assert (found.n_frames, found.info["loop"], found.info["duration"]) == (3, 0, 250)
        for n, frame in enumerate(frames):
            found.seek(n)
            np.testing.assert_array_equal(np.asarray(found.convert("RGB")), np.broadcast_to(frame, (4, 6, 3)))


def test_gif_names_what_came(tmp_path):
    with pytest.raises(ShapeError, match="frames are"):
        write_gif(tmp_path / "a.gif", [])
    with pytest.raises(ShapeError, match="frames are"):
        write_gif(tmp_path / "a.gif", [random_image(2, 2, 1), random_image(2, 3, 1)])
    assert os.listdir(tmp_path) == []


def colored(picture, rgb):
    """Rows and columns of the pixels near a colour."""
    return np.argwhere((np.abs(picture.astype(int) - rgb) < 60).all(axis=2))


ORANGE, BLUE = (226, 142, 76), (86, 180, 233)  # the first shines through to white


def test_scatter_draws_points_where_they_are():
    corners = np.array([[-1.0, -1.0], [1.0, 1.0]])
    at = [
        colored(scatter_picture(np.array([p]), corners)[40:], ORANGE).mean(axis=0) for p in ([0, 1], [0, -1], [1, -1])
    ]
    assert at[0][0] < at[1][0] - 200  # up is up
    assert at[2][1] > at[1][1] + 100  # right is right
    assert len(colored(scatter_picture(corners * 0, corners)[40:], BLUE)) > 5


def test_scatter_keeps_the_real_frame_and_counts_what_is_outside():
    real = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    wild = np.array([[1e30, 0], [np.nan, 0], [np.inf, -np.inf]], np.float32)
    calm = scatter_picture(real[:2], real)
    assert calm.shape == (512, 512, 3)
    assert calm.dtype == np.uint8
    frames = [scatter_picture(points, real, size=300) for points in (real[:2], np.concatenate([real[:2], wild]))]
    different = np.argwhere((frames[0] != frames[1]).any(axis=2))
    assert len(different) > 0  # "3 of 5 outside", in the lower left corner, and nothing else
    assert different[:, 0].min() > 240
    assert different[:, 1].max() < 160


@pytest.mark.parametrize("points", [np.zeros((1, 2)), np.full((3, 2), np.nan), np.zeros((0, 2))])
def test_scatter_of_nothing_much(points):
    assert scatter_picture(points).shape == (512, 512, 3)


def test_scatter_names_what_came():
    with pytest.raises(ShapeError, match=r"real is \(4, 3\), expected \(N, 2\)"):
        scatter_picture(np.zeros((4, 2)), np.zeros((4, 3)))
    with pytest.raises(ShapeError, match=r"points is \(4,\)"):
        scatter_picture(np.zeros(4))

"""The operations are those of the direct algorithms, counted another way."""

from __future__ import annotations

import numpy as np
import pytest

from npgan.bench.gans import (
    FIELD_WORKS,
    GANS,
    critic_flops,
    field_flops,
    flops,
    geometry,
    inputs,
    product_flops,
    step_flops,
)
from npgan.bench.steps import critic
from npgan.layers import BatchNorm, Conv2d, ConvTranspose2d, Dense
from npgan.network import Network


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("stride", [1, 2])
def test_flops_of_a_convolution(kernel, stride):
    # A multiplication and an addition for each tap, channel in, channel out and window.
    windows = (10 + 2 - kernel) // stride + 1
    direct = 2 * 7 * windows**2 * kernel**2 * 3 * 5
    assert flops(Conv2d(5, kernel, stride=stride, padding=1), (7, 10, 10, 3)) == direct
    # Its transpose, from where it went back to where it came from, has the same.
    assert flops(ConvTranspose2d(3, kernel, stride=stride, padding=1), (7, windows, windows, 5)) == direct


def test_other_layers():
    assert flops(Dense(4), (7, 3)) == 2 * 7 * 3 * 4
    assert flops(BatchNorm(), (7, 3)) is None


def test_geometry_of_a_transposed_convolution_is_that_of_its_convolution():
    there = geometry(Conv2d(5, 4, stride=2, padding=1), (7, 8, 8, 3))
    assert geometry(ConvTranspose2d(3, 4, stride=2, padding=1), (7, 4, 4, 5)) == there
    assert there[:4] == ((7, 8, 8, 3), (4, 4, 3, 5), (7, 4, 4, 5), (2, 2))


def test_a_step_of_dcgan_64():
    # Per sample, in multiply-adds, by hand: G 100-8192 and 4-8-16-32-64, D back, 4x4 kernels of stride 2.
    g = [100 * 8192, 16 * 16 * 512 * 256, 16 * 64 * 256 * 128, 16 * 256 * 128 * 64, 16 * 1024 * 64 * 3]
    d = [16 * 1024 * 3 * 64, 16 * 256 * 64 * 128, 16 * 64 * 128 * 256, 16 * 16 * 256 * 512, 8192]
    gan = next(each for each in GANS if each.name == "dcgan-64")
    G, D = gan.networks("float32", "cpu")
    by_hand = 3 * sum(g) - g[0] + 8 * sum(d) - 2 * d[0]
    assert step_flops(G, D, 64) == 2 * 64 * by_hand
    assert step_flops(G, D, 64) == pytest.approx(146e9, rel=0.05)


def test_a_critic_s_step_and_a_product():
    D = critic("mlp", (2,), "float32", "cpu")
    d = np.array([2 * 128, 128 * 128, 128 * 128, 128])
    assert critic_flops(D, 4) == 2 * 4 * (2 * (3 * d.sum() - d[0]) + 4 * d.sum())
    assert product_flops(D, 4) == 2 * 4 * (6 * d.sum() - 4 * d[0])
    curved = critic("dcgan-64 layer norm", (64, 64, 3), "float32", "cpu")
    plain = critic("dcgan-64", (64, 64, 3), "float32", "cpu")
    assert critic_flops(curved, 4) > critic_flops(plain, 4)


def test_the_same_work_each_time():
    gan = GANS[0]
    for a, b in zip(gan.networks("float64", "cpu"), gan.networks("float64", "reference"), strict=True):
        np.testing.assert_array_equal(a.theta, b.theta)
    for a, b in zip(gan.batch(5, "float64"), gan.batch(5, "float64"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_inputs_follow_one_another():
    gan = next(each for each in GANS if each.name == "dcgan-28")
    shapes = [x for _, _, x in inputs(gan.networks("float32", "cpu")[1], 9)]
    assert shapes[0] == (9, 28, 28, 1)
    assert shapes[2] == (9, 14, 14, 64)


def test_products_with_a_game():
    # By hand, for networks of one layer, in products of that layer: G from 2 to 2, D from 2 to 1, batch 3.
    G, D = Network([Dense(2)], (2,)), Network([Dense(1)], (2,))
    g, d = 2 * 3 * 4, 2 * 3 * 2
    gradient = 2 * g + 2 * 2 * d + 2 * d - d  # G forward and weights; D on real and fake the same; L_G to the fakes
    ju = 2 * g + 2 * d + (2 * d + 2 * d) + 2 * d
    jtu = 2 * g + 2 * d + (d + 2 * d + d) + 4 * d
    found = {what: field_flops(what, G, D, 3) for what in FIELD_WORKS}
    assert found == {
        "gradient": gradient,
        "Ju": ju,
        "Ju anew": ju + gradient,
        "JTu": jtu,
        "JTu anew": jtu + gradient,
    }

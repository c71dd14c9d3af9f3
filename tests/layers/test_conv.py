"""Conv2d and ConvTranspose2d: sizes, gradients, the layers as adjoints of each other, errors, PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.errors import ConfigError, ShapeError
from npgan.gradcheck import check
from npgan.layers.activations import LeakyReLU
from npgan.layers.base import Spec
from npgan.layers.conv import Conv2d, ConvTranspose2d
from npgan.network import Network

backends = pytest.mark.parametrize("backend", ["reference", "cpu"])

# layer, input shape of one sample, output shape of one sample
CONVOLUTIONS = [
    (Conv2d(3, 3), (5, 6, 2), (3, 4, 3)),
    (Conv2d(3, 4, stride=2, padding=1), (8, 6, 2), (4, 3, 3)),
    (Conv2d(3, (3, 2), stride=(2, 1), padding=(1, 0), bias=False), (6, 5, 1), (3, 4, 3)),
    (Conv2d(2, 3, padding=((2, 0), (1, 3)), dilation=(2, 1)), (6, 4, 2), (4, 6, 2)),
    (Conv2d(2, 3, stride=2, padding="same"), (5, 6, 2), (3, 3, 2)),
    (Conv2d(2, 2, stride=3, padding="same", dilation=2), (7, 9, 2), (3, 3, 2)),
    (Conv2d(2, 3, padding="valid"), (3, 4, 2), (1, 2, 2)),
    (Conv2d(4, 4), (4, 4, 3), (1, 1, 4)),
    (Conv2d(4, 1), (3, 2, 3), (3, 2, 4)),
]
TRANSPOSES = [
    (ConvTranspose2d(3, 3), (3, 4, 2), (5, 6, 3)),
    (ConvTranspose2d(3, 4, stride=2, padding=1), (4, 3, 2), (8, 6, 3)),
    (
        ConvTranspose2d(3, (3, 2), stride=(2, 1), padding=(1, 0), output_padding=(1, 0), bias=False),
        (3, 4, 1),
        (6, 5, 3),
    ),
    (ConvTranspose2d(2, 3, padding=((2, 0), (1, 3)), dilation=(2, 1)), (4, 6, 2), (6, 4, 2)),
    (ConvTranspose2d(2, 3, stride=2, padding="same"), (3, 2, 2), (6, 4, 2)),
    (ConvTranspose2d(2, 2, stride=3, padding="same"), (2, 3, 2), (6, 9, 2)),  # rows that no tap reaches
    (ConvTranspose2d(2, 2, dilation=3, output_padding=2), (2, 3, 2), (7, 8, 2)),  # by the dilation alone
    (ConvTranspose2d(4, 4), (1, 1, 3), (4, 4, 4)),
    (ConvTranspose2d(2, 1, padding=1), (4, 5, 3), (2, 3, 2)),  # cut into what the taps make
]
layers = pytest.mark.parametrize(("layer", "shape", "output"), CONVOLUTIONS + TRANSPOSES, ids=repr)


def build(layer, shape, backend="cpu", dtype="float64", name="D"):
    return Network([layer], shape, backend=backend, dtype=dtype, name=name)


@layers
def test_output_shape(layer, shape, output):
    assert build(layer, shape).output_shape == output


@backends
@layers
def test_gradients(layer, shape, output, backend):
    check(layer, shape, batch=2, backend=backend)


@st.composite
def any_layer(draw):
    """A layer of either kind and an image that it takes."""

    def pair(low, high):
        return draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride, dilation = pair(1, 4), pair(1, 3), pair(1, 2)
    padding = draw(
        st.one_of(st.just("same"), st.tuples(st.tuples(*[st.integers(0, 2)] * 2), st.tuples(*[st.integers(0, 2)] * 2)))
    )
    given_pads = ((0, 0), (0, 0)) if padding == "same" else padding
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    more, channels = pair(0, 4), draw(st.integers(1, 3))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "bias": draw(st.booleans())}
    if draw(st.booleans()):
        size = [max(1, r - sum(p)) + m for r, p, m in zip(reach, given_pads, more, strict=True)]
        return Conv2d(channels, kernel, **options), (*size, draw(st.integers(1, 3)))
    if padding != "same":
        options["output_padding"] = tuple(
            draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
        )
    # enough that something is left where the padding cuts: (H - 1) s + reach > pads
    size = [1 + max(0, sum(p) - r + 1) + m for r, p, m in zip(reach, given_pads, more, strict=True)]
    return ConvTranspose2d(channels, kernel, **options), (*size, draw(st.integers(1, 3)))


@given(any_layer(), st.integers(1, 3), st.integers(0, 2**16))
@settings(max_examples=25, deadline=None)
def test_gradients_of_any_geometry(drawn, batch, seed):
    layer, shape = drawn
    check(layer, shape, batch=batch, seed=seed, backend="reference")
    check(layer, shape, batch=batch, seed=seed)


@pytest.mark.parametrize(
    "layer", [Conv2d(3, 3, stride=2, padding="same"), ConvTranspose2d(3, 3, stride=2, padding="same")]
)
def test_gradients_by_the_complex_step(layer):
    h, rng = 1e-20, np.random.default_rng(0)
    stack = [layer, LeakyReLU(0.2), Conv2d(1, 2)]
    network = Network(stack, (5, 4, 2), backend="reference", dtype="complex128")
    x = rng.normal(size=(2, 5, 4, 2)).astype(complex)
    p = network.new_pass(2)
    dy = rng.normal(size=p.forward(x).shape).astype(complex)
    dtheta = np.empty(network.size, complex)
    p.forward(x)
    dx = p.backward(dy, dtheta=dtheta).copy()
    for _ in range(5):
        u, v = rng.normal(size=x.shape), rng.normal(size=network.size)
        with network.write() as theta:
            theta += 1j * h * v
        step = np.sum(dy * p.forward(x + 1j * h * u)).imag / h
        with network.write() as theta:
            theta -= 1j * h * v
        np.testing.assert_allclose(np.sum(dx * u).real + np.sum(dtheta * v).real, step, rtol=1e-12)


@backends
@pytest.mark.parametrize(
    ("kernel", "options", "output_padding", "large", "small"),
    [
        (3, {}, 0, (5, 6), (3, 4)),
        (4, {"stride": 2, "padding": 1}, 0, (8, 6), (4, 3)),
        (4, {"stride": 2, "padding": 1}, 1, (9, 7), (4, 3)),
        ((3, 2), {"stride": (3, 1), "padding": ((2, 0), (1, 3))}, (2, 0), (6, 5), (2, 8)),
        (3, {"stride": 2, "padding": "same"}, 0, (6, 8), (3, 4)),
        (2, {"stride": 3, "padding": "same", "dilation": 2}, 0, (6, 9), (2, 3)),
        (4, {}, 0, (4, 4), (1, 1)),
    ],
)
def test_transpose_is_the_adjoint(kernel, options, output_padding, large, small, backend):
    """<u, C v> = <Cᵀ u, v>, the two layers sharing one weight."""
    conv = build(Conv2d(3, kernel, bias=False, **options), (*large, 2), backend)
    options = {**options, "output_padding": output_padding, "bias": False}
    transpose = build(ConvTranspose2d(2, kernel, **options), (*small, 3), backend)
    assert conv.output_shape == (*small, 3)
    assert transpose.output_shape == (*large, 2)
    assert conv.layout.describe() == transpose.layout.describe()
    transpose.load(conv.theta)
    rng = np.random.default_rng(0)
    v, u = rng.normal(size=(3, *large, 2)), rng.normal(size=(3, *small, 3))
    np.testing.assert_allclose(np.vdot(u, conv(v)), np.vdot(transpose(u), v), rtol=1e-10)


@backends
@pytest.mark.parametrize(
    ("kind", "x", "expected"),
    [
        (Conv2d, [1, 2, 3, 4], [321, 43]),  # one zero more than none: at the end
        (Conv2d, [1, 2, 3], [210, 32]),  # one at either end
        (ConvTranspose2d, [1, 2], [1, 10, 102, 20]),  # the last of 1, 10, 102, 20, 200 is cut off
    ],
)
def test_same_padding_puts_an_odd_zero_at_the_end(kind, x, expected, backend):
    network = build(kind(1, (1, 3), stride=(1, 2), padding="same", bias=False), (1, len(x), 1), backend)
    network.load(np.array([1.0, 10.0, 100.0]))
    y = network(np.array(x, float).reshape(1, 1, -1, 1))
    np.testing.assert_allclose(y.reshape(-1), expected, rtol=1e-15)


@backends
@pytest.mark.parametrize("layer", [Conv2d(3, 3, padding=1), ConvTranspose2d(3, 3, padding=1)])
def test_bias_is_added(layer, backend):
    network = build(layer, (4, 4, 2), backend)
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 2))
    without = network(x)
    bias = np.array([1.0, -2.0, 3.0])
    with network.write() as theta:
        theta[-3:] = bias
    np.testing.assert_allclose(network(x), without + bias)


@backends
@pytest.mark.parametrize("layer", [Conv2d(3, 3, padding=1), ConvTranspose2d(3, 3, padding=1)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_visible(layer, backend, bad):
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 2))
    x[1, 2, 2, 1] = bad
    finite = np.isfinite(build(layer, (4, 4, 2), backend)(x))
    assert not finite[1, 1:4, 1:4].any()
    assert finite[0].all()


def test_strided_input_is_taken():
    x = np.random.default_rng(0).normal(size=(2, 2, 4, 5)).transpose(0, 2, 3, 1)  # channels first, seen channels last
    network = build(Conv2d(3, 3), (4, 5, 2))
    np.testing.assert_array_equal(network(x), network(np.ascontiguousarray(x)))


def test_defaults_keep_x_alone():
    for layer in (Conv2d(3, 3), ConvTranspose2d(3, 3)):
        plan = layer.plan(Spec((2, 4, 4, 2)), build(layer, (4, 4, 2)).backend.kernels)
        assert set(plan.keeps) == {"x"}
        assert not plan.saved


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Conv2d(3, 5), (4, 6, 2), r"D/0 Conv2d: x of 4×6 pixels is 4×6 with its padding .* at least 5×5"),
        (Conv2d(3, 3, padding=1, dilation=4), (6, 8, 2), r"D/0 Conv2d: x of 6×8 pixels is 8×10 .* at least 9×9"),
        (Conv2d(3, 3), (4,), r"D/0 Conv2d: x is float \(1, 4\), expected real images"),
        (ConvTranspose2d(3, 3), (4, 4), r"D/0 ConvTranspose2d: x is float \(1, 4, 4\), expected real images"),
        (ConvTranspose2d(3, 2, padding=1), (1, 3, 2), r"D/0 ConvTranspose2d: x of 1×3 pixels would give 0×2"),
    ],
)
def test_wrong_shapes_name_the_layer(layer, shape, message):
    with pytest.raises(ShapeError, match=message):
        build(layer, shape)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 0}, "channels is 0"),
        ({"kernel": 0}, "kernel is 0"),
        ({"kernel": (3, 3, 3)}, r"kernel is \(3, 3, 3\)"),
        ({"kernel": 2.5}, "kernel is 2.5"),
        ({"stride": (1, 0)}, r"stride is \(1, 0\)"),
        ({"dilation": True}, "dilation is True"),
        ({"padding": -1}, 'padding is -1, .* "same"'),
        ({"padding": "full"}, "padding is 'full'"),
        ({"padding": ((1, 1), 1)}, r"padding is \(\(1, 1\), 1\)"),
        ({"padding": ((1, 1), (1, -1))}, r"padding is \(\(1, 1\), \(1, -1\)\)"),
        ({"padding": ((1, 1),)}, r"padding is \(\(1, 1\),\)"),
        ({"padding": None}, "padding is None"),
        ({"init": 0.02}, "init is 0.02"),
    ],
)
@pytest.mark.parametrize("kind", [Conv2d, ConvTranspose2d])
def test_wrong_settings(kind, settings, message):
    with pytest.raises(ConfigError, match=message):
        kind(**{"channels": 3, "kernel": 3, **settings})


def test_output_padding_is_below_stride_or_dilation():
    with pytest.raises(ConfigError, match=r"output_padding is \(2, 2\), expected less than the stride \(2, 2\)"):
        ConvTranspose2d(3, 3, stride=2, output_padding=2)
    with pytest.raises(ConfigError, match="output_padding is -1"):
        ConvTranspose2d(3, 3, stride=2, output_padding=-1)
    with pytest.raises(ConfigError, match=r'output_padding .* with padding "same"'):
        ConvTranspose2d(3, 3, stride=2, padding="same", output_padding=1)


@pytest.mark.peer
@backends
@layers
def test_pytorch_agrees(layer, shape, output, backend):
    torch = pytest.importorskip("torch")
    network = build(layer, shape, backend)
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, *shape)), rng.normal(size=(2, *output))
    with network.write() as theta:
        theta[...] = rng.normal(size=network.size)
    y, pullback = network.vjp(x)
    dx, dtheta = pullback(dy)
    grads = network.layout.by_name(dtheta)

    def tensor(a, axes):
        return torch.tensor(np.ascontiguousarray(a.transpose(axes)), requires_grad=True)

    images = (0, 3, 1, 2)
    tx, tw = tensor(x, images), tensor(network.parameters()["0/weight"], (3, 2, 0, 1))
    tb = tensor(network.parameters()["0/bias"], (0,)) if layer.bias else None
    options = {"stride": layer.stride, "dilation": layer.dilation}
    _, ((top, bottom), (left, right)), _ = layer._geometry((2, *(shape if isinstance(layer, Conv2d) else output)))
    if isinstance(layer, Conv2d):
        padded = torch.nn.functional.pad(tx, (left, right, top, bottom))
        ty = torch.nn.functional.conv2d(padded, tw, tb, **options)
    else:
        # Asymmetric padding is cut off by hand, and PyTorch's output padding makes the rows below.
        reach = [d * (k - 1) + 1 for k, d in zip(layer.kernel, layer.dilation, strict=True)]
        pads = (top + bottom, left + right)
        axes = zip(output, shape, layer.stride, reach, pads, strict=False)
        more = tuple(o - ((h - 1) * s + r - p) for o, h, s, r, p in axes)
        ty = torch.nn.functional.conv_transpose2d(tx, tw, tb, output_padding=more, **options)
        ty = ty[:, :, top : ty.shape[2] - bottom, left : ty.shape[3] - right]
    ty.backward(torch.tensor(dy.transpose(images).copy()))
    found = [(y, ty, images), (dx, tx.grad, images), (grads["0/weight"], tw.grad, (3, 2, 0, 1))]
    if tb is not None:
        found.append((grads["0/bias"], tb.grad, (0,)))
    for ours, theirs, axes in found:
        np.testing.assert_allclose(ours.transpose(axes), theirs.detach().numpy(), rtol=0, atol=1e-12)

"""Batch, layer and instance normalisation as layers: formulas, running statistics, gradients, errors."""

import numpy as np
import pytest

from npgan.errors import ConfigError, ShapeError
from npgan.gradcheck import check
from npgan.layers.activations import Tanh
from npgan.layers.dense import Dense
from npgan.layers.dropout import Dropout
from npgan.layers.initializers import Normal
from npgan.layers.normalization import BatchNorm, InstanceNorm, LayerNorm
from npgan.network import Network

IMAGE = (3, 2, 3)
CASES = [  # layer, shape of a sample, axes of the statistics, axes of the input that gain and bias have
    (BatchNorm(), (5,), (0,), (1,)),
    (BatchNorm(), IMAGE, (0, 1, 2), (3,)),
    (BatchNorm(eps=0.1), (4, 1), (0, 1), (2,)),
    (BatchNorm(affine=False), IMAGE, (0, 1, 2), ()),
    (InstanceNorm(), IMAGE, (1, 2), ()),
    (InstanceNorm(affine=True), IMAGE, (1, 2), (3,)),
    (InstanceNorm(affine=True), (7, 1), (1,), (2,)),
    (LayerNorm(), (5,), (1,), (1,)),
    (LayerNorm(), IMAGE, (1, 2, 3), (1, 2, 3)),
    (LayerNorm(1), IMAGE, (3,), (3,)),
    (LayerNorm(2, eps=0.1), IMAGE, (2, 3), (2, 3)),
    (LayerNorm(affine=False), IMAGE, (1, 2, 3), ()),
]
cases = pytest.mark.parametrize(("layer", "shape", "axes", "weights"), CASES)
backends = pytest.mark.parametrize("backend", ["cpu", "reference"])


def network_of(layer, shape, rng, **options):
    network = Network(layer, shape, **{"dtype": "float64", **options})
    with network.write() as theta:
        theta[...] = rng.normal(size=network.size)
    return network


@backends
@cases
def test_forward_is_the_formula(layer, shape, axes, weights, backend):
    rng = np.random.default_rng(0)
    network = network_of(layer, shape, rng, backend=backend)
    x = 2 + rng.normal(size=(4, *shape))
    expected = (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + layer.eps)
    if weights:
        gain, bias = (network.parameters()[f"0/{name}"] for name in ("gain", "bias"))
        assert gain.shape == bias.shape == tuple(x.shape[axis] for axis in weights)
        expected = expected * gain + bias  # both are of the last axes
    else:
        assert network.size == 0
    np.testing.assert_allclose(network.new_pass(4).forward(x), expected, rtol=1e-12, atol=1e-13)


@cases
@pytest.mark.parametrize("train", [True, False])
def test_gradients(layer, shape, axes, weights, train):
    check(layer, shape, batch=4, train=train)
    check([Dense(3, bias=False), layer, Tanh()], shape, batch=3, train=train)


@cases
@pytest.mark.parametrize("train", [True, False])
def test_rmaps(layer, shape, axes, weights, train, check_rmaps):
    check_rmaps(layer, shape, batch=4, train=train)


@cases
def test_rmaps_between_others(layer, shape, axes, weights, check_rmaps):
    check_rmaps([Dense(3, bias=False), layer, Tanh(), Dense(2)], shape, batch=3)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    "layer", [BatchNorm(eps=0.5), InstanceNorm(eps=0.5, affine=True), LayerNorm(eps=0.5), LayerNorm(1, eps=0.5)]
)
def test_rmaps_with_a_large_eps(layer, train, check_rmaps):
    """The average of xhat² is 1 - eps s², 0.67 here: who takes it for 1 is found out."""
    check_rmaps(layer, IMAGE, batch=4, train=train)


def test_rmaps_leave_running_statistics_alone():
    network = network_of(BatchNorm(), (3,), np.random.default_rng(0))
    x, dy, rx = np.random.default_rng(1).normal(size=(3, 5, 3))
    p = network.new_pass(5, order=2)
    p.forward(x)
    state = network.state.copy()
    p.backward(dy)
    p.rforward(rx)
    p.rbackward(dy)
    assert np.array_equal(network.state, state)


@cases
@pytest.mark.parametrize("train", [True, False])
def test_backward_is_the_complex_step(layer, shape, axes, weights, train):
    rng = np.random.default_rng(0)
    x, dy, vx = rng.normal(size=(3, 4, *shape))
    network = network_of(layer, shape, rng)
    vtheta = rng.normal(size=network.size)
    p = network.new_pass(4, train=train)
    p.forward(x)
    found = (p.backward(dy, dtheta=network.grad) * vx).sum() + network.grad @ vtheta
    stepped = Network(layer, shape, backend="reference", dtype="complex128")
    with stepped.write() as theta:
        theta[...] = network.theta + 1e-20j * vtheta
    slope = (dy * stepped.new_pass(4, train=train).forward(x + 1e-20j * vx)).sum().imag / 1e-20
    np.testing.assert_allclose(found, slope, rtol=1e-12)


@cases
def test_what_backward_reads_is_kept(layer, shape, axes, weights):
    """Dropout and Tanh keep nothing of the normalisation's input or of its output."""
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 4, *shape))
    network = network_of([Dropout(0.0), layer, Tanh(), Tanh()], shape, rng)
    found = []
    for keep in ("all", "needed"):
        p, dtheta = network.new_pass(4, keep=keep), np.empty(network.size)
        p.forward(x)
        found.append((p.backward(dy, dtheta=dtheta).copy(), dtheta))
    for a, b in zip(*found, strict=True):
        assert np.array_equal(a, b)


@backends
@pytest.mark.parametrize("shape", [(3,), IMAGE])
def test_running_statistics_follow_their_recursion(backend, shape):
    rng = np.random.default_rng(0)
    network = network_of(BatchNorm(momentum=0.3), shape, rng, backend=backend)
    p = network.new_pass(5)
    mean, var = np.zeros(3), np.ones(3)
    for _ in range(4):
        x = 3 + 2 * rng.normal(size=(5, *shape))
        p.forward(x)
        rows = x.reshape(-1, 3)
        mean += 0.3 * (rows.mean(axis=0) - mean)
        var += 0.3 * (rows.var(axis=0, ddof=1) - var)
    np.testing.assert_allclose(network.state, [*mean, *var], rtol=1e-13)
    before = network.state.copy()
    p.forward(x, update_stats=False)
    network.new_pass(5, train=False).forward(x)
    network.new_pass(5, train=False).forward(x, update_stats=True)  # nothing new to learn from running statistics
    assert np.array_equal(network.state, before)


@backends
def test_out_of_training_the_running_statistics_are_constants(backend):
    rng = np.random.default_rng(0)
    network = network_of(BatchNorm(), (2, 3), rng, backend=backend)
    mean, var = rng.normal(size=3), rng.uniform(0.5, 2, 3)
    network.load(network.theta.copy(), np.concatenate([mean, var]))
    gain, bias = network.theta.reshape(2, 3)
    x, dy = rng.normal(size=(2, 1, 2, 3))
    p = network.new_pass(1, train=False)
    xhat = (x - mean) / np.sqrt(var + 1e-5)
    np.testing.assert_allclose(p.forward(x), xhat * gain + bias, rtol=1e-12)
    # Another Pass may train between this one's forward and its backward.
    network.new_pass(1).forward(x)
    assert not np.array_equal(network.state[:3], mean)
    np.testing.assert_allclose(p.backward(dy, dtheta=network.grad), dy * gain / np.sqrt(var + 1e-5), rtol=1e-12)
    expected = [*(dy * xhat).sum(axis=(0, 1)), *dy.sum(axis=(0, 1))]
    np.testing.assert_allclose(network.grad, expected, rtol=1e-12)


def test_the_running_statistics_of_a_far_off_channel():
    x = (1e4 + np.random.default_rng(0).normal(size=(5000, 2))).astype(np.float32)
    network = Network(BatchNorm(momentum=1), (2,))
    y = network.new_pass(5000).forward(x)
    np.testing.assert_allclose(network.state[2:], x.astype(np.float64).var(axis=0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-3)


def test_one_value_per_channel_is_refused_in_training_alone():
    network = Network(BatchNorm(), (4,))
    x = np.ones((1, 4), np.float32)
    with pytest.raises(
        ShapeError, match=r"BatchNorm: x is \(1, 4\), one value per channel.* larger batch.*train=False"
    ):
        network.new_pass(1).forward(x)
    np.testing.assert_allclose(network.new_pass(1, train=False).forward(x), 1 / np.sqrt(1 + 1e-5), rtol=1e-6)
    assert np.array_equal(network.state, [0] * 4 + [1] * 4)
    Network(BatchNorm(), (2, 1, 4)).new_pass(1).forward(np.ones((1, 2, 1, 4), np.float32))


def test_a_constant_channel_gives_the_bias():
    for layer, _, _, weights in CASES:
        if not weights:
            continue
        network = network_of(layer, IMAGE, np.random.default_rng(0))
        p = network.new_pass(4)
        y = p.forward(np.full((4, *IMAGE), 7.0))
        bias = network.parameters()["0/bias"]
        np.testing.assert_allclose(y, np.broadcast_to(bias, y.shape), rtol=0, atol=1e-12)
        assert np.isfinite(p.backward(np.ones_like(y))).all()


def test_only_a_mean_and_a_scale_are_kept():
    for layer, shape, axes, _ in CASES:
        network = Network(layer, shape)
        plan = layer.plan(network.trace(4).input.spec, network.backend.kernels)
        size = np.prod([n for axis, n in enumerate((4, *shape)) if axis not in axes])
        assert {name: np.prod(spec.shape) for name, spec in plan.saved.items()} == {"mean": size, "inv_std": size}


def test_weights_begin_where_they_should():
    network = Network(BatchNorm(gain_init=Normal(0.02, mean=1.0)), (10_000,))
    gain, bias = (network.parameters()[f"0/{name}"] for name in ("gain", "bias"))
    assert abs(gain.mean() - 1) < 1e-3
    assert abs(gain.std() - 0.02) < 1e-3
    assert not bias.any()
    for layer in (BatchNorm(), LayerNorm(), InstanceNorm(affine=True)):
        theta = Network(layer, (2, 3)).theta
        assert np.array_equal(theta, np.repeat([1, 0], theta.size // 2))


def test_what_does_not_fit_is_refused():
    for layer in (BatchNorm(), LayerNorm(), InstanceNorm()):
        with pytest.raises(ShapeError, match=rf"D/0 {type(layer).__name__}: x is int64 \(1, 4, 4\), expected real"):
            Network(layer, (4, 4), input_dtype="int64", name="D")
        with pytest.raises(ShapeError, match=rf"D/0 {type(layer).__name__}: x is \(1,\), expected"):
            Network(layer, (), name="D")
    with pytest.raises(ShapeError, match=r"D/0 LayerNorm: x is \(1, 4\), expected a batch and 2 axes"):
        Network(LayerNorm(2), (4,), name="D")
    for shape in ((4,), (1, 1, 4)):
        with pytest.raises(ShapeError, match=r"D/0 InstanceNorm: x is .*, expected two places or more"):
            Network(InstanceNorm(), shape, name="D")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BatchNorm(momentum=1.5), "momentum is 1.5, expected a number from 0 to 1"),
        (lambda: BatchNorm(eps=-1e-5), "eps is -1e-05, expected a number from 0"),
        (lambda: LayerNorm(eps=float("nan")), "eps is nan"),
        (lambda: LayerNorm(0), "axes is 0, expected how many"),
        (lambda: LayerNorm((1, 2)), r"axes is \(1, 2\), expected how many"),
        (lambda: InstanceNorm(gain_init=1.0), "init is 1.0, expected an initializer"),
    ],
)
def test_a_senseless_setting_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.peer
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("kind", ["batch", "batch2d", "instance", "layer"])
def test_pytorch_agrees(kind, train):
    torch = pytest.importorskip("torch")
    layer, peer, shape = {
        "batch": (BatchNorm(), torch.nn.BatchNorm1d(6), (6,)),
        "batch2d": (BatchNorm(0.3, 1e-3), torch.nn.BatchNorm2d(6, momentum=0.3, eps=1e-3), (5, 4, 6)),
        "instance": (InstanceNorm(affine=True), torch.nn.InstanceNorm2d(6, affine=True), (5, 4, 6)),
        "layer": (LayerNorm(), torch.nn.LayerNorm((5, 4, 6)), (5, 4, 6)),
    }[kind]
    rng = np.random.default_rng(0)
    network = network_of(layer, shape, rng)
    gain, bias = (network.parameters()[f"0/{name}"] for name in ("gain", "bias"))
    peer = peer.double().train(train)
    with torch.no_grad():
        peer.weight.copy_(torch.tensor(gain))
        peer.bias.copy_(torch.tensor(bias))

    def channels_first(a):
        return torch.tensor(np.ascontiguousarray(np.moveaxis(a, -1, 1))) if kind != "layer" else torch.tensor(a)

    def channels_last(t):
        return np.moveaxis(t.detach().numpy(), 1, -1) if kind != "layer" else t.detach().numpy()

    p = network.new_pass(7, train=train)
    for _ in range(3):
        x, dy = rng.normal(size=(2, 7, *shape)) * 3 + 1
        tx = channels_first(x).requires_grad_()
        peer.zero_grad()
        ty = peer(tx)
        ty.backward(channels_first(dy))
        np.testing.assert_allclose(p.forward(x), channels_last(ty), rtol=1e-11, atol=1e-12)
        dx = p.backward(dy, dtheta=network.grad)
        np.testing.assert_allclose(dx, channels_last(tx.grad), rtol=1e-10, atol=1e-12)
        dgain, dbias = network.layout.by_name(network.grad).values()
        np.testing.assert_allclose(dgain, peer.weight.grad.numpy(), rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(dbias, peer.bias.grad.numpy(), rtol=1e-10, atol=1e-11)
    if kind.startswith("batch"):
        expected = np.concatenate([peer.running_mean.numpy(), peer.running_var.numpy()])
        np.testing.assert_allclose(network.state, expected, rtol=1e-12)


@pytest.mark.peer
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("kind", ["batch", "instance", "layer"])
def test_rmaps_are_those_of_pytorch(kind, train, torch_rmaps):
    import torch

    functional, layer, n = torch.nn.functional, {}, 5
    shape = (n, 3, 2, 4)
    draw = np.random.default_rng(0)
    mean, var = draw.normal(size=4), draw.uniform(0.5, 2, 4)
    tmean, tvar = torch.tensor(mean), torch.tensor(var)

    def channels_first(f):
        return lambda x, gain, bias: f(x.permute(0, 3, 1, 2), gain, bias).permute(0, 2, 3, 1)

    layer, f = {
        "batch": (
            BatchNorm(eps=0.1),
            channels_first(
                # Running statistics are for evaluation alone: functorch refuses to update them.
                (lambda x, g, b: functional.batch_norm(x, None, None, g, b, True, 0.1, 0.1))
                if train
                else (lambda x, g, b: functional.batch_norm(x, tmean, tvar, g, b, False, 0.1, 0.1))
            ),
        ),
        "instance": (
            InstanceNorm(0.1, affine=True),
            channels_first(lambda x, g, b: functional.instance_norm(x, None, None, g, b, True, 0.1, 0.1)),
        ),
        "layer": (LayerNorm(eps=0.1), lambda x, g, b: functional.layer_norm(x, shape[1:], g, b, 0.1)),
    }[kind]
    network = network_of(layer, shape[1:], draw)
    network.load(network.theta.copy(), np.concatenate([mean, var]) if kind == "batch" else network.state.copy())
    gain, bias = (network.parameters()[f"0/{name}"] for name in ("gain", "bias"))
    x, dy, rx, rdy = draw.normal(size=(4, *shape))
    rtheta = draw.normal(size=network.size)
    p, rdtheta = network.new_pass(n, order=2, train=train), np.empty(network.size)
    p.forward(x)
    p.backward(dy, dtheta=network.grad)
    ry, rdx = p.rforward(rx, rtheta=rtheta), p.rbackward(rdy, rdtheta=rdtheta)
    along = tuple(a.reshape(gain.shape) for a in np.split(rtheta, 2))
    expected = torch_rmaps(f, (x, gain, bias), (rx, *along), dy, rdy)
    found = ry, rdx, *(a.reshape(gain.shape) for a in np.split(rdtheta, 2))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13 * (1 + np.abs(b).max()))

"""The game's field and Jacobian are what PyTorch's torch.func computes of the losses written out."""

from __future__ import annotations

import numpy as np
import pytest

from npgan.game import Game
from npgan.layers import BatchNorm, Conv2d, ConvTranspose2d, Dense, Flatten, LeakyReLU, Reshape, Softplus, Tanh
from npgan.losses import get_loss
from npgan.network import Network
from npgan.penalties import get_penalty

pytestmark = pytest.mark.peer

N = 4
GAMES = {
    "mlp": ([Dense(5), Tanh(), Dense(2)], [Dense(6), LeakyReLU(), Dense(4), Tanh(), Dense(1)], (2,), (2,)),
    "dcgan": (
        [
            Dense(2 * 2 * 3),
            Reshape((2, 2, 3)),
            BatchNorm(),
            LeakyReLU(),
            ConvTranspose2d(1, 4, stride=2, padding=1),
            Tanh(),
        ],
        [Conv2d(3, 4, stride=2, padding=1), BatchNorm(), Softplus(), Flatten(), Dense(1)],
        (2,),
        (4, 4, 1),
    ),
}


def plain_batch_norm(torch, module):
    """Batch norm written out: the third derivative of PyTorch's own is not that of the formula."""

    class BatchNorm(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = module.weight, module.bias

        def forward(self, x):
            over = [i for i in range(x.ndim) if i != 1]
            shape = [1, -1] + [1] * (x.ndim - 2)
            centred = x - x.mean(over, keepdim=True)
            x_hat = centred / (centred.square().mean(over, keepdim=True) + module.eps).sqrt()
            return x_hat * self.weight.reshape(shape) + self.bias.reshape(shape)

    return BatchNorm()


class Peer:
    """Both networks in PyTorch, as functions of flat vectors of weights in npgan's order."""

    def __init__(self, torch, D, G, loss, penalties):
        from npgan.bench.torch_peer import convert, images

        self.torch, self.loss, self.penalties = torch, loss, penalties
        self.networks, self.modules, self.images = (D, G), (convert(D), convert(G)), images
        for modules in self.modules:
            for j, module in enumerate(modules):
                if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                    modules[j] = plain_batch_norm(torch, module)

    def parameters(self, i, theta):
        """Return the modules' parameters by name, as views of theta (P,) in PyTorch's layout."""
        network, modules = self.networks[i], self.modules[i]
        found = {}
        ranges = network.layout.describe()
        where = network.layout.ranges()
        for j, (path, _, _) in enumerate(network.rows):
            for theirs, ours in (("weight", "weight"), ("weight", "gain"), ("bias", "bias")):
                name = f"{path}/{ours}"
                if name not in where:
                    continue
                array = theta[slice(*where[name])].reshape(ranges[name])
                found[f"{j}.{theirs}"] = {2: lambda a: a.T, 4: lambda a: a.permute(3, 2, 0, 1)}.get(
                    array.ndim, lambda a: a
                )(array)
        assert set(found) == {name for name, _ in modules.named_parameters()}
        return found

    def call(self, i, theta, x):
        return self.torch.func.functional_call(self.modules[i], self.parameters(i, theta), (x,))

    def losses(self, theta_d, theta_g, x, z):
        torch = self.torch
        softplus = torch.nn.functional.softplus
        fake = self.call(1, theta_g, z)
        real_score, fake_score = self.call(0, theta_d, x), self.call(0, theta_d, fake)
        loss_d = softplus(-real_score).mean() + softplus(fake_score).mean()
        for name in self.penalties:
            at = {"r1": x, "r2": fake}[name]
            g = torch.func.grad(lambda p: self.call(0, theta_d, p).sum())(at)
            loss_d = loss_d + 5.0 * g.flatten(1).square().sum(1).mean()
        if self.loss == "minimax":
            return loss_d, -softplus(fake_score).mean()
        return loss_d, softplus(-fake_score).mean()


@pytest.mark.parametrize("penalties", [(), ("r1",), ("r2",), ("r1", "r2")], ids="+".join)
@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
@pytest.mark.parametrize("name", GAMES)
def test_jacobian(name, loss, penalties):
    torch = pytest.importorskip("torch")
    layers_g, layers_d, z_shape, x_shape = GAMES[name]
    G, D = (
        Network(layers, shape, dtype="float64", seed=3, name=which)
        for layers, shape, which in ((layers_g, z_shape, "G"), (layers_d, x_shape, "D"))
    )
    draw = np.random.default_rng(5)
    for network in (G, D):
        with network.write() as theta:
            theta += 0.2 * draw.normal(size=theta.size)
    x, z = draw.normal(size=(N, *x_shape)), draw.normal(size=(N, *z_shape))
    game = Game(G, D, get_loss(loss), N, penalties=[get_penalty(p) for p in penalties], order=2)
    field = game.on(x, z)

    peer = Peer(torch, D, G, loss, penalties)
    x, z = peer.images(torch.tensor(x)), torch.tensor(z)
    theta = torch.tensor(np.concatenate([D.theta, G.theta]))

    def both(theta):
        return torch.stack(peer.losses(theta[: D.size], theta[D.size :], x, z))

    def v(theta):
        d = torch.func.grad(lambda t: both(t)[0])(theta)
        g = torch.func.grad(lambda t: both(t)[1])(theta)
        return torch.cat([d[: D.size], g[D.size :]]), torch.cat([g[: D.size], d[D.size :]])

    own, crossed = (part.numpy() for part in v(theta))
    J = torch.func.jacrev(lambda t: v(t)[0])(theta).numpy()
    for what, found, expected in (
        ("v", field.gradient(), own),
        ("cross", field.cross_gradient(), crossed),
        ("J", field.jacobian(), J),
        ("Jt", np.stack([field.vjp(row) for row in np.eye(field.size)]), J),
    ):
        error = np.abs(found - expected).max() / np.abs(expected).max()
        print(f"{name} {loss} {'+'.join(penalties)} {what}: {error:.1e}")
        assert error < 1e-12

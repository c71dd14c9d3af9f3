"""One critic step with a gradient penalty: npgan beside PyTorch (create_graph=True) and JAX, on the same work.

    python bench/penalty_steps.py [rounds [critics whose name has this]]

A step is the gradient of  mean D(fake) - mean D(real) + penalty  by all weights, and Adam. WGAN-GP takes its points
between real and fake, R1 the real ones. First every contestant's gradient is compared in float64; then they are timed
in float32, taking turns. PyTorch and JAX are left out where they are not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from timing import interleaved, table

from npgan.backend.threads import thread_count
from npgan.network import Arena, Network
from npgan.optimizers import Adam
from npgan.penalties import Penalized, get_penalty
from npgan.recipes import RECIPES, Fit

LR, BETAS = 1e-4, (0.5, 0.9)


def critics(dtype: str) -> dict[str, tuple[Network, int]]:
    """Return critics by name, with the batch that they are timed at."""
    from npgan.layers import Dense, LeakyReLU

    mlp = [layer for _ in range(3) for layer in (Dense(128), LeakyReLU(0.2))] + [Dense(1)]
    image = Fit((64, 64, 3), None, True, {"channels": 64, "slope": 0.2})
    return {
        "mlp 2-128-128-128-1": (Network(mlp, (2,), dtype=dtype, name="D"), 256),
        "dcgan-64, layer norm": (Network(RECIPES["wgan-gp"].build(image)[1], (64, 64, 3), dtype=dtype, name="D"), 64),
        "dcgan-64, no norm": (Network(RECIPES["dcgan-r1"].build(image)[1], (64, 64, 3), dtype=dtype, name="D"), 64),
    }


class Npgan:
    """Passes that share an arena, and the R-maps."""

    def __init__(self, D: Network, penalty: str, batch: int) -> None:
        shared = Arena(D.backend)
        self.D = D
        self.on_real, self.on_fake = (D.new_pass(batch, arena=shared, name=name) for name in ("on_real", "on_fake"))
        self.penalized = Penalized(get_penalty(penalty), D, batch, shared)
        self.adam = Adam(D.size, D.dtype, betas=BETAS)
        self.ones = np.full((batch, 1), 1.0 / batch, D.dtype)

    def gradient(self, real: np.ndarray, fake: np.ndarray, points: np.ndarray) -> np.ndarray:
        g = self.D.grad
        self.on_real.forward(real)
        self.on_real.backward(-self.ones, dtheta=g, dx=False)
        self.on_fake.forward(fake)
        self.on_fake.backward(self.ones, dtheta=g, accumulate=True, dx=False)
        self.penalized.at(points, g, accumulate=True)
        return g

    def step(self, *batch: np.ndarray) -> None:
        g = self.gradient(*batch)
        with self.D.write() as theta:
            self.adam.step(theta, g, LR)


class Torch:
    """The usual double backward."""

    def __init__(self, D: Network, penalty: str, batch: int) -> None:
        import torch
        from torch_peer import convert

        torch.set_num_threads(thread_count())
        self.network, self.penalty, self.torch = D, penalty, torch
        self.modules = convert(D)
        self.adam = torch.optim.Adam(self.modules.parameters(), LR, BETAS)

    def backward(self, real, fake, points) -> None:
        from torch_peer import images

        torch = self.torch
        real, fake, points = (images(torch.from_numpy(x)) for x in (real, fake, points))
        points.requires_grad_()
        self.adam.zero_grad()
        (g,) = torch.autograd.grad(self.modules(points).sum(), points, create_graph=True)
        norms = g.flatten(1).square().sum(1)
        charge = 10.0 * (norms.sqrt() - 1.0).square().mean() if self.penalty == "wgan-gp" else 5.0 * norms.mean()
        (self.modules(fake).mean() - self.modules(real).mean() + charge).backward()

    def gradient(self, *batch: np.ndarray) -> np.ndarray:
        from torch_peer import gradients

        self.backward(*batch)
        return gradients(self.network, self.modules)

    def step(self, *batch: np.ndarray) -> None:
        self.backward(*batch)
        self.adam.step()


class Jax:
    """jit of grad of grad."""

    def __init__(self, D: Network, penalty: str, batch: int) -> None:
        import jax
        from jax_peer import adam, apply, weights

        jax.config.update("jax_enable_x64", D.dtype == np.float64)
        self.network, self.jax = D, jax
        jnp = jax.numpy
        self.w = weights(D)
        self.moments = jax.tree.map(lambda a: (jnp.zeros_like(a), jnp.zeros_like(a)), self.w)

        def loss(w, real, fake, points):
            g = jax.grad(lambda x: apply(D, w, x).sum())(points).reshape(len(points), -1)
            norms = (g * g).sum(1)
            charge = 10.0 * ((jnp.sqrt(norms) - 1.0) ** 2).mean() if penalty == "wgan-gp" else 5.0 * norms.mean()
            return apply(D, w, fake).mean() - apply(D, w, real).mean() + charge

        self._gradient = jax.jit(jax.grad(loss))
        self._step = jax.jit(lambda w, m, t, *batch: adam(w, m, t, jax.grad(loss)(w, *batch), LR, BETAS))
        self.t = 0

    def gradient(self, *batch: np.ndarray) -> np.ndarray:
        g = self._gradient(self.w, *batch)
        names = self.network.layout.by_layer(self.network.theta).values()  # JAX gives dicts back in another order
        return np.concatenate([np.asarray(dw[n]).reshape(-1) for dw, w in zip(g, names, strict=True) for n in w])

    def step(self, *batch: np.ndarray) -> None:
        self.t += 1
        self.w, self.moments = self._step(self.w, self.moments, float(self.t), *batch)
        self.jax.block_until_ready(self.w)


def contestants(D: Network, penalty: str, batch: int) -> dict[str, Npgan | Torch | Jax]:
    """Return all whose library is there."""
    found: dict[str, Npgan | Torch | Jax] = {}
    for name, make in (("npgan", Npgan), ("PyTorch", Torch), ("JAX jit", Jax)):
        try:
            found[name] = make(D, penalty, batch)
        except ImportError as error:
            print(f"({name} is left out: {error})")
    return found


def batches(shape: tuple[int, ...], batch: int, dtype: str) -> tuple[np.ndarray, ...]:
    """Return real, fake and the points between them."""
    draw = np.random.default_rng(0)
    real, fake = (np.tanh(draw.normal(size=(batch, *shape))).astype(dtype) for _ in range(2))
    weights = draw.random((batch, *(1,) * len(shape))).astype(dtype)
    return real, fake, fake + weights * (real - fake)


def main(rounds: int, only: str = "") -> None:
    print(f"{thread_count()} threads")
    for critic in critics("float32"):
        for penalty in ("wgan-gp", "r1"):
            if only not in critic or {"layer norm": "r1", "no norm": "wgan-gp"}.get(critic.split(", ")[-1]) == penalty:
                continue  # each penalty with the critic that its recipe has; the mlp with both
            small = 4 if critic.startswith("dcgan") else 64
            D, _ = critics("float64")[critic]
            real, fake, between = batches(D.input_shape, small, "float64")
            checked = contestants(D, penalty, small)
            points = between if penalty == "wgan-gp" else real
            exact = {name: each.gradient(real, fake, points).copy() for name, each in checked.items()}
            scale = np.abs(exact["npgan"]).max()
            for name, g in exact.items():
                error = np.abs(g - exact["npgan"]).max() / scale
                print(f"{critic} {penalty}: {name} differs by {error:.1e} in float64")
                if error > 1e-9:
                    sys.exit("the gradients differ: nothing to time")
            D, batch = critics("float32")[critic]
            real, fake, between = batches(D.input_shape, batch, "float32")
            points = between if penalty == "wgan-gp" else real
            calls: dict[str, Callable[[], object]] = {
                name: (lambda each=each, points=points, real=real, fake=fake: each.step(real, fake, points))
                for name, each in contestants(D, penalty, batch).items()
            }
            few = rounds if critic.startswith("mlp") else max(3, rounds // 4)
            print(table(f"{critic}, {penalty}, batch {batch}, float32", interleaved(calls, few)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 41, *sys.argv[2:3])

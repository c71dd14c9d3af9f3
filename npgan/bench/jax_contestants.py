"""JAX's side of each work: the whole of it in one ``jit``, its old weights given away to the new ones."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.threads import thread_count
from npgan.bench.contest import AbsentError, burst
from npgan.bench.jax_peer import adam, apply, flat, weights
from npgan.bench.ours import CRITIC, STEP
from npgan.network import Network


class _Jax:
    """What all share: precision, and whether JAX computes where it should."""

    def __init__(self, network: Network, backend: str) -> None:
        self.jax: Any = import_module("jax")
        self.burst = 1
        platform = self.jax.devices()[0].platform
        if (platform == "cpu") != (backend != "gpu"):
            raise AbsentError(f"this JAX computes on the {platform}")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        if backend != "gpu" and thread_count() != cores:
            raise AbsentError(
                f"JAX takes all {cores} cores, and npgan {thread_count()} threads; restrict the cores, as by taskset"
            )
        self.jax.config.update("jax_enable_x64", network.dtype == np.float64)

    def moments(self, w: Any) -> Any:
        """Return Adam's at the start."""
        jnp = self.jax.numpy
        return self.jax.tree.map(lambda a: (jnp.zeros_like(a), jnp.zeros_like(a)), w)


class JaxStep(_Jax):
    """A D+G step; G's forward pass serves both turns."""

    def __init__(self, G: Network, D: Network, z: Array, x: Array, backend: str) -> None:
        super().__init__(G, backend)
        jax, softplus = self.jax, self.jax.nn.softplus

        def loss_of_d(w: Any, x: Any, fake: Any) -> Any:
            return softplus(-apply(D, w, x)).mean() + softplus(apply(D, w, fake)).mean()

        def loss_of_g(fake: Any, w: Any) -> Any:
            return softplus(-apply(D, w, fake)).mean()

        def step(players: Any, t: Any, z: Any, x: Any) -> Any:
            (wg, mg), (wd, md) = players
            fake, pull = jax.vjp(lambda w: apply(G, w, z), wg)
            loss_d, g = jax.value_and_grad(loss_of_d)(wd, x, fake)
            wd, md = adam(wd, md, t, g, *STEP)
            loss_g, dfake = jax.value_and_grad(loss_of_g)(fake, wd)
            wg, mg = adam(wg, mg, t, pull(dfake)[0], *STEP)
            return ((wg, mg), (wd, md)), (loss_d, loss_g)

        self._step = jax.jit(step, donate_argnums=0)
        self.players = tuple((w := weights(n), self.moments(w)) for n in (G, D))
        self.networks = G, D
        self.z, self.x, self.t = jax.numpy.asarray(z), jax.numpy.asarray(x), 0
        self.burst = burst(backend)

    def run(self) -> Any:
        """Take a step, or on a GPU a burst of them."""
        for _ in range(self.burst):
            losses = self.step()
        self.jax.block_until_ready(self.players)
        return losses

    def step(self) -> Any:
        """Ask for a step."""
        self.t += 1
        self.players, losses = self._step(self.players, float(self.t), self.z, self.x)
        return losses

    def result(self) -> list[Array]:
        """Return the losses of a step, and the gradients of D and G, as Adam's first moments tell them."""
        before = self._first_moments()
        losses = np.array([float(loss) for loss in self.step()])
        b1 = STEP.betas[0]
        g, d = ((m - b1 * old) / (1 - b1) for m, old in zip(self._first_moments(), before, strict=True))
        return [losses, d, g]

    def _first_moments(self) -> list[Array]:
        found = []
        for network, (_, moments) in zip(self.networks, self.players, strict=True):
            first = [{name: pair[0] for name, pair in layer.items()} for layer in moments]
            found.append(flat(network, first))
        return found


class JaxCritic(_Jax):
    """A gradient of a gradient."""

    def __init__(self, D: Network, penalty: str, real: Array, fake: Array, points: Array, backend: str) -> None:
        super().__init__(D, backend)
        jax = self.jax
        jnp = jax.numpy

        def loss(w: Any, real: Any, fake: Any, points: Any) -> Any:
            g = jax.grad(lambda x: apply(D, w, x).sum())(points).reshape(len(points), -1)
            norms = (g * g).sum(1)
            charge = 10.0 * ((jnp.sqrt(norms) - 1.0) ** 2).mean() if penalty == "wgan-gp" else 5.0 * norms.mean()
            return apply(D, w, fake).mean() - apply(D, w, real).mean() + charge

        def step(w: Any, m: Any, t: Any, *batch: Any) -> Any:
            return adam(w, m, t, jax.grad(loss)(w, *batch), *CRITIC)

        self._gradient, self._step = jax.jit(jax.grad(loss)), jax.jit(step, donate_argnums=(0, 1))
        self.D, self.w, self.t = D, weights(D), 0
        self.m = self.moments(self.w)
        self.batch, self.burst = [jnp.asarray(array) for array in (real, fake, points)], burst(backend)

    def result(self) -> list[Array]:
        """Return the gradient."""
        return [flat(self.D, self._gradient(self.w, *self.batch))]

    def run(self) -> None:
        """Take a step, or on a GPU a burst of them."""
        for _ in range(self.burst):
            self.t += 1
            self.w, self.m = self._step(self.w, self.m, float(self.t), *self.batch)
        self.jax.block_until_ready((self.w, self.m))


class JaxProduct(_Jax):
    """Forward over reverse; the gradient's part that does not change is computed again, as ``jit`` has it."""

    def __init__(self, network: Network, x: Array, u: Array, backend: str) -> None:
        super().__init__(network, backend)
        jax = self.jax

        def loss(w: Any, x: Any) -> Any:
            return 0.5 * (apply(network, w, x) ** 2).mean()

        self._product = jax.jit(lambda w, x, u: jax.jvp(lambda w: jax.grad(loss)(w, x), (w,), (u,))[1])
        self.of, self.w, self.x = network, weights(network), jax.numpy.asarray(x)
        self.u = weights(network, u)

    def run(self) -> Any:
        """Multiply."""
        return self.jax.block_until_ready(self._product(self.w, self.x, self.u))

    def result(self) -> list[Array]:
        """Return the product."""
        return [flat(self.of, self.run())]


class JaxField(_Jax):
    """J u is forward over reverse, J^T u reverse over reverse; what a known point gives was kept, by ``linearize``."""

    def __init__(self, G: Network, D: Network, z: Array, x: Array, what: str, u: Array, backend: str) -> None:
        super().__init__(G, backend)
        jax = self.jax
        softplus = jax.nn.softplus

        def loss_of_d(w: Any, x: Any, fake: Any) -> Any:
            return softplus(-apply(D, w, x)).mean() + softplus(apply(D, w, fake)).mean()

        def field(w: Any) -> Any:
            w_d, w_g = w
            fake, pull = jax.vjp(lambda w: apply(G, w, self.z), w_g)
            dfake = jax.grad(lambda fake: softplus(-apply(D, w_d, fake)).mean())(fake)
            return jax.grad(loss_of_d)(w_d, self.x, fake), pull(dfake)[0]

        self.of = D, G
        self.z, self.x = jax.numpy.asarray(z), jax.numpy.asarray(x)
        w = weights(D), weights(G)
        self.u = tuple(weights(network, part) for network, part in zip(self.of, np.split(u, [D.size]), strict=True))
        works = {
            "gradient": (lambda w, u: field(w), w),
            "Ju anew": (lambda w, u: jax.jvp(field, (w,), (u,))[1], w),
            "JTu anew": (lambda w, u: jax.vjp(field, w)[1](u)[0], w),
            "Ju": (lambda push, u: push(u), None),
            "JTu": (lambda pull, u: pull(u)[0], None),
        }
        work, self.given = works[what]
        if self.given is None:
            self.given = (jax.linearize if what == "Ju" else jax.vjp)(field, w)[1]
        self._work = jax.jit(work)

    def run(self) -> Any:
        """Compute it."""
        return self.jax.block_until_ready(self._work(self.given, self.u))

    def result(self) -> list[Array]:
        """Return it, of D and of G."""
        return [flat(network, part) for network, part in zip(self.of, self.run(), strict=True)]

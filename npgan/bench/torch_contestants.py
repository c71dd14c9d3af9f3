"""PyTorch's side of each work, written as its users write it, at its best settings.

That is fused Adam, batches in the memory format of the network, and no work for gradients that nobody wants. Each takes
`backend` (``"gpu"`` is CUDA), `channels_last` and `compiled`, through ``torch.compile``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.threads import thread_count
from npgan.bench.contest import AbsentError, burst
from npgan.bench.ours import CRITIC, STEP
from npgan.bench.torch_peer import back, convert, flat, gradients, images, tensors
from npgan.network import Network


class _Torch:
    """What all share: the device, what it computes in, the memory format, the threads."""

    def __init__(self, *, backend: str, channels_last: bool = False, compiled: bool = False) -> None:
        self.torch: Any = import_module("torch")
        name, _, self.compute = backend.partition(":")
        self.device, self.burst = "cuda" if name == "gpu" else "cpu", burst(name)
        if self.device == "cuda":
            if not self.torch.cuda.is_available():
                raise AbsentError("this PyTorch has no CUDA device")
            rounded = self.compute in ("tf32", "bf16")
            self.torch.backends.cuda.matmul.allow_tf32 = self.torch.backends.cudnn.allow_tf32 = rounded
            self.torch.backends.cudnn.benchmark = True
        self.torch.set_num_threads(thread_count())
        self.channels_last, self.compiled = channels_last, compiled
        if compiled:  # what was compiled before counts against a limit, beyond which it would quietly run uncompiled
            self.torch._dynamo.reset()

    def modules(self, network: Network) -> Any:
        """Return the network's modules, where and as they are to be."""
        modules = convert(network).to(self.device)
        return modules.to(memory_format=self.torch.channels_last) if self.channels_last else modules

    def compile(self, function: Any) -> Any:
        """Return what to call for a function; on CUDA the compiler records it as a CUDA graph."""
        how = {"mode": "reduce-overhead"} if self.device == "cuda" else {}
        return self.torch.compile(function, dynamic=False, **how) if self.compiled else function

    def begin(self) -> None:
        """Say that a step begins: what the graphs of the step before returned is not needed any more."""
        if self.compiled and self.device == "cuda":
            self.torch.compiler.cudagraph_mark_step_begin()

    def autocast(self) -> Any:
        """Return the context of everything forward: products in bfloat16, where that is asked for."""
        return self.torch.autocast(self.device, self.torch.bfloat16, enabled=self.compute == "bf16")

    def tensor(self, x: Array) -> Any:
        """Return a batch as this contestant likes it best."""
        found = images(self.torch.tensor(np.ascontiguousarray(x)).to(self.device))
        if found.ndim != 4:
            return found
        layout = self.torch.channels_last if self.channels_last else self.torch.contiguous_format
        return found.contiguous(memory_format=layout)

    def adam(self, modules: Any, lr: float, betas: tuple[float, float]) -> Any:
        """Return the optimizer."""
        return self.torch.optim.Adam(modules.parameters(), lr, betas, fused=True)

    def wait(self) -> None:
        """Wait for the device."""
        if self.device == "cuda":
            self.torch.cuda.synchronize()


class TorchStep(_Torch):
    """The loop of PyTorch's DCGAN example, but for D's weight gradients in G's turn."""

    def __init__(self, G: Network, D: Network, z: Array, x: Array, **how: Any) -> None:
        super().__init__(**how)
        g, d = self.modules(G), self.modules(D)
        self.players = [(D, d), (G, g)]
        self.weights_of_d = list(d.parameters())
        self.adams = [self.adam(modules, *STEP) for modules in (g, d)]
        self.z, self.x = self.tensor(z), self.tensor(x)
        ones, zeros = (
            self.torch.full((len(x), 1), value, dtype=self.z.dtype, device=self.device) for value in (1.0, 0.0)
        )
        bce = self.torch.nn.functional.binary_cross_entropy_with_logits

        # A whole loss is one graph for the compiler: fewer calls than a network each.
        def loss_of_d(x: Any, fake: Any) -> Any:
            return bce(d(x), ones) + bce(d(fake), zeros)

        def loss_of_g(fake: Any) -> Any:
            return bce(d(fake), ones)

        self.generate, self.loss_of_d, self.loss_of_g = map(self.compile, (g, loss_of_d, loss_of_g))

    def _step(self) -> tuple[Any, Any]:
        adam_g, adam_d = self.adams
        self.begin()
        adam_d.zero_grad()
        with self.autocast():
            fake = self.generate(self.z)
            loss_d = self.loss_of_d(self.x, fake.detach())
        loss_d.backward()
        adam_d.step()
        adam_g.zero_grad()
        for parameter in self.weights_of_d:
            parameter.requires_grad_(False)
        with self.autocast():
            loss_g = self.loss_of_g(fake)
        loss_g.backward()
        for parameter in self.weights_of_d:
            parameter.requires_grad_(True)
        adam_g.step()
        return loss_d, loss_g

    def run(self) -> None:
        """Take a step, or on a GPU a burst of them."""
        for _ in range(self.burst):
            self._step()
        self.wait()

    def let_go(self) -> None:
        """Let go of npgan's networks, of which only `result` knows the use: their weights would count as PyTorch's."""
        self.players = []

    def result(self) -> list[Array]:
        """Return the losses of a step, and the gradients of D and G."""
        losses = np.array([float(loss.detach()) for loss in self._step()])
        return [losses, *(gradients(network, modules) for network, modules in self.players)]


class TorchCritic(_Torch):
    """The usual double backward."""

    def __init__(self, D: Network, penalty: str, real: Array, fake: Array, points: Array, **how: Any) -> None:
        super().__init__(**how)
        self.D, self.penalty = D, penalty
        self.critic = self.modules(D)
        self.optimizer = self.adam(self.critic, *CRITIC)
        self.real, self.fake, self.points = (self.tensor(x) for x in (real, fake, points))
        self.points.requires_grad_()

    def _backward(self) -> None:
        self.optimizer.zero_grad()
        with self.autocast():
            (g,) = self.torch.autograd.grad(self.critic(self.points).sum(), self.points, create_graph=True)
            norms = g.flatten(1).square().sum(1)
            charge = 10.0 * (norms.sqrt() - 1.0).square().mean() if self.penalty == "wgan-gp" else 5.0 * norms.mean()
            loss = self.critic(self.fake).mean() - self.critic(self.real).mean() + charge
        loss.backward()

    def result(self) -> list[Array]:
        """Return the gradient."""
        self._backward()
        return [gradients(self.D, self.critic)]

    def run(self) -> None:
        """Take a step, or on a GPU a burst of them."""
        for _ in range(self.burst):
            self._backward()
            self.optimizer.step()
        self.wait()


class TorchProduct(_Torch):
    """Double backward, on a graph that was made beforehand, once."""

    def __init__(self, network: Network, x: Array, u: Array, **how: Any) -> None:
        super().__init__(**how)
        self.burst = 1
        self.of = network
        self.network = self.modules(network)
        self.parameters = list(self.network.parameters())
        y = self.network(self.tensor(x))
        self.gradient = self.torch.autograd.grad(0.5 * y.square().mean(), self.parameters, create_graph=True)
        self.u = tensors(network, self.network, u)

    def run(self) -> Any:
        """Multiply."""
        found = self.torch.autograd.grad(self.gradient, self.parameters, self.u, retain_graph=True, allow_unused=True)
        self.wait()
        return found

    def result(self) -> list[Array]:
        """Return the product."""
        products = {id(p): product for p, product in zip(self.parameters, self.run(), strict=True)}
        return [flat(self.of, self.network, lambda parameter: products[id(parameter)])]


class TorchField(_Torch):
    """Reverse over reverse: the rows of J u are those of each loss's Hessian, and J^T u is the gradient of <v, u>.

    Both losses share D's run on the fakes. At a point where it was before, it has kept the graph of the gradients.
    """

    def __init__(self, G: Network, D: Network, z: Array, x: Array, what: str, u: Array, **how: Any) -> None:
        super().__init__(**how)
        self.burst = 1
        self.of = D, G
        self.nets = [self.modules(network) for network in self.of]
        self.d, self.g = (list(modules.parameters()) for modules in self.nets)
        self.z, self.x = self.tensor(z), self.tensor(x)
        parts = np.split(u, [D.size])
        self.u_d, self.u_g = (tensors(*each) for each in zip(self.of, self.nets, parts, strict=True))
        self.name, self.anew = what.split()[0], what.endswith("anew")
        self.kept = None if self.anew or what == "gradient" else self._gradients()

    def _losses(self) -> tuple[Any, Any]:
        softplus, (d, g) = self.torch.nn.functional.softplus, self.nets
        score = d(g(self.z))
        return softplus(-d(self.x)).mean() + softplus(score).mean(), softplus(-score).mean()

    def _gradients(self) -> tuple[Any, Any]:
        """Return those of the losses whose gradients along u are the product, with their graph."""
        grad, (loss_d, loss_g) = self.torch.autograd.grad, self._losses()
        if self.name == "Ju":
            both = [*self.d, *self.g]
            return grad(loss_d, both, create_graph=True), grad(loss_g, both, create_graph=True)
        return grad(loss_d, self.d, create_graph=True), grad(loss_g, self.g, create_graph=True)

    def run(self) -> list[Any]:
        """Compute it."""
        grad = self.torch.autograd.grad
        if self.name == "gradient":
            loss_d, loss_g = self._losses()
            found = [*grad(loss_d, self.d, retain_graph=True), *grad(loss_g, self.g)]
        else:
            of_d, of_g = self.kept or self._gradients()
            u, keep = [*self.u_d, *self.u_g], not self.anew
            if self.name == "Ju":
                found = [*grad(of_d, self.d, u, retain_graph=True), *grad(of_g, self.g, u, retain_graph=keep)]
            else:
                found = list(grad([*of_d, *of_g], [*self.d, *self.g], u, retain_graph=keep))
        self.wait()
        return found

    def result(self) -> list[Array]:
        """Return it, of D and of G."""
        by_id = {id(p): part for p, part in zip([*self.d, *self.g], self.run(), strict=True)}
        return [flat(network, net, lambda p: by_id[id(p)]) for network, net in zip(self.of, self.nets, strict=True)]


class TorchLayerMap(_Torch):
    """A module called without a graph, or autograd asked for exactly one gradient of it."""

    def __init__(self, network: Network, what: str, x: Array, dy: Array, **how: Any) -> None:
        super().__init__(**how)
        self.burst = 1
        self.of, self.what = network, what
        self.layer = self.modules(network)
        self.weights = list(self.layer.parameters())
        self.x, self.dy = self.tensor(x), self.tensor(dy)
        for weight in self.weights:
            weight.requires_grad_(what in ("weight", "backward"))
        self.x.requires_grad_(what in ("data", "backward"))
        self.wanted = [*([self.x] if self.x.requires_grad else []), *(w for w in self.weights if w.requires_grad)]
        self.y = None if what == "forward" else self.layer(self.x)

    def run(self) -> Any:
        """Compute it."""
        if self.what == "forward":
            with self.torch.no_grad():
                found = [self.layer(self.x)]
        else:
            found = self.torch.autograd.grad(self.y, self.wanted, self.dy, retain_graph=True)
        self.wait()
        return found

    def result(self) -> list[Array]:
        """Return it, as npgan has it."""
        found = list(self.run())
        parts = []
        if self.what != "weight":
            parts.append(back(found.pop(0).detach()).cpu().numpy())
        if self.what in ("weight", "backward"):
            given = {id(w): g for w, g in zip(self.weights, found, strict=True)}
            parts.append(flat(self.of, self.layer, lambda parameter: given[id(parameter)]))
        return parts

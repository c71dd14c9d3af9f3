"""Products with the Jacobian of the 2-D MLP game: npgan's R-maps beside PyTorch's double backward, on the same work.

    python bench/game_products.py [rounds [batch]]

The game is that of the recipe ring (2 -> 128 -> 128 -> 2 against 2 -> 128 -> 128 -> 1, non-saturating) on one batch. A
product is counted twice: "anew", with the runs forward and backward at the point, and with those there already, as an
eigen-solver asks for hundreds at one point. PyTorch keeps the graph of the gradient for that. First all products are
compared in float64; then they are timed in float32, taking turns. PyTorch is left out where it is not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from timing import interleaved, table

from npgan.backend.threads import thread_count
from npgan.game import BatchGame, Game
from npgan.losses import get_loss
from npgan.network import Network
from npgan.recipes import RECIPES, Fit

PRODUCTS = ("gradient", "Ju anew", "Ju", "JTu anew", "JTu")  # by networks that moved; by networks that did not


def make(batch: int, dtype: str) -> BatchGame:
    """Return the game on a batch."""
    layers = RECIPES["ring"].build(Fit((2,), None, False, dict(RECIPES["ring"].settings["model"])))
    G, D = (Network(each, (2,), dtype=dtype, seed=1, name=name) for each, name in zip(layers, "GD", strict=True))
    draw = np.random.default_rng(0)
    x, z = draw.normal(size=(2, batch, 2)).astype(dtype)
    return Game(G, D, get_loss("non-saturating"), batch, order=2).on(x, z)


class Npgan:
    """`BatchGame`; forgetting makes it begin anew."""

    def __init__(self, field: BatchGame) -> None:
        self.field = field

    def run(self, what: str, u: np.ndarray) -> np.ndarray:
        if what == "gradient" or what.endswith("anew"):
            self.field.game.held = None
        if what == "gradient":
            return self.field.gradient()
        return self.field.jvp(u) if what.startswith("Ju") else self.field.vjp(u)


class Torch:
    """Reverse over reverse: the rows of J u are those of each loss's Hessian, and Jᵀ u is the gradient of <v, u>."""

    def __init__(self, field: BatchGame) -> None:
        import torch
        from torch_peer import convert

        torch.set_num_threads(thread_count())
        self.torch, self.field = torch, field
        self.nets = [convert(network) for network in field.networks]
        self.parameters = [list(net.parameters()) for net in self.nets]
        self.x, self.z = torch.from_numpy(field.x), torch.from_numpy(field.z)
        self.graphs: dict[str, object] = {}

    def losses(self):
        softplus, (D, G) = self.torch.nn.functional.softplus, self.nets
        fake = G(self.z)
        score = D(fake)
        return softplus(-D(self.x)).mean() + softplus(score).mean(), softplus(-score).mean()

    def directions(self, u: np.ndarray):
        """Return u as PyTorch's parameters are shaped, of D and of G."""
        found = []
        for network, part in zip(self.field.networks, self.field.split(u), strict=True):
            views = network.layout.by_name(part)
            found.append([self.torch.from_numpy(np.ascontiguousarray(a.T)) for a in views.values()])
        return found

    def run(self, what: str, u) -> np.ndarray:
        return self.flat(self.raw(what, self.directions(u)))

    def raw(self, what: str, u):
        grad, (d, g), (u_d, u_g) = self.torch.autograd.grad, self.parameters, u
        if what == "gradient":
            loss_d, loss_g = self.losses()
            return [*grad(loss_d, d, retain_graph=True), *grad(loss_g, g)]
        name, again = what.split()[0], not what.endswith("anew")
        if not again or name not in self.graphs:
            loss_d, loss_g = self.losses()
            if name == "Ju":
                made = [grad(loss, [*d, *g], create_graph=True) for loss in (loss_d, loss_g)]
            else:
                made = [grad(loss_d, d, create_graph=True), grad(loss_g, g, create_graph=True)]
            if again:
                self.graphs[name] = made
        else:
            made = self.graphs[name]
        pairs = [([*u_d, *u_g], [*u_d, *u_g]), (u_d, u_g)][name != "Ju"]
        dots = [
            sum((a * b).sum() for a, b in zip(slopes, direction, strict=True))
            for slopes, direction in zip(made, pairs, strict=True)
        ]
        if name == "Ju":
            return [*grad(dots[0], d, retain_graph=True), *grad(dots[1], g, retain_graph=again)]
        return grad(dots[0] + dots[1], [*d, *g], retain_graph=again)

    @staticmethod
    def flat(parts) -> np.ndarray:
        return np.concatenate([np.asarray(p.detach()).T.reshape(-1) for p in parts])


def main(rounds: int, batch: int) -> None:
    print(f"{thread_count()} threads, batch {batch}")
    field = make(64, "float64")
    u = np.random.default_rng(1).normal(size=field.size)
    contestants: dict[str, type[Npgan] | type[Torch]] = {"npgan": Npgan, "PyTorch": Torch}
    made = {"npgan": Npgan(field)}
    try:
        made["PyTorch"] = Torch(field)
    except ImportError as error:
        print(f"(PyTorch is left out: {error})")
    for what in PRODUCTS:
        exact = made["npgan"].run(what, u)
        for name, each in made.items():
            for _ in range(2):
                error = np.abs(each.run(what, u) - exact).max() / np.abs(exact).max()
            print(f"{what}: {name} differs by {error:.1e} in float64")
            if not error < 1e-12:
                sys.exit("the products differ: nothing to time")

    field = make(batch, "float32")
    u = u.astype("float32")
    calls: dict[str, Callable[[], object]] = {}
    for name in made:
        each = contestants[name](field)
        given = each.directions(u) if isinstance(each, Torch) else u
        run = each.raw if isinstance(each, Torch) else each.run
        for what in PRODUCTS:
            calls[f"{name} {what}"] = lambda run=run, what=what, given=given: run(what, given)
    own = {name: call for name, call in calls.items() if name.startswith("npgan")}
    # What must find its point there is timed apart from what begins anew.
    seconds: dict[str, np.ndarray] = {}
    for there in (False, True):
        seconds |= interleaved({n: c for n, c in calls.items() if n.endswith("u") == there}, rounds, warm_up=5)
    print(table(f"one batch of {batch}, float32", seconds, ours="npgan gradient"))
    plain = np.median(seconds["npgan gradient"])
    for name in own:
        if name == "npgan gradient":
            continue
        ratio = np.median(seconds[name]) / plain
        peer = seconds.get(name.replace("npgan", "PyTorch"))
        beside = (
            "" if peer is None else f", PyTorch takes {np.median(peer) / np.median(seconds[name]):.1f} times as long"
        )
        print(f"{name}: {ratio:.2f} plain gradients{beside}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 41, int(sys.argv[2]) if len(sys.argv) > 2 else 256)

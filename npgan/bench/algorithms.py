"""The suite ``kernels``: which algorithm each layer's products are computed by, and why."""

from __future__ import annotations

from collections.abc import Sequence

from npgan.backend.base import Backend, Shape
from npgan.backend.gpu import CupyBackend
from npgan.bench.gans import GANS, chosen, geometry, inputs
from npgan.bench.layers import describe
from npgan.bench.ours import has_products
from npgan.layers import Dense, Layer
from npgan.network import Network
from npgan.network.stacks import find_stacks

_STACK = "stack", "one compiled sweep with neighbours"


def algorithms(backend: Backend, batches: Sequence[int]) -> list[dict[str, str]]:
    """Return a table of the layers with matrix products: group, layer, algorithm, why."""
    found, seen = [], set()
    for gan in GANS:
        for batch in chosen(gan.batches[-1:], batches):
            for network in gan.networks("float32", backend):
                stacked = _stacked(network, batch)
                for path, layer, x in inputs(network, batch):
                    key = repr(layer), x, path in stacked
                    if not has_products(layer) or key in seen:
                        continue
                    seen.add(key)
                    algorithm, why = _STACK if path in stacked else choice(backend, layer, x)
                    found.append(
                        {
                            "group": f"{gan.name}, batch {batch}",
                            "layer": f"{network.name}/{path} {describe(layer, x)}",
                            "algorithm": algorithm,
                            "why": why,
                        }
                    )
    return found


def _stacked(network: Network, batch: int) -> set[str]:
    """Return the paths of the layers that a Pass runs together with their neighbours."""
    if not network.backend.fuses:
        return set()
    program = network.trace(batch)
    return {network.relative(program.ops[i].path) for run in find_stacks(program) for i in run}


def choice(backend: Backend, layer: Layer, x: Shape) -> tuple[str, str]:
    """Return the algorithm of a layer with input x (N, ...) on a backend, and why it is that."""
    if isinstance(layer, Dense):
        return "matrix product", "a dense layer is one"
    if isinstance(backend, CupyBackend):
        from npgan.kernels.conv.gpu_choice import choose

        x, w, y, *options = geometry(layer, x)
        on_gpu = choose(x, w, y, (options[0], options[1], options[2]), backend.compute, backend.conv)
        return on_gpu.name, on_gpu.reason
    if backend.name != "cpu":
        return "reference", f"the {backend.name} backend has one algorithm"
    picked = backend.kernels.conv.choose(*geometry(layer, x))
    return picked.name, picked.reason

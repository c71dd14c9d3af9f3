"""The same networks in JAX, channels last, with the same weights: the other side of comparisons."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from npgan import layers as L  # noqa: N812
from npgan.network import Network

Weights = list[dict[str, Any]]  # one a layer with weights, in npgan's order


def weights(network: Network) -> Weights:
    """Return copies of the network's weights."""
    views = network.layout.by_layer(network.theta)
    return [{name: jnp.asarray(np.array(a)) for name, a in views[path].items()} for path in views]


def apply(network: Network, w: Weights, x: Any) -> Any:
    """Return the network's output for x and these weights."""
    rest = iter(w)
    for _, layer, shape in network.rows:
        if isinstance(layer, L.Dense):
            each = next(rest)
            x = x @ each["weight"] + each.get("bias", 0)
        elif isinstance(layer, L.Conv2d):
            each = next(rest)
            x = jax.lax.conv_general_dilated(
                x, each["weight"], layer.stride, layer.padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
            ) + each.get("bias", 0)
        elif isinstance(layer, L.LayerNorm):
            each = next(rest)
            axes = tuple(range(1, x.ndim))
            x = (x - x.mean(axes, keepdims=True)) * jax.lax.rsqrt(x.var(axes, keepdims=True) + layer.eps)
            x = x * each["gain"] + each["bias"]
        elif isinstance(layer, L.LeakyReLU):
            x = jnp.where(x > 0, x, layer.slope * x)
        elif isinstance(layer, L.Tanh):
            x = jnp.tanh(x)
        elif isinstance(layer, L.Flatten | L.Reshape):
            x = x.reshape(len(x), *shape)
        else:
            raise NotImplementedError(f"{layer!r} has no JAX peer here")
    return x


def adam(w: Any, moments: Any, t: Any, g: Any, lr: float, betas: tuple[float, float]) -> tuple[Any, Any]:
    """Return the weights and moments after a step of Adam."""
    b1, b2 = betas

    def one(p, mv, dp):
        m, v = b1 * mv[0] + (1 - b1) * dp, b2 * mv[1] + (1 - b2) * dp * dp
        return p - lr * (m / (1 - b1**t)) / (jnp.sqrt(v / (1 - b2**t)) + 1e-8), (m, v)

    flat, tree = jax.tree.flatten(w)
    pairs = [one(p, mv, dp) for p, mv, dp in zip(flat, tree.flatten_up_to(moments), jax.tree.leaves(g), strict=True)]
    return tree.unflatten([p for p, _ in pairs]), tree.unflatten([mv for _, mv in pairs])

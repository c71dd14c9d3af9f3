"""The same networks in JAX, channels last, with the same weights: the other side of comparisons.

Normalisation is by the batch's statistics, as in training; running ones are not kept. JAX is imported when it is
needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from npgan import layers as L  # noqa: N812
from npgan.backend.base import Array
from npgan.network import Network

Weights = list[dict[str, Any]]  # one a layer with weights, in npgan's order


def weights(network: Network, vector: Array | None = None) -> Weights:
    """Return copies of the network's weights, or of a vector like them."""
    jnp: Any = import_module("jax.numpy")
    views = network.layout.by_layer(network.backend.to_host(network.theta) if vector is None else vector)
    return [{name: jnp.asarray(np.array(a)) for name, a in views[path].items()} for path in views]


def flat(network: Network, w: Weights) -> Array:
    """Return weights, or gradients, as a vector in npgan's order."""
    # JAX gives dicts back in another order.
    names = network.layout.by_layer(network.backend.to_host(network.theta)).values()
    return np.concatenate(
        [np.asarray(each[n]).reshape(-1) for each, views in zip(w, names, strict=True) for n in views]
    )


def apply(network: Network, w: Weights, x: Any) -> Any:
    """Return the network's output for x and these weights."""
    rest = iter(w)
    for _, layer, shape in network.rows:
        known = isinstance(layer, L.Dense | L.Conv2d | L.ConvTranspose2d | L.BatchNorm | L.LayerNorm)
        x = _layer(layer, shape, next(rest) if known else {}, x)
    return x


def _layer(layer: L.Layer, shape: tuple[int, ...], w: dict[str, Any], x: Any) -> Any:
    jax: Any = import_module("jax")
    jnp: Any = jax.numpy
    if isinstance(layer, L.Dense):
        return x @ w["weight"] + w.get("bias", 0)
    if isinstance(layer, L.Conv2d):
        return jax.lax.conv_general_dilated(
            x, w["weight"], layer.stride, layer.padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        ) + w.get("bias", 0)
    if isinstance(layer, L.ConvTranspose2d) and layer.padding != "same" and layer.dilation == (1, 1):
        pads = [
            (k - 1 - before, k - 1 - after + more)
            for k, (before, after), more in zip(layer.kernel, layer.padding, layer.output_padding, strict=True)
        ]
        return jax.lax.conv_general_dilated(
            x,
            w["weight"][::-1, ::-1],
            (1, 1),
            pads,
            lhs_dilation=layer.stride,
            dimension_numbers=("NHWC", "HWOI", "NHWC"),
        ) + w.get("bias", 0)
    if isinstance(layer, L.BatchNorm | L.LayerNorm):
        axes = tuple(range(x.ndim - 1)) if isinstance(layer, L.BatchNorm) else tuple(range(1, x.ndim))
        x = (x - x.mean(axes, keepdims=True)) * jax.lax.rsqrt(x.var(axes, keepdims=True) + layer.eps)
        return x * w["gain"] + w["bias"]
    if isinstance(layer, L.LeakyReLU):
        return jnp.where(x > 0, x, layer.slope * x)
    if isinstance(layer, L.ReLU):
        return jnp.where(x > 0, x, 0)
    if isinstance(layer, L.Tanh):
        return jnp.tanh(x)
    if isinstance(layer, L.Flatten | L.Reshape):
        return x.reshape(len(x), *shape)
    if isinstance(layer, L.Upsample2d) and layer.mode == "nearest":
        return x.repeat(layer.factor[0], 1).repeat(layer.factor[1], 2)
    raise NotImplementedError(f"{layer!r} has no JAX peer here")


def adam(w: Any, moments: Any, t: Any, g: Any, lr: float, betas: tuple[float, float]) -> tuple[Any, Any]:
    """Return the weights and moments after a step of Adam."""
    jax: Any = import_module("jax")
    jnp: Any = jax.numpy
    b1, b2 = betas

    def one(p: Any, mv: Any, dp: Any) -> Any:
        m, v = b1 * mv[0] + (1 - b1) * dp, b2 * mv[1] + (1 - b2) * dp * dp
        return p - lr * (m / (1 - b1**t)) / (jnp.sqrt(v / (1 - b2**t)) + 1e-8), (m, v)

    leaves, tree = jax.tree.flatten(w)
    pairs = [one(p, mv, dp) for p, mv, dp in zip(leaves, tree.flatten_up_to(moments), jax.tree.leaves(g), strict=True)]
    return tree.unflatten([p for p, _ in pairs]), tree.unflatten([mv for _, mv in pairs])

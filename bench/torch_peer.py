"""The same networks in PyTorch, with the same weights: the other side of comparisons.

Channels first inside; images enter and leave channels last, as npgan has them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from npgan import layers as L  # noqa: N812
from npgan.network import Network

ACTIVATIONS = {
    L.ReLU: lambda layer: nn.ReLU(),
    L.LeakyReLU: lambda layer: nn.LeakyReLU(layer.slope),
    L.Tanh: lambda layer: nn.Tanh(),
    L.Sigmoid: lambda layer: nn.Sigmoid(),
    L.Softplus: lambda layer: nn.Softplus(),
    L.ELU: lambda layer: nn.ELU(layer.alpha),
}


class ToImage(nn.Module):
    """(N, H W C) in npgan's order -> (N, C, H, W)."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(-1, *self.shape).permute(0, 3, 1, 2)


class ToVector(nn.Module):
    """(N, C, H, W) -> (N, H W C) in npgan's order; vectors stay."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).flatten(1)


def convert(network: Network) -> nn.Sequential:
    """Return the network's layers, one after the other, as PyTorch modules with copies of its weights."""
    modules: list[nn.Module] = []
    weights = network.layout.by_layer(network.theta)
    shape = network.input_shape
    for op_path, layer, out_shape in network.rows:
        w = {name: torch.tensor(np.ascontiguousarray(a)) for name, a in weights.get(op_path, {}).items()}
        modules.append(_module(layer, shape, w))
        shape = out_shape
    return nn.Sequential(*modules)


def _module(layer: L.Layer, shape: tuple[int, ...], w: dict[str, torch.Tensor]) -> nn.Module:
    if isinstance(layer, L.Dense):
        module: nn.Module = nn.Linear(shape[-1], layer.units, bias=layer.bias)
        return _fill(module, w["weight"].T, w.get("bias"))
    if isinstance(layer, L.Conv2d):
        module = nn.Conv2d(shape[-1], layer.channels, layer.kernel, layer.stride, layer.padding[0][0], bias=layer.bias)
        return _fill(module, w["weight"].permute(3, 2, 0, 1), w.get("bias"))
    if isinstance(layer, L.ConvTranspose2d):
        module = nn.ConvTranspose2d(
            shape[-1], layer.channels, layer.kernel, layer.stride, layer.padding[0][0], bias=layer.bias
        )
        return _fill(module, w["weight"].permute(3, 2, 0, 1), w.get("bias"))
    if isinstance(layer, L.BatchNorm):
        kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return _fill(kind(shape[-1], layer.eps, layer.momentum), w["gain"], w["bias"])
    if isinstance(layer, L.LayerNorm):
        gain, bias = (w[name].permute(2, 0, 1) if len(shape) == 3 else w[name] for name in ("gain", "bias"))
        return _fill(nn.LayerNorm(list(gain.shape), layer.eps), gain, bias)
    if isinstance(layer, L.Reshape):
        return ToImage(layer.shape) if len(layer.shape) == 3 else ToVector()
    if isinstance(layer, L.Flatten):
        return ToVector()
    if isinstance(layer, L.Upsample2d):
        return nn.Upsample(scale_factor=layer.factor, mode=layer.mode)
    return ACTIVATIONS[type(layer)](layer)


def _fill(module: nn.Module, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    module = module.to(weight.dtype)
    with torch.no_grad():
        module.weight.copy_(weight)
        if bias is not None:
            module.bias.copy_(bias)
    return module


def gradients(network: Network, modules: nn.Sequential) -> np.ndarray:
    """Return the modules' weight gradients as a flat vector in npgan's order and layout."""
    flat = np.zeros(network.size, str(network.dtype))
    views = network.layout.by_layer(flat)
    for (path, layer, _), module in zip(network.rows, modules, strict=True):
        if path not in views:
            continue
        names = {"weight": "weight" if "weight" in views[path] else "gain", "bias": "bias"}
        for theirs, ours in names.items():
            parameter = getattr(module, theirs)
            if parameter is None:
                continue
            g = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
            if isinstance(layer, L.Dense) and g.ndim == 2:
                g = g.T
            elif g.ndim == 4:
                g = g.transpose(2, 3, 1, 0)
            elif g.ndim == 3:
                g = g.transpose(1, 2, 0)
            views[path][ours][...] = g
    return flat


def images(x: torch.Tensor) -> torch.Tensor:
    """(N, H, W, C) -> (N, C, H, W); vectors stay."""
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x

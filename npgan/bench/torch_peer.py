"""The same networks in PyTorch, with the same weights: the other side of comparisons.

Channels first inside; images enter and leave channels last, as npgan has them. PyTorch is imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from npgan import layers as L  # noqa: N812
from npgan.backend.base import Array, Shape
from npgan.network import Network


@lru_cache(maxsize=1)
def _modules() -> tuple[type, type]:
    """Return the modules that reshape between npgan's order and PyTorch's."""
    nn: Any = import_module("torch").nn

    class ToImage(nn.Module):  # type: ignore[misc]
        """(N, H W C) in npgan's order -> (N, C, H, W)."""

        def __init__(self, shape: Shape) -> None:
            super().__init__()
            self.shape = shape

        def forward(self, x: Any) -> Any:
            return x.reshape(-1, *self.shape).permute(0, 3, 1, 2)

    class ToVector(nn.Module):  # type: ignore[misc]
        """(N, C, H, W) -> (N, H W C) in npgan's order; vectors stay."""

        def forward(self, x: Any) -> Any:
            return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).flatten(1)

    return ToImage, ToVector


def convert(network: Network) -> Any:
    """Return the network's layers, one after the other, as PyTorch modules with copies of its weights."""
    torch: Any = import_module("torch")
    modules = []
    to_host = network.backend.to_host
    weights = network.layout.by_layer(to_host(network.theta))
    shape = network.input_shape
    for op_path, layer, out_shape in network.rows:
        w = {name: torch.tensor(np.ascontiguousarray(a)) for name, a in weights.get(op_path, {}).items()}
        modules.append(_module(layer, shape, w))
        shape = out_shape
    return torch.nn.Sequential(*modules)


def _activation(nn: Any, layer: L.Layer) -> Any:
    activations: dict[type, Callable[[Any], Any]] = {
        L.ReLU: lambda layer: nn.ReLU(),
        L.LeakyReLU: lambda layer: nn.LeakyReLU(layer.slope),
        L.Tanh: lambda layer: nn.Tanh(),
        L.Sigmoid: lambda layer: nn.Sigmoid(),
        L.Softplus: lambda layer: nn.Softplus(),
        L.ELU: lambda layer: nn.ELU(layer.alpha),
    }
    if type(layer) not in activations:
        raise NotImplementedError(f"{layer!r} has no PyTorch peer here")
    return activations[type(layer)](layer)


def _module(layer: L.Layer, shape: Shape, w: dict[str, Any]) -> Any:
    nn: Any = import_module("torch").nn
    to_image, to_vector = _modules()
    if isinstance(layer, L.Dense):
        module = nn.Linear(shape[-1], layer.units, bias=layer.bias)
        return _fill(module, w["weight"].T, w.get("bias"))
    if isinstance(layer, L.Conv2d | L.ConvTranspose2d):
        kind = nn.Conv2d if isinstance(layer, L.Conv2d) else nn.ConvTranspose2d
        if layer.padding == "same":
            raise NotImplementedError(f"{layer!r} has no PyTorch peer here")
        module = kind(shape[-1], layer.channels, layer.kernel, layer.stride, layer.padding[0][0], bias=layer.bias)
        return _fill(module, w["weight"].permute(3, 2, 0, 1), w.get("bias"))
    if isinstance(layer, L.BatchNorm):
        kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return _fill(kind(shape[-1], layer.eps, layer.momentum), w["gain"], w["bias"])
    if isinstance(layer, L.LayerNorm):
        gain, bias = (w[name].permute(2, 0, 1) if len(shape) == 3 else w[name] for name in ("gain", "bias"))
        return _fill(nn.LayerNorm(list(gain.shape), layer.eps), gain, bias)
    if isinstance(layer, L.Reshape):
        return to_image(layer.shape) if len(layer.shape) == 3 else to_vector()
    if isinstance(layer, L.Flatten):
        return to_vector()
    if isinstance(layer, L.Upsample2d):
        return nn.Upsample(scale_factor=layer.factor, mode=layer.mode)
    return _activation(nn, layer)


def _fill(module: Any, weight: Any, bias: Any) -> Any:
    module = module.to(weight.dtype)
    with import_module("torch").no_grad():
        module.weight.copy_(weight)
        if bias is not None:
            module.bias.copy_(bias)
    return module


def flat(network: Network, modules: Any, read: Callable[[Any], Any]) -> Array:
    """Return what `read` gives for each parameter of the modules, as a vector in npgan's order and layout.

    Parameters
    ----------
    network : Network
        That the modules were converted from.
    modules : Sequential
    read : callable
        From a parameter to a tensor of its shape, or None for zeros.
    """
    found = np.zeros(network.size, str(network.dtype))
    for view, parameter in _pairs(network, modules, found):
        value = read(parameter)
        view[...] = 0.0 if value is None else value.detach().cpu().numpy()
    return found


def gradients(network: Network, modules: Any) -> Array:
    """Return the modules' weight gradients as a flat vector in npgan's order and layout."""
    return flat(network, modules, lambda parameter: parameter.grad)


def tensors(network: Network, modules: Any, vector: Array) -> list[Any]:
    """Return a vector like theta as tensors, one for each of ``modules.parameters()``."""
    torch: Any = import_module("torch")
    found = {id(parameter): view for view, parameter in _pairs(network, modules, vector)}
    return [torch.tensor(np.ascontiguousarray(found[id(p)])).to(p.device) for p in modules.parameters()]


def _pairs(network: Network, modules: Any, vector: Array) -> list[tuple[Array, Any]]:
    """Return pairs of a view of the vector, turned to PyTorch's layout, and the parameter that it belongs to."""
    found = []
    views = network.layout.by_layer(vector)
    for (path, layer, _), module in zip(network.rows, modules, strict=True):
        if path not in views:
            continue
        names = {"weight": "weight" if "weight" in views[path] else "gain", "bias": "bias"}
        for theirs, ours in names.items():
            parameter = getattr(module, theirs)
            if parameter is None:
                continue
            view = views[path][ours]
            if isinstance(layer, L.Dense) and view.ndim == 2:
                view = view.T
            elif view.ndim == 4:
                view = view.transpose(3, 2, 0, 1)
            elif view.ndim == 3:
                view = view.transpose(2, 0, 1)
            found.append((view, parameter))
    return found


def images(x: Any) -> Any:
    """(N, H, W, C) -> (N, C, H, W); vectors stay."""
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def back(y: Any) -> Any:
    """(N, C, H, W) -> (N, H, W, C); vectors stay."""
    return y.permute(0, 2, 3, 1) if y.ndim == 4 else y

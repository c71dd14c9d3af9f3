"""The arrays of a Pass: its blocks laid into a region of memory, and a frame of them for each operation."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from npgan.backend.base import Array
from npgan.layers.base import Frame
from npgan.network.memory import Block
from npgan.network.program import Op, Value
from npgan.network.turns import Turn

if TYPE_CHECKING:
    from npgan.network.first_order import FirstOrder
    from npgan.network.pass_plan import PassPlan


class Frames:
    """What the maps of each layer are handed.

    Attributes
    ----------
    each : list of Frame
        Of each operation.
    paired : list of Frame
        The same, but where an operation does something for its neighbours.
    scratch : list of tuple of dict of str to array
        Of each operation and each of its maps.
    flat : array
        All of the region, in the network's dtype.
    """

    def __init__(self, p: FirstOrder, plan: PassPlan, region: Array) -> None:
        network, memory = p.network, plan.memory
        self.region, self._backend = region, network.backend
        self.flat = region.view(network.dtype)
        self._arrays = {block: block.view(region) for block in memory.blocks()}
        self._targets: dict[int, tuple[Array | None, ...]] = {}
        self.each: list[Frame] = []
        self.scratch: list[tuple[dict[str, Array], ...]] = []
        for op, saved, scratch in zip(plan.ops, memory.saved, memory.scratch, strict=True):
            f = Frame()
            f.k, f.xp = network.backend.kernels, network.backend.xp
            f.xs = tuple(self.view(x, memory.values) for x in op.inputs)
            f.x = f.xs[0]
            f.y = self.view(op.output, memory.values)
            if op.output in memory.gradients:
                f.dy = self.view(op.output, memory.gradients)
            if op.output in memory.rvalues:
                f.ry = self.view(op.output, memory.rvalues)
            f.saved = {name: self._arrays[block] for name, block in saved.items()}
            path = network.relative(op.path)
            f.w, f.state = network.weights_of(path), network.state_of(path)
            f.dw = f.rw = f.rdw = f.dx = f.rx = f.rdx = f.rdy = None
            f.dxs = f.rxs = f.rdxs = (None,) * len(op.inputs)
            f.train, f.slope, f.moments, f.unbent = p.train, None, None, False
            f.uniform = _Uniform(p, f"{network.name}/{path}")
            self.each.append(f)
            self.scratch.append(tuple({name: self._arrays[b] for name, b in each.items()} for each in scratch))
        self.paired = list(self.each)
        near = plan.neighbours
        for i, slope in near.pairs.items():
            self.paired[i] = f = copy(self.each[i])
            f.slope, f.y = slope, self.each[i + 1].y
            f.unbent = i in near.alone
        for i, reader in near.measured.items():
            moments = self._arrays[memory.moments[i]]
            for end in (i, reader):
                self.paired[end] = f = copy(self.paired[end])
                f.moments = moments

    def view(self, value: Value, blocks: dict[Value, Block]) -> Array:
        """Return the array of a value, in its shape, out of `Memory.values`, `Memory.gradients` and so on."""
        return self._arrays[blocks[value.root]].reshape(value.spec.shape)

    def targets(self, op: Op, turn: Turn) -> tuple[Array | None, ...]:
        """Return where an operation writes the gradients of its inputs."""
        found = self._targets.get(id(turn))  # turns live as long as the Pass; views are made once
        if found is None:
            found = tuple(
                None if block is None else self._arrays[block].reshape(x.spec.shape)
                for block, x in zip(turn.into, op.inputs, strict=True)
            )
            self._targets[id(turn)] = found
        return found

    def add_up(self, turn: Turn) -> None:
        """Add the gradients of values that had one already."""
        for part, total in zip(turn.into, turn.add_to, strict=True):
            if part is not None and total is not None:
                self._backend.kernels.arrays.add(self._arrays[total], self._arrays[total], self._arrays[part])


class _Uniform:
    """Numbers for dropout: a function of the run's seed, the layer, the Pass and the step."""

    def __init__(self, owner: FirstOrder, stream: str) -> None:
        self._owner, self._stream = owner, f"{stream} of {owner.name}"

    def __call__(self, out: Array) -> Array:
        return self._owner.network.random.uniform(out, self._stream, self._owner.step)

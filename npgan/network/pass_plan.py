"""What a Pass will do, without its arrays: its operations, its memory, and what runs in each of the four maps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from npgan.errors import StalePassError
from npgan.network.checks import check_options, check_second_order
from npgan.network.memory import Block, pack
from npgan.network.neighbours import NONE, find_neighbours
from npgan.network.planning import Memory, Wishes
from npgan.network.program import Program, Value
from npgan.network.stacks import Stacks, find_stacks, slots
from npgan.network.tapes import Tape
from npgan.network.turns import Turn, backward_turns, rbackward_turns, unknown_gradients

if TYPE_CHECKING:
    from npgan.network.network import Network

RWishes = tuple[Wishes, frozenset[Value], bool, bool]  # of rbackward: wishes, what moves, whether dy and weights do


class PassPlan:
    """What a Pass will do, which `where` names in messages. `Network.new_pass` describes the other arguments.

    Parameters
    ----------
    around : iterable of Block
        That the Pass's arena holds already.
    twin : PassPlan, optional
        Of the Pass that goes forward together with this one.

    Attributes
    ----------
    program : Program
    memory : Memory
        Packed: every block has its place.
    nbytes : int
        Where the last block ends.
    neighbours : Neighbours
    forward : list of (int or Tape)
        The sweep of `Pass.forward`: operations by number, and tapes.
    """

    def __init__(
        self,
        network: Network,
        where: str,
        batch: int,
        *,
        train: bool,
        order: int,
        keep: str,
        fuse: bool,
        around: Iterable[Block],
        twin: PassPlan | None = None,
    ) -> None:
        check_options(batch, order, keep)
        self._where, self._order = where, order
        self.program: Program = network.trace(int(batch)) if twin is None else twin.program
        self.ops = self.program.ops
        if order == 2:
            check_second_order(self.ops)
        fuse = fuse and keep != "all" and network.backend.fuses
        runs = find_stacks(self.program) if fuse else []
        self.neighbours = near = find_neighbours(self.program, runs, order, train) if fuse else NONE
        calls = [*runs, *(range(i, i + 2) for i in near.pairs)]
        shared = None if twin is None else twin.memory
        when = slots(self.program, calls)
        self.memory: Memory = Memory(self.program, network.dtype, order, keep, when, near, shared)
        own, around = self.memory.to_place(around)
        self.nbytes = pack(own, self.memory.held(), around)
        self._stacks = Stacks(network, self.program, self.memory, runs)
        self.forward = [i for i in self._stacks.forward() if isinstance(i, Tape) or i - 1 not in near.pairs]
        self._turns: dict[Wishes, list[Turn]] = {}
        self._sweeps: dict[Wishes, Sequence[Turn | Tape]] = {}
        self._rforward: dict[tuple[frozenset[Value], bool], Sequence[int | Tape]] = {}
        self._rturns: dict[tuple[RWishes, Wishes], list[Turn]] = {}
        self._rsweeps: dict[tuple[RWishes, Wishes], Sequence[Turn | Tape]] = {}

    def turns(self, wishes: Wishes) -> list[Turn]:
        """Return the operations that `Pass.backward` runs for these wishes, one by one."""
        if wishes not in self._turns:
            # The R-maps read the gradient of every value, so with them all are found, whoever asks for what.
            found = backward_turns(self.program, self.memory, (wishes[0] or self._order == 2, *wishes[1:]))
            self._turns[wishes] = [turn for turn in found if wishes[0] or any(into is not None for into in turn.into)]
        return self._turns[wishes]

    def backward(self, wishes: Wishes) -> Sequence[Turn | Tape]:
        """Return the sweep of `Pass.backward`: the same, where neighbours are one call."""
        if wishes not in self._sweeps:
            turns = [turn for turn in self.turns(wishes) if self.neighbours.goes_back(turn.index)]
            self._sweeps[wishes] = self._stacks.backward(turns, wishes[0])
        return self._sweeps[wishes]

    def rforward(self, moved: frozenset[Value], rtheta: bool) -> Sequence[int | Tape]:
        """Return the sweep of `Pass.rforward`, for these values moving and the weights."""
        if (moved, rtheta) not in self._rforward:
            self._rforward[moved, rtheta] = self._stacks.rforward(moved, rtheta)
        return self._rforward[moved, rtheta]

    def rturns(self, rwishes: RWishes, wishes: Wishes) -> list[Turn]:
        """Return the operations that `Pass.rbackward` runs, after a `backward` for `wishes`.

        Raises
        ------
        StalePassError
            It reads a gradient that this `backward` was not asked for.
        """
        if (rwishes, wishes) not in self._rturns:
            found = rbackward_turns(self.program, self.memory, *rwishes)
            for op in unknown_gradients(self.program, self.turns(wishes), found):
                raise StalePassError(
                    f"{self._where}: rbackward reads dy of {op.where}, which the last backward was not asked to "
                    "compute; give it dtheta, dx=True or dcondition=True"
                )
            self._rturns[rwishes, wishes] = found
        return self._rturns[rwishes, wishes]

    def rbackward(self, rwishes: RWishes, wishes: Wishes) -> Sequence[Turn | Tape]:
        """Return the sweep of `Pass.rbackward`: the same, where neighbours are one call."""
        if (rwishes, wishes) not in self._rsweeps:
            weights, moved, rtheta = rwishes[0][0], rwishes[1], rwishes[3]
            found = self._stacks.rbackward(self.rturns(rwishes, wishes), weights, moved, rtheta)
            self._rsweeps[rwishes, wishes] = found
        return self._rsweeps[rwishes, wishes]

"""The order of the work: phases, and in each the instructions with what they load, keep, put out and let go of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.quality_features.language.plan import Node

_CHEAP = 3
"""Elementwise operations that are done again in a later phase instead of being kept on the whole grid."""


@dataclass(frozen=True)
class Instruction:
    """Compute one node, then use it and let go of what nobody needs any more."""

    node: int
    keep: bool
    """Whether a later phase, or the market's own pass, hands it on."""
    put_out: bool
    free: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """Instructions over one block, and the nodes that are there before the first of them."""

    loads: tuple[int, ...]
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Phase:
    """One phase; even ones run through time in blocks of codes, odd ones across names in blocks of days."""

    number: int
    market: Program
    """Of an even phase: values that are the same for all names, computed before the blocks."""
    blocks: Program
    handed_on: Program
    """Of an even phase: what codes must compute of which no output is wanted."""
    columns: frozenset[int]
    """Nodes of the columns that the phase reads."""
    kept: frozenset[int]
    forgotten: frozenset[int]
    """Kept nodes that no later phase reads."""

    @property
    def through_time(self) -> bool:
        """Whether blocks are of codes."""
        return self.number % 2 == 0


@dataclass
class _Draft:
    """A phase while it is found out what it has to do."""

    number: int
    stock: set[int]
    market: set[int]
    loads: set[int]
    kept: set[int]
    outputs: set[int]


def schedule(nodes: Sequence["Node"], outputs: Sequence[int]) -> tuple[Phase, ...]:
    """The phases in their order. ``outputs`` are the nodes of the columns, one node perhaps of several columns."""
    last = max((nodes[number].phase for number in outputs), default=0)
    drafts = [_Draft(number, set(), set(), set(), set(), set()) for number in range(max(last, 0) + 1)]
    for number in outputs:
        drafts[max(nodes[number].phase, 0)].outputs.add(number)
    for draft in reversed(drafts):
        for number in sorted(draft.outputs | draft.kept):
            _collect(nodes, drafts, draft, number, root=True)
    users = _users(nodes)
    phases = []
    for draft in drafts:
        used_later = {number for later in drafts[draft.number + 1 :] for number in later.loads}
        held = {number for earlier in drafts[: draft.number + 1] for number in earlier.kept | earlier.market}
        phases.append(_phase(nodes, users, draft, frozenset((held & draft.loads) - used_later)))
    return tuple(phases)


def _collect(nodes: Sequence["Node"], drafts: list[_Draft], draft: _Draft, number: int, root: bool = False) -> None:
    """Put a node and what it needs into a phase, or have an earlier one keep it."""
    node = nodes[number]
    if node.kind == "constant" or number in draft.stock or number in draft.market:
        return
    if node.kind == "column":
        draft.loads.add(number)
        if root:
            draft.stock.add(number)
        return
    if not root and node.phase != draft.number and not _again(nodes, number, draft.number):
        draft.loads.add(number)
        if number not in drafts[node.phase].kept:
            drafts[node.phase].kept.add(number)
        return
    (draft.market if node.market and draft.number % 2 == 0 else draft.stock).add(number)
    for argument in node.arguments:
        _collect(nodes, drafts, draft, argument)


def _again(nodes: Sequence["Node"], number: int, phase: int) -> bool:
    """Whether a node of an earlier phase is so cheap that a later one computes it again from the columns."""
    node = nodes[number]
    if node.market:
        return False
    if node.kind == "step":
        return phase % 2 == 0 and nodes[node.arguments[0]].kind == "column"
    return node.kind == "cell" and 0 < _cost(nodes, number) <= _CHEAP


def _cost(nodes: Sequence["Node"], number: int) -> int:
    """Elementwise operations between a node and the columns; beyond reach if there is anything else."""
    node = nodes[number]
    if node.kind in ("column", "constant"):
        return 0
    if node.kind != "cell":
        return _CHEAP + 1
    cost = 1
    for argument in node.arguments:
        cost += _cost(nodes, argument)
        if cost > _CHEAP:
            break
    return cost


def _users(nodes: Sequence["Node"]) -> dict[int, list[int]]:
    users: dict[int, list[int]] = {}
    for number, node in enumerate(nodes):
        for argument in node.arguments:
            users.setdefault(argument, []).append(number)
    return users


def _phase(nodes: Sequence["Node"], users: dict[int, list[int]], draft: _Draft, forgotten: frozenset[int]) -> Phase:
    through_time = draft.number % 2 == 0
    shared = draft.kept | {number for number in draft.market if through_time}
    market = _program(nodes, users, draft.market, draft.market, draft.outputs)
    blocks = _program(nodes, users, draft.stock, draft.kept, draft.outputs)
    reached = _reached(nodes, draft.stock, draft.kept - draft.market)
    handed_on = _program(nodes, users, reached, draft.kept, set()) if through_time else Program((), ())
    columns = frozenset(number for number in draft.loads if nodes[number].kind == "column")
    return Phase(draft.number, market, blocks, handed_on, columns, frozenset(shared), forgotten)


def _reached(nodes: Sequence["Node"], within: set[int], roots: set[int]) -> set[int]:
    """The nodes of a phase that the roots need."""
    found: set[int] = set()
    waiting = [number for number in roots if number in within]
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting.extend(argument for argument in nodes[number].arguments if argument in within)
    return found


def _program(
    nodes: Sequence["Node"], users: dict[int, list[int]], chosen: set[int], kept: set[int], outputs: set[int]
) -> Program:
    order = _order(nodes, users, chosen)
    own = set(order)
    last_use: dict[int, int] = {}
    loads: set[int] = set()
    for place, number in enumerate(order):
        last_use[number] = place
        for argument in nodes[number].arguments:
            last_use[argument] = place
            if argument not in own and nodes[argument].kind != "constant":
                loads.add(argument)
        if nodes[number].kind == "column":
            loads.add(number)
    free: dict[int, list[int]] = {}
    for number, place in last_use.items():
        if nodes[number].kind != "constant":
            free.setdefault(place, []).append(number)
    instructions = tuple(
        Instruction(number, number in kept, number in outputs, tuple(free.get(place, ())))
        for place, number in enumerate(order)
    )
    return Program(tuple(sorted(loads)), instructions)


def _order(nodes: Sequence["Node"], users: dict[int, list[int]], chosen: set[int]) -> list[int]:
    """Depth first from the highest numbers; all windows on a shared series right behind it, so that it can go."""
    order: list[int] = []
    done: set[int] = set()

    def emit(number: int) -> None:
        if number in done or number not in chosen:
            return
        for argument in nodes[number].arguments:
            emit(argument)
        if number in done:  # a window that was put behind its shared series
            return
        done.add(number)
        order.append(number)
        if nodes[number].kind in ("shared", "family"):
            for user in users[number]:
                if user in chosen:
                    done.add(user)
                    order.append(user)

    for number in sorted(chosen):
        emit(number)
    return order

"""Run a plan over dense arrays: blocks of codes through time, blocks of days across names, spread over threads.

A cell depends on its own window and, across names, on its own day, so neither the size of a block nor the number of
threads shows in a bit.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.freed_memory import keep_freed_memory
from model.quality_features.cross_section import Members, Names, Sectors
from model.quality_features.language import kernels
from model.quality_features.language.plan import Node, Plan
from model.quality_features.language.schedule import Phase, Program
from model.quality_features.windows import Array
from model.quality_features.windows_shared import SharedWindows

_Task = TypeVar("_Task")
_Done = TypeVar("_Done")

CELLS_PER_BLOCK = 49_152
"""Cells of a block: 384 KiB an array. Smaller ones stay in a core's cache, but cost more calls than that gives."""


class Sink(Protocol):
    """Where results go."""

    def codes(self, node: int, values: Array, codes: slice) -> None:
        """The wanted days of a block of codes."""

    def days(self, node: int, values: Array, days: slice) -> None:
        """Some of the wanted days of all codes."""

    def market(self, node: int, values: Array) -> None:
        """The wanted days of a value that all names share."""


@dataclass(frozen=True)
class Grids:
    """What a plan reads. Every array ends on the last day and is as long as the plan needs it, or as the data are."""

    columns: Mapping[str, Array]
    """Stock columns ``[days, codes]``, market columns ``[days, 1]``, float64, NaN for missing."""
    days: int
    """Days of the whole grid."""
    codes: int
    rows: int
    """Wanted days, the last of the grid."""
    member: Members | None = None
    sector: Sectors | None = None
    """Both ``[days, codes]`` of the whole grid; only plans that compare names read them."""


@dataclass
class _State:
    """What phases hand on to each other."""

    plan: Plan
    grids: Grids
    sink: Sink
    cells_per_block: int
    kept: dict[int, Array] = field(default_factory=dict)

    def length(self, node: Node) -> int:
        """Days of a node's array."""
        return min(self.grids.rows + node.back, self.grids.days)

    def array(self, number: int) -> Array:
        node = self.plan.nodes[number]
        return self.grids.columns[node.operator] if node.kind == "column" else self.kept[number]


def evaluate(
    plan: Plan,
    grids: Grids,
    sink: Sink,
    wanted: NDArray[np.bool_] | None,
    threads: int,
    cells_per_block: int = CELLS_PER_BLOCK,
) -> None:
    """Compute every output of a plan into a sink.

    Args:
        plan: what to compute.
        grids: what to compute it from.
        sink: receives each output's values, block by block, from several threads.
        wanted: codes whose outputs are wanted, None for all.
        threads: blocks computed at the same time.
        cells_per_block: days times codes of a block.
    """
    keep_freed_memory()
    state = _State(plan, grids, sink, cells_per_block)
    for phase in plan.phases:
        for number in phase.kept:
            node = plan.nodes[number]
            state.kept[number] = np.empty((state.length(node), 1 if node.market else grids.codes))
        run = _through_time if phase.through_time else _across_names
        each_of(_call, list(run(state, phase, wanted)), threads)
        for number in phase.forgotten:
            state.kept.pop(number, None)


def each_of(work: Callable[[_Task], _Done], tasks: Iterable[_Task], threads: int) -> list[_Done]:
    """The results of independent tasks in order; one thread is the caller's own, which hands nothing over."""
    if threads == 1:
        return [work(task) for task in tasks]
    with ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(work, tasks))


def _call(task: Callable[[], None]) -> None:
    with np.errstate(all="ignore"):  # the setting belongs to a thread
        task()


def _through_time(state: _State, phase: Phase, wanted: NDArray[np.bool_] | None) -> Iterable[Callable[[], None]]:
    with np.errstate(all="ignore"):
        _market(state, phase.market)
    codes = state.grids.codes
    nodes = state.plan.nodes
    lengths = [state.length(nodes[instruction.node]) for instruction in phase.blocks.instructions] or [1]
    days = max(int(np.mean(lengths)), max(lengths) // 4)  # a few long series among many short ones must fit too
    width = max(state.cells_per_block // days, 1)
    for begin in range(0, codes, width):
        block = slice(begin, min(begin + width, codes))
        asked_for = wanted is None or bool(wanted[block].any())
        program = phase.blocks if asked_for else phase.handed_on
        if program.instructions:
            yield _block_of_codes(state, program, block)


def _block_of_codes(state: _State, program: Program, codes: slice) -> Callable[[], None]:
    nodes = state.plan.nodes

    def run() -> None:
        values: dict[int, Any] = {}
        for number in program.loads:
            grid = state.array(number)
            grid = grid[len(grid) - min(state.length(nodes[number]), len(grid)) :]
            values[number] = grid if nodes[number].market else np.ascontiguousarray(grid[:, codes])
        for instruction in program.instructions:
            number = instruction.node
            if number not in values:
                values[number] = _compute(state, number, values, state.length(nodes[number]))
            if instruction.keep:
                state.kept[number][:, codes] = values[number]
            if instruction.put_out:
                state.sink.codes(number, values[number][-state.grids.rows :], codes)
            for gone in instruction.free:
                values.pop(gone, None)

    return run


def _market(state: _State, program: Program) -> None:
    """The values that all names share, over all their days at once."""
    nodes = state.plan.nodes
    values: dict[int, Any] = {number: state.array(number) for number in program.loads}
    for instruction in program.instructions:
        number = instruction.node
        values[number] = _compute(state, number, values, state.length(nodes[number]))
        if nodes[number].kind not in ("shared", "family"):
            state.kept[number] = values[number]
        if instruction.put_out:
            state.sink.market(number, values[number][-state.grids.rows :])
        for gone in instruction.free:
            values.pop(gone, None)


def _across_names(state: _State, phase: Phase, wanted: NDArray[np.bool_] | None) -> Iterable[Callable[[], None]]:
    nodes, grids = state.plan.nodes, state.grids
    longest = max(state.length(nodes[instruction.node]) for instruction in phase.blocks.instructions)
    step = max(state.cells_per_block // max(grids.codes, 1), 1)
    for begin in range(grids.days - longest, grids.days, step):
        yield _block_of_days(state, phase.blocks, begin, min(begin + step, grids.days))


def _block_of_days(state: _State, program: Program, begin: int, end: int) -> Callable[[], None]:
    """Days ``begin`` to ``end`` of the grid; a node that is needed for fewer days has the last of them, or none."""
    nodes, grids = state.plan.nodes, state.grids
    if grids.member is None or grids.sector is None:
        raise TypeError("a plan that compares names needs the members and the sectors")
    member, sector = grids.member, grids.sector

    def run() -> None:
        values: dict[int, Any] = {}
        for number in program.loads:
            grid = state.array(number)
            first = grids.days - len(grid)
            values[number] = grid[max(begin - first, 0) : max(end - first, 0)]
        for instruction in program.instructions:
            number, node = instruction.node, nodes[instruction.node]
            first = max(begin, grids.days - state.length(node))
            if first < end:
                if node.kind == "day":
                    names = Names(member[first:end], sector[first:end])
                    x = values[node.arguments[0]]
                    values[number] = kernels.DAYS[node.operator](x[len(x) - (end - first) :], names, int(node.minimum))
                elif number not in values:
                    values[number] = _compute(state, number, values, end - first)
                _hand_over(state, number, values[number], first, end, instruction.keep, instruction.put_out)
            for gone in instruction.free:
                values.pop(gone, None)

    return run


def _hand_over(state: _State, number: int, values: Array, first: int, end: int, keep: bool, put_out: bool) -> None:
    grids = state.grids
    if keep:
        kept = state.kept[number]
        offset = grids.days - len(kept)
        kept[first - offset : end - offset] = values
    begin = max(first, grids.days - grids.rows)
    if put_out and begin < end:
        start = grids.days - grids.rows
        state.sink.days(number, values[len(values) - (end - begin) :], slice(begin - start, end - start))


def _compute(state: _State, number: int, values: dict[int, Any], rows: int) -> Any:
    """One node from the values of its arguments, ``rows`` days of it."""
    node = state.plan.nodes[number]
    arguments: list[Any] = []
    for argument in node.arguments:
        other = state.plan.nodes[argument]
        arguments.append(other.value if other.kind == "constant" else values[argument])
    result: Any
    if node.kind == "cell":
        aligned = [x if isinstance(x, float) else _last(x, rows) for x in arguments]
        result = kernels.CELLS[node.operator](*aligned, *node.parameters)
    elif node.kind == "step":
        result = kernels.STEPS[node.operator](arguments[0], int(node.parameters[0]), rows)
    elif node.kind == "shared":
        result = SharedWindows(_last(arguments[0], rows), node.needs, state.grids.rows, node.back)
    elif node.kind == "finish":
        result = kernels.SHARED[node.operator](arguments[0], node.parameters, rows, node.minimum)
    elif node.kind == "family":
        wanted = min(state.grids.rows + node.read_back, rows)
        result = kernels.FAMILIES[node.operator](*(_last(x, rows) for x in arguments), node.requests, wanted)
    elif node.kind == "read":
        result = _last(kernels.READ[node.operator](arguments[0], node.parameters, node.minimum), rows)
    elif node.kind == "alone":
        result = _last(kernels.ALONE[node.operator](arguments[0], node.parameters, node.minimum), rows)
    else:
        raise TypeError(f"a node of kind {node.kind} is not computed here")
    return result


def _last(x: Array, rows: int) -> Array:
    return x if len(x) <= rows else x[len(x) - rows :]

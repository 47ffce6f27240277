"""From features to a plan: one graph of what has to be computed, each thing once, in the order of its barriers.

Equal sub-expressions become one node. Windows over the same series hang on one node that shares their work. A value
that compares the names of a day needs every name's input first, so the work falls into **phases**: in even phases a
block of codes is computed through time (windows, and whatever arithmetic surrounds them), in odd ones a block of days
across the names. What a later phase needs is kept on the whole grid of days and codes, unless it is so little
arithmetic that doing it again costs less than keeping it.

Each node knows how many days before the first wanted one it is needed for, so that a feature with a memory of five
days is not computed over the 250 days of history that another one needs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from model.quality_features.language.columns import COLUMNS
from model.quality_features.language.expression import Call, Column, Constant, Expression, Reduced, rewrite
from model.quality_features.language.feature import Feature, Nulls, resolve
from model.quality_features.language.kernels import ALONE, CELLS, FAMILY, SHARED, STEPS, asked, smoothing
from model.quality_features.language.operators import EXPANSIONS, OPERATORS
from model.quality_features.language.schedule import Phase, schedule
from model.quality_features.windows_shared import Demand, demands

NodeKind: TypeAlias = Literal[
    "column", "constant", "cell", "step", "alone", "shared", "finish", "family", "read", "day"
]
"""``shared`` and ``family`` hold what several windows have in common, ``finish`` and ``read`` are the windows."""
_ROUNDING = 1e-12
"""Share by which a sum of weights may fall short of its closed form, by the order in which it was added up."""


@dataclass
class Node:
    """One thing to compute."""

    kind: NodeKind
    operator: str
    arguments: tuple[int, ...] = ()
    parameters: tuple[int | float, ...] = ()
    minimum: float = 0.0
    """Values that a window needs; names that a sector needs."""
    market: bool = False
    """One value a day, the same for all names."""
    phase: int = -1
    """-1: there from the start."""
    back: int = 0
    """Days before the first wanted one on which it is needed."""
    needs: Mapping[Demand, int] = field(default_factory=dict)
    """Of shared windows: what is computed, and for how many earlier days."""
    requests: tuple[tuple[int | float, ...], ...] = ()
    """Of a family: the parameters of the windows that are read from it."""
    read_back: int = 0
    """Of a family: days before the first wanted one for which they are read."""

    @property
    def value(self) -> float:
        """Of a constant: the number."""
        return float(self.parameters[0])


@dataclass(frozen=True)
class Output:
    """A column of the result."""

    name: str
    node: int
    kind: Literal["value", "flag", "exact"] = "value"
    """Float32 with nulls, Boolean, or Float64 with NaN."""


@dataclass(frozen=True)
class Plan:
    """What compile_plan() made: the graph, its outputs and its phases."""

    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    phases: tuple[Phase, ...]
    columns: Mapping[str, int]
    """Columns that are read (names of the language), and for how many days before the first wanted one."""
    lookback_days: int

    @property
    def across_names(self) -> bool:
        """Whether any value depends on more names than its own."""
        return any(node.kind == "day" for node in self.nodes)

    @property
    def across_back(self) -> int:
        """Days before the first wanted one on which names are compared."""
        return max((node.back for node in self.nodes if node.kind == "day"), default=0)

    @property
    def by_sector(self) -> bool:
        """Whether any value depends on sectors."""
        return any(node.kind == "day" and node.operator.startswith("sector") for node in self.nodes)


@dataclass(frozen=True)
class Options:
    """What the settings say about windows, sectors and the market."""

    minimum_share: float
    minimum_sector_names: int
    market_index: str | None = None


def compile_plan(
    features: Sequence[Feature],
    options: Options,
    flags: Mapping[str, int] | None = None,
    exact: Sequence[Feature] = (),
) -> Plan:
    """The plan that computes the features, and a validity flag for each window of closes in ``flags``.

    Args:
        features: in the order of the result's columns.
        options: see :class:`Options`.
        flags: name of a flag to its window in days.
        exact: more features, whose values are put out in full precision; they come last.
    """
    graph = _Graph(options)
    outputs = [
        Output(feature.name, graph.add(resolve(feature, options.market_index).expression, feature.nulls))
        for feature in features
    ]
    for name, days in (flags or {}).items():
        count = Call("count", (Column("close"),), (days,))
        needed = Constant(float(np.ceil(options.minimum_share * days)))
        outputs.append(Output(name, graph.add(Call("at_least", (count, needed)), "share"), "flag"))
    outputs += [Output(feature.name, graph.add(feature.expression, feature.nulls), "exact") for feature in exact]
    nodes = graph.nodes
    _reach_back(nodes, {output.node for output in outputs})
    phases = schedule(nodes, [output.node for output in outputs])
    used = {node for phase in phases for node in phase.columns}
    columns = {nodes[number].operator: nodes[number].back for number in used}
    return Plan(tuple(nodes), tuple(outputs), phases, columns, max((node.back + 1 for node in nodes), default=1))


class _Graph:
    """The nodes so far; equal ones are made once. Arguments always come before what uses them."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.nodes: list[Node] = []
        self._numbers: dict[object, int] = {}
        self._expressions: dict[tuple[Expression, Nulls], int] = {}

    def add(self, expression: Expression, nulls: Nulls) -> int:
        return self._visit(rewrite(expression, _written_out), nulls)

    def _visit(self, expression: Expression, nulls: Nulls) -> int:
        known = self._expressions.get((expression, nulls))
        if known is None:
            known = self._new(expression, nulls)
            self._expressions[expression, nulls] = known
        return known

    def _new(self, expression: Expression, nulls: Nulls) -> int:
        if isinstance(expression, Column):
            market = isinstance(expression, Reduced) or COLUMNS[expression.name].scope == "market"
            return self._node("column", expression.name, market=market)
        if isinstance(expression, Constant):
            return self._node("constant", "", parameters=(expression.value,), market=True)
        if not isinstance(expression, Call):
            raise TypeError(f"{type(expression).__name__} is no kind of expression")
        return self._call(expression, tuple(self._visit(argument, nulls) for argument in expression.arguments), nulls)

    def _call(self, call: Call, arguments: tuple[int, ...], nulls: Nulls) -> int:
        name, parameters = call.operator, call.parameters
        if name in CELLS:
            constant = all(self.nodes[number].kind == "constant" for number in arguments)
            fold = self._folded if constant else self._cell
            return fold(name, arguments, parameters)
        if name in STEPS:
            return self._node("step", name, arguments, parameters)
        if OPERATORS[name].kind != "time":
            minimum = float(self.options.minimum_sector_names)
            return self._node("day", name, arguments, minimum=minimum, market=OPERATORS[name].kind == "market")
        kind: NodeKind = "alone"
        if name in SHARED:
            kind, arguments = "finish", (self._node("shared", "", arguments),)
        elif name not in ALONE:
            kind, arguments = "read", (self._node("family", FAMILY[name], arguments),)
        return self._node(kind, name, arguments, parameters, self._needed(name, parameters, nulls))

    def _cell(self, name: str, arguments: tuple[int, ...], parameters: tuple[int | float, ...]) -> int:
        return self._node("cell", name, arguments, parameters)

    def _folded(self, name: str, arguments: tuple[int, ...], parameters: tuple[int | float, ...]) -> int:
        with np.errstate(all="ignore"):
            value = float(CELLS[name](*(self.nodes[number].value for number in arguments), *parameters))
        return self._node("constant", "", parameters=(value,), market=True)

    def _needed(self, name: str, parameters: tuple[int | float, ...], nulls: Nulls) -> float:
        """Values that a window needs, or for exponential means the weight."""
        share = self.options.minimum_share
        if name in ("ema", "wilder"):
            decay, memory = smoothing(name, parameters)
            full = (1.0 - decay**memory) / (1.0 - decay)
            return (1.0 - _ROUNDING) * share * full if nulls == "share" else 1e-300
        days = parameters[OPERATORS[name].parameters.index("days")]
        return float(np.ceil(share * days)) if nulls == "share" else 1.0

    def _node(
        self,
        kind: NodeKind,
        operator: str,
        arguments: tuple[int, ...] = (),
        parameters: tuple[int | float, ...] = (),
        minimum: float = 0.0,
        market: bool | None = None,
    ) -> int:
        key = (kind, operator, arguments, tuple(map(repr, parameters)), minimum)
        known = self._numbers.get(key)
        if known is None:
            inputs = [self.nodes[number] for number in arguments]
            everywhere = all(node.market for node in inputs) if market is None else market
            phase = _phase(kind, [node.phase for node in inputs])
            known = self._numbers[key] = len(self.nodes)
            self.nodes.append(Node(kind, operator, arguments, parameters, minimum, everywhere, phase))
        return known


def _written_out(node: Expression) -> Expression:
    expand = EXPANSIONS.get(node.operator) if isinstance(node, Call) else None
    return expand(node.arguments[0]) if expand is not None and isinstance(node, Call) else node


def _phase(kind: NodeKind, before: Iterable[int]) -> int:
    """Even for what runs through time, odd for what runs across names; arithmetic stays where its inputs are."""
    if kind in ("column", "constant"):
        return -1
    latest = max(0, *before)
    if kind == "cell":
        return latest
    return latest if latest % 2 == (kind == "day") else latest + 1


def reach(node: Node) -> int:
    """Days before a value's own that it reads of its arguments (of shared windows: nothing by themselves)."""
    if node.kind in ("step", "alone", "finish", "read"):
        return OPERATORS[node.operator].reach(node.parameters)
    return 0


def _reach_back(nodes: list[Node], outputs: set[int]) -> None:
    """Fill in how far back each node is needed, and what is asked of shared windows and families."""
    wanted: dict[int, dict[Demand, int]] = {}
    needed = set(outputs)
    for number in reversed(range(len(nodes))):
        node = nodes[number]
        if number not in needed:
            continue
        needed.update(node.arguments)
        if node.kind == "shared":
            found = wanted[number]
            node.needs = demands(found)
            node.back = max(node.needs.values())
        elif node.kind == "finish":
            held = wanted.setdefault(node.arguments[0], {})
            for demand in asked(node.operator, node.parameters):
                held[demand] = max(held.get(demand, 0), node.back)
        elif node.kind == "read":
            family = nodes[node.arguments[0]]
            family.requests = tuple(sorted({*family.requests, node.parameters}))
            family.read_back = max(family.read_back, node.back)
        if node.kind != "finish":
            for argument in node.arguments:
                nodes[argument].back = max(nodes[argument].back, node.back + reach(node))

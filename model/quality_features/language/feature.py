"""A feature: a name, a group and an expression; everything else that is said about it follows from the expression."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal

from model.errors import SettingsError
from model.quality_features.language.columns import (
    BARS,
    COLUMNS,
    MARKET_MOVE,
    MARKET_RETURN,
    MARKET_SERIES,
    MEMBER,
    SECTOR,
)
from model.quality_features.language.expression import (
    Call,
    Column,
    Constant,
    Expression,
    Reduced,
    substitute,
    text,
    walk,
)
from model.quality_features.language.operators import OPERATORS, coalesce, market_mean, ret

Scope = Literal["market", "stock", "cross_section"]
Nulls = Literal["share", "any"]


def _market(daily: Callable[[int], Expression]) -> Mapping[str, Expression]:
    return {MARKET_RETURN: daily(1), MARKET_MOVE: coalesce(daily(1), daily(2))}


_OF_MEMBERS = _market(lambda days: market_mean(ret(Column("close"), days)))
_OF_INDEX = _market(lambda days: ret(Column("index_close"), days))


@dataclass(frozen=True)
class Feature:
    """One declaration of the catalogue.

    Raises:
        SettingsError: the expression names a column or an operator that does not exist, or compares the names of a
            day by a value that is the same for all of them.
    """

    name: str
    group: str
    expression: Expression
    nulls: Nulls = "share"
    """What a window needs: the settings' minimum share of its days, or any one value."""
    description: str = ""

    def __post_init__(self) -> None:
        for node in walk(self.expression):
            problem = _problem(node)
            if problem:
                raise SettingsError(f"Feature '{self.name}': {problem}")
        if scope(self.expression) == "constant":
            raise SettingsError(f"Feature '{self.name}': '{self.formula}' is a constant; name a column.")

    @cached_property
    def formula(self) -> str:
        """The expression as text, which parse() reads back."""
        return text(self.expression)

    @cached_property
    def lookback_days(self) -> int:
        """Trading days that a value reads, its own included."""
        return lookback(self.expression)

    @property
    def warm_up_days(self) -> int:
        """Trading days from a name's first row until its windows can be full."""
        return self.lookback_days - 1

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Columns of raw_dataset's tables that a value reads, in the order of the language's columns."""
        named = {node.name for node in walk(self.expression) if isinstance(node, Column)}
        found = [spec.source for name, spec in COLUMNS.items() if name in named]
        kinds = {OPERATORS[node.operator].kind for node in walk(self.expression) if isinstance(node, Call)}
        if named & MARKET_SERIES.keys():
            kinds.add("market")
            found += [] if "close" in named else ["AdjClose"]
        found += [MEMBER] if kinds & {"market", "names", "sector"} else []
        found += [SECTOR] if "sector" in kinds else []
        return tuple(found)

    @cached_property
    def scope(self) -> Scope:
        """``market``: one value a day; ``cross_section``: compares the names of a day; ``stock``: neither."""
        shape = scope(self.expression)
        kinds = {OPERATORS[node.operator].kind for node in walk(self.expression) if isinstance(node, Call)}
        if shape == "market":
            return "market"
        return "cross_section" if kinds & {"names", "sector"} else "stock"

    @cached_property
    def availability(self) -> str:
        """When a value is known: the conditions of all its columns, that of the bars first."""
        named = {node.name for node in walk(self.expression) if isinstance(node, Column)}
        found = {spec.availability: None for name, spec in COLUMNS.items() if name in named}
        if named & MARKET_SERIES.keys():
            found = {BARS: None, **found}
        return "; ".join(found)


@lru_cache(maxsize=1024)
def resolve(feature: Feature, market_index: str | None) -> Feature:
    """The feature with ``market_return`` and ``market_move`` written out: of the index, or of the members' mean."""
    written = substitute(feature.expression, _OF_MEMBERS if market_index is None else _OF_INDEX)
    return feature if written == feature.expression else replace(feature, expression=written)


def lookback(expression: Expression) -> int:
    """Trading days that a value of the expression reads, today included."""
    days: dict[Expression, int] = {}
    for node in walk(expression):
        if isinstance(node, Call):
            own = OPERATORS[node.operator].reach(node.parameters)
            days[node] = max(days[argument] for argument in node.arguments) + own
        else:
            days[node] = MARKET_SERIES.get(node.name, 1) if isinstance(node, Column) else 1
    return days[expression]


@lru_cache(maxsize=1024)
def scope(expression: Expression) -> Literal["constant", "market", "stock"]:
    """Whether the expression has one value at all, one a day, or one a day and name."""
    found: dict[Expression, Literal["constant", "market", "stock"]] = {}
    for node in walk(expression):
        if isinstance(node, Constant):
            found[node] = "constant"
        elif isinstance(node, Reduced):
            found[node] = "market"
        elif isinstance(node, Column):
            found[node] = "market" if node.name in MARKET_SERIES else COLUMNS[node.name].scope
        elif isinstance(node, Call):
            kind = OPERATORS[node.operator].kind
            if kind == "market":
                found[node] = "market"
            elif any(found[argument] == "stock" for argument in node.arguments):
                found[node] = "stock"
            else:
                constant = all(found[argument] == "constant" for argument in node.arguments)
                found[node] = "constant" if constant else "market"
    return found[expression]


def _problem(node: Expression) -> str | None:
    """What is wrong with a node that was built by hand, or None."""
    if isinstance(node, Column):
        known = isinstance(node, Reduced) or node.name in COLUMNS or node.name in MARKET_SERIES
        return None if known else f"there is no column '{node.name}'."
    if not isinstance(node, Call):
        return None
    if node.operator not in OPERATORS:
        return f"there is no operator '{node.operator}'."
    kind = OPERATORS[node.operator].kind
    if kind in ("market", "names", "sector") and scope(node.arguments[0]) != "stock":
        return (
            f"'{text(node)}' compares the names of a day, but '{text(node.arguments[0])}' is the same for all of them."
        )
    if kind == "time" and any(scope(argument) == "constant" for argument in node.arguments):
        return f"'{text(node)}' is a window over a constant; name a column."
    return None

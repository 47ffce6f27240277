"""The operators of the language, one declaration each; every one is also a Python function that builds a call.

    from model.quality_features.language.operators import close, mean, ret
    mean(ret(close, 1), 20)          # the same expression as parse("mean(ret(close, 1), 20)")

Windows of ``days`` are trading days and include today. Missing values (NaN) are skipped in windows and make an
elementwise result missing. A window with fewer values than the feature's null policy asks for is missing:
``ceil(features.minimum_share · days)`` by default, one under the policy ``any``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

from model.errors import SettingsError
from model.quality_features.language.columns import COLUMNS, MARKET_MOVE, MARKET_RETURN, MARKET_SERIES
from model.quality_features.language.expression import (
    Call,
    Column,
    Constant,
    Expression,
    Operand,
    Parameter,
    as_expression,
    number,
)

Kind = Literal["elementwise", "time", "market", "names", "sector"]
"""``elementwise`` reads the cell, ``time`` the name's past, ``market`` reduces a day to one value, ``names`` and
``sector`` place each name among the day's universe members, or among those of its sector."""

LONGEST_WINDOW = 2600
Reach = Callable[[tuple[Parameter, ...]], int]


@dataclass(frozen=True)
class Operator:
    """One operator: what it takes, what kind it is, how many days before today it reads; calling it builds a node."""

    name: str
    arguments: tuple[str, ...]
    parameters: tuple[str, ...]
    kind: Kind
    doc: str
    reach: Reach
    """Days before today that are read beyond those that the arguments read, from the parameters."""

    @property
    def signature(self) -> str:
        """As a person writes it, e.g. ``mean(x, days)``."""
        return f"{self.name}({', '.join((*self.arguments, *self.parameters))})"

    def __call__(self, *operands: Operand) -> Expression:
        """A call of this operator.

        Raises:
            SettingsError: the wrong number of operands, or a parameter that is not a number in its range.
        """
        wanted = len(self.arguments) + len(self.parameters)
        if len(operands) != wanted:
            raise SettingsError(f"{self.signature} takes {wanted} operand{'s' * (wanted != 1)}, not {len(operands)}.")
        split = len(self.arguments)
        parameters = tuple(
            self._parameter(name, value) for name, value in zip(self.parameters, operands[split:], strict=True)
        )
        arguments = tuple(as_expression(operand) for operand in operands[:split])
        if self.name == "clip" and not parameters[0] < parameters[1]:
            raise SettingsError(f"{self.signature} needs low < high, not {parameters[0]} and {parameters[1]}.")
        return Call(self.name, arguments, parameters)

    def _parameter(self, name: str, operand: Operand) -> Parameter:
        if isinstance(operand, Constant):
            operand = operand.value
        if isinstance(operand, Expression):
            raise SettingsError(f"{self.signature} takes a plain number as {name}, not an expression: '{operand}'.")
        whole, low, high = _RANGES[name]
        if whole and operand != int(operand):
            raise SettingsError(f"{self.signature} takes a whole number as {name}, not {number(operand)}.")
        if name == "days" and operand < 1:
            raise SettingsError(
                f"{self.signature} reads the last {name}, so {name} is at least 1, not {number(operand)}: "
                "a feature never reads the future."
            )
        if self.name in _SPREADS and name == "days":
            low = 2
        if not low <= operand <= high:
            raise SettingsError(
                f"{self.signature} takes {name} from {number(low)} to {number(high)}, not {number(operand)}."
            )
        return int(operand) if whole else float(operand)


_RANGES: Mapping[str, tuple[bool, float, float]] = MappingProxyType(
    {
        "days": (True, 1, LONGEST_WINDOW),
        "span": (True, 1, 500),
        "n": (True, 2, 250),
        "bins": (True, 0, 64),
        "q": (False, 0.0, 1.0),
        "exponent": (False, -10.0, 10.0),
        "low": (False, -1e12, 1e12),
        "high": (False, -1e12, 1e12),
    }
)
"""For each parameter: whether it is whole, its least and its greatest value."""

_SPREADS = frozenset(
    {"std", "varies", "var", "corr", "slope", "determination", "trend_slope", "trend_r2", "trend_residual"}
)


def ema_memory(span: int) -> int:
    """Days that an EMA of a span reads, a power of two.

    From 4 spans up for spans to 100: less than 0.04 % of the weight is older. From 2.4 spans up for longer ones: less
    than 0.9 % is older (0.6 % of an EMA of 200 days, which reads 512). Four spans of 200 days would make every row
    read, and every fix of a price reach, four years for the sake of half a per cent of the weight.
    """
    days = 4 * span if span <= 100 else -(-12 * span // 5)
    return 1 << (days - 1).bit_length()


def wilder_memory(n: int) -> int:
    """Days that Wilder's average over n reads: the power of two from 8 n upward; less than 0.04 % is older."""
    return 1 << (8 * n - 1).bit_length()


def _cell(name: str, arguments: str, doc: str, parameters: str = "") -> Operator:
    return Operator(name, tuple(arguments.split()), tuple(parameters.split()), "elementwise", doc, lambda _: 0)


def _window(name: str, doc: str, arguments: str = "x", parameters: str = "days") -> Operator:
    """A window: reads its last parameter's days, today included."""
    listed = tuple(parameters.split())
    where = listed.index("days")
    return Operator(name, tuple(arguments.split()), listed, "time", doc, lambda given: int(given[where]) - 1)


def _step(name: str, doc: str) -> Operator:
    return Operator(name, ("x",), ("days",), "time", doc, lambda given: int(given[0]))


def _day(name: str, kind: Kind, doc: str) -> Operator:
    return Operator(name, ("x",), (), kind, doc, lambda _: 0)


add = _cell("add", "x y", "x + y")
subtract = _cell("subtract", "x y", "x - y")
multiply = _cell("multiply", "x y", "x * y")
divide = _cell("divide", "x y", "x / y; not finite where y is 0, so missing in windows and in the table (see positive)")
neg = _cell("neg", "x", "-x")
abs = _cell("abs", "x", "Absolute value")  # noqa: A001
sign = _cell("sign", "x", "-1, 0 or 1")
log = _cell("log", "x", "Natural logarithm; missing where x is negative, not finite at 0")
log1p = _cell("log1p", "x", "ln(1 + x)")
exp = _cell("exp", "x", "e to the power of x")
expm1 = _cell("expm1", "x", "e to the power of x, minus 1")
sqrt = _cell("sqrt", "x", "Square root; missing where x is negative")
square = _cell("square", "x", "x times x")
power = _cell("power", "x", "x to a constant power", "exponent")
larger = _cell("larger", "x y", "The larger of two values; missing if either is")
smaller = _cell("smaller", "x y", "The smaller of two values; missing if either is")
greater = _cell("greater", "x y", "1 where x > y, else 0; missing if either is")
less = _cell("less", "x y", "1 where x < y, else 0; missing if either is")
at_least = _cell("at_least", "x y", "1 where x >= y, else 0; missing if either is")
where = _cell("where", "condition x y", "x where the condition is not 0, y where it is 0; missing where it is missing")
coalesce = _cell("coalesce", "x y", "x, or y where x is missing")
positive = _cell("positive", "x", "x where it is above 0, else missing: a denominator that is safe")
given = _cell("given", "x y", "x where y is present, else missing")
clip = _cell("clip", "x", "x, at least low and at most high", "low high")
is_present = _cell("is_present", "x", "1 where x has a value, else 0; never missing")

lag = _step("lag", "x the given number of trading days ago")
ret = _step("ret", "Simple return x / lag(x, days) - 1")
delta = _step("delta", "x - lag(x, days)")
sum = _window("sum", "Sum of the values present")  # noqa: A001
mean = _window("mean", "Mean of the values present")
count = _window("count", "How many days of the window have a value (0 where none has)")
std = _window("std", "Standard deviation with n - 1, of at least two values")
pstd = _window("pstd", "Standard deviation with n")
varies = _window(
    "varies",
    "1 where the standard deviation (n - 1, of at least two values) is above low, else 0",
    parameters="low days",
)
var = _window("var", "Variance with n - 1, of at least two values")
max = _window("max", "Largest value present")  # noqa: A001
min = _window("min", "Smallest value present")  # noqa: A001
mad = _window("mad", "Mean absolute deviation from the window's mean")
slope = _window("slope", "Least-squares slope of x on y over the days on which both have a value", "x y")
determination = _window("determination", "Squared correlation of x and y", "x y")
corr = _window("corr", "Correlation of x and y over the days on which both have a value", "x y")
drawdown = _window(
    "drawdown",
    "Log level minus its highest point in the window (the level before it counts), from daily log returns; "
    "a missing one counts as 0",
    "log_returns",
)
low_pass = _window(
    "low_pass",
    "Frequencies 0 to bins of the window's discrete Fourier transform, evaluated today; a missing day counts as 0",
    parameters="days bins",
)
ema = Operator(
    "ema",
    ("x",),
    ("span",),
    "time",
    "Exponential mean, decay 1 - 2/(span + 1), weights of the days present, over the power of two from 4 spans upward "
    "(from 2.4 where the span is over 100)",
    lambda given: ema_memory(int(given[0])) - 1,
)
wilder = Operator(
    "wilder",
    ("x",),
    ("n",),
    "time",
    "Wilder's average: exponential mean, decay (n - 1)/n, over the power of two from 8 n upward",
    lambda given: wilder_memory(int(given[0])) - 1,
)
max_position = _window("max_position", "Day of the first largest value, 1 for the oldest value present (Qlib's IdxMax)")
min_position = _window(
    "min_position", "Day of the first smallest value, 1 for the oldest value present (Qlib's IdxMin)"
)
rank_in_time = _window("rank_in_time", "Average rank of today's value in the window, divided by the values present")
quantile = _window("quantile", "Quantile of the values present, linearly interpolated", parameters="q days")
trend_slope = _window("trend_slope", "Slope of the least-squares line through the window, per day")
trend_r2 = _window("trend_r2", "Share of the window's variance that its least-squares line explains")
trend_residual = _window("trend_residual", "Today's value minus the least-squares line through the window")

rank = _day("rank", "names", "(members below + half the members equal) / members of the day")
market_mean = _day("market_mean", "market", "Mean over the day's universe members")
market_std = _day("market_std", "market", "Standard deviation with n - 1 over the day's universe members")
demean = _day("demean", "names", "x - market_mean(x)")
zscore = _day("zscore", "names", "(x - market_mean(x)) / market_std(x)")
sector_mean = _day("sector_mean", "sector", "Mean over the day's universe members of the name's sector")
sector_median = _day("sector_median", "sector", "Median over the day's universe members of the name's sector")
sector_std = _day("sector_std", "sector", "Standard deviation with n - 1 over the members of the name's sector")
sector_count = _day("sector_count", "sector", "Universe members of the name's sector that have a value")
sector_rank = _day("sector_rank", "sector", "As rank, among the members of the name's sector")
sector_zscore = _day("sector_zscore", "sector", "(x - sector_mean(x)) / sector_std(x)")

OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {operator.name: operator for operator in list(globals().values()) if isinstance(operator, Operator)}
)
"""Every operator by its name, in the order of the declarations."""

EXPANSIONS: Mapping[str, Callable[[Expression], Expression]] = MappingProxyType(
    {
        "demean": lambda x: x - market_mean(x),
        "zscore": lambda x: (x - market_mean(x)) / positive(market_std(x)),
        "sector_zscore": lambda x: (x - sector_mean(x)) / positive(sector_std(x)),
    }
)
"""Operators that are written out in terms of others before anything is computed."""

open = Column("open")  # noqa: A001
high = Column("high")
low = Column("low")
close = Column("close")
volume = Column("volume")
turnover = Column("turnover")
raw_close = Column("raw_close")
market_return = Column(MARKET_RETURN)
market_move = Column(MARKET_MOVE)


def column(name: str) -> Column:
    """A column of the panel, the slow table or the market table by its name in the language.

    Raises:
        SettingsError: there is none of that name; the nearest is named.
    """
    if name not in MARKET_SERIES and name not in COLUMNS:
        raise SettingsError(f"There is no column '{name}'.{nearest(name, [*COLUMNS, *MARKET_SERIES])}")
    return Column(name)


def nearest(name: str, known: list[str]) -> str:
    """A sentence that names what was probably meant, or nothing."""
    close_ones = get_close_matches(name, known, n=1, cutoff=0.5)
    return f" The nearest is '{close_ones[0]}'." if close_ones else ""

"""What the operators compute, as functions of arrays.

Every array ends on the same day, has days first and is float64; stock values are ``[days, codes]``, market values
``[days, 1]``, constants plain numbers. No function changes its arguments. A value that is not finite is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from model.quality_features import (
    cross_section,
    windows,
    windows_order,
    windows_regression,
    windows_sorted,
    windows_varies,
)
from model.quality_features.language.expression import Parameter
from model.quality_features.language.operators import ema_memory, wilder_memory
from model.quality_features.windows import Array
from model.quality_features.windows_shared import Count, Demand, SharedWindows

Value: TypeAlias = Array | float
Parameters: TypeAlias = tuple[Parameter, ...]

# Cell by cell.


def _greater(x: Value, y: Value) -> Value:
    return _flag(np.greater(x, y), x, y)


def _less(x: Value, y: Value) -> Value:
    return _flag(np.less(x, y), x, y)


def _at_least(x: Value, y: Value) -> Value:
    return _flag(np.greater_equal(x, y), x, y)


def _flag(condition: Any, x: Value, y: Value) -> Value:
    return np.where(np.isnan(x) | np.isnan(y), np.nan, condition.astype(np.float64))


def _where(condition: Value, x: Value, y: Value) -> Value:
    return np.where(np.isnan(condition), np.nan, np.where(np.not_equal(condition, 0.0), x, y))


def _coalesce(x: Value, y: Value) -> Value:
    return np.where(np.isfinite(x), x, y)


def _positive(x: Value) -> Value:
    return np.where(np.greater(x, 0.0), x, np.nan)


def _given(x: Value, y: Value) -> Value:
    return np.where(np.isfinite(y), x, np.nan)


def _is_present(x: Value) -> Value:
    present: Value = np.isfinite(x).astype(np.float64)
    return present


CELLS: Mapping[str, Callable[..., Value]] = MappingProxyType(
    {
        "add": np.add,
        "subtract": np.subtract,
        "multiply": np.multiply,
        "divide": np.divide,
        "neg": np.negative,
        "abs": np.abs,
        "sign": np.sign,
        "log": np.log,
        "log1p": np.log1p,
        "exp": np.exp,
        "expm1": np.expm1,
        "sqrt": np.sqrt,
        "square": np.square,
        "power": np.power,
        "larger": np.maximum,
        "smaller": np.minimum,
        "greater": _greater,
        "less": _less,
        "at_least": _at_least,
        "where": _where,
        "coalesce": _coalesce,
        "positive": _positive,
        "given": _given,
        "clip": np.clip,
        "is_present": _is_present,
    }
)
"""Operators of the cell: called with the arguments and then the parameters."""

# The past, straight from the values.


def _earlier(x: Array, days: int, rows: int) -> Array:
    """The last ``rows`` days of ``x`` as they were ``days`` before: a view, or padded where the data begin."""
    end = len(x) - days
    if end >= rows:
        return x[end - rows : end]
    result = np.full((rows, x.shape[1]), np.nan)
    if end > 0:
        result[rows - end :] = x[:end]
    return result


def _ret(x: Array, days: int, rows: int) -> Array:
    result = np.divide(x[len(x) - rows :], _earlier(x, days, rows))
    result -= 1.0
    return result


def _delta(x: Array, days: int, rows: int) -> Array:
    return np.subtract(x[len(x) - rows :], _earlier(x, days, rows))


STEPS: Mapping[str, Callable[[Array, int, int], Array]] = MappingProxyType(
    {"lag": _earlier, "ret": _ret, "delta": _delta}
)
"""Operators that read one earlier day: called with x, the days and the rows of the result."""

# Windows that share their work.


def enough(value: Array, count: Count, minimum: float) -> Array:
    """``value``, and NaN wherever it is made of fewer than ``minimum`` observations."""
    if isinstance(count, float):
        return value if count >= minimum else np.full_like(value, np.nan)
    count = count[len(count) - len(value) :]
    sufficient = count >= minimum
    return value if bool(sufficient.all()) else np.where(sufficient, value, np.nan)


def _at_least_one(count: Count, rows: int) -> Count:
    return count if isinstance(count, float) else np.maximum(count[len(count) - rows :], 1.0)


def _sum(w: SharedWindows, p: Parameters, rows: int, minimum: float) -> Array:
    return enough(_last(w.sum(int(p[0])), rows), w.count(int(p[0])), minimum)


def _mean(w: SharedWindows, p: Parameters, rows: int, minimum: float) -> Array:
    count = w.count(int(p[0]))
    return enough(_last(w.sum(int(p[0])), rows) / _at_least_one(count, rows), count, minimum)


def _count(w: SharedWindows, p: Parameters, rows: int, minimum: float) -> Array:
    count = w.count(int(p[0]))
    return np.full((rows, w.x.shape[1]), count) if isinstance(count, float) else _last(count, rows)


def _spread(w: SharedWindows, p: Parameters, rows: int, minimum: float, freedom: int, root: bool) -> Array:
    """Variance or standard deviation with n or n - 1."""
    days = int(p[0])
    spread = w.variance(days, rows, freedom)
    if root:
        np.sqrt(spread, out=spread)
    return enough(spread, w.count(days), max(minimum, 1.0 + freedom))


def _std(w: SharedWindows, p: Parameters, rows: int, minimum: float) -> Array:
    return _spread(w, p, rows, minimum, 1, True)


def _pstd(w: SharedWindows, p: Parameters, rows: int, minimum: float) -> Array:
    return _spread(w, p, rows, minimum, 0, True)


def _var(w: SharedWindows, p: Parameters, rows: int, minimum: float) -> Array:
    return _spread(w, p, rows, minimum, 1, False)


def _max(w: SharedWindows, p: Parameters, rows: int, minimum: float) -> Array:
    return enough(_last(w.largest(int(p[0])), rows), w.count(int(p[0])), minimum)


def _min(w: SharedWindows, p: Parameters, rows: int, minimum: float) -> Array:
    return enough(_last(w.smallest(int(p[0])), rows), w.count(int(p[0])), minimum)


def _mad(w: SharedWindows, p: Parameters, rows: int, minimum: float) -> Array:
    days, count = int(p[0]), w.count(int(p[0]))
    center = _last(w.sum(days), rows) / _at_least_one(count, rows)
    return enough(w.deviations(days, center) / _at_least_one(count, rows), count, minimum)


def smoothing(operator: str, parameters: Parameters) -> tuple[float, int]:
    """Decay a day and memory in days of ``ema`` and ``wilder``."""
    given = int(parameters[0])
    return (
        (1.0 - 2.0 / (given + 1.0), ema_memory(given))
        if operator == "ema"
        else ((given - 1) / given, wilder_memory(given))
    )


def _exponential(operator: str) -> "Finish":
    def finish(w: SharedWindows, p: Parameters, rows: int, minimum: float) -> Array:
        decay, memory = smoothing(operator, p)
        weight, total = w.decayed(memory, decay)
        divisor = weight if isinstance(weight, float) else np.maximum(_last(weight, rows), 1e-300)
        return enough(_last(total, rows) / divisor, weight, minimum)

    return finish


Finish: TypeAlias = Callable[[SharedWindows, Parameters, int, float], Array]
SHARED: Mapping[str, Finish] = MappingProxyType(
    {
        "sum": _sum,
        "mean": _mean,
        "count": _count,
        "std": _std,
        "pstd": _pstd,
        "var": _var,
        "max": _max,
        "min": _min,
        "mad": _mad,
        "ema": _exponential("ema"),
        "wilder": _exponential("wilder"),
    }
)
"""Windows over one series: called with the shared windows, the parameters, the rows and the values needed."""


def asked(operator: str, parameters: Parameters) -> tuple[Demand, ...]:
    """What an operator of :data:`SHARED` needs of the shared windows."""
    if operator in ("ema", "wilder"):
        decay, memory = smoothing(operator, parameters)
        return (("decay", memory, decay),)
    days = int(parameters[0])
    count: Demand = ("count", days, 0.0)
    if operator in ("std", "pstd", "var"):
        return (("moments", days, 0.0),)
    if operator == "count":
        return (count,)
    if operator == "mad":
        return ("sum", days, 0.0), ("values", days, 0.0)
    if operator in ("max", "min"):
        return (("max" if operator == "max" else "min", days, 0.0), count)
    return (("sum", days, 0.0),)


# Other statistics of several windows at once.


def _last(x: Array, rows: int) -> Array:
    return x[len(x) - rows :]


Requests: TypeAlias = Sequence[Parameters]


def _days(requests: Requests) -> list[int]:
    return sorted({int(parameters[-1]) for parameters in requests})


def _quantiles(x: Array, requests: Requests, rows: int) -> Any:
    return windows_sorted.quantile(x, [(int(days), float(q)) for q, days in requests], rows)


def _trends(x: Array, requests: Requests, rows: int) -> Any:
    return windows_regression.trends(x, _days(requests), rows)


def _varies(x: Array, requests: Requests, rows: int) -> Any:
    return windows_varies.varies(x, [(float(low), int(days)) for low, days in requests], rows)


def _joint(x: Array, y: Array, requests: Requests, rows: int) -> Any:
    return windows.comoments(x, y[len(y) - len(x) :], _days(requests), rows)


FAMILIES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "joint": _joint,
        "trend": _trends,
        "quantile": _quantiles,
        "varies": _varies,
        "max_position": lambda x, requests, rows: windows_order.max_position(x, _days(requests)),
        "min_position": lambda x, requests, rows: windows_order.min_position(x, _days(requests)),
        "rank_in_time": lambda x, requests, rows: windows_order.rank_in_time(x, _days(requests)),
    }
)
"""Statistics of all windows asked of the same series at once: called with the series, the parameters of each window and
how many of the last days are read."""

FAMILY: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("slope", "determination", "corr"), "joint"),
        **dict.fromkeys(("trend_slope", "trend_r2", "trend_residual"), "trend"),
        **{name: name for name in ("quantile", "varies", "max_position", "min_position", "rank_in_time")},
    }
)
"""Which family an operator is read from."""

READ: Mapping[str, Callable[[Any, Parameters, float], Array]] = MappingProxyType(
    {
        "slope": lambda found, p, minimum: found[p[0]].slope(minimum),
        "determination": lambda found, p, minimum: found[p[0]].determination(minimum),
        "corr": lambda found, p, minimum: found[p[0]].correlation(minimum),
        "trend_slope": lambda found, p, minimum: found[p[0]].slope(minimum),
        "trend_r2": lambda found, p, minimum: found[p[0]].determination(minimum),
        "trend_residual": lambda found, p, minimum: found[p[0]].residual(minimum),
        "quantile": lambda found, p, minimum: found[int(p[1]), float(p[0])].enough(minimum),
        "varies": lambda found, p, minimum: found[float(p[0]), int(p[1])].enough(max(minimum, 2.0)),
        "max_position": lambda found, p, minimum: found[p[0]].enough(minimum),
        "min_position": lambda found, p, minimum: found[p[0]].enough(minimum),
        "rank_in_time": lambda found, p, minimum: found[p[0]].enough(minimum),
    }
)
"""How an operator is read from its family's result: called with it, the parameters and the values needed."""


def _drawdown(x: Array, p: Parameters, minimum: float) -> Array:
    return windows.drawdown(x, int(p[0]), minimum)


def _low_pass(x: Array, p: Parameters, minimum: float) -> Array:
    return windows.low_pass(x, int(p[0]), int(p[1]), minimum)


ALONE: Mapping[str, Callable[[Array, Parameters, float], Array]] = MappingProxyType(
    {"drawdown": _drawdown, "low_pass": _low_pass}
)
"""Windows that share nothing: called with x, the parameters and the values needed."""

# Across the names of a day.

DAYS: Mapping[str, Callable[[Array, cross_section.Names, int], Array]] = MappingProxyType(
    {
        "rank": lambda x, names, minimum: cross_section.position(x, names.member),
        "market_mean": lambda x, names, minimum: cross_section.member_mean(x, names.member),
        "market_std": lambda x, names, minimum: cross_section.member_std(x, names.member),
        "sector_mean": lambda x, names, minimum: cross_section.group_mean(x, names.member, names.sector, minimum),
        "sector_median": lambda x, names, minimum: cross_section.group_median(x, names.member, names.sector, minimum),
        "sector_std": lambda x, names, minimum: cross_section.group_std(x, names.member, names.sector, minimum),
        "sector_count": lambda x, names, minimum: cross_section.group_count(x, names.member, names.sector, minimum),
        "sector_rank": lambda x, names, minimum: cross_section.group_position(x, names.member, names.sector, minimum),
    }
)
"""Operators across names: called with x, who is a member of what, and the names that a sector must have."""

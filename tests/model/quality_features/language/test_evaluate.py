"""Every operator against a plain loop over single cells, and what must never show in a bit."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.quality_features.language.evaluate import CELLS_PER_BLOCK, Grids, evaluate
from model.quality_features.language.feature import Feature, Nulls
from model.quality_features.language.operators import OPERATORS, ema_memory, wilder_memory
from model.quality_features.language.parse import parse
from model.quality_features.language.plan import Options, compile_plan

Array = NDArray[np.float64]
OPTIONS = Options(0.6, 2)


class Cells:
    """A sink that keeps the values of the wanted days ``[days, codes]``."""

    def __init__(self, rows: int, codes: int) -> None:
        self.shape = (rows, codes)
        self.found: dict[int, Array] = {}

    def _grid(self, node: int) -> Array:
        return self.found.setdefault(node, np.full(self.shape, np.inf))

    def codes(self, node: int, values: Array, codes: slice) -> None:
        self._grid(node)[:, codes] = values

    def days(self, node: int, values: Array, days: slice) -> None:
        self._grid(node)[days] = values

    def market(self, node: int, values: Array) -> None:
        self._grid(node)[:] = values


def data(seed: int, days: int = 70, codes: int = 7, missing: float = 0.15) -> dict[str, Array]:
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.normal(0, 1, (days, codes)) * 10.0 ** rng.integers(-2, 3, (days, codes))
    y = np.round(rng.normal(0, 2, (days, codes)))
    m = rng.normal(0, 1, (days, 1))
    for grid in (x, y, m):
        grid[rng.random(grid.shape) < missing] = np.nan
    member, sector = rng.random((days, codes)) < 0.8, rng.integers(-1, 2, (days, codes)).astype(np.int32)
    return {"sales": x, "equity": y, "flow_total": m, "member": member, "sector": sector}  # type: ignore[dict-item]


def run(
    formulas: list[str],
    found: dict[str, Array],
    rows: int,
    *,
    threads: int = 1,
    nulls: Nulls = "share",
    block: int = CELLS_PER_BLOCK,
) -> dict[str, Array]:
    """The last ``rows`` days of formulas over the data, cut to what the plan says that it needs."""
    features = [Feature(text, "test", parse(text), nulls) for text in formulas]
    plan = compile_plan(features, OPTIONS)
    days = min(len(found["sales"]), rows + plan.lookback_days - 1)
    columns = {name: found[name][-min(rows + back, days) :] for name, back in plan.columns.items()}
    member, sector = found["member"][-days:] == 1, found["sector"][-days:].astype(np.int32)
    grids = Grids(columns, days, found["sales"].shape[1], rows, member, sector)
    sink = Cells(rows, grids.codes)
    evaluate(plan, grids, sink, None, threads, block)
    return {output.name: sink.found[output.node] for output in plan.outputs}


def centred(values: Array, other: Array) -> float:
    return float(((values - values.mean()) * (other - other.mean())).sum())


def line(values: Array, ages: Array) -> tuple[float, float]:
    slope, intercept = np.polyfit(-ages, values, 1)
    return float(slope), float(intercept)


Plain = Callable[[Array, Array, Array], float]
ONE: dict[str, tuple[str, int, int, Plain]] = {
    # formula, window, values needed at least, the values of the window, their ages, all of it with NaN
    "sum": ("sum(sales, 9)", 9, 1, lambda v, a, w: v.sum()),
    "mean": ("mean(sales, 9)", 9, 1, lambda v, a, w: v.mean()),
    "std": ("std(sales, 13)", 13, 2, lambda v, a, w: v.std(ddof=1)),
    "pstd": ("pstd(sales, 20)", 20, 1, lambda v, a, w: v.std()),
    "var": ("var(sales, 20)", 20, 2, lambda v, a, w: v.var(ddof=1)),
    "max": ("max(sales, 11)", 11, 1, lambda v, a, w: v.max()),
    "min": ("min(sales, 11)", 11, 1, lambda v, a, w: v.min()),
    "mad": ("mad(sales, 6)", 6, 1, lambda v, a, w: np.abs(v - v.mean()).mean()),
    "quantile": ("quantile(sales, 0.3, 9)", 9, 1, lambda v, a, w: float(np.quantile(v, 0.3))),
    "varies": ("varies(sales, 3, 9)", 9, 2, lambda v, a, w: float(v.std(ddof=1) > 3)),
    "trend_slope": ("trend_slope(sales, 9)", 9, 2, lambda v, a, w: line(v, a)[0]),
    "trend_r2": ("trend_r2(sales, 9)", 9, 2, lambda v, a, w: centred(v, a) ** 2 / centred(v, v) / centred(a, a)),
    "trend_residual": ("trend_residual(sales, 9)", 9, 2, lambda v, a, w: w[-1] - line(v, a)[1]),
}


@pytest.mark.parametrize("name", ONE)
@given(seed=st.integers(0, 10**6), nulls=st.sampled_from(["share", "any"]))
@settings(max_examples=4, deadline=None)
def test_windows_agree_with_a_plain_loop(name: str, seed: int, nulls: Nulls) -> None:
    formula, window, least, plain = ONE[name]
    found = data(seed)
    values = run([formula], found, 60, nulls=nulls)[formula]
    need = max(math.ceil(OPTIONS.minimum_share * window) if nulls == "share" else 1, least)
    for row, code in np.ndindex(*values.shape):
        here = found["sales"][max(row + 10 - window + 1, 0) : row + 11, code]
        present = ~np.isnan(here)
        if present.sum() < need or (name == "trend_residual" and np.isnan(here[-1])):
            assert np.isnan(values[row, code])
        else:
            age = np.arange(len(here))[::-1][present].astype(np.float64)
            assert values[row, code] == pytest.approx(plain(here[present], age, here), rel=1e-6, abs=1e-9)


def test_exponential_means_read_a_power_of_two_of_days() -> None:
    assert [ema_memory(span) for span in (1, 5, 60, 100)] == [4, 32, 256, 512]  # from 4 spans
    assert [ema_memory(span) for span in (106, 107, 200, 500)] == [256, 512, 512, 2048]  # from 2.4: 254.4, 256.8, …
    assert [wilder_memory(n) for n in (2, 4, 14)] == [16, 32, 128]
    for span in range(1, 501):
        older = (1 - 2 / (span + 1)) ** ema_memory(span)
        assert older < (4e-4 if span <= 100 else 9e-3)


@pytest.mark.parametrize(
    ("formula", "decay", "memory"), [("ema(sales, 5)", 4 / 6, 32), ("wilder(sales, 4)", 3 / 4, 32)]
)
def test_exponential_means_are_normalised_over_the_days_present(formula: str, decay: float, memory: int) -> None:
    found = data(5)
    values = run([formula], found, 60)[formula]
    weight = decay ** np.arange(memory)
    for row, code in np.ndindex(*values.shape):
        here = found["sales"][max(row + 10 - memory + 1, 0) : row + 11, code][::-1]
        present = ~np.isnan(here)
        there = weight[: len(here)][present]
        if there.sum() < OPTIONS.minimum_share * weight.sum():
            assert np.isnan(values[row, code])
        else:
            assert values[row, code] == pytest.approx((there * here[present]).sum() / there.sum(), rel=1e-9)


@pytest.mark.parametrize("against", ["equity", "flow_total"])
def test_joint_windows_agree_with_a_plain_loop(against: str) -> None:
    found = data(8)
    names = {name: f"{name}(sales, {against}, 15)" for name in ("slope", "determination", "corr")}
    values = run(list(names.values()), found, 60)
    for row, code in np.ndindex(60, 7):
        x = found["sales"][max(row + 10 - 14, 0) : row + 11, code]
        y = found[against][max(row + 10 - 14, 0) : row + 11, min(code, found[against].shape[1] - 1)]
        both = ~(np.isnan(x) | np.isnan(y))
        got = {name: values[text][row, code] for name, text in names.items()}
        if both.sum() < 9:
            assert np.isnan(list(got.values())).all()
            continue
        x, y = x[both], y[both]
        corr = centred(x, y) / math.sqrt(centred(x, x) * centred(y, y))
        assert got["corr"] == pytest.approx(corr, abs=1e-9)
        assert got["determination"] == pytest.approx(corr**2, abs=1e-9)
        assert got["slope"] == pytest.approx(centred(x, y) / centred(y, y), rel=1e-6, abs=1e-9)


def test_cells_by_hand() -> None:
    nan, inf = np.nan, np.inf
    found = {
        "sales": np.array([[1.0, -2.0, nan, 0.0, 4.0]]),
        "equity": np.array([[2.0, nan, 3.0, 0.0, -1.0]]),
        "member": np.ones((1, 5)),
        "sector": np.zeros((1, 5)),
    }
    expected = {
        "sales + 2 * equity": [5, nan, nan, 0, 2],
        "-sales / equity": [-0.5, nan, nan, nan, 4],
        "abs(sales)": [1, 2, nan, 0, 4],
        "sign(sales)": [1, -1, nan, 0, 1],
        "sqrt(sales)": [1, nan, nan, 0, 2],
        "square(sales)": [1, 4, nan, 0, 16],
        "power(sales, 0.5)": [1, nan, nan, 0, 2],
        "log(sales)": [0, nan, nan, -inf, math.log(4)],
        "log1p(exp(sales))": [math.log1p(math.exp(v)) for v in (1, -2, nan, 0, 4)],
        "expm1(sales)": [math.expm1(v) for v in (1, -2, nan, 0, 4)],
        "larger(sales, equity)": [2, nan, nan, 0, 4],
        "smaller(sales, equity)": [1, nan, nan, 0, -1],
        "sales > equity": [0, nan, nan, 0, 1],
        "sales < equity": [1, nan, nan, 0, 0],
        "sales >= equity": [0, nan, nan, 1, 1],
        "where(sales > 0, 7, equity)": [7, nan, nan, 0, 7],
        "coalesce(equity, sales)": [2, -2, 3, 0, -1],
        "positive(sales)": [1, nan, nan, nan, 4],
        "given(sales, equity)": [1, nan, nan, 0, 4],
        "clip(sales, -1, 2)": [1, -1, nan, 0, 2],
        "is_present(sales)": [1, 1, 0, 1, 1],
        "count(sales, 1)": [1, 1, 0, 1, 1],
        "rank(sales)": [5 / 8, 1 / 8, nan, 3 / 8, 7 / 8],
        "demean(sales)": [0.25, -2.75, nan, -0.75, 3.25],
        "sector_mean(sales)": [0.75] * 5,
        "sector_median(sales)": [0.5] * 5,
        "sector_count(sales)": [4] * 5,
        "sector_rank(sales)": [5 / 8, 1 / 8, nan, 3 / 8, 7 / 8],
        "zscore(sales) - sector_zscore(sales)": [0, 0, nan, 0, 0],
        "sector_std(sales) - market_std(sales)": [0] * 5,
        "market_std(sales)": [2.5] * 5,
        "sqrt(4) * sales": [2, -4, nan, 0, 8],
    }
    values = run(list(expected), found, 1)
    for formula, row in expected.items():
        np.testing.assert_allclose(values[formula][0], row, rtol=1e-12, atol=1e-12, err_msg=formula)


def test_steps_by_hand() -> None:
    found = {
        "sales": np.array([[1.0], [2.0], [4.0], [np.nan], [8.0]]),
        "member": np.ones((5, 1)),
        "sector": np.ones((5, 1)),
    }
    values = run(["lag(sales, 2)", "ret(sales, 2)", "delta(sales, 1)", "lag(sales, 9)"], found, 5)
    nan = np.nan
    np.testing.assert_array_equal(values["lag(sales, 2)"][:, 0], [nan, nan, 1, 2, 4])
    np.testing.assert_array_equal(values["ret(sales, 2)"][:, 0], [nan, nan, 3, nan, 1])
    np.testing.assert_array_equal(values["delta(sales, 1)"][:, 0], [nan, 1, 2, nan, nan])
    np.testing.assert_array_equal(values["lag(sales, 9)"][:, 0], [nan] * 5)


MANY = [
    *(text for text, *_ in ONE.values()),
    "ema(sales, 3) - lag(wilder(equity, 3), 2)",
    "mean(sales, 5) / mean(sales, 20)",
    "std(rank(sales), 7)",
    "slope(ret(sales, 1), market_mean(ret(sales, 1)), 12)",
    "corr(sales, flow_total, 9) + drawdown(sales, 6)",
    "sector_zscore(mean(sales, 4)) - sector_rank(sales)",
    "rank(demean(std(equity, 5)) + market_std(sales))",
    "sum(sector_median(lag(equity, 1)), 5)",
    "ema(market_mean(sales), 4)",
    "low_pass(sales, 8, 1) * flow_total",
    "max_position(equity, 6) + min_position(equity, 9) + rank_in_time(equity, 9)",
    "flow_total",
    "equity",
]


@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 60),
    threads=st.integers(1, 3),
    block=st.sampled_from([1, 50, 300, 10**6]),
    missing=st.sampled_from([0.0, 0.02, 0.3]),
)
@settings(max_examples=25, deadline=None)
def test_neither_blocks_nor_threads_nor_dates_show(
    seed: int, rows: int, threads: int, block: int, missing: float
) -> None:
    found = data(seed, missing=missing)
    whole = run(MANY, found, 60)
    part = run(MANY, found, rows, threads=threads, block=block)
    for formula in MANY:
        assert part[formula].tobytes() == np.ascontiguousarray(whole[formula][60 - rows :]).tobytes(), formula


@given(seed=st.integers(0, 10**6), chosen=st.integers(0, len(MANY) - 1))
@settings(max_examples=15, deadline=None)
def test_what_else_is_computed_does_not_show(seed: int, chosen: int) -> None:
    found = data(seed, missing=0.02)
    alone = run([MANY[chosen]], found, 30)[MANY[chosen]]
    assert alone.tobytes() == run(MANY, found, 30)[MANY[chosen]].tobytes()


def test_a_jump_of_a_million_leaves_no_trace_behind_its_window() -> None:
    calm = data(3, days=70, missing=0.0)
    calm["sales"] = 1e-3 * calm["sales"]
    wild = calm | {"sales": calm["sales"].copy()}
    wild["sales"][20] = 1e6
    own = [text for text in MANY if "rank(" not in text]
    lookback = {text: Feature(text, "test", parse(text)).lookback_days for text in own}
    before, after = run(own, calm, 60), run(own, wild, 60)
    for text in own:
        later = 10 + lookback[text]
        assert before[text][later:].tobytes() == after[text][later:].tobytes(), text


PARAMETERS = {"days": "5", "span": "3", "n": "3", "bins": "1", "q": "0.5", "exponent": "2", "low": "-1", "high": "1"}


def call(name: str, *arguments: str) -> str:
    """A call of an operator with as many of the arguments as it takes."""
    operator = OPERATORS[name]
    operands = [*arguments[: len(operator.arguments)], *(PARAMETERS[parameter] for parameter in operator.parameters)]
    return f"{name}({', '.join(operands)})"


def test_a_division_by_zero_is_missing_in_every_window_and_on_every_day() -> None:
    """A single infinity would otherwise make every window that holds it infinite, or NaN."""
    found = data(9, missing=0.05)
    assert (found["equity"] == 0.0).any()
    quotient, missing = "sales / equity", "given(sales / equity, 1 / equity)"
    cell_by_cell = ("lag", "ret", "delta", "demean", "zscore", "sector_zscore")
    names = [name for name, each in OPERATORS.items() if each.kind != "elementwise" and name not in cell_by_cell]
    pairs = [(call(name, quotient, "flow_total"), call(name, missing, "flow_total")) for name in names]
    pairs += [(call(name, "sales", quotient), call(name, "sales", missing)) for name in ("slope", "corr")]
    values = run([formula for pair in pairs for formula in pair], found, 50, nulls="any")
    for infinite, finite in pairs:
        assert not np.isinf(values[infinite]).any(), infinite
        assert values[infinite].tobytes() == values[finite].tobytes(), infinite


def test_every_operator_of_the_table_is_computed() -> None:
    formulas = [call(name, "sales", "equity", "equity") for name in OPERATORS]
    values = run(formulas, data(1), 20)
    assert all(np.isfinite(grid).any() for grid in values.values())
    assert not any(np.isposinf(grid).all() for grid in values.values())

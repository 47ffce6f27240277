"""Declaring features: the same expression from Python and from text, and what follows from the tree."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import SettingsError
from model.quality_features.language import operators as op
from model.quality_features.language.columns import COLUMNS
from model.quality_features.language.expression import Call, Column, Constant, Expression, substitute, text, walk
from model.quality_features.language.feature import Feature, lookback, resolve
from model.quality_features.language.operators import OPERATORS, close, ema, high, market_return, mean, ret, std
from model.quality_features.language.parse import parse

OPERAND = {
    "days": st.integers(2, 300),
    "span": st.integers(1, 200),
    "n": st.integers(2, 60),
    "bins": st.integers(0, 4),
    "q": st.floats(0, 1),
    "exponent": st.floats(-3, 3),
    "low": st.floats(-5, -1),
    "high": st.floats(0, 5),
}
leaves: st.SearchStrategy[Expression] = st.sampled_from(["close", "volume", "index_close", "sales"]).map(
    Column
) | st.floats(-1e6, 1e6).map(Constant)


@st.composite
def calls(draw: st.DrawFn, children: st.SearchStrategy[Expression]) -> Expression:
    operator = OPERATORS[draw(st.sampled_from(sorted(OPERATORS)))]
    arguments = [draw(children) for _ in operator.arguments]
    if operator.name == "neg" and isinstance(arguments[0], Constant):
        return -arguments[0]
    return operator(*arguments, *(draw(OPERAND[name]) for name in operator.parameters))


expressions = st.recursive(leaves, calls, max_leaves=12)


@given(expression=expressions)
@settings(max_examples=25, deadline=None)
def test_text_reads_back_as_the_same_expression(expression: Expression) -> None:
    again = parse(text(expression))
    assert again == expression and hash(again) == hash(expression)
    assert text(again) == text(expression)


def test_python_and_text_build_the_same_tree() -> None:
    built = mean(ret(close, 1), 20) / op.positive(std(ret(close, 1), 20)) - 2 * (high - close)
    assert parse("mean(ret(close,1),20) / positive(std(ret(close, 1), 20))\n  - 2*(high - close)") == built
    assert str(built) == "mean(ret(close, 1), 20) / positive(std(ret(close, 1), 20)) - 2 * (high - close)"
    assert parse("close >= 2 * high") == op.at_least(close, 2 * high) == (close >= 2 * high)
    assert parse("close ** -0.5") == op.power(close, -0.5)
    assert parse("x + 1", names={"x": mean(close, 5)}) == mean(close, 5) + 1
    assert parse("a - (b - c)", names=dict(zip("abc", (close, high, op.low), strict=True))) == close - (high - op.low)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("meen(close, 5)", r"at character 1: there is no operator 'meen'. The nearest is 'mean'"),
        ("1 + mean(clsoe, 5)", r"at character 10: there is no column 'clsoe'. The nearest is 'close'"),
        ("mean(close)", r"mean\(x, days\) takes 2 operands, not 1"),
        ("mean(close, high)", r"takes a plain number as days, not an expression: 'high'"),
        ("mean(close, 2.5)", "a whole number as days, not 2.5"),
        ("lag(close, -1)", "never reads the future"),
        ("std(close, 1)", "from 2 to 2600, not 1"),
        ("mean(close, 100000)", "from 1 to 2600"),
        ("clip(close, 2, 1)", "low < high"),
        ("close(5)", "'close' is a column, not an operator"),
        ("mean + 1", r"'mean' is an operator without its operands: mean\(x, days\)"),
        ("mean(x=close, days=5)", "operands are given in order"),
        ("mean(close, 5", "cannot be read as a formula"),
        (" ", "it is empty"),
        ("close[0]", "'close\\[0\\]' is not part of the language"),
        ("__import__('os').system('true')", "is not part of the language"),
        ("(lambda: close)()", "is not part of the language"),
        ("close if high else low", "is not part of the language"),
        ("'close'", "is not a number"),
        ("True", "is not a number"),
        ("close > high > low", "is not part of the language"),
        ("close + 1e400", "too large"),
        ("close\n + \n  volum", "at character 13: there is no column 'volum'"),
        ("(" * 300 + "close" + ")" * 300, "cannot be read"),
        ("-" * 100 + "close", "nested more than 80 deep"),
        ("close" + " + close" * 1000, "at most 4000 are read"),
    ],
)
def test_a_wrong_formula_says_where_and_what_was_meant(formula: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as raised:
        parse(formula, feature="mine")
    assert str(raised.value).startswith("Feature 'mine': in the formula '")


def test_everything_about_a_feature_follows_from_its_tree() -> None:
    line = ema(close, 12) - ema(close, 26)
    histogram = Feature("macd", "technical", line - ema(line, 9))
    assert histogram.lookback_days == 128 + 64 - 1 and histogram.warm_up_days == 190
    assert histogram.inputs == ("AdjClose",) and histogram.scope == "stock"
    assert histogram.formula == "ema(close, 12) - ema(close, 26) - ema(ema(close, 12) - ema(close, 26), 9)"
    beta = Feature("beta", "relative", op.slope(ret(close, 1), market_return, 60))
    assert (beta.lookback_days, beta.scope, beta.inputs) == (61, "stock", ("AdjClose", "InUniverse"))
    assert Feature("m", "market", op.sum(market_return, 5)).scope == "market"
    place = Feature("p", "sector", op.sector_rank(op.column("sales") / op.column("sales_year_ago")))
    assert place.scope == "cross_section" and place.inputs == ("Sales", "SalesYearAgo", "InUniverse", "Sector")
    assert "publication of the statement" in place.availability
    assert lookback(op.wilder(op.delta(close, 1), 14)) == 129 and lookback(op.wilder(op.delta(close, 1), 2)) == 17


def test_market_return_is_the_index_where_one_is_named() -> None:
    feature = Feature("x", "relative", ret(close, 5) - op.sum(market_return, 5))
    assert resolve(feature, None).formula == "ret(close, 5) - sum(market_mean(ret(close, 1)), 5)"
    assert resolve(feature, "TOPIX").inputs == ("AdjClose", "IndexClose")
    assert feature.lookback_days == resolve(feature, None).lookback_days == resolve(feature, "TOPIX").lookback_days


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (op.rank(market_return), "is the same for all of them"),
        (op.rank(op.market_mean(close)), "is the same for all of them"),
        (mean(Constant(1), 5), "a window over a constant"),
        (Constant(1) + 2, "is a constant"),
        (Column("nothing"), "no column 'nothing'"),
        (Call("nothing", (close,)), "no operator 'nothing'"),
    ],
)
def test_a_feature_that_means_nothing_is_refused(expression: Expression, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Feature("mine", "user", expression)


def test_every_operator_has_its_line_of_documentation() -> None:
    assert all(operator.doc and operator.reach((2,) * len(operator.parameters)) >= 0 for operator in OPERATORS.values())
    assert len(OPERATORS) > 60 and {"operating_profit_year_ago", "flow_total"} < set(COLUMNS)


def test_sharing_keeps_large_trees_cheap() -> None:
    tree: Expression = close
    for _ in range(200):
        tree = tree + tree
    assert sum(1 for _ in walk(tree)) == 201
    assert substitute(tree, {"close": high}) != tree
    assert lookback(tree) == 1


def test_an_expression_is_no_truth_value() -> None:
    with pytest.raises(TypeError, match="where"):
        bool(close)
    with pytest.raises(ValueError, match="finite"):
        Constant(float("nan"))
    with pytest.raises(SettingsError, match=r"clos.*The nearest is 'close'"):
        op.column("clos")


def test_declaring_needs_no_data_frames() -> None:
    code = "import sys, model.quality_features.language.parse, model.quality_features.language.feature as f; "
    check = "sys.exit(any(name in sys.modules for name in ('polars', 'pydantic', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code + check], check=False).returncode == 0

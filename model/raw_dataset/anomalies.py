"""Suspected errors in the bars that no single row betrays: splits, reused codes, wrong units.

The search proposes and changes nothing. Each kind is a rule on the evidence of one jump
(:mod:`model.raw_dataset.anomaly_evidence`), tuned for precision: a genuine crash or a takeover brings a burst of
trading, an unadjusted split does not. The score, from 0 to 1, orders the rows within a kind and is no probability.

- ``unadjusted_split``: the price steps overnight to a simple fraction of itself and stays there, with no adjustment
  factor on the row and no burst of trading: a split that was not adjusted for, or twice (a spin-off looks alike);
- ``factor_without_jump``: an adjustment factor on a day on which the price as traded did not move with it;
- ``factor_against_jump``: the price as traded moved, and the factor makes the step larger: inverted or wrong;
- ``ticker_reuse``: a code that was gone for 60 trading days or more comes back at an unrelated price and volume:
  another security, or a company that was restructured meanwhile;
- ``level_break_after_gap``: a code that was gone for 20 trading days or more comes back at several times the price;
- ``unit_error``: the price is off by a power of ten and back within three closes;
- ``price_flip``: the price is off by another factor and back within three closes, on ordinary trading;
- ``two_series``: the price jumps to and fro between two levels, as if two securities shared the code.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.raw_dataset.anomaly_evidence import Array, Evidence, gather

Mask = NDArray[np.bool_]

KINDS: Mapping[str, str] = {
    "unadjusted_split": "Splits not adjusted for, or twice",
    "factor_without_jump": "Adjustment factors without a price jump",
    "factor_against_jump": "Adjustment factors against the price jump",
    "ticker_reuse": "Codes used again after a long absence",
    "level_break_after_gap": "Another price level after an absence",
    "unit_error": "Prices off by a power of ten, then back",
    "price_flip": "Prices off by another factor, then back",
    "two_series": "Two price series under one code",
}
"""Kinds in the order in which a jump is asked for them (the first that fits), each with its heading."""

ANOMALIES = pl.Schema(
    {
        "Date": pl.Date(),
        "Code": pl.String(),
        "kind": pl.String(),
        "score": pl.Float64(),
        "ratio": pl.Float64(),
        "fraction": pl.String(),
        "previous_close": pl.Float64(),
        "close": pl.Float64(),
        "gap_days": pl.Int32(),
        "level_ratio": pl.Float64(),
        "volume_ratio": pl.Float64(),
        "day_volume_ratio": pl.Float64(),
        "noise": pl.Float64(),
        "back_after": pl.Int32(),
        "jumps": pl.Int32(),
        "factor": pl.Float64(),
    }
)
"""``ratio`` is the adjusted close over the previous known one, ``gap_days`` the trading days between the two,
``level_ratio`` and ``volume_ratio`` compare medians after and before, ``day_volume_ratio`` the day with the median
before, ``noise`` is the robust daily volatility before, ``back_after`` the closes until the price was back (null: not
within five), ``jumps`` the code's jumps of this kind, ``factor`` the row's adjustment factor."""

MOST_SHARES = 250
"""Splits are looked for up to this many old shares for one new one."""
_MULTIPLES = np.concatenate([[1.5], np.arange(2.0, MOST_SHARES + 1)])
_LOG_MULTIPLES = np.log(_MULTIPLES)

REUSE_GAP, BREAK_GAP = 60, 20
_TWO_SERIES_JUMPS = 8
_FLIP_NOISE = 0.08
"""Thinly traded penny stocks go there and back between bid and ask by themselves."""
_NEAR_DAYS, _FAR_DAYS = 5, 120
"""A split is looked for across an absence of up to the first, and, with stricter volumes, up to the second."""


def find(bars: pl.DataFrame, days: pl.Series, market: pl.DataFrame) -> pl.DataFrame:
    """Every suspected anomaly, sorted by kind (as in ``KINDS``), falling score, Code and Date.

    Args:
        bars: columns of ``anomaly_evidence.BARS``, sorted by Code and Date; a code's bars all or none.
        days: every trading day, in order.
        market: Date and ``market_return``, the median log return of the day: a step that the whole market takes is
            no split.

    Returns:
        ``ANOMALIES``.
    """
    evidence = gather(bars, days, market)
    if not len(evidence.row):
        return pl.DataFrame(schema=ANOMALIES)
    jumps = _alternating(evidence)
    rules = {
        "two_series": jumps >= _TWO_SERIES_JUMPS,
        "factor_without_jump": _without_jump(evidence),
        "factor_against_jump": _against_jump(evidence),
        "unit_error": _flips(evidence) & _power_of_ten(evidence),
        "price_flip": _flips(evidence) & ~_power_of_ten(evidence),
        "unadjusted_split": _splits(evidence),
        "ticker_reuse": _reused(evidence),
        "level_break_after_gap": _broken(evidence),
    }
    kind = np.full(len(evidence.row), "", dtype=object)
    for name, found in rules.items():
        kind[(kind == "") & found] = name
    table = _table(evidence, kind, jumps).filter(pl.col("kind") != "")
    table = _once_a_code(table)
    order = pl.col("kind").replace_strict({name: place for place, name in enumerate(KINDS)}, return_dtype=pl.Int8)
    return table.sort(order, pl.col("score").neg(), "Code", "Date")


def nearest_fraction(jump: Array) -> tuple[Array, NDArray[np.object_]]:
    """The log of the simple fraction nearest to each jump, and its name: ``2:1`` is two new shares for one old."""
    size = np.abs(jump)
    index = np.abs(size[:, None] - _LOG_MULTIPLES[None, :]).argmin(axis=1)
    multiple = _MULTIPLES[index]
    names = np.array(
        [_name(value, up) for value, up in zip(multiple.tolist(), (jump > 0).tolist(), strict=True)], dtype=object
    )
    return np.sign(jump) * np.log(multiple), names


def _name(multiple: float, up: bool) -> str:
    many, one = ("3", "2") if multiple == 1.5 else (f"{multiple:.0f}", "1")
    return f"{one}:{many}" if up else f"{many}:{one}"


def _splits(e: Evidence) -> Mask:
    """A step overnight to a simple fraction that lasts, without a burst of trading and without the market.

    Shares out of the window of ordinary trading decide: consolidations (price up) must not bring more shares than
    usual on the day, where genuine jumps of that size bring tens of times as many. Splits (price down) must bring
    more shares for good, in about the inverse ratio, where after a crash the turnover in money is up or down.
    """
    nearest, _ = nearest_fraction(e.jump)
    large = np.abs(e.jump) >= np.log(4.0)
    span = np.sqrt(np.minimum(np.maximum(e.gap, 1), 60))
    tolerance = np.minimum(np.clip(2.0 * e.noise * span, 0.04, 0.20), 0.15 * np.abs(e.jump))
    at_fraction = np.abs(e.jump - nearest) <= np.maximum(tolerance, np.where(large, 0.10, 0.04))
    overnight = np.isnan(e.overnight) | (np.abs(e.overnight - e.jump) <= np.maximum(0.25 * np.abs(e.jump), 0.10))
    kept = e.level_shift / np.where(e.jump == 0.0, np.nan, e.jump)
    lasting = (kept >= 0.75) & (kept <= 1.35) & (e.back_after == 0) & (e.closes_after >= 3) & (e.closes_before >= 10)
    inverse = -e.volume_shift / np.where(e.jump == 0.0, np.nan, e.jump)
    near = e.gap <= _NEAR_DAYS
    up = (
        near
        & (e.jump > np.log(1.8))
        & (e.day_volume <= np.where(large, np.log(2.0), np.log(1.25)))
        & (e.volume_shift <= np.log(2.0))
    )
    usual_money = e.day_volume + e.jump <= np.where(large, np.log(6.0), np.log(3.5))
    either = near & (inverse >= 0.6) & (inverse <= 1.6) & usual_money
    far = ~near & (e.gap <= _FAR_DAYS) & (inverse >= 0.5) & (inverse <= 1.5) & large
    loud = np.abs(e.jump) >= np.maximum(8.0 * e.noise, 0.38)
    own = np.abs(e.market) <= 0.2 * np.abs(e.jump)
    found: Mask = loud & own & (np.abs(e.factor) < 1e-6) & at_fraction & (overnight | far) & lasting
    found &= up | either | far
    return found


def _without_jump(e: Evidence) -> Mask:
    as_traded = e.jump + e.factor
    quiet = np.abs(as_traded) <= np.minimum(np.maximum(0.25 * np.abs(e.factor), 3.0 * e.noise), 0.5 * np.abs(e.factor))
    found: Mask = (np.abs(e.factor) >= _judgeable(e)) & quiet & (e.closes_before >= 3)
    return found


def _against_jump(e: Evidence) -> Mask:
    """The adjusted price steps by more than the factor itself: it was applied the wrong way round."""
    against = (e.jump * -e.factor > 0) & (np.abs(e.jump) >= 1.5 * np.abs(e.factor))
    found: Mask = (np.abs(e.factor) >= _judgeable(e)) & against & (e.closes_before >= 3)
    return found


def _judgeable(e: Evidence) -> Array:
    """Factors near 1 (small stock dividends) drown in a day's ordinary move."""
    return np.maximum(4.0 * e.noise, np.log(1.15))


def _reused(e: Evidence) -> Mask:
    unrelated = np.abs(e.level_shift) >= np.maximum(np.log(2.0), 0.5 * e.noise * np.sqrt(e.gap))
    unrelated &= e.jump * np.sign(e.level_shift) >= np.log(1.5)
    trading = np.abs(e.volume_shift) >= np.log(3.0)
    found: Mask = (e.gap >= REUSE_GAP) & unrelated & (trading | (np.abs(e.level_shift) >= np.log(5.0))) & _settled(e)
    return found


def _broken(e: Evidence) -> Mask:
    apart = np.abs(e.level_shift) >= np.maximum(np.log(3.0), 2.0 * e.noise * np.sqrt(e.gap))
    found: Mask = (e.gap >= BREAK_GAP) & apart & (np.abs(e.jump) >= np.log(2.0)) & _settled(e)
    return found


def _settled(e: Evidence) -> Mask:
    return np.asarray((e.closes_before >= 10) & (e.closes_after >= 10))


def _flips(e: Evidence) -> Mask:
    """There and back within three closes, without the burst of trading that a genuine spike brings.

    Shares are what is counted, whichever way the price went: one that is merely wrong moves none of them, where the
    traded value follows it up.
    """
    brief = (e.back_after >= 1) & (e.back_after <= 3) & (e.gap <= _NEAR_DAYS)
    loud = np.abs(e.jump) >= np.maximum(8.0 * e.noise, np.log(1.8))
    calm = np.isnan(e.day_volume) | (e.day_volume <= np.log(4.0))
    found: Mask = brief & loud & calm & (e.noise <= _FLIP_NOISE) & (e.closes_before >= 20)
    return found


def _power_of_ten(e: Evidence) -> Mask:
    tens = e.jump / np.log(10.0)
    found: Mask = (np.abs(np.round(tens)) >= 1) & (np.abs(tens - np.round(tens)) <= 0.06)
    return found


def _alternating(e: Evidence) -> NDArray[np.int32]:
    """How many jumps of each candidate's code go to and fro between the same two levels; 0 for other codes."""
    jumps = pl.DataFrame(
        {"Code": pl.Series(e.code.tolist(), dtype=pl.String), "jump": e.jump, "row": e.row}
    ).with_row_index("place")
    large = jumps.filter(pl.col("jump").abs() >= np.log(1.8))
    turned = (pl.col("jump").sign() != pl.col("jump").sign().shift(1)).over("Code")
    size = pl.col("jump").abs()
    codes = (
        large.with_columns(turned=turned)
        .group_by("Code")
        .agg(
            count=pl.len(),
            turning=pl.col("turned").mean(),
            spread=(size - size.median()).abs().median() / size.median(),
        )
        .filter((pl.col("turning") >= 0.9) & (pl.col("spread") <= 0.15))
    )
    counted = large.join(codes, on="Code").select("place", "count")
    result = np.zeros(len(e.row), np.int32)
    result[counted["place"].to_numpy()] = counted["count"].to_numpy()
    return result


def _table(e: Evidence, kind: NDArray[np.object_], jumps: NDArray[np.int32]) -> pl.DataFrame:
    nearest, fraction = nearest_fraction(e.jump)
    names = [name if is_split else None for name, is_split in zip(fraction, kind == "unadjusted_split", strict=True)]
    return (
        pl.DataFrame(
            {
                "Date": pl.Series(e.day, dtype=pl.Date),
                "Code": pl.Series(e.code.tolist(), dtype=pl.String),
                "kind": pl.Series(kind.tolist(), dtype=pl.String),
                "score": _score(e, kind, nearest, jumps),
                "ratio": np.exp(e.jump),
                "fraction": pl.Series(names, dtype=pl.String),
                "previous_close": e.previous_close,
                "close": e.close,
                "gap_days": pl.Series(e.gap, dtype=pl.Int32),
                "level_ratio": np.exp(e.level_shift),
                "volume_ratio": np.exp(e.volume_shift),
                "day_volume_ratio": np.exp(e.day_volume),
                "noise": e.noise,
                "back_after": pl.Series(e.back_after, dtype=pl.Int32),
                "jumps": pl.Series(jumps, dtype=pl.Int32),
                "factor": np.exp(e.factor),
            }
        )
        .select(
            pl.selectors.string() | pl.selectors.date(),
            pl.selectors.float().fill_nan(None),
            pl.col("gap_days"),
            pl.when(pl.col("back_after") > 0).then("back_after").alias("back_after"),
            pl.when(pl.col("jumps") > 0).then("jumps").alias("jumps"),
        )
        .select(list(ANOMALIES))
    )


def _score(e: Evidence, kind: NDArray[np.object_], nearest: Array, jumps: NDArray[np.int32]) -> Array:
    """Mean of what speaks for the kind, each part from 0 to 1.

    Splits: nearness to the fraction, inverse volume, lasting level. Absences: step in price and in volume (a factor
    of ten each is 1). Flips: nearness to a power of ten, or calm trading. Factors: size against the code's noise.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.clip(np.nan_to_num(-e.volume_shift / e.jump), 0.0, 1.0)
        nearness = 1.0 - np.minimum(np.abs(e.jump - nearest) / 0.20, 1.0)
        lasting = 1.0 - np.minimum(np.abs(e.level_shift / e.jump - 1.0), 1.0)
        tens = np.abs(e.jump) / np.log(10.0)
    split = (nearness + inverse + np.nan_to_num(lasting)) / 3.0
    price, volume = (np.minimum(np.abs(np.nan_to_num(x)) / np.log(10.0), 1.0) for x in (e.level_shift, e.volume_shift))
    absence = (price + volume) / 2.0
    unit = 1.0 - np.minimum(np.abs(tens - np.round(tens)) / 0.1, 1.0) / 2.0
    calm = 1.0 - np.clip(np.nan_to_num(e.day_volume) / np.log(4.0), 0.0, 1.0) / 2.0
    factor = np.minimum(np.abs(e.factor) / (20.0 * e.noise), 1.0)
    by_kind = {
        "unadjusted_split": split,
        "ticker_reuse": absence,
        "level_break_after_gap": absence,
        "unit_error": unit,
        "price_flip": calm,
        "factor_without_jump": factor,
        "factor_against_jump": factor,
        "two_series": np.minimum(jumps / 20.0, 1.0),
    }
    score = np.zeros(len(kind))
    for name, values in by_kind.items():
        score = np.where(kind == name, values, score)
    return score


def _once_a_code(table: pl.DataFrame) -> pl.DataFrame:
    """A code that holds two series has one row, its first jump, and no rows of other kinds."""
    two = table.filter(pl.col("kind") == "two_series").sort("Code", "Date")
    first = two.unique("Code", keep="first", maintain_order=True)
    rest = table.filter((pl.col("kind") != "two_series") & ~pl.col("Code").is_in(two["Code"].implode()))
    return pl.concat([first, rest])

"""What becomes of orders under suspension, price limits, volume caps and trading units, and why any stay undone.

The flags of row t speak of the price at which an order of t is filled: the labels' entry, the close of t itself or the
open of t + 1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.portfolio.market import Floats, Ints, Market
from model.portfolio.settings import ExecutionSettings

REASONS = ("not_traded", "limit_up", "limit_down", "volume_cap", "lot")
"""Why an order, or a part of it, was not filled."""
DUST = 1e-12
"""Weights below this are rounding errors, not positions."""
_LOT_SLACK = 1e-6
_BLOCK = 64


@dataclass(frozen=True)
class Unfilled:
    """Orders that were not filled, by reason (``REASONS``) [5, T]."""

    orders: Ints
    """How many were not filled, or by a volume cap not wholly; a trading unit counts where nothing is left."""
    weight: Floats
    """Sum of the |weight| that was not filled."""

    @classmethod
    def none(cls, days: int) -> "Unfilled":
        """No order unfilled on so many days."""
        return cls(np.zeros((len(REASONS), days), dtype=np.int64), np.zeros((len(REASONS), days)))

    def note(self, reason: str, days: slice | int, lost: Any, whole: Any) -> None:
        """Count the weight lost to a reason; ``lost`` and ``whole`` (is it an order?) are [..., N]."""
        row = REASONS.index(reason)
        self.orders[row, days] += np.count_nonzero(whole, axis=-1)
        self.weight[row, days] += np.abs(lost).sum(axis=-1)


@dataclass(frozen=True)
class Limits:
    """The largest order and the trading unit of every day and stock, in weights; None where there is none."""

    cap: Floats | None
    """[T, N]; 0 where the traded value is unknown."""
    lot: Floats | None
    """[T, N] value of a trading unit at the close of t; NaN where there is no price."""

    @classmethod
    def of(cls, execution: ExecutionSettings, market: Market) -> "Limits":
        """Limits at the stated capital.

        Raises:
            DataError: the market lacks traded values or prices that the settings need.
        """
        cap = lot = None
        if execution.capital is not None:
            if execution.max_participation is not None:
                value = np.nan_to_num(market.needed("traded_value"))
                cap = execution.max_participation * value / execution.capital
            if execution.lot_size is not None:
                lot = execution.lot_size * market.needed("price") / execution.capital
        return cls(cap, lot)

    def round_to_lots(self, targets: Floats, unfilled: Unfilled) -> Floats:
        """Wanted weights in whole trading units, towards zero; [T, N]."""
        if self.lot is None:
            return targets
        rounded = whole_lots(targets, self.lot)
        for days in _blocks(len(targets)):
            lost = targets[days] - rounded[days]
            unfilled.note("lot", days, lost, (targets[days] != 0.0) & (rounded[days] == 0.0))
        return rounded


def exits_at_entry(execution: ExecutionSettings, market: Market) -> bool:
    """Whether exits are filled at an entry price that is another than the close."""
    return execution.exit_price == "entry" and not market.entry_at_close


def fill_entries(targets: Floats, market: Market, limits: Limits) -> tuple[Floats, Unfilled]:
    """[T, N] what is filled of the wanted weights when only entries are constrained, each day by itself."""
    filled, unfilled = np.empty_like(targets), Unfilled.none(len(targets))
    for days in _blocks(len(targets)):
        wanted = targets[days]
        long, short = wanted > 0.0, wanted < 0.0
        can_buy, can_sell = market.can_buy[days], market.can_sell[days]
        blocked = (long & ~can_buy) | (short & ~can_sell)
        filled[days] = np.where(blocked, 0.0, wanted)
        if blocked.any():
            for reason, of_reason in (
                ("not_traded", blocked & ~can_buy & ~can_sell),
                ("limit_up", blocked & can_sell),
                ("limit_down", blocked & can_buy),
            ):
                unfilled.note(reason, days, wanted * of_reason, of_reason)
        if limits.cap is not None:
            capped = np.clip(filled[days], -limits.cap[days], limits.cap[days])
            unfilled.note("volume_cap", days, filled[days] - capped, filled[days] != capped)
            filled[days] = capped
    return limits.round_to_lots(filled, unfilled), unfilled


def whole_lots(weights: Floats, lot: Floats) -> Floats:
    """Weights in whole trading units, towards zero; 0 where the unit has no known price."""
    priced = lot > 0.0
    units = weights / np.where(priced, lot, 1.0)
    return np.where(priced, np.trunc(units + np.copysign(_LOT_SLACK, units)) * lot, 0.0)


def fill_order(
    order: Floats, free: Floats, buy: NDArray[np.bool_], sell: NDArray[np.bool_], cap: Floats | None
) -> Floats:
    """[N] what is filled of one day's net orders.

    Args:
        order: signed weights to trade.
        free: the part of them that always fills (same sign).
        buy: where the stock can be bought; sell: where it can be sold.
        cap: most of |weight| beyond the free part.
    """
    possible = np.where(order > 0.0, buy, sell)
    bound = order - free
    if cap is not None:
        bound = np.clip(bound, -cap, cap)
    return np.asarray(free + np.where(possible, bound, 0.0))


def note_unfilled(
    unfilled: Unfilled,
    day: int,
    order: Floats,
    fill: Floats,
    buy: NDArray[np.bool_],
    sell: NDArray[np.bool_],
) -> None:
    """Count what one day's net orders left undone, apart from rounding to trading units."""
    lost = order - fill
    undone = np.abs(lost) > DUST
    if not undone.any():
        return
    blocked = undone & ~np.where(order > 0.0, buy, sell)
    for reason, of_reason in (
        ("not_traded", blocked & ~buy & ~sell),
        ("limit_up", blocked & sell),
        ("limit_down", blocked & buy),
        ("volume_cap", undone & ~blocked),
    ):
        unfilled.note(reason, day, lost * of_reason, of_reason)


def _blocks(days: int) -> list[slice]:
    return [slice(start, min(start + _BLOCK, days)) for start in range(0, days, _BLOCK)]

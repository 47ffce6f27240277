"""The engine for books whose days depend on their fills: day by day, all names at once.

Each day the sleeve that ends and what could not be left before are in the market; the net order towards the new sleeve
is filled as far as the market lets it. What cannot be left is held on and tried again the next day; what cannot be
entered stays in cash. A stock without a price to trade at on the day is not traded, so that nobody leaves at the last
price before a suspension; while nobody has a price, nothing leaves even where exits always fill. A stock that has ended
is settled at its last price.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from model.portfolio.fills import DUST, Limits, Unfilled, fill_order, note_unfilled, whole_lots
from model.portfolio.ledger import Ledger
from model.portfolio.market import Floats, Market, Run

Decide = Callable[[int, Floats], Floats]
"""From a day and the weights [N] in the market on it (drifted) to the weights wanted."""


@dataclass(frozen=True)
class Rules:
    """How the day's net orders are treated."""

    horizon: int
    """Trading days that a sleeve is held."""
    exits_constrained: bool
    exit_at_entry: bool
    """What is in the market earns until the entry price of the day, at which all orders are filled."""
    round_orders: bool
    """Orders are rounded to trading units here (else the wanted weights already are)."""


def walk(decide: Decide, market: Market, limits: Limits, rules: Rules) -> tuple[Ledger, Unfilled]:
    """Simulate day by day.

    Args:
        decide: called once a day in order of time; a run of days starts with nothing held.
    """
    ledger, unfilled = Ledger.empty(market), Unfilled.none(len(market.dates))
    missing = 0
    for run in market.runs:
        missing += _walk_run(run, decide, market, limits, rules, ledger, unfilled)
    return replace(ledger, missing_returns=missing), unfilled


def _walk_run(
    run: Run, decide: Decide, market: Market, limits: Limits, rules: Rules, ledger: Ledger, unfilled: Unfilled
) -> int:
    names = run.returns.shape[1]
    sleeves, residual, missing = np.zeros((rules.horizon, names)), np.zeros(names), 0
    for row, day in enumerate(range(run.days.start, run.days.stop)):
        returns, entry = run.returns[row], run.entry_returns[row]
        slot = row % rules.horizon
        bucket, earned = sleeves[slot] + residual, 0.0
        if rules.exit_at_entry:
            earned = float(bucket @ run.overnight[row])
            bucket = bucket * (1.0 + run.overnight[row])
        wanted = decide(day, bucket)
        fill = _trade(day, wanted, bucket, market, limits, rules, unfilled)
        after = bucket + fill
        sleeves[slot] = np.clip(after, np.minimum(wanted, 0.0), np.maximum(wanted, 0.0))
        residual = after - sleeves[slot]
        residual[np.abs(residual) < DUST] = 0.0
        ledger.trades[day] = fill
        ledger.turnover[day] = np.abs(fill).sum()
        ledger.positions[day] = sleeves.sum(axis=0) + residual
        # Only what was entered starts at the entry price; what was held before is held all day.
        growth = np.broadcast_to(returns, sleeves.shape).copy()
        growth[slot] = entry if rules.exit_at_entry else np.where(market.missing_entry[day], returns, entry)
        of_residual = entry if rules.exit_at_entry else returns
        ledger.gross[day] = earned + float((sleeves * growth).sum()) + float(residual @ of_residual)
        lost = np.broadcast_to(market.missing[day], sleeves.shape).copy()
        # Without an entry price a position is older than the day: then it has earned the whole of it.
        lost[slot] &= market.missing_entry[day]
        missing += int(np.count_nonzero(lost & (sleeves != 0.0)))
        missing += int(np.count_nonzero(market.missing[day] & (residual != 0.0)))
        sleeves *= 1.0 + growth
        residual *= 1.0 + of_residual
    closing = -(sleeves.sum(axis=0) + residual)
    ledger.closing[run.days.stop - 1] = closing
    ledger.turnover[run.days.stop - 1] += np.abs(closing).sum()
    return missing


def _trade(
    day: int, wanted: Floats, bucket: Floats, market: Market, limits: Limits, rules: Rules, unfilled: Unfilled
) -> Floats:
    """[N] what is traded on the way from what is in the market to what is wanted."""
    order = wanted - bucket
    order[np.abs(order) < DUST] = 0.0
    leaves = np.where(np.sign(order) == -np.sign(bucket), np.minimum(np.abs(order), np.abs(bucket)), 0.0)
    always = market.ended[day] if rules.exits_constrained else not market.shut(rules.exit_at_entry)[day]
    free = np.where(always, np.sign(order) * leaves, 0.0)
    priced = market.entry_at_close | ~market.missing_entry[day]
    if not rules.exit_at_entry:
        priced &= ~market.unpriced[day]
    buy, sell = market.can_buy[day] & priced, market.can_sell[day] & priced
    fill = fill_order(order, free, buy, sell, None if limits.cap is None else limits.cap[day])
    note_unfilled(unfilled, day, order, fill, buy, sell)
    if limits.lot is None:
        return fill
    # A position is left whole, even where a split has made it an odd lot; all else is in trading units.
    kept = (np.abs(fill - order) < DUST) & ((wanted == 0.0) | (not rules.round_orders))
    rounded = np.where(kept, fill, whole_lots(fill, limits.lot[day]))
    unfilled.note("lot", day, fill - rounded, (fill != 0.0) & (rounded == 0.0))
    return rounded

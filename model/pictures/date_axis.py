"""Ticks of a time axis whose data are one value a day."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.dates import AutoDateLocator


def date_locator(minticks: int, maxticks: int) -> "AutoDateLocator":
    """Ticks at years, months or days, between so many and so many where that can be.

    Matplotlib's own lists end at six months and at twelve hours: too close for two years, or for two days, on a narrow
    figure, about which it warns. And days have no hours.
    """
    from matplotlib.dates import HOURLY, MONTHLY, AutoDateLocator

    locator = AutoDateLocator(minticks=minticks, maxticks=maxticks)  # type: ignore[no-untyped-call]
    locator.intervald[MONTHLY] = [*locator.intervald[MONTHLY], 12]
    locator.intervald[HOURLY] = [24]
    return locator

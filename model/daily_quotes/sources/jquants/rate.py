"""Time as the source sees it, and the token bucket that keeps requests within the plan."""

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

_WINDOW_SECONDS = 60.5
"""A minute, and half a second for the road: the server counts when a request arrives, not when it leaves."""
_SET_BACK = timedelta(hours=1)
"""So far ahead of the present a moment on record may lie: clocks are corrected by a little now and then."""


class Clock(Protocol):
    """Where time comes from, so that tests need not wait."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def since(moment: datetime, now: datetime) -> timedelta:
    """The time since a moment on record; for ever where it lies ahead, because the clock was wrong then."""
    return timedelta.max if moment - now > _SET_BACK else now - moment


@dataclass
class TokenBucket:
    """Holds one token for each request that a minute allows; a token taken comes back a minute later.

    No window of a minute ever sees more than ``per_minute`` requests, wherever the server lets its minutes begin,
    and a night's few requests still leave at once.
    """

    per_minute: int
    clock: Clock
    _taken: deque[float] = field(default_factory=deque, init=False)

    def take(self) -> None:
        """Take a token, waiting for one where none is left."""
        now = self.clock.monotonic()
        while self._taken and now - self._taken[0] >= _WINDOW_SECONDS:
            self._taken.popleft()
        if len(self._taken) >= self.per_minute:
            self.clock.sleep(_WINDOW_SECONDS - (now - self._taken.popleft()))
            now = self.clock.monotonic()
        self._taken.append(now)

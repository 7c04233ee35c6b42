"""How fast, how often and whether at all: rate limit, backoff, breaker. Plain values over the caller's clock."""

import random
from datetime import datetime, timedelta

_BASE_SECONDS = 1.0
_MOST_SECONDS = 600.0
_FAILURES = 5
"""So many requests in a row without an answer that settles anything, and the breaker opens."""
_FIRST_PAUSE_SECONDS = 5.0


class Pace:
    """The pace of one destination.

    ``rate``: messages a second (None: as fast as it goes). ``seed``: of the jitter.
    """

    def __init__(self, rate: float | None, seed: str) -> None:
        self._rate = rate
        self._random = random.Random(seed)
        self._free_at: datetime | None = None
        self._failures = 0
        self.paused_until: datetime | None = None

    def turn(self, messages: int, now: datetime) -> float:
        """Take a turn for so many messages; how many seconds to wait for it."""
        if self._rate is None:
            return 0.0
        start = max(now, self._free_at or now)
        self._free_at = start + timedelta(seconds=messages / self._rate)
        return (start - now).total_seconds()

    def backoff(self, attempt: int, now: datetime) -> datetime:
        """When attempt number ``attempt`` (from 1) may be followed by the next: exponential, with full jitter.

        M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        most = min(_MOST_SECONDS, _BASE_SECONDS * 2.0 ** min(attempt - 1, 20))
        return now + timedelta(seconds=self._random.uniform(0, most))

    def answered(self) -> None:
        """The receiver is alive: it settled something."""
        self._failures = 0

    def failed(self, now: datetime) -> None:
        """A request settled nothing. After a run of those nothing is sent for a while, longer each time."""
        self._failures += 1
        if self.broken:
            seconds = min(_MOST_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures - _FAILURES, 20))
            self.pause(now + timedelta(seconds=seconds))

    @property
    def broken(self) -> bool:
        """Whether one request at a time is all that is tried, to see whether the receiver is back."""
        return self._failures >= _FAILURES

    def pause(self, until: datetime) -> None:
        """Send nothing before ``until``."""
        self.paused_until = max(until, self.paused_until or until)

    def is_paused(self, now: datetime) -> bool:
        return self.paused_until is not None and self.paused_until > now

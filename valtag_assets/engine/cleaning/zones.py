"""Time zones as expressions: the offsets of a zone compiled into one balanced tree of comparisons.

No engine's own zones are used: they disagree, and some are wrong. A zone's transitions are read from
``zoneinfo`` for 1900 to 2050; before and after, the nearest offset holds.

From local time to UTC, a wall-clock time that a forward change skips is shifted forward by the change
(02:30 becomes 03:30), and one that a backward change repeats means its first occurrence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import ibis
from ibis.expr.types import IntegerValue, TimestampValue

_FIRST = datetime(1900, 1, 1, tzinfo=UTC)
_LAST = datetime(2051, 1, 1, tzinfo=UTC)
_STEP = timedelta(days=4)


@dataclass(frozen=True)
class Offsets:
    """``seconds[0]`` holds before ``at[0]`` (UTC, naive), ``seconds[i + 1]`` from ``at[i]`` on."""

    at: tuple[datetime, ...]
    seconds: tuple[int, ...]


@cache
def offsets(zone_name: str) -> Offsets:
    """The offsets of an IANA zone from UTC, in seconds, 1900 to 2050."""
    zone = ZoneInfo(zone_name)
    at: list[datetime] = []
    seconds = [_offset(zone, _FIRST)]
    instant = _FIRST
    while instant < _LAST:
        following = instant + _STEP
        while _offset(zone, following) != seconds[-1]:
            instant = _first_change(zone, instant, following)
            at.append(instant.replace(tzinfo=None))
            seconds.append(_offset(zone, instant))
        instant = following
    return Offsets(tuple(at), tuple(seconds))


def utc_to_local(instant: TimestampValue, zone_name: str) -> TimestampValue:
    """The wall clock of a zone at an instant (naive UTC)."""
    known = offsets(zone_name)
    return _shifted(instant, known.at, known.seconds)


def local_to_utc(local: TimestampValue, zone_name: str) -> TimestampValue:
    """The instant (naive UTC) of a wall-clock time in a zone."""
    known = offsets(zone_name)
    # In the gap of a forward change and in the first pass of a backward one, the offset before it holds:
    # both end, on the wall clock, at the change plus the larger of its two offsets.
    ends = [
        at + timedelta(seconds=max(before, after))
        for at, before, after in zip(known.at, known.seconds, known.seconds[1:], strict=False)
    ]
    return _shifted(local, ends, [-second for second in known.seconds])


def _shifted(moment: TimestampValue, at: Sequence[datetime], seconds: Sequence[int]) -> TimestampValue:
    if not any(seconds):
        return moment
    return moment + _tree(moment, at, seconds).as_interval("s")


def _tree(moment: TimestampValue, at: Sequence[datetime], seconds: Sequence[int]) -> IntegerValue:
    """``seconds`` of the span that ``moment`` lies in, by bisection: 9 comparisons for 300 spans."""
    if not at:
        return ibis.literal(seconds[0], type="int64")
    middle = len(at) // 2
    before = _tree(moment, at[:middle], seconds[: middle + 1])
    after = _tree(moment, at[middle + 1 :], seconds[middle + 1 :])
    return (moment < ibis.literal(at[middle], type="timestamp")).ifelse(before, after)


def _offset(zone: ZoneInfo, instant: datetime) -> int:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def _first_change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second in (low, high] whose offset differs from the one at ``low``."""
    start = _offset(zone, low)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if _offset(zone, middle) == start:
            low = middle
        else:
            high = middle
    return high

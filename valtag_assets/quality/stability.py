"""The population stability index: how far a distribution has moved."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# A share below this counts as this: an empty bin must not make the index infinite.
SMALLEST_SHARE = 0.0001


def stability(before: Sequence[int], now: Sequence[int]) -> float | None:
    """PSI = Σ (aᵢ − eᵢ) · ln(aᵢ / eᵢ) over the bins, e and a the shares before and now.

    Siddiqi, Credit Risk Scorecards, 2006: below 0.1 stable, above 0.25 a large shift. Shares are of non-null
    values; a share below 0.0001 counts as 0.0001. None when either side has no value at all.
    """
    if len(before) != len(now):
        raise ValueError(f"{len(before)} bins before and {len(now)} now: the bins must be the same")
    if not sum(before) or not sum(now):
        return None
    return float(sum(_terms(shares(before), shares(now), math.log)))


def shares(counts: Sequence[int]) -> list[float]:
    """Counts as shares of their sum, none below the smallest share."""
    whole = sum(counts)
    return [max(count / whole, SMALLEST_SHARE) for count in counts]


def index_of(before: Sequence[int], now: Sequence[Any], log: Callable[[Any], Any]) -> Any:
    """The same sum for shares that are only known inside an engine (``now``: its floats, already floored)."""
    return sum(_terms(shares(before), now, log))


def _terms(before: Sequence[float], now: Sequence[Any], log: Callable[[Any], Any]) -> list[Any]:
    return [(a - e) * log(a / e) for e, a in zip(before, now, strict=True)]


def previous_column(metrics: Mapping[str, Any], column: str) -> Mapping[str, Any]:
    """The profile of ``column`` kept in a snapshot's metrics; empty when there is none."""
    found = metrics.get("profile", {}).get("columns", {}).get(column, {})
    assert isinstance(found, Mapping)
    return found

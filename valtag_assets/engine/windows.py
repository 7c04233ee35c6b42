"""Windows as spans of local dates, and how they move from one as-of to another."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from valtag_assets.expression.resolved import Window

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Span:
    """The local dates from ``first`` to ``last``, both included; no first date: from the start."""

    first: date | None
    last: date

    def touches(self, first: date, last: date) -> bool:
        """Whether some date from ``first`` to ``last`` lies in the span."""
        return first <= self.last and (self.first is None or last >= self.first) and self.begins

    @property
    def begins(self) -> bool:
        """Whether there is any date in it."""
        return self.first is None or self.first <= self.last

    def holds(self, day: ir.DateValue) -> ir.BooleanValue:
        """Whether the column ``day``, which has no nulls, lies in the span."""
        upto = day <= ibis.literal(self.last, type="date")
        return upto if self.first is None else upto & (day >= ibis.literal(self.first, type="date"))


def span_of(window: Window, as_of: date) -> Span:
    """The dates that ``window`` looks at, seen from ``as_of``."""
    if window.kind == "last":
        return Span(as_of - timedelta(days=window.days - 1), as_of)
    if window.kind == "before":
        return Span(None, as_of - timedelta(days=window.days))
    if window.kind == "month":
        return Span(as_of.replace(day=1), as_of)
    if window.kind == "year":
        return Span(as_of.replace(month=1, day=1), as_of)
    return Span(None, as_of)


def moved(windows: Iterable[Window], before: date, as_of: date) -> list[Span]:
    """Spans that hold every date which enters or leaves one of the windows between two as-ofs."""
    found = set()
    for window in windows:
        old, new = span_of(window, before), span_of(window, as_of)
        low, high = sorted((old.last, new.last))
        found.add(Span(low + _DAY, high))
        if old.first is not None and new.first is not None:
            low, high = sorted((old.first, new.first))
            found.add(Span(low, high - _DAY))
    return [span for span in found if span.begins]

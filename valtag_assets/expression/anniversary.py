"""When a date returns: birthdays and the like."""

import calendar
from datetime import date
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops


def days_to_anniversary(value: Any, today: date) -> Any:
    """Days from ``today`` to the next return of each date or timestamp, 0 on the day itself; an int64 value.

    29 February returns on 1 March in common years.
    """
    this, following = (
        _returns(value, year).delta(ibis.literal(today, type=dt.date), unit="day")
        for year in (today.year, today.year + 1)
    )
    return ops.Cast(ibis.ifelse(this >= 0, this, following), dt.int64).to_expr()


def _returns(value: Any, year: int) -> Any:
    """The day in ``year`` on which the date returns."""
    month, day = value.month(), value.day()
    if not calendar.isleap(year):
        leap_day = (month == 2) & (day == 29)
        month, day = ibis.ifelse(leap_day, 3, month), ibis.ifelse(leap_day, 1, day)
    return ibis.date(ibis.literal(year, type="int64"), month, day)

"""Every aggregation of the catalog once more, in plain Python: slow, obvious, and sharing no code with the engine."""

import math
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

Row = dict[str, Any]


def local_date(moment: date | datetime) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def in_window(day: date, window: str, as_of: date) -> bool:
    if day > as_of:
        return False
    age = (as_of - day).days
    if window == "all":
        return True
    if window == "mtd":
        return (day.year, day.month) == (as_of.year, as_of.month)
    if window == "ytd":
        return day.year == as_of.year
    days = int(window.removeprefix("before ").removesuffix("d"))
    return age >= days if window.startswith("before") else age < days


def expected(
    rows: Sequence[Row],
    value: Row,
    window: str,
    as_of: date,
    time: str,
    key: str,
    where: Callable[[Row], bool],
    of: Any,
) -> Any:
    """The tag ``value`` (its YAML block) over one person's rows; before ``empty`` and the declared type."""
    rows = [row for row in rows if row[time] is not None and in_window(local_date(row[time]), window, as_of)]
    rows = [row for row in rows if where(row)]
    agg = value["agg"]
    if agg == "count":
        return len(rows)
    if agg.startswith("days_since"):
        days = sorted(local_date(row[time]) for row in rows)
        return None if not days else (as_of - (days[0] if agg.endswith("first") else days[-1])).days
    rows = [row for row in rows if of(row) is not None]
    values = [of(row) for row in rows]
    if agg == "count_distinct":
        return len(set(values))
    if agg == "list":
        return sorted(set(values), key=order)[: value.get("k", 3)] or None
    if agg in ("top", "top_k", "share"):
        return mode(rows, value, of)
    if not values:
        return None
    if agg in ("first", "last"):
        lowest = (0, 0)
        ranked = sorted(rows, key=lambda r: (r[time], lowest if r[key] is None else (1, r[key]), order(of(r))))
        return of(ranked[0 if agg == "first" else -1])
    return number(agg, values, value)


class Quotient(NamedTuple):
    """A quotient of exact numbers: as a decimal it rounds exactly, as a float it is one."""

    exact: Fraction
    floating: float


def number(agg: str, values: list[Any], value: Row) -> Any:
    if agg == "sum":
        return sum(values)
    if agg == "avg":
        floating = float(sum(values)) / float(len(values))
        return floating if isinstance(values[0], float) else Quotient(Fraction(sum(values)) / len(values), floating)
    if agg in ("min", "max"):
        return (min if agg == "min" else max)(values, key=order)
    q = Fraction(str(value.get("q", 0.5)))
    ordered = sorted(Fraction(item) for item in values)
    place = (len(ordered) - 1) * q
    below = ordered[math.floor(place)]
    exact = below + (place - math.floor(place)) * (ordered[math.ceil(place)] - below)
    floating = half_away(float(exact), 6)
    return Quotient(exact, floating) if isinstance(values[0], Decimal) else floating


def mode(rows: list[Row], value: Row, of: Any) -> Any:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(of(row), []).append(row)

    def measure(text: str, group: list[Row]) -> Any:
        if text.startswith("count"):
            return len(group)
        field = text[text.index("(") + 1 : text.index(")")]
        return sum((row[field] for row in group if row[field] is not None), start=0)

    by = value.get("by", "count()")
    if value["agg"] == "share":
        whole = float(sum(measure(by, group) for group in groups.values()))
        if not groups or whole == 0:
            return None
        if "equals" in value:
            return float(measure(by, groups.get(value["equals"], []))) / whole
        return float(max(measure(by, group) for group in groups.values())) / whole

    def rank(item: Any) -> Any:
        ties = [measure(tie, groups[item]) * (1 if tie.endswith("asc") else -1) for tie in value.get("ties", ())]
        return (-measure(by, groups[item]), *ties, order(item))

    best = sorted(groups, key=rank)
    if value["agg"] == "top":
        return best[0] if best else None
    return best[: value.get("k", 3)] or None


def order(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def half_away(value: float, digits: int) -> float:
    """Half away from zero, on value * 10^digits as doubles compute it."""
    shift = 10.0**digits
    shifted = abs(value) * shift
    rest = math.fmod(shifted, 1.0)
    size = (shifted - rest + (1.0 if rest >= 0.5 else 0.0)) / shift
    return value if shifted >= 2.0**53 else (-size if value < 0 else size)


def typed(value: Any, kind: str) -> Any:
    """``value`` as the tag's declared type writes it."""
    if isinstance(value, Quotient):
        value = value.exact if kind.startswith("decimal") else value.floating
    if value is None or kind in ("text", "boolean", "date", "timestamp") or kind.startswith("list"):
        return value
    if kind == "integer":
        return int(value)
    if kind == "float":
        return float(value)
    scale = int(kind.removesuffix(")").split(",")[1])
    if isinstance(value, float):
        value = Decimal(repr(half_away(value, scale)))
    if isinstance(value, Fraction):
        units = abs(value) * 10**scale + Fraction(1, 2)
        return Decimal(math.floor(units)).scaleb(-scale) * (-1 if value < 0 else 1)
    return Decimal(value).quantize(Decimal(1).scaleb(-scale), rounding="ROUND_HALF_UP")


def days_before(as_of: date, days: int) -> date:
    return as_of - timedelta(days=days)

"""What one column must satisfy: its own rules, as expectations. Tags and source fields share these."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from valtag_assets.quality import queries
from valtag_assets.quality.expectation import (
    BETWEEN,
    IN_SET,
    MEAN,
    NON_NULL_SHARE,
    NOT_NULL,
    ROWS,
    UNIQUE,
    Expectation,
    Holds,
    Shows,
)
from valtag_assets.quality.stability import previous_column
from valtag_assets.spec.block import Access, Check, Severity, Title
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.types import DataType

HIDDEN_LEVELS = ("sensitive", "pii")
_BY_ROW = (NOT_NULL, BETWEEN, IN_SET)


@dataclass(frozen=True)
class Column:
    """One column under audit, and where its rules stand.

    ``key`` is the column that names a row in samples, ``origin`` those that say where it was read. ``holds`` is what
    a failed error stops; ``previous`` the metrics of the last published snapshot, empty when there is none.
    """

    code: str
    type: DataType
    title: Title
    key: str
    holds: Holds
    shows: Shows
    entry: Entry[Any]
    place: tuple[str | int, ...]
    root: Path
    previous: Mapping[str, Any]
    origin: tuple[str, ...] = ()

    def expectation(
        self,
        name: str,
        kind: str,
        arguments: Mapping[str, Any],
        title: Title,
        *place: str | int,
        severity: Severity = "error",
        expected: Any = None,
        measure: str | None = None,
        by_row: bool = False,
        drift: Mapping[str, Any] | None = None,
    ) -> Expectation:
        return Expectation(
            check=f"{self.code}.{name}",
            kind=kind,
            column=self.code,
            arguments=arguments,
            severity=severity,
            holds=self.holds if severity == "error" else "nothing",
            title=Title(zh=f"{self.title.zh}：{title.zh}", en=f"{self.title.en}: {title.en}"),
            rule=rule_at(self.entry, self.root, *self.place, *place),
            expected=expected,
            measure=measure,
            shows=self.shows,
            by_row=by_row or kind in _BY_ROW,
            drift=drift,
        )


def shown_of(levels: Iterable[Access]) -> Shows:
    """What samples tell of columns of these levels: a text that nobody declared public may be somebody's phone
    number, whatever its column was meant for."""
    found = set(levels)
    if found & set(HIDDEN_LEVELS):
        return "nothing"
    return "values" if found <= {"public"} else "shapes"


def rule_at(entry: Entry[Any], root: Path, *place: str | int) -> str:
    """Where a rule stands: ``tags/transaction.yaml:12``, seen from the catalog's folder."""
    problem = entry.problem("", *place)
    return f"{problem.file.relative_to(root).as_posix()}:{problem.line}"


def present(column: Column, *place: str | int) -> Expectation:
    return column.expectation("present", NOT_NULL, {}, Title(zh="不得为空", en="is never empty"), *place)


def one_of(column: Column, values: Sequence[str], *place: str | int) -> Expectation:
    """Every value, or every item of a list, is one of ``values`` (as written in the catalog)."""
    allowed = [typed(column.type, value) for value in values]
    title = Title(zh=f"只能取规定的 {len(allowed)} 个值", en=f"is one of the {len(allowed)} known values")
    if column.type.kind == "list":
        query, measure = queries.items_outside(column.code, column.type, allowed, (column.key, *column.origin))
        arguments: dict[str, Any] = {"unexpected_rows_query": query}
        return column.expectation("values", ROWS, arguments, title, *place, expected=allowed, measure=measure)
    return column.expectation("values", IN_SET, {"value_set": allowed}, title, *place)


def in_range(column: Column, low: float | None, high: float | None, *place: str | int) -> Expectation:
    """Within low to high, both included. A float is also finite: NaN and infinity lie outside every range."""
    title = _range_title(low, high)
    if column.type.kind == "float":
        low = -sys.float_info.max if low is None else low
        high = sys.float_info.max if high is None else high
    bounds = {"min_value": low, "max_value": high}
    arguments = {name: _whole(value) for name, value in bounds.items() if value is not None}
    return column.expectation("range", BETWEEN, arguments, title, *place)


def _range_title(low: float | None, high: float | None) -> Title:
    if low is not None and high is not None:
        return Title(zh=f"在 {low:g} 到 {high:g} 之间", en=f"lies between {low:g} and {high:g}")
    if low is not None:
        return Title(zh=f"不小于 {low:g}", en=f"is at least {low:g}")
    if high is not None:
        return Title(zh=f"不大于 {high:g}", en=f"is at most {high:g}")
    return Title(zh="是有限的数", en="is a finite number")


def not_after(column: Column, as_of: date, severity: Severity, *place: str | int) -> Expectation:
    """No date after ``as_of``, and no instant after the end of that day."""
    title = Title(zh=f"不晚于 {as_of.isoformat()}", en=f"is not after {as_of.isoformat()}")
    if column.type.kind == "date":
        arguments: dict[str, Any] = {"max_value": as_of}
    else:
        end = datetime.combine(as_of + timedelta(days=1), time())
        arguments = {"max_value": end, "strict_max": True}
    return column.expectation("not_future", BETWEEN, arguments, title, *place, severity=severity)


def not_vanished(column: Column, *place: str | int) -> Iterator[Expectation]:
    """A column that had values in the previous snapshot still has some."""
    if previous_column(column.previous, column.code).get("coverage", 0) > 0:
        title = Title(zh="上次有值，这次不能全空", en="had values before, so not every value is missing now")
        arguments = {"min_value": 0, "strict_min": True}
        yield column.expectation("vanished", NON_NULL_SHARE, arguments, title, *place)


def catalog_checks(column: Column, checks: Sequence[Check]) -> Iterator[Expectation]:
    """The column's ``checks:``. Those against the previous snapshot need one that had values."""
    for number, check in enumerate(checks):
        place = ("checks", number)
        if check.coverage is not None:
            title = Title(zh=f"非空比例至少 {check.coverage:.2%}", en=f"at least {check.coverage:.2%} have a value")
            arguments: dict[str, Any] = {"mostly": check.coverage}
            yield column.expectation("coverage", NOT_NULL, arguments, title, *place, severity=check.severity)
        elif check.unique:
            title = Title(zh="不重复", en="no value occurs twice")
            yield column.expectation("unique", UNIQUE, {}, title, *place, severity=check.severity)
        elif check.matches is not None:
            yield _matches(column, check.matches, check.severity, place)
        elif check.mean_change is not None:
            yield from _mean_change(column, check.mean_change, check.severity, place)
        elif check.stability is not None:
            yield from _stability(column, check.stability, check.severity, place)


def _matches(column: Column, pattern: str, severity: Severity, place: tuple[str | int, ...]) -> Expectation:
    query, measure = queries.unmatched(column.code, pattern, (column.key, *column.origin))
    title = Title(zh=f"符合 {pattern}", en=f"matches {pattern}")
    arguments = {"unexpected_rows_query": query}
    return column.expectation(
        "matches", ROWS, arguments, title, *place, severity=severity, expected=pattern, measure=measure, by_row=True
    )


def _mean_change(
    column: Column, most: float, severity: Severity, place: tuple[str | int, ...]
) -> Iterator[Expectation]:
    """No statement without a previous mean, or with one of 0, of which nothing is a share."""
    before = previous_column(column.previous, column.code).get("mean")
    if before:
        away = abs(before) * most
        title = Title(
            zh=f"均值比上次（{before:g}）变化不超过 {most:.0%}",
            en=f"the mean changes by at most {most:.0%} (before: {before:g})",
        )
        arguments = {"min_value": before - away, "max_value": before + away}
        yield column.expectation("mean_change", MEAN, arguments, title, *place, severity=severity)


def _stability(
    column: Column, most: float, severity: Severity, place: tuple[str | int, ...]
) -> Iterator[Expectation]:
    histogram = previous_column(column.previous, column.code).get("histogram")
    if histogram and sum(histogram["counts"]):
        query, measure = queries.shifted(column.code, column.type, histogram, most)
        title = Title(zh=f"分布稳定（PSI 不超过 {most:g}）", en=f"is stable (PSI at most {most:g})")
        arguments = {"unexpected_rows_query": query}
        yield column.expectation(
            "stability",
            ROWS,
            arguments,
            title,
            *place,
            severity=severity,
            expected=most,
            measure=measure,
            drift=histogram,
        )


def typed(data_type: DataType, value: str) -> Any:
    """A value of the catalog's closed list as the column holds it."""
    kind = data_type.item if data_type.kind == "list" else data_type.kind
    if kind == "integer":
        return int(value)
    if kind in ("decimal", "float"):
        return float(value)
    return value == "true" if kind == "boolean" else value


def _whole(value: float) -> int | float:
    """A bound as an integer where it is one, so that it reads and compares exactly."""
    return int(value) if abs(value) < 2**53 and value == int(value) else value

"""What Great Expectations says about one expectation, and the verdicts that follow."""

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.quality.expectation import (
    COLUMNS,
    MEAN,
    NON_NULL_SHARE,
    ROW_COUNT,
    ROW_COUNT_EQUALS,
    ROWS,
    Expectation,
)
from valtag_assets.spec.masking import is_long_number, shape, without_values
from valtag_assets.warehouse.snapshot import Verdict

_ROW_COUNTS = (ROW_COUNT, ROW_COUNT_EQUALS)


@dataclass(frozen=True)
class Outcome:
    """One result in plain values. ``error`` is set when the expectation could not be evaluated.

    ``rows`` is the sample: dicts of column to value; ``values`` in its place where there is no key.
    """

    passed: bool
    error: str | None = None
    unexpected: int | None = None
    evaluated: int | None = None
    observed: Any = None
    rows: tuple[Mapping[str, Any], ...] = ()

    def completed(self, evaluated: int, observed: Any = None) -> "Outcome":
        """With ``evaluated`` and ``observed`` where they are still missing."""
        return replace(
            self,
            evaluated=evaluated if self.evaluated is None else self.evaluated,
            observed=observed if self.observed is None else self.observed,
        )


def read_outcome(result: Any) -> Outcome:
    """``result``: a great_expectations ExpectationValidationResult (SUMMARY; COMPLETE for queries)."""
    error = _error(result.exception_info)
    if error is not None:
        return Outcome(passed=False, error=error)
    kind, found = result.expectation_config.type, result.result
    passed, arguments = bool(result.success), result.expectation_config.kwargs
    if kind == ROWS:
        rows = tuple(found.get("details", {}).get("unexpected_rows", ()))
        return Outcome(passed, unexpected=found["observed_value"], rows=rows)
    if kind in _ROW_COUNTS:
        observed = int(found["observed_value"])
        least = arguments.get("min_value", arguments.get("value", 0))
        away = abs(observed - least) if kind == ROW_COUNT_EQUALS else max(0, least - observed)
        return Outcome(passed, unexpected=away, evaluated=observed, observed=observed)
    if kind == COLUMNS:
        wrong = set(found["observed_value"]) ^ set(arguments["column_set"])
        return Outcome(passed, unexpected=len(wrong), evaluated=len(arguments["column_set"]), observed=sorted(wrong))
    if kind in (MEAN, NON_NULL_SHARE):
        return Outcome(passed, observed=found["observed_value"])
    return Outcome(
        passed,
        unexpected=found["unexpected_count"] or 0,  # of no rows: None
        evaluated=found["element_count"] - found.get("missing_count", 0),
        rows=tuple(found.get("partial_unexpected_index_list") or found.get("partial_unexpected_list") or ()),
    )


def verdicts_of(
    item: Expectation, outcome: Outcome, key: str, mask: Callable[[str], str], sample: int
) -> list[Verdict]:
    """One verdict for each column ``item`` judges; ``detail`` holds plain JSON values only."""
    expected = item.expected if item.expected is not None else dict(item.arguments)
    detail: dict[str, Any] = {
        "title": {"zh": item.title.zh, "en": item.title.en},
        "rule": item.rule,
        "observed": plain(outcome.observed),
        "expected": plain(expected),
        "sample": [_shown(row, item, key, mask) for row in outcome.rows[:sample]],
    }
    if outcome.error is not None:
        # The text of a database error quotes the value it stumbled over.
        detail["error"] = (
            without_values(outcome.error) if item.shows != "nothing" else outcome.error.partition(":")[0]
        )
    return [
        Verdict(
            check=item.check,
            column=column,
            severity=item.severity,
            passed=outcome.passed,
            holds=item.holds,
            unexpected=outcome.unexpected,
            evaluated=outcome.evaluated,
            detail=detail,
        )
        for column in item.judged
    ]


def plain(value: Any) -> Any:
    """``value`` as JSON knows it: dates become ISO text; so does NaN, which JSON has not."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real | Decimal):
        number = float(value)
        return number if math.isfinite(number) else str(number)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


def _shown(row: Any, item: Expectation, key: str, mask: Callable[[str], str]) -> dict[str, Any]:
    """A sample row: its key masked, where it was read, and of other values what may be seen."""
    cells = row if isinstance(row, Mapping) else {str(item.column): row}
    shown = {}
    for name, value in cells.items():
        if name in ORIGIN_COLUMNS:
            shown[name] = plain(value)
        elif name == key:
            shown[name] = None if value is None else mask(str(value))
        elif item.shows != "nothing":
            shown[name] = plain(value if item.shows == "values" else _shape(value))
    return shown


def _shape(value: Any) -> Any:
    """A value without its texts and long numbers; dates, instants and small numbers may be seen."""
    if isinstance(value, str):
        return shape(value)
    if isinstance(value, Sequence):
        return [_shape(item) for item in value]
    if isinstance(value, numbers.Number) and is_long_number(str(value)):
        return shape(str(value))
    return value


def _error(info: Mapping[str, Any]) -> str | None:
    """The message of a raised exception; the information is one record, or one for each failed metric."""
    records = [info] if "raised_exception" in info else list(info.values())
    raised = [record for record in records if record.get("raised_exception")]
    if not raised:
        return None
    message = str(raised[0].get("exception_message") or "the expectation could not be evaluated")
    return next((line.strip() for line in message.splitlines() if line.strip()), message)[:300]

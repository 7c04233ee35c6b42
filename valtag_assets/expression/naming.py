"""The naming law of tags (命名规则): a code says what kind of fact it is.

Times end in ``_at`` (timestamp) or ``_date`` (date); booleans start with ``is_`` or ``has_``; counts carry
``_count`` or ``_days``; day distances are ``days_since_…``; windows add their own suffix and never stand in
the written code.
"""

import re
from collections.abc import Iterator

from valtag_assets.expression.resolved import PERSON
from valtag_assets.spec.tag import Tag

_WINDOW_SUFFIX = re.compile(r"_(before_\d+d|\d+d|mtd|ytd)$", re.ASCII)


def naming_faults(tag: Tag) -> Iterator[str]:
    """What the naming law says against the code of ``tag``, each with a better code."""
    code, kind = tag.code, tag.type.kind
    if kind == "timestamp" and not code.endswith("_at"):
        yield f"'{code}' is a time, so its code ends in _at; call it '{with_end(code, '_at')}'"
    if kind == "date" and not code.endswith("_date"):
        yield f"'{code}' is a date, so its code ends in _date; call it '{with_end(code, '_date')}'"
    if kind == "boolean" and not code.startswith(("is_", "has_")):
        yield f"'{code}' is a yes or no, so its code starts with is_ or has_; call it 'is_{code}'"
    if kind not in ("timestamp", "date") and code.endswith(("_at", "_date")):
        yield f"'{code}' is no time but a {tag.type}, so its code must not end in _at or _date"
    agg = tag.value.agg if tag.value else None
    if agg in ("count", "count_distinct") and not code.endswith(("_count", "_days")):
        yield f"'{code}' is a count, so its code ends in _count (or _days); call it '{code}_count'"
    if agg in ("days_since_first", "days_since_last") and not code.startswith("days_since_"):
        yield f"'{code}' is a distance in days, so its code starts with days_since_"
    window = _WINDOW_SUFFIX.search(code) if tag.value and tag.value.fact else None
    if window:
        yield (
            f"'{code}' carries its window; write code: {code[: window.start()]} with "
            f"windows: [{window.group(1).replace('_', ' ')}], and the suffix follows"
        )
    if code == PERSON:
        yield f"'{code}' is the key of every table of tags and can't be a tag; call it otherwise"


def with_end(code: str, end: str) -> str:
    """``code`` with ``_at`` or ``_date`` in the place of whatever word for a time it ended in."""
    return re.sub(r"_(time|timestamp|date|day|at)$", "", code) + end

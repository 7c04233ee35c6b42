"""Catalogs of any number of tags over the company's tables: the same shapes of tag again and again, none twice.

Every eight blocks are six value tags (a sum, a distinct count, an event count, a mode, a distance in days, an
average), a band and a computed tag; their conditions and windows differ from one eight to the next.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from valtag_assets.catalogs.mall import vocabulary as words
from valtag_tests.bench.company import CATALOG

PER_CATEGORY = 250
SHAPES = 8


def write_catalog(into: Path, tags: int) -> Path:
    """A catalog folder with exactly ``tags`` tag blocks of one column each, at most 250 to a category."""
    into.mkdir(parents=True)
    shutil.copy(CATALOG / "project.yaml", into / "project.yaml")
    shutil.copytree(CATALOG / "sources", into / "sources")
    (into / "tags").mkdir()
    for number, first in enumerate(range(0, tags, PER_CATEGORY)):
        blocks = [block for n in range(first, min(first + PER_CATEGORY, tags)) for block in _block(n)]
        head = [
            f"category: wide_{number}",
            f"title: {{zh: 宽类{number}, en: Wide {number}}}",
            'refresh: {schedule: daily, deadline: "06:00"}',
            "tags:",
        ]
        (into / "tags" / f"wide_{number:03}.yaml").write_text("\n".join([*head, *blocks, ""]), encoding="utf-8")
    return into


def _block(n: int) -> Iterator[str]:
    """The lines of tag ``n``."""
    turn, shape = divmod(n, SHAPES)
    days = 7 + turn % 360
    window = f"windows: [{days}d]"
    category = words.CATEGORIES[turn % len(words.CATEGORIES)][0]
    sums, counts = f"spend_{turn}_{days}d", f"orders_{turn}_count_{days}d"
    paid = "where: status = 'paid'"
    some = f"where: \"status = 'paid' and category = '{category}'\""
    seen = f"where: \"event_type in ('page_view', 'click') and category = '{category}'\""
    steps = ["{code: none, title: {zh: 无, en: None}}", "{code: some, from: 0.01, title: {zh: 有, en: Some}}"]
    steps.append(f"{{code: much, from: {1000 + turn}, title: {{zh: 多, en: Much}}}}")
    money, units = "decimal(18,2)", "unit: CNY"
    code, kind, *rest = (
        (f"spend_{turn}", money, _value("orders", "sum", "of: amount", some), window, units, "empty: 0"),
        (f"orders_{turn}_count", "integer", _value("orders", "count_distinct", "of: order_id", paid), window),
        (f"views_{turn}_count", "integer", _value("events", "count", seen), window, "checks: [{coverage: 0.5}]"),
        (f"brand_{turn}", "text", _value("orders", "top", "of: brand", "ties: [sum(amount) desc]", paid), window),
        (f"days_since_order_{turn}", "integer", _value("orders", "days_since_last", f"where: amount >= {turn}")),
        (f"dwell_{turn}", "decimal(12,3)", _value("events", "avg", "of: dwell_seconds"), window, "unit: s"),
        (f"tier_{turn}", "text", f"band: {{of: {sums}, steps: [{', '.join(steps)}]}}"),
        (f"order_value_{turn}", money, f"value: round({sums} / {counts}, 2)", units, "domain: {min: 0}"),
    )[shape]
    yield f"  - code: {code}"
    yield f"    title: {{zh: 标签{n}, en: Tag {n}}}"
    yield f"    type: {kind}"
    for line in rest:
        yield f"    {line}"


def _value(fact: str, agg: str, *rest: str) -> str:
    return f"value: {{{', '.join([f'fact: {fact}', f'agg: {agg}', *rest])}}}"

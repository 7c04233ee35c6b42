"""Check results: what failed first, each with the place of its rule."""

from collections.abc import Iterator
from dataclasses import dataclass

from valtag_assets.engine.access import tag_need
from valtag_assets.graph.gates import in_words
from valtag_assets.site.published import Published
from valtag_assets.spec.block import Title
from valtag_assets.warehouse.snapshot import TableRef, Verdict


@dataclass(frozen=True)
class CheckEntry:
    """One check of one table. ``refused``: it kept the table from being published. ``says``: what failed."""

    table: str
    check: str
    title: Title
    result: str
    unexpected: int | None
    evaluated: int | None
    rule: str
    says: str
    refused: bool
    search: str


def checks(published: Published) -> list[CheckEntry]:
    """Every check of tables whose rows may be counted: errors, warnings, what passed, in the order of the flow."""
    order = {"error": 0, "warn": 1, "passed": 2}
    return sorted(_checks(published), key=lambda entry: (order[entry.result], not entry.refused))


def _checks(published: Published) -> Iterator[CheckEntry]:
    for found in filter(published.told, published.tables):
        for verdict in found.snapshot.verdicts if found.snapshot else ():
            yield _entry(published, found.table, verdict, refused=False)
        for verdict in found.blocked.verdicts if found.blocked else ():
            if not verdict.passed:
                yield _entry(published, found.table, verdict, refused=True)


def _entry(published: Published, table: TableRef, verdict: Verdict, *, refused: bool) -> CheckEntry:
    detail = verdict.detail
    said = detail.get("title", {})
    title = Title(zh=str(said.get("zh", verdict.check)), en=str(said.get("en", verdict.check)))
    says = "" if verdict.passed or _above(published, table, verdict) else in_words(verdict)
    rule = str(detail.get("rule", ""))
    return CheckEntry(
        table=table.key,
        check=verdict.check,
        title=title,
        result="passed" if verdict.passed else verdict.severity,
        unexpected=verdict.unexpected,
        evaluated=verdict.evaluated,
        rule=rule,
        says=says,
        refused=refused,
        search=" ".join([table.key, verdict.check, title.zh, title.en, rule]),
    )


def _above(published: Published, table: TableRef, verdict: Verdict) -> bool:
    """Whether what the check found may hold a value that is not for the reader."""
    tags = published.resolved.tags
    if table.stage == "tags" and verdict.column is not None and verdict.column in tags:
        return not published.readable(tag_need(published.resolved, verdict.column))
    return table.stage in ("clean", "quarantine") and verdict.column is not None

"""One HTML file about one as-of: it needs no network and no other file, and equal snapshots give equal bytes."""

import os
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from valtag_assets.console.doors import through
from valtag_assets.graph.setting import Setting
from valtag_assets.site.allocations import allocations
from valtag_assets.site.audiences import scores, segments
from valtag_assets.site.dictionary import categories
from valtag_assets.site.identity import identities
from valtag_assets.site.insight import effects, usefulness
from valtag_assets.site.numbers import reports
from valtag_assets.site.published import Published
from valtag_assets.site.rendering import environment, part, script_hash
from valtag_assets.site.values import values
from valtag_assets.site.verdicts import CheckEntry, checks
from valtag_assets.spec.access import UNSAID, Asking
from valtag_assets.spec.block import Title
from valtag_assets.warehouse import durable

STATES = {
    "ok": Title(zh="正常", en="ok"),
    "warned": Title(zh="有警告", en="warned"),
    "held": Title(zh="有标签暂停", en="tags held"),
    "refused": Title(zh="被拒绝，沿用上次", en="refused, last good served"),
    "failed": Title(zh="失败，沿用上次", en="failed, last good served"),
    "missing": Title(zh="未发布", en="never published"),
}
_WELL = ("ok", "warned")


def render(setting: Setting, as_of: date | None = None, by: Asking = UNSAID) -> tuple[date, str]:
    """The as-of (default: the newest published) and the page about it, as who asks may see it.

    Raises Mistake where nothing is published.
    """
    with through(setting, "report", by, "the report") as visit:
        visit.reader.require_every_brand("the report")
        published = Published(setting, as_of, visit.reader)
        page = _page(setting, published)
    return published.as_of, page


def _page(setting: Setting, published: Published) -> str:
    style, script = (part(name) for name in ("style.css", "search.js"))
    found = checks(published)
    shown: dict[str, Any] = {
        "published": published,
        "project": setting.resolved.catalog.project,
        "known_at": _local(published.known_at, setting.resolved.catalog.project.zone),
        "identity": identities(published),
        "categories": categories(published),
        "segments": segments(published),
        "scores": scores(published),
        "values": values(published),
        "allocations": allocations(published),
        "reports": reports(published),
        "effects": effects(published),
        "usefulness": usefulness(published),
        "checks": found,
        "failed": [check for check in found if check.result != "passed"],
        "passed": _by_table(check for check in found if check.result == "passed"),
        "unwell": [table for table in published.tables if table.state not in _WELL],
        "states": STATES,
        "style": Markup(style),
        "script": Markup(script),
        "script_hash": script_hash(script),
    }
    return environment().get_template("page.html.j2").render(shown)


def _by_table(checks: Iterable[CheckEntry]) -> dict[str, list[CheckEntry]]:
    found: dict[str, list[CheckEntry]] = {}
    for check in checks:
        found.setdefault(check.table, []).append(check)
    return found


def _local(instant: datetime, zone: ZoneInfo) -> str:
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key}"


def write_page(setting: Setting, as_of: date | None, into: Path | None, by: Asking = UNSAID) -> Path:
    """Write the page and give its path: ``into`` if that ends with .html, else <catalog>-<as-of>.html in the folder
    ``into`` (default: reports in the data folder). Raises Mistake where nothing is published."""
    day, page = render(setting, as_of, by)
    folder = into if into is not None else setting.data / "reports"
    path = folder if folder.suffix == ".html" else folder / f"{setting.name}-{day}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whoever has the page open sees the old one or the new one.
    beside = path.with_name(f".{path.name}.new")
    durable.write(beside, page)
    os.replace(beside, path)
    return path

"""The tag tree 标签树: category → group → tag, with what the warehouse knows of each."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.screen import share, table
from valtag_assets.expression.origins import lineage_texts
from valtag_assets.expression.resolved import Resolved, ResolvedTag
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.block import Title
from valtag_assets.warehouse.snapshot import Snapshot, TableRef


@dataclass(frozen=True)
class TagRow:
    """One tag. ``as_of`` to ``coverage`` are of the newest snapshot, ``usefulness`` (0 to 1) and ``advice`` of the
    newest table of usefulness; None where there is none."""

    category: str
    category_title: Title
    group: str | None
    code: str
    title: Title
    meaning: str | None
    type: str
    unit: str | None
    kind: str
    sources: tuple[str, ...]
    layer: str
    refresh: str
    access: str
    owner: str
    used_for: tuple[str, ...]
    as_of: str | None
    data_age_days: int | None
    coverage: float | None
    held: bool
    usefulness: float | None
    advice: str | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def tag_rows(setting: Setting, text: str | None = None) -> list[TagRow]:
    """Every tag in catalog order; with ``text`` those whose code, title or meaning holds it, in any language."""
    return list(_rows(setting, None if text is None else _plain(text)))


def tags_by_category(resolved: Resolved) -> dict[str, list[ResolvedTag]]:
    """The tags of each category in the order of the files, those of a group together, where it is first named."""
    found: dict[str, dict[str | None, list[ResolvedTag]]] = {code: {} for code in resolved.catalog.categories}
    for tag in resolved.tags.values():
        found[tag.category].setdefault(tag.spec.group, []).append(tag)
    return {code: [tag for tags in groups.values() for tag in tags] for code, groups in found.items()}


def judged_tags(setting: Setting) -> dict[str, Mapping[str, Any]]:
    """The lines of the newest table of usefulness by tag; none where it was never published."""
    snapshot = setting.warehouse.latest(TableRef("insight", "tags"))
    return {} if snapshot is None else {line["tag"]: line for line in snapshot.metrics["lines"]}


def print_tags(console: Console, setting: Setting, rows: list[TagRow]) -> None:
    """One table per category."""
    columns = [
        "group",
        "!tag",
        "zh",
        "en",
        "type",
        "unit",
        "kind",
        "from",
        "layer",
        "access",
        "used for",
        ">coverage",
        ">value",
        "!advice",
    ]
    by_category: dict[str, list[TagRow]] = defaultdict(list)
    for row in rows:
        by_category[row.category].append(row)
    for code, own in by_category.items():
        first = own[0]
        grouped = columns if any(row.group for row in own) else columns[1:]
        lines = [_line(row)[len(columns) - len(grouped) :] for row in own]
        served = f"as-of {first.as_of}" if first.as_of else "not computed yet"
        age = f", data {first.data_age_days} d old" if first.data_age_days else ""
        heading = f"{first.category_title.zh} · {first.category_title.en} ({code}): {served}{age}"
        console.print(table(f"{heading}; refresh {first.refresh}; {first.owner}", grouped, lines))
    console.print(Text(f"{len(rows)} of {len(setting.resolved.tags)} tags", style="dim"))


def _rows(setting: Setting, wanted: str | None) -> Iterator[TagRow]:
    catalog, by_category, judged = setting.resolved.catalog, tags_by_category(setting.resolved), judged_tags(setting)
    for code, entry in catalog.categories.items():
        about = (code, str(entry.spec.title))
        tags = [tag for tag in by_category[code] if wanted is None or _says(tag, about, wanted)]
        if not tags:
            continue
        snapshot = setting.warehouse.latest(TableRef("tags", code))
        refresh = entry.spec.refresh or catalog.project.refresh
        by = f" by {refresh.deadline}" if refresh.schedule == "daily" else ""
        for tag in tags:
            owner = tag.spec.owner or catalog.owner_of(entry.spec)
            line = judged.get(tag.code, {})
            yield _row(setting, tag, entry.spec.title, snapshot, f"{refresh.schedule}{by}", owner, line)


def _row(
    setting: Setting,
    tag: ResolvedTag,
    category: Title,
    snapshot: Snapshot | None,
    refresh: str,
    owner: str,
    judged: Mapping[str, Any],
) -> TagRow:
    spec = tag.spec
    seen = snapshot.metrics.get("profile", {}).get("columns", {}).get(tag.code, {}) if snapshot else {}
    age = None
    if snapshot is not None and snapshot.as_of is not None and snapshot.data_until is not None:
        age = max(0, (snapshot.as_of - snapshot.data_until.date()).days)
    return TagRow(
        category=tag.category,
        category_title=category,
        group=spec.group,
        code=tag.code,
        title=tag.title,
        meaning=spec.meaning,
        type=str(tag.type),
        unit=spec.unit,
        kind=tag.kind,
        sources=tuple(lineage_texts(setting.resolved, tag)),
        layer=spec.layer,
        refresh=refresh,
        access=spec.access,
        owner=owner,
        used_for=spec.used_for,
        as_of=snapshot.as_of.isoformat() if snapshot and snapshot.as_of else None,
        data_age_days=age,
        coverage=seen.get("coverage"),
        held=snapshot is not None and tag.code in snapshot.held,
        usefulness=judged.get("score"),
        advice=judged.get("advice"),
    )


def _line(row: TagRow) -> list[object]:
    covered = Text("held", style="red") if row.held else share(row.coverage)
    return [
        row.group, row.code, row.title.zh, row.title.en, row.type, row.unit, row.kind,
        _from(row.sources), row.layer, row.access, row.used_for, covered,
        None if row.usefulness is None else f"{row.usefulness:.2f}", row.advice,
    ]  # fmt: skip


def _from(sources: tuple[str, ...]) -> str:
    """transactions.amount, transactions.bought_at → transactions: amount, bought_at."""
    found: dict[str, list[str]] = {}
    for text in sources:
        source, _, field = text.partition(".")
        found.setdefault(source, []).append(field)
    return "\n".join(f"{source}: {', '.join(fields)}" for source, fields in found.items())


def _says(tag: ResolvedTag, about: tuple[str, ...], wanted: str) -> bool:
    said = (tag.code, tag.title.zh, tag.title.en, tag.spec.meaning or "", *about)
    return any(wanted in _plain(text) for text in said)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()

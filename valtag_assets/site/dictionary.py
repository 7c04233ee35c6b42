"""The tag dictionary 标签字典: every tag with what it means, where it comes from, how it looks, who uses it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from valtag_assets.console.tagtree import tags_by_category
from valtag_assets.engine.access import tag_need
from valtag_assets.expression.origins import lineage_texts
from valtag_assets.expression.resolved import Resolved, ResolvedTag
from valtag_assets.expression.uses import Uses, tag_uses
from valtag_assets.graph.figures import distribution_figure, inline_svg
from valtag_assets.site.insight import ADVICE
from valtag_assets.site.published import Found, Published
from valtag_assets.site.wording import OTHER, definition, domain, labelled, value_titles
from valtag_assets.spec.block import Title


@dataclass(frozen=True)
class Use:
    """Something that reads a tag; ``on_page``: it has a place of its own on the page."""

    kind: str
    code: str
    title: Title

    @property
    def on_page(self) -> bool:
        return self.kind in ("tag", "score", "segment", "report", "allocation")


@dataclass(frozen=True)
class TagEntry:
    """One tag. ``plot`` is SVG, ``score`` its usefulness (0 to 1), ``advice`` what to do with it: None where there is
    none; ``hidden``: its values are above the default role."""

    tag: ResolvedTag
    definition: str
    domain: str
    sources: tuple[str, ...]
    uses: tuple[Use, ...]
    coverage: float | None
    distinct: int | None
    held: bool
    failed: int
    checks: int
    hidden: bool
    plot: str | None
    score: float | None
    advice: Title | None
    search: str


@dataclass(frozen=True)
class TagGroup:
    """The tags of one group of a category; a group without a title holds those without one."""

    title: str
    tags: tuple[TagEntry, ...]


@dataclass(frozen=True)
class CategoryEntry:
    """One category with the state of its table."""

    code: str
    title: Title
    meaning: str | None
    owner: str
    refresh: str
    found: Found
    age_days: int | None
    groups: tuple[TagGroup, ...]

    @property
    def size(self) -> int:
        return sum(len(group.tags) for group in self.groups)


def categories(published: Published) -> list[CategoryEntry]:
    """Every category of the catalog, its tags by group, as they were published."""
    tags, uses = tags_by_category(published.resolved), tag_uses(published.resolved)
    snapshot = published.found("insight/tags").snapshot if published.resolved.tags else None
    judged = {line["tag"]: line for line in snapshot.metrics["lines"]} if snapshot is not None else {}
    known = _Known(published, uses, judged)
    return [_category(known, code, tags[code]) for code in published.resolved.categories]


@dataclass(frozen=True)
class _Known:
    """What entries are made of: who reads each tag, and the lines of the table of usefulness by tag."""

    published: Published
    uses: Mapping[str, Uses]
    judged: Mapping[str, Mapping[str, Any]]


def _category(known: _Known, code: str, tags: list[ResolvedTag]) -> CategoryEntry:
    published, catalog = known.published, known.published.resolved.catalog
    spec, found = catalog.categories[code].spec, published.found(f"tags/{code}")
    refresh = spec.refresh or catalog.project.refresh
    groups: dict[str | None, list[ResolvedTag]] = {}
    for tag in tags:
        groups.setdefault(tag.spec.group, []).append(tag)
    snapshot, age = found.snapshot, None
    if snapshot is not None and snapshot.data_until is not None and snapshot.as_of is not None:
        age = max(0, (snapshot.as_of - snapshot.data_until.date()).days)
    return CategoryEntry(
        code=code,
        title=spec.title,
        meaning=spec.meaning,
        owner=catalog.owner_of(spec),
        refresh=refresh.schedule + (f" {refresh.deadline}" if refresh.schedule == "daily" else ""),
        found=found,
        age_days=age,
        groups=tuple(
            TagGroup(group or "", tuple(_entry(known, tag, found) for tag in own)) for group, own in groups.items()
        ),
    )


def _entry(known: _Known, tag: ResolvedTag, found: Found) -> TagEntry:
    published = known.published
    resolved, spec, snapshot = published.resolved, tag.spec, found.snapshot
    profile = snapshot.metrics.get("profile", {}) if snapshot else {}
    seen = profile.get("columns", {}).get(tag.code, {})
    own = [verdict for verdict in (snapshot.verdicts if snapshot else ()) if verdict.column == tag.code]
    hidden = not published.readable(tag_need(resolved, tag.code))
    plot = None
    if not hidden and seen.get("histogram"):
        histogram, titles = seen["histogram"], value_titles(spec)
        labels = [labelled(value, titles)[:16] for value in histogram.get("values", ())]
        plot = inline_svg(distribution_figure(histogram, labels, OTHER))
    uses = tuple(_uses(resolved, known.uses[tag.code]))
    judged = known.judged.get(tag.code, {})
    said = [tag.code, tag.title.zh, tag.title.en, spec.meaning or "", spec.group or "", tag.category]
    said += [use.code for use in uses] + list(spec.used_for)
    return TagEntry(
        tag=tag,
        definition=definition(tag),
        domain=domain(tag),
        sources=tuple(lineage_texts(resolved, tag)),
        uses=uses,
        coverage=seen.get("coverage"),
        distinct=seen.get("distinct"),
        held=snapshot is not None and tag.code in snapshot.held,
        failed=sum(not verdict.passed for verdict in own),
        checks=len(own),
        hidden=hidden,
        plot=plot,
        score=judged.get("score"),
        advice=ADVICE[judged["advice"]] if judged else None,
        search=" ".join(said),
    )


def _uses(resolved: Resolved, uses: Uses) -> Iterator[Use]:
    """Everything that reads the tag directly."""
    specs: dict[str, Mapping[str, Any]] = {
        "tag": resolved.tags,
        "score": resolved.scores,
        "segment": resolved.segments,
        "report": resolved.reports,
        "placement": resolved.placements,
        "allocation": resolved.allocations,
        "delivery": resolved.deliveries,
        "trigger": resolved.triggers,
    }
    for kind, code in uses.direct:
        read = specs[kind][code]
        yield Use(kind, code, read.title if kind == "tag" else read.spec.title)

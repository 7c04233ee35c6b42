"""The tag dictionary 标签字典: every tag with what it means, where it comes from, how it looks, who uses it."""

from collections.abc import Iterator
from dataclasses import dataclass

from valtag_assets.engine.access import tag_need
from valtag_assets.expression.origins import lineage_texts
from valtag_assets.expression.resolved import Resolved, ResolvedTag
from valtag_assets.graph.figures import distribution_figure, inline_svg
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
        return self.kind != "placement"


@dataclass(frozen=True)
class TagEntry:
    """One tag. ``plot`` is SVG, None where there is none; ``hidden``: its values are above the default role."""

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
    return [_category(published, code) for code in published.resolved.categories]


def _category(published: Published, code: str) -> CategoryEntry:
    resolved, catalog = published.resolved, published.resolved.catalog
    spec, found = catalog.categories[code].spec, published.found(f"tags/{code}")
    refresh = spec.refresh or catalog.project.refresh
    tags = [tag for tag in resolved.tags.values() if tag.category == code]
    groups = dict.fromkeys(tag.spec.group for tag in tags)
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
            TagGroup(group or "", tuple(_entry(published, tag, found) for tag in tags if tag.spec.group == group))
            for group in groups
        ),
    )


def _entry(published: Published, tag: ResolvedTag, found: Found) -> TagEntry:
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
    uses = tuple(_uses(resolved, tag.code))
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
        search=" ".join(said),
    )


def _uses(resolved: Resolved, code: str) -> Iterator[Use]:
    """Everything that reads the tag directly."""
    for other in resolved.tags.values():
        if code in other.tags:
            yield Use("tag", other.code, other.title)
    for score in resolved.scores.values():
        if code in score.tags:
            yield Use("score", score.code, score.spec.title)
    for segment in resolved.segments.values():
        if code in segment.tags:
            yield Use("segment", segment.code, segment.spec.title)
    for report in resolved.reports.values():
        if code in report.tags:
            yield Use("report", report.code, report.spec.title)
    for placement in resolved.placements.values():
        if code in placement.tags:
            yield Use("placement", placement.code, placement.spec.title)

"""Segments and scores as they were published: rules, sizes, what came and went, tiers and quadrants."""

from dataclasses import dataclass

from valtag_assets.engine.access import score_need
from valtag_assets.engine.rfm import Group, quadrant_groups, tier_groups, tier_titles
from valtag_assets.expression.resolved import ResolvedRfm
from valtag_assets.graph.comments import rfm_convention
from valtag_assets.graph.figures import Bars, bars_figure, history_figure, inline_svg
from valtag_assets.graph.score_figures import concentration_figure, transition_figure
from valtag_assets.graph.score_pages import concentration_of, moves_of, nothing_to_compare
from valtag_assets.site.published import Found, Published
from valtag_assets.site.wording import written
from valtag_assets.spec.block import Title

_HISTORY = (4.4, 1.8)
# What else says who is a member, in the order in which it is applied.
_BESIDE_THE_RULE = ("waterfall", "sample", "order", "caps", "limit", "holdout")


@dataclass(frozen=True)
class SegmentEntry:
    """One audience. ``share`` is of the population; ``entries`` and ``exits`` since the as-of before, if there is.

    ``hidden``: it rests on what the reader may not read, so how many are in it is not told.
    """

    code: str
    title: Title
    meaning: str | None
    owner: str
    used_for: tuple[str, ...]
    rule: str
    reads: tuple[str, ...]
    found: Found
    hidden: bool
    size: int | None
    share: float | None
    entries: int | None
    exits: int | None
    plot: str | None
    search: str


@dataclass(frozen=True)
class ScoreEntry:
    """One RFM model: its groups, how they are made, and pictures of their sizes, of who moved since the as-of
    ``since`` and of how far revenue is concentrated. ``nothing``: why there are no moves. ``hidden``: a tag it is
    made of is above the default role, so nothing of it is shown."""

    code: str
    title: Title
    meaning: str | None
    found: Found
    hidden: bool
    measures: tuple[tuple[str, str], ...]
    tiers: tuple[Group, ...]
    quadrants: tuple[Group, ...]
    convention: Title
    plot: str | None
    since: str | None
    moves_plot: str | None
    nothing: str
    below_zero: int
    concentration_plot: str | None
    search: str


def segments(published: Published) -> list[SegmentEntry]:
    """Every audience of the catalog."""
    return [_segment(published, code) for code in published.resolved.segments]


def _segment(published: Published, code: str) -> SegmentEntry:
    segment, found = published.resolved.segments[code], published.found(f"segments/{code}")
    spec, snapshot = segment.spec, found.snapshot
    metrics = snapshot.metrics if snapshot else {}
    everybody = metrics.get("population")
    hidden = snapshot is not None and not published.told(found)
    history = [] if hidden else [item for item in published.history(found.table) if published.tells(found, item.rows)]
    moved = [metrics.get(name) for name in ("entries", "exits")]
    entries, exits = moved if all(n is None or published.tells(found, n) for n in moved) else (None, None)
    plot = inline_svg(history_figure(history, _HISTORY)) if len({item.as_of for item in history}) > 1 else None
    return SegmentEntry(
        code=code,
        title=spec.title,
        meaning=spec.meaning,
        owner=published.resolved.catalog.owner_of(spec),
        used_for=spec.used_for,
        rule=written(segment.entry, "rule", *_BESIDE_THE_RULE),
        reads=tuple(sorted(segment.tags | segment.scores | segment.facts | segment.segments | segment.lists)),
        found=found,
        hidden=hidden,
        size=snapshot.rows if snapshot and not hidden else None,
        share=snapshot.rows / everybody if snapshot and everybody and not hidden else None,
        entries=None if hidden else entries,
        exits=None if hidden else exits,
        plot=plot,
        search=" ".join([code, spec.title.zh, spec.title.en, spec.meaning or "", *segment.tags, *spec.used_for]),
    )


def scores(published: Published) -> list[ScoreEntry]:
    """Every RFM model of the catalog."""
    return [
        _score(published, score) for score in published.resolved.scores.values() if isinstance(score, ResolvedRfm)
    ]


def _score(published: Published, score: ResolvedRfm) -> ScoreEntry:
    code, rfm = score.code, score.spec
    found = published.found(f"scores/{code}")
    hidden = not published.readable(score_need(published.resolved, code))
    snapshot = None if hidden else found.snapshot
    cells = snapshot.metrics.get("cells", []) if snapshot else []
    tiers, quadrants = tuple(tier_groups(rfm, cells)), tuple(quadrant_groups(cells))
    panels = [
        Bars("人数 persons", [group.persons for group in tiers], [f"{group.persons:,}" for group in tiers]),
        Bars("金额占比 revenue share", [g.revenue_share for g in tiers], [f"{g.revenue_share:.1%}" for g in tiers]),
    ]
    moved = moves_of(snapshot, tier_titles(rfm)) if snapshot else None
    days = (moved[0], str(snapshot.as_of)) if moved and snapshot else ("", "")
    concentration = concentration_of(snapshot) if snapshot else None
    curve = concentration is not None and concentration.gini is not None
    labels = [f"{group.title.zh} {group.title.en}"[:24] for group in tiers]
    return ScoreEntry(
        code=code,
        title=rfm.title,
        meaning=rfm.meaning,
        found=found,
        hidden=hidden,
        measures=(("R", rfm.recency), ("F", rfm.frequency), ("M", rfm.monetary)),
        tiers=tiers,
        quadrants=quadrants,
        convention=rfm_convention(published.resolved, score),
        plot=inline_svg(bars_figure(labels, panels)) if cells else None,
        since=moved[0] if moved else None,
        moves_plot=inline_svg(transition_figure(moved[1], tier_titles(rfm), days)) if moved else None,
        nothing=nothing_to_compare(rfm.compare_days),
        below_zero=concentration.below_zero if concentration else 0,
        concentration_plot=inline_svg(concentration_figure(concentration)) if concentration and curve else None,
        search=" ".join([code, str(rfm.title), rfm.meaning or "", *(str(g.title) for g in (*tiers, *quadrants))]),
    )

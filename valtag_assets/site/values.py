"""Models of customer value as they were published: what was chosen, how it did on the held-out period, tiers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from valtag_assets.engine.access import score_need
from valtag_assets.engine.ltv.backtest import MEASURES
from valtag_assets.expression.resolved import ResolvedLtv
from valtag_assets.graph.comments import ltv_convention
from valtag_assets.graph.figures import inline_svg
from valtag_assets.graph.ltv_figures import tiers_figure, validation_figure
from valtag_assets.graph.score_figures import concentration_figure, transition_figure
from valtag_assets.graph.score_pages import concentration_of, moves_of, nothing_to_compare
from valtag_assets.site.published import Found, Published
from valtag_assets.spec.block import Title


@dataclass(frozen=True)
class ValueEntry:
    """One model. ``judged``: forecast → its measures on the held-out period, the model first; ``why`` it was chosen.

    ``tiers``: (code, title, persons, share, spent, value). ``nothing``: why there are no moves to show. ``hidden``: a
    tag it is made of is above the default role, so nothing of it is shown.
    """

    code: str
    title: Title
    meaning: str | None
    convention: Title
    found: Found
    hidden: bool
    currency: str
    model: str | None
    why: str | None
    measures: tuple[str, ...]
    judged: tuple[tuple[str, tuple[float | None, ...]], ...]
    tiers: tuple[tuple[str, Title, int, float, float, float], ...]
    validation: str | None
    tier_plot: str | None
    moves_plot: str | None
    nothing: str
    concentration_plot: str | None
    search: str


def values(published: Published) -> list[ValueEntry]:
    """Every model of customer value of the catalog."""
    found = published.resolved.scores.values()
    return [_value(published, score) for score in found if isinstance(score, ResolvedLtv)]


def _value(published: Published, score: ResolvedLtv) -> ValueEntry:
    found, ltv = published.found(f"scores/{score.code}"), score.spec
    hidden = not published.readable(score_need(published.resolved, score.code))
    titles = score.values[f"{score.code}_tier"]
    snapshot = None if hidden else found.snapshot
    metrics: Mapping[str, Any] = snapshot.metrics if snapshot is not None else {}
    shown = {code: str(title) for code, title in titles.items()}
    moved = moves_of(snapshot, titles) if snapshot is not None else None
    spread = concentration_of(snapshot) if snapshot is not None else None
    days = (moved[0], str(snapshot.as_of)) if moved and snapshot else ("", "")
    backtest = metrics.get("backtest", {})
    return ValueEntry(
        code=score.code,
        title=ltv.title,
        meaning=ltv.meaning,
        convention=ltv_convention(score),
        found=found,
        hidden=hidden,
        currency=score.currency,
        model=metrics.get("model"),
        why=backtest.get("why"),
        measures=MEASURES,
        judged=_judged(backtest),
        tiers=_tiers(metrics.get("tiers", ()), titles),
        validation=inline_svg(validation_figure(metrics)) if metrics else None,
        tier_plot=inline_svg(tiers_figure(metrics["tiers"], shown, score.currency)) if metrics else None,
        moves_plot=inline_svg(transition_figure(moved[1], titles, days)) if moved else None,
        nothing=nothing_to_compare(ltv.compare),
        concentration_plot=inline_svg(concentration_figure(spread)) if spread and spread.gini is not None else None,
        search=" ".join([score.code, str(ltv.title), ltv.meaning or "", *shown.values()]),
    )


def _judged(backtest: Mapping[str, Any]) -> tuple[tuple[str, tuple[float | None, ...]], ...]:
    held_out = backtest.get("held_out", {})
    names = sorted(held_out, key=lambda name: (name != backtest["winner"], name))
    return tuple((name, tuple(held_out[name][measure] for measure in MEASURES)) for name in names)


def _tiers(
    rows: Sequence[Mapping[str, Any]], titles: Mapping[str, Title]
) -> tuple[tuple[str, Title, int, float, float, float], ...]:
    known, persons = {row["tier"]: row for row in rows}, sum(row["persons"] for row in rows) or 1
    return tuple(
        (code, title, row["persons"], row["persons"] / persons, row["spend"], row["clv"])
        for code, title in titles.items()
        if (row := known.get(code)) is not None
    )

"""What triggers brought and how useful tags are, as it was published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from valtag_assets.console.insight import dependence_text
from valtag_assets.engine.usefulness import reasons
from valtag_assets.graph.effect_figures import effect_figure
from valtag_assets.graph.effects import INTERVALS, SHOWN, interval_text, said_of
from valtag_assets.graph.figures import inline_svg
from valtag_assets.graph.insight import contribution_text, title_of, trend, usefulness_figure
from valtag_assets.site.published import Found, Published
from valtag_assets.spec.block import Title
from valtag_assets.spec.effect import COLUMNS as EFFECT_COLUMNS

ADVICE = {
    "keep": Title(zh="保留", en="keep"),
    "improve": Title(zh="改进", en="improve"),
    "merge": Title(zh="合并", en="merge"),
    "retire": Title(zh="下线", en="retire"),
}
_TOLD = (*SHOWN, *INTERVALS)


@dataclass(frozen=True)
class EffectEntry:
    """One judged trigger: ``lines`` as texts under ``columns``, what its evidence is, a picture where there is a
    lift."""

    code: str
    title: Title
    found: Found
    evidence: str
    columns: tuple[Title, ...]
    lines: tuple[tuple[str, ...], ...]
    plot: str | None
    search: str


@dataclass(frozen=True)
class TagEntry:
    """One tag's usefulness, as texts."""

    tag: str
    title: Title
    score: float
    trend: str
    advice: Title
    uses: str
    automations: int
    messages: int
    coverage: float | None
    quality: float | None
    evidence: str
    twin: str
    reasons: tuple[Title, ...]


@dataclass(frozen=True)
class UsefulnessEntry:
    """The table of usefulness: ``weights`` and how much ``depends`` on tags as texts, a line per tag, a picture of
    the most useful."""

    found: Found
    weights: str
    depends: str
    tags: tuple[TagEntry, ...]
    plot: str | None


def effects(published: Published) -> list[EffectEntry]:
    """Every judged trigger of the catalog."""
    judged = [trigger for trigger in published.resolved.triggers.values() if trigger.effect is not None]
    return [_effect(published, trigger.code) for trigger in judged]


def _effect(published: Published, code: str) -> EffectEntry:
    title, found = published.resolved.triggers[code].spec.title, published.found(f"effects/{code}")
    lines: Sequence[Mapping[str, Any]] = found.snapshot.metrics["lines"] if found.snapshot is not None else []
    drawn = any(line["lift"] is not None for line in lines)
    return EffectEntry(
        code=code,
        title=title,
        found=found,
        evidence=said_of(lines[0]) if lines else "",
        columns=tuple(EFFECT_COLUMNS[name][1] for name in _TOLD),
        lines=tuple(tuple(_text(line, name) for name in _TOLD) for line in lines),
        plot=inline_svg(effect_figure(lines)) if drawn else None,
        search=f"{code} {title}",
    )


def _text(line: Mapping[str, Any], name: str) -> str:
    if name in INTERVALS:
        return interval_text(line, name)
    return "" if line[name] is None else f"{line[name]:,}" if isinstance(line[name], int | float) else line[name]


def usefulness(published: Published) -> UsefulnessEntry | None:
    """How useful the tags are; None for a catalog without tags."""
    if not published.resolved.tags:
        return None
    found = published.found("insight/tags")
    metrics = found.snapshot.metrics if found.snapshot is not None else {"lines": [], "weights": {}}
    lines: Sequence[Mapping[str, Any]] = metrics["lines"]
    return UsefulnessEntry(
        found=found,
        weights=", ".join(f"{name} {weight:g}" for name, weight in metrics["weights"].items()),
        depends=dependence_text(published.resolved),
        tags=tuple(_tag(published, line) for line in lines),
        plot=inline_svg(usefulness_figure(published.resolved, lines)) if lines else None,
    )


def _tag(published: Published, line: Mapping[str, Any]) -> TagEntry:
    changed = trend(line)
    return TagEntry(
        tag=line["tag"],
        title=title_of(published.resolved, line["tag"]),
        score=line["score"],
        trend="" if changed is None else f"{changed:+.3f}",
        advice=ADVICE[line["advice"]],
        uses=f"{line['direct']} + {line['indirect']}",
        automations=line["automations"],
        messages=line["messages"],
        coverage=line["coverage"],
        quality=line["quality"],
        evidence=f"{line['evidence']} {contribution_text(line)}".strip(),
        twin=f"{line['twin']} {line['likeness']:.2f}" if line["twin"] else "",
        reasons=tuple(reasons(published.resolved.catalog.project.insight, {"distinct": None, **line})),
    )

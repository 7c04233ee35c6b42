"""Definitions in words, for ``valtag explain``: what a tag or score is, and how its steps and edges lie."""

from typing import Any

from valtag_assets.engine.rfm import LETTERS
from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.resolved import ResolvedLtv, ResolvedRfm, ResolvedScore, ResolvedTag
from valtag_assets.spec.score import MEASURES


def definition(tag: ResolvedTag) -> str:
    """The tag's canonical text."""
    if tag.aggregate is None:
        assert tag.node is not None
        return f"{tag.master}: {meaning(tag.node)}" if tag.master is not None else meaning(tag.node)
    aggregate = tag.aggregate
    of = "" if aggregate.of is None else meaning(aggregate.of)
    words = [f"{aggregate.agg}({of}) of {aggregate.fact}"]
    if aggregate.where is not None:
        words.append(f"where {meaning(aggregate.where)}")
    if aggregate.window.title is not None:
        words.append(aggregate.window.title.en)
    if aggregate.equals is not None:
        words.append(f"equals {aggregate.equals!r}")
    return ", ".join(words)


def definition_of(tag: ResolvedTag | None, score: ResolvedScore | None) -> str:
    """What is explained, as the catalog defines it: a tag, or else a score."""
    if tag is not None:
        return definition(tag)
    assert score is not None
    if isinstance(score, ResolvedLtv):
        ltv = score.spec
        back = f" less {ltv.refunds}" if ltv.refunds else ""
        return f"value of future orders ({ltv.orders}, {ltv.spend}{back}); candidates {', '.join(ltv.models)}"
    assert isinstance(score, ResolvedRfm)
    rfm = score.spec
    where = "" if score.where is None else f", where {meaning(score.where)}"
    ways = [f"{rfm.bins} bins", *(["nested"] if rfm.scoring == "nested" else [])]
    ways += ["one order apart"] if rfm.one_order == "apart" else []
    return f"RFM of {rfm.recency}, {rfm.frequency}, {rfm.monetary}{where}; {', '.join(ways)}"


def score_words(score: ResolvedRfm, limits: dict[str, Any]) -> list[str]:
    """The edges and thresholds the person's scores used, computed from the tags they were made of."""
    rfm, found = score.spec, []
    for number, name in enumerate(MEASURES):
        edges = [limits[f"{name}_{place}"] for place in range(1, rfm.bins)]
        letter, tag = LETTERS[name].upper(), getattr(rfm, name)
        shown = ", ".join(str(-edge if name == "recency" else edge) for edge in edges)
        side, word = ("below", "near up to") if name == "recency" else ("above", "high from")
        above = [f"{above.upper()} {limits[above]}" for above in list(LETTERS.values())[:number]]
        nested = rfm.scoring == "nested" and name not in rfm.cuts and above
        among = f", among those with {' and '.join(above)}" if nested else ""
        line = f"{letter} of {tag}{among}: 1, and one more for each of {shown} it is {side}"
        found.append(f"{line}; {word} {limits[f'{name}_high']:.12g}")
    return found


def band_words(tag: ResolvedTag) -> list[str]:
    """The steps of a band, and where each begins."""
    assert tag.spec.band is not None
    steps = [
        step.code + (f" from {step.lowest:g}" if step.lowest is not None else "") for step in tag.spec.band.steps
    ]
    return [f"the step of {tag.spec.band.of}: {', '.join(steps)}"]

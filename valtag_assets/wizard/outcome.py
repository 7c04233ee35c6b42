"""What a tag should tell beforehand: that something happens within so many days, and how well it did on history.

The tag is computed as of a past date, from what was dated by then; what followed is known. Only persons whom some
fact knew by then are compared. A master has no past: it holds what the company knows today, and that is said.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from valtag_assets.engine.likeness import as_numbers
from valtag_assets.expression.parse import ExpressionError, parse
from valtag_assets.expression.resolved import Resolved, ResolvedLtv
from valtag_assets.expression.tree import Node
from valtag_assets.models.information import above_chance
from valtag_assets.models.separation import Auc, auc
from valtag_assets.spec.insight import Insight
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.spec.types import BOOLEAN, DataType
from valtag_assets.wizard.sample import Sample

_WRITTEN = re.compile(r"\s*(\w+)(?:\s+where\s+(.+?))?\s+within\s+([1-9]\d{0,3})d\s*", re.DOTALL)
_DAYS = (90, 30)
_LEVELS, _MOST_TEXTS = 5, 20


@dataclass(frozen=True)
class Outcome:
    """A row of ``fact`` that satisfies ``where``, within ``days`` days."""

    text: str
    fact: str
    where: Node | None
    days: int


@dataclass(frozen=True)
class Separation:
    """How well a tag told the outcome: AUC of numbers, information value above chance of any; ``persons`` with a
    value, of whom it ``happened`` to so many; ``today``: the value is of today, since its master has no past; ``why``
    there is no AUC or information value, where one is None."""

    persons: int
    happened: int
    auc: Auc | None
    information: float | None
    today: bool
    why: str | None = None


@dataclass(frozen=True)
class History:
    """The outcome as it was at a past date, one entry per person of the sample."""

    outcome: Outcome
    at: date
    happened: Any
    known: Any


def read_outcome(resolved: Resolved, text: str) -> Outcome:
    """``orders within 90d`` or ``orders where status = 'paid' within 90d``. Raises Mistake."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise Mistake(f"'{text}' is no outcome; write it as in: orders where amount > 100 within 90d")
    fact, where, days = found[1], found[2], int(found[3])
    facts = [code for code, source in resolved.sources.items() if source.spec.kind == "fact"]
    if fact not in facts:
        raise Mistake(f"'{fact}' is no fact{did_you_mean(fact, facts)}")
    try:
        node = parse(where, resolved.sources[fact].scope, expect=BOOLEAN) if where else None
    except ExpressionError as error:
        raise Mistake(f"{where}: {error}") from error
    return Outcome(text, fact, node, days)


def usual_outcome(resolved: Resolved, sample: Sample) -> Outcome | None:
    """What the catalog's LTV score predicts, or a row of its first fact of transactions (of any fact), within the
    longest of some usual horizons for which there is history; None without a fact."""
    fact, where, days = None, None, tuple(_DAYS)
    for score in resolved.scores.values():
        if isinstance(score, ResolvedLtv):
            fact, where = score.orders.fact, score.orders.where
            days = tuple(sorted(score.spec.horizons, reverse=True))
            break
    if fact is None or fact not in sample.spans:
        where = None
        facts = sorted(sample.spans, key=lambda code: resolved.sources[code].spec.family != "transaction")
        fact = next(iter(facts), None)
    if fact is None:
        return None
    enough = [horizon for horizon in days if why_not(sample, Outcome("", fact, where, horizon)) is None]
    horizon = enough[0] if enough else min(days)
    return Outcome(f"{fact} within {horizon}d", fact, where, horizon)


def why_not(sample: Sample, outcome: Outcome) -> str | None:
    """Why the outcome can't be judged on the history there is; None where it can. As many days must lie before the
    past date as after it."""
    first = sample.spans[outcome.fact][0] if outcome.fact in sample.spans else None
    if first is None:
        return f"no row of {outcome.fact} was found"
    at = sample.as_of - timedelta(days=outcome.days)
    if at - timedelta(days=outcome.days) < first:
        return (
            f"not enough history: {outcome.text or outcome.fact} needs {2 * outcome.days} days up to {sample.as_of}, "
            f"and {outcome.fact} begins on {first}"
        )
    return None


def history(sample: Sample, outcome: Outcome) -> History:
    """What happened after the past date to each person of the sample."""
    at = sample.as_of - timedelta(days=outcome.days)
    happened, known = sample.outcome(outcome.fact, outcome.where, at, outcome.days)
    return History(outcome, at, happened, known)


def separations(
    sample: Sample, resolved: Resolved, codes: list[str], past: History
) -> Iterator[tuple[str, Separation]]:
    """Of each column of ``resolved`` how well it would have told the outcome."""
    values = sample.values(resolved, codes, past.at)
    insight = resolved.catalog.project.insight
    for code in codes:
        tag = resolved.tags[code]
        yield code, _separation(values[code], tag.type, past, insight, tag.master is not None)


def _separation(column: pa.ChunkedArray, kind: DataType, past: History, insight: Insight, today: bool) -> Separation:
    has = ~np.asarray(column.is_null().to_pylist(), dtype=np.bool_) & past.known
    happened = past.happened[has]
    persons, hits = int(has.sum()), int(happened.sum())
    if kind.kind == "list":
        return Separation(persons, hits, None, None, today, "a list")
    if min(hits, persons - hits) < insight.least:
        few = f"{hits:,} of {persons:,}: fewer than {insight.least}"
        return Separation(persons, hits, None, None, today, few if hits < insight.least else f"{few} without")
    if kind.kind == "text":
        levels = _text_levels(np.asarray(column.to_pylist(), dtype=object)[has])
        found = None
    else:
        numbers = as_numbers(column, kind)[has]
        found = auc(numbers, happened)
        edges = np.unique(np.quantile(numbers, np.arange(1, _LEVELS) / _LEVELS))
        levels = np.searchsorted(edges, numbers, side="left")
    counts = np.bincount(levels).astype(np.int64)
    converted = np.bincount(levels, weights=happened, minlength=len(counts)).astype(np.int64)
    kept = counts > 0
    value = above_chance([(counts[kept], converted[kept])], insight.permutations, insight.seed)
    why = "a text" if kind.kind == "text" else "one value" if np.isnan(value) else None
    return Separation(persons, hits, found, None if np.isnan(value) else float(value), today, why)


def _text_levels(texts: Any) -> Any:
    """A number per value, the most frequent ones apart and all others together."""
    values, places, counts = np.unique(texts.astype(str), return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.minimum(np.arange(len(values)), _MOST_TEXTS)
    return rank[places]


def to_json(found: Separation | None) -> Mapping[str, Any] | None:
    """Plain data; None where there is none."""
    if found is None:
        return None
    interval = None if found.auc is None else [found.auc.low, found.auc.high]
    return {**vars(found), "auc": None if found.auc is None else found.auc.value, "auc_95": interval}

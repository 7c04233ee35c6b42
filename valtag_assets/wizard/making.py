"""One proposed tag: a block as it would be written, by the naming law (names.py).

``valtag new tag orders.amount --agg sum`` and ``--all`` make their tags here alike, so a thing has one name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from valtag_assets.engine.access import field_levels
from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.parse import ExpressionError, parse
from valtag_assets.expression.resolve_tag import read_window
from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.spec.block import ACCESS_LEVELS, Access
from valtag_assets.spec.mistake import Mistake
from valtag_assets.wizard.fields import Column
from valtag_assets.wizard.names import Named, Reading, named, named_of_master
from valtag_assets.wizard.words import GROUPS, capital

_HOW: Mapping[str, str] = {
    "count": "number of rows",
    "count_distinct": "different values of",
    "sum": "sum of",
    "avg": "mean of",
    "max": "largest",
    "min": "smallest",
    "top": "most frequent",
    "top_k": "most frequent ones of",
    "share": "share of one value of",
    "list": "different values of",
    "days_since_first": "days since the first row",
    "days_since_last": "days since the last row",
}


@dataclass(frozen=True)
class Proposal:
    """A tag as it would be written (``tag``: the block, keys as in YAML), its category, and why it is proposed.

    ``rests_on``: the columns a computed tag or band reads; none of a tag that reads a clean table. ``widens``: the
    tag is there, and only gets these windows. ``vital``: recency, frequency or money, which one wants side by side
    however closely they go together.
    """

    category: str
    tag: Mapping[str, Any]
    reason: str
    rests_on: tuple[str, ...] = ()
    widens: bool = False
    vital: bool = False

    @property
    def code(self) -> str:
        return str(self.tag["code"])

    @property
    def columns(self) -> dict[str, str]:
        """The codes of its columns by window."""
        return {window: self.code + read_window(window).suffix for window in self.tag.get("windows", ("all",))}

    def but(self, **changed: Any) -> "Proposal":
        """The same with other keys; None takes a key away."""
        tag = {**self.tag, **changed}
        return replace(self, tag={key: value for key, value in tag.items() if value is not None})


def fact_tag(resolved: Resolved, reading: Reading, reason: str) -> Proposal:
    """A tag over the rows of a fact. Raises Mistake where the aggregation wants a field and there is none, or for a
    ``where`` that can't be read."""
    called = named(resolved, reading)
    source, of = reading.source, called.of
    value: dict[str, Any] = {"fact": source.code, "agg": reading.agg}
    if of is not None:
        value["of"] = of
    value |= reading.options
    if reading.agg in ("top", "top_k") and "by" not in value:
        value["by"] = "count()"
        if reading.money is not None:
            value["ties"] = [f"sum({reading.money}) desc"]
    if reading.agg == "share" and reading.money is not None and "by" not in value:
        value["by"] = f"sum({reading.money})"
    if reading.where:
        value["where"] = reading.where
    windows = None if tuple(reading.windows) == ("all",) else list(reading.windows)
    texts = [text for text in (of, reading.where, reading.money if "sum" in str(value) else None) if text]
    return _proposal(resolved, source, _category(reading), called, value, windows, texts, reason)


def master_tag(resolved: Resolved, column: Column, how: str | None, reason: str) -> Proposal:
    """A tag over a field of a master: the field itself, or ``how`` (years_since, days_since, days_to_anniversary) of
    it."""
    called = named_of_master(column, how)
    value = {"master": column.source.code, "of": called.of}
    category = "lifecycle" if how in ("days_since", "days_to_anniversary") else "attribute"
    texts = [called.of or column.name]
    return _proposal(resolved, column.source, category, called, value, None, texts, reason)


def over_tags(
    of: Proposal, code: str, title: tuple[str, str], group: str, how: Mapping[str, Any], reason: str, *more: str
) -> Proposal:
    """A band or computed tag over the columns of ``of`` and ``more``: as open as the proposal it rests on. ``how``:
    its type and value or band."""
    zh, en = title
    tag = {"code": code, "title": {"zh": zh, "en": en}, "group": GROUPS[group], **how}
    if "access" in of.tag:
        tag["access"] = of.tag["access"]
    return Proposal(of.category, tag, reason, rests_on=(of.code, *more))


def highest(levels: Iterable[Access]) -> Access:
    """The highest of some levels; internal where none is higher, as a tag that says nothing has."""
    return max(["internal", *levels], key=ACCESS_LEVELS.index)


def _proposal(
    resolved: Resolved,
    source: ResolvedSource,
    category: str,
    named: Named,
    value: Mapping[str, Any],
    windows: list[str] | None,
    texts: Sequence[str],
    reason: str,
) -> Proposal:
    levels = field_levels(resolved, source)
    access = highest(levels[name] for text in texts for name in _names(source, text))
    tag = {
        "code": named.code,
        "title": {"zh": named.zh, "en": named.en},
        "group": GROUPS[named.group],
        "meaning": _meaning(value),
        "type": str(named.type),
        "unit": named.unit,
        "value": value,
        "windows": windows,
        "domain": named.domain,
        "empty": named.empty,
        "access": access if access != "internal" else None,
    }
    return Proposal(category, {key: item for key, item in tag.items() if item is not None}, reason)


def _meaning(value: Mapping[str, Any]) -> str:
    """What a tag holds, as a sentence: Sum of amount over orders, where status = 'paid'."""
    if "master" in value:
        return capital(f"{value['of']} of {value['master']}")
    how = _HOW.get(value["agg"], value["agg"])
    of = f" {value['of']}" if "of" in value else ""
    where = f", where {value['where']}" if "where" in value else ""
    return capital(f"{how}{of} over {value['fact']}{where}")


def _names(source: ResolvedSource, text: str) -> frozenset[str]:
    try:
        return names_read(parse(text, source.scope))
    except ExpressionError as error:
        raise Mistake(f"{text}: {error}") from error


def _category(reading: Reading) -> str:
    if reading.agg in ("days_since_first", "days_since_last"):
        return "lifecycle"
    if reading.agg in ("top", "top_k", "share", "list"):
        return "interest"
    if reading.column is not None and reading.column.part in ("dimension", "id", "text") and reading.agg != "count":
        return "interest"
    return "transaction" if reading.source.spec.family == "transaction" or _is_spend(reading) else "behavior"


def _is_spend(reading: Reading) -> bool:
    column = reading.column
    return reading.agg == "sum" and column is not None and column.part in ("money", "price")

"""``valtag new tag orders.amount --agg sum --window 30d``: one proposal from what a command line says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.parse import ExpressionError, parse
from valtag_assets.expression.resolve_tag import read_window
from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.expression.tree import Call, Literal, Name
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.naming_law import code_of
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.spec.tag import WITHOUT_FIELD, Aggregation, check_windows
from valtag_assets.wizard.fields import Column, Figures, columns_of
from valtag_assets.wizard.making import Proposal, Reading, fact_tag, master_tag
from valtag_assets.wizard.words import Noun, noun_of, noun_of_field, value_title

AGGREGATIONS: tuple[str, ...] = Aggregation.__args__  # type: ignore[attr-defined]
OF_MASTERS = ("value", "years_since", "days_since", "days_to_anniversary")
# What an aggregation of a field without one is most often wanted for.
_USUAL: Mapping[str, str] = {
    "time": "days_since_last", "entity": "count_distinct", "session": "count_distinct", "id": "count_distinct",
    "money": "sum", "additive": "sum", "price": "avg", "rate": "avg", "flag": "count", "type": "top", "status": "top",
    "dimension": "top", "text": "last", "birth": "last", "changed": "last", "date": "last",
}  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """What somebody asks for; what is None follows from the field. ``field``: ``orders.amount``, or ``orders``."""

    field: str
    agg: str | None = None
    windows: tuple[str, ...] = ()
    where: str | None = None
    code: str | None = None
    zh: str | None = None
    en: str | None = None
    category: str | None = None
    group: str | None = None
    unit: str | None = None
    meaning: str | None = None
    access: str | None = None
    owner: str | None = None
    q: float | None = None
    k: int | None = None


def source_of(resolved: Resolved, text: str) -> tuple[ResolvedSource, str | None]:
    """The source and field that ``orders.amount`` names, or the source alone. Raises Mistake."""
    code, _, field = text.partition(".")
    known = [name for name, source in resolved.sources.items() if source.spec.kind in ("master", "fact")]
    if code not in known:
        raise Mistake(f"'{code}' is no master or fact{did_you_mean(code, known)}")
    source = resolved.sources[code]
    if field and field not in source.columns:
        raise Mistake(f"'{field}' is no field of {code}{did_you_mean(field, list(source.columns))}")
    return source, field or None


def usual_agg(resolved: Resolved, text: str, figures: Mapping[str, Figures] | None = None) -> str:
    """The aggregation that is most often wanted of the field; of a master what is made of it."""
    source, field = source_of(resolved, text)
    if source.spec.kind == "master":
        column = _column(resolved, source, _field_of(source, field), figures)
        return {"birth": "years_since", "date": "days_since"}.get(column.part, "value")
    return "count" if field is None else _USUAL.get(_column(resolved, source, field, figures).part, "count")


def propose_one(resolved: Resolved, wish: Wish, figures: Mapping[str, Figures] | None = None) -> Proposal:
    """The tag that is wished for. Raises Mistake for a field, aggregation, window or condition that is none."""
    source, field = source_of(resolved, wish.field)
    agg = wish.agg or usual_agg(resolved, wish.field, figures)
    if source.spec.kind == "master":
        made = _of_master(resolved, _column(resolved, source, _field_of(source, field), figures), agg, wish)
    else:
        made = _of_fact(resolved, source, field, agg, wish, figures)
    return _as_wished(made, wish)


def _of_master(resolved: Resolved, column: Column, how: str, wish: Wish) -> Proposal:
    if how not in OF_MASTERS:
        raise Mistake(f"'{how}' is nothing made of a master's field{did_you_mean(how, OF_MASTERS)}")
    if wish.where or wish.windows:
        raise Mistake("--where and --window are for facts; a master has one row per person")
    if how != "value" and not column.type.temporal:
        raise Mistake(f"{how} is for dates, and '{column.name}' is {column.type}")
    return master_tag(resolved, column, None if how == "value" else how, _asked(wish))


def _of_fact(
    resolved: Resolved,
    source: ResolvedSource,
    field: str | None,
    agg: str,
    wish: Wish,
    figures: Mapping[str, Figures] | None,
) -> Proposal:
    if agg not in AGGREGATIONS:
        raise Mistake(f"'{agg}' is no aggregation{did_you_mean(agg, AGGREGATIONS)}")
    column = _column(resolved, source, field, figures) if field is not None else None
    noun, where, which = noun_of(source), wish.where, _which(source, wish.where)
    if column is not None and column.part in ("entity", "session"):
        noun = noun_of_field(source, column.name)
    if column is not None and column.part == "flag" and agg == "count":
        where = column.name if where is None else f"{column.name} and ({where})"
        which = Noun(column.name.removeprefix("is_").removeprefix("has_"), source.titles[column.name].zh, column.name)
    if agg in WITHOUT_FIELD:
        column = None
    options: dict[str, Any] = {name: value for name, value in (("q", wish.q), ("k", wish.k)) if value is not None}
    money = next((c.name for c in columns_of(resolved, source, figures) if c.part == "money"), None)
    reading = Reading(source, agg, column, where, _windows(wish.windows), noun, which, money, options)
    made = fact_tag(resolved, reading, _asked(wish))
    if wish.where is None or which is not None:
        return made
    # A longer condition is told in its own words; its fields come first in the code.
    fields = "_".join(sorted(names_read(parse(wish.where, source.scope))))
    zh, en = made.tag["title"]["zh"], made.tag["title"]["en"]
    front = "days_since_" if made.code.startswith("days_since_") else ""
    code = f"{front}{fields}_{made.code.removeprefix(front)}"
    return made.but(code=code, title={"zh": f"{zh}（{wish.where}）", "en": f"{en} where {wish.where}"})


def _as_wished(made: Proposal, wish: Wish) -> Proposal:
    title = {"zh": wish.zh or made.tag["title"]["zh"], "en": wish.en or made.tag["title"]["en"]}
    changed: dict[str, Any] = {"title": title}
    for key in ("code", "group", "unit", "meaning", "access", "owner"):
        if getattr(wish, key) is not None:
            changed[key] = getattr(wish, key)
    return replace(made.but(**changed), category=wish.category or made.category)


def _windows(texts: Sequence[str]) -> tuple[str, ...]:
    """The windows as they are written; Mistake for one that is none."""
    try:
        found = check_windows(tuple(texts)) or ("all",)
    except ValueError as error:
        raise Mistake(str(error)) from error
    assert all(read_window(window) for window in found)
    return found


def _which(source: ResolvedSource, where: str | None) -> Noun | None:
    """What a condition ``field = 'value'`` is called; None for a longer one."""
    if where is None:
        return None
    try:
        node = parse(where, source.scope)
    except ExpressionError as error:
        raise Mistake(f"--where {where}: {error}") from error
    if isinstance(node, Call) and node.function == "=" and len(node.arguments) == 2:
        name, value = node.arguments
        if isinstance(name, Name) and isinstance(value, Literal) and isinstance(value.value, str):
            title = value_title(source, name.code, value.value)
            return Noun(code_of(value.value), title.zh, title.en)
    return None


def _column(resolved: Resolved, source: ResolvedSource, field: str, figures: Mapping[str, Figures] | None) -> Column:
    return next(column for column in columns_of(resolved, source, figures) if column.name == field)


def _field_of(source: ResolvedSource, field: str | None) -> str:
    if field is None:
        raise Mistake(f"a tag of a master is one of its fields: {source.code}.{', '.join(source.columns)}")
    return field


def _asked(wish: Wish) -> str:
    return f"asked for: {wish.agg or 'the usual'} of {wish.field}"

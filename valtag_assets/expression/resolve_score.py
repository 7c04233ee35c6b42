"""Models resolved: the tags they are made of met and typed, their columns named."""

from collections.abc import Mapping
from dataclasses import replace

from valtag_assets.expression.lineage import meaning, names_read
from valtag_assets.expression.parse import ExpressionError, parse
from valtag_assets.expression.resolved import (
    Aggregate,
    ResolvedLtv,
    ResolvedRfm,
    ResolvedScore,
    ResolvedTag,
    Window,
)
from valtag_assets.expression.scope import Scope, Symbol
from valtag_assets.spec.catalog import Catalog, Entry
from valtag_assets.spec.ltv import Ltv
from valtag_assets.spec.problem import Problem, did_you_mean
from valtag_assets.spec.score import COLUMN_TITLES, MEASURES, QUADRANTS, Rfm
from valtag_assets.spec.types import BOOLEAN, INTEGER, TEXT

ALWAYS = Window("all")


def resolve_scores(
    catalog: Catalog, tags: Mapping[str, ResolvedTag], symbols: list[Symbol], problems: list[Problem]
) -> dict[str, ResolvedScore]:
    """Every sound model of the catalog. Mistakes go to ``problems``."""
    found: dict[str, ResolvedScore] = {}
    for code, entry in catalog.scores.items():
        if isinstance(entry.spec, Rfm):
            found[code] = _rfm(entry, Scope(symbols, "tag"), problems)
        elif (ltv := _ltv(entry, tags, Scope(symbols, "tag"), problems)) is not None:
            found[code] = ltv
    _columns_are_new(catalog, symbols, found, problems)
    return found


def _rfm(entry: Entry[Rfm], scope: Scope, problems: list[Problem]) -> ResolvedRfm:
    rfm, code = entry.spec, entry.spec.score
    for name in MEASURES:
        tag = scope.get(getattr(rfm, name))
        if tag is None:
            problems.append(_no_tag(entry, getattr(rfm, name), scope, name))
        elif not tag.type.numeric:
            problems.append(entry.problem(f"'{tag.code}' is a {tag.type}; RFM needs numbers", name))
        elif name == "frequency" and rfm.one_order == "apart" and tag.type != INTEGER:
            message = f"'{tag.code}' is a {tag.type}; one_order: apart needs a number of orders, an integer"
            problems.append(entry.problem(message, "one_order"))
    where = None
    if rfm.where is not None:
        try:
            where = parse(rfm.where, scope, expect=BOOLEAN)
        except ExpressionError as error:
            problems.append(entry.problem(str(error), "where"))
    read = {getattr(rfm, name) for name in MEASURES} | (names_read(where) if where else set())
    columns = {f"{code}_{letter}": INTEGER for letter in "rfm"}
    columns |= {f"{code}_{name}": TEXT for name in ("code", "quadrant", "tier")}
    unnamed = rfm.model_copy(update={"title": None, "meaning": None, "owner": None, "where": None})
    return ResolvedRfm(
        code=code,
        entry=entry,
        tags=frozenset(read),
        columns=columns,
        titles={name: COLUMN_TITLES[name.removeprefix(f"{code}_")] for name in columns},
        values={
            f"{code}_quadrant": QUADRANTS,
            f"{code}_tier": {tier.code: tier.title for tier in rfm.named_tiers},
        },
        meaning=repr((repr(unnamed), meaning(where) if where else None)),
        where=where,
    )


def _ltv(
    entry: Entry[Ltv], tags: Mapping[str, ResolvedTag], scope: Scope, problems: list[Problem]
) -> ResolvedLtv | None:
    ltv, before = entry.spec, len(problems)
    orders = _aggregate(entry, "orders", ("count", "count_distinct"), tags, scope, problems)
    spend = _aggregate(entry, "spend", ("sum",), tags, scope, problems)
    refunds = _aggregate(entry, "refunds", ("sum",), tags, scope, problems) if ltv.refunds else None
    features = [_feature(entry, number, tags, scope, problems) for number in range(len(ltv.features))]
    currency = tags[ltv.spend].spec.unit if ltv.spend in tags else None
    if spend is not None and currency is None:
        message = f"tag '{ltv.spend}' has no unit, so nobody knows in which currency it is: give it one (unit: CNY)"
        problems.append(entry.problem(message, "spend"))
    if refunds is not None and ltv.refunds and tags[ltv.refunds].spec.unit != currency:
        other = tags[ltv.refunds].spec.unit
        message = f"'{ltv.refunds}' is in {other} and '{ltv.spend}' in {currency}: bring both to one currency"
        problems.append(entry.problem(message, "refunds"))
    if orders is None or spend is None or len(problems) > before:
        return None
    code, columns = ltv.score, ltv.column_titles()
    named = {item for item in (ltv.orders, ltv.spend, ltv.refunds, *ltv.features) if item}
    unnamed = ltv.model_copy(update={"title": None, "meaning": None, "owner": None, "refresh": None})
    return ResolvedLtv(
        code=code,
        entry=entry,
        tags=frozenset(named),
        columns={f"{code}_{name}": kind for name, (kind, _) in columns.items()},
        titles={f"{code}_{name}": title for name, (_, title) in columns.items()},
        values={
            f"{code}_tier": {tier.code: tier.title for tier in ltv.tiers},
            f"{code}_churn": {level.code: level.title for level in ltv.churn_levels},
        },
        meaning=repr((repr(unnamed), currency, [tags[name].meaning for name in sorted(named)])),
        orders=orders,
        spend=spend,
        refunds=refunds,
        currency=currency or "",
        features=tuple(item for item in features if item is not None),
    )


def _aggregate(
    entry: Entry[Ltv],
    key: str,
    wanted: tuple[str, ...],
    tags: Mapping[str, ResolvedTag],
    scope: Scope,
    problems: list[Problem],
) -> Aggregate | None:
    """What the tag named by ``key`` reads of its fact, whatever its window."""
    name = getattr(entry.spec, key)
    tag = tags.get(name)
    if tag is None:
        if scope.get(name) is None:  # a tag at fault is blamed already
            problems.append(_no_tag(entry, name, scope, key))
        return None
    if tag.aggregate is None or tag.aggregate.agg not in wanted:
        kinds = " or ".join(wanted)
        reads = f"agg {tag.aggregate.agg}" if tag.aggregate is not None else "no tag over a fact"
        problems.append(entry.problem(f"'{name}' must be a tag over a fact with agg {kinds}; it is {reads}", key))
        return None
    return replace(tag.aggregate, window=ALWAYS)


def _feature(
    entry: Entry[Ltv],
    number: int,
    tags: Mapping[str, ResolvedTag],
    scope: Scope,
    problems: list[Problem],
) -> ResolvedTag | None:
    name = entry.spec.features[number]
    tag = tags.get(name)
    if tag is None:
        if scope.get(name) is None:
            problems.append(_no_tag(entry, name, scope, "features", number))
    elif tag.aggregate is None or not tag.type.numeric:
        message = f"'{name}' can't be a feature: only numbers over a fact are known for every past date"
        problems.append(entry.problem(message, "features", number))
    return tag


def _no_tag(entry: Entry[Rfm] | Entry[Ltv], name: str, scope: Scope, *place: str | int) -> Problem:
    known = [symbol.code for symbol in scope]
    return entry.problem(f"'{name}' is no tag{did_you_mean(name, known)}", *place)


def _columns_are_new(
    catalog: Catalog, symbols: list[Symbol], scores: Mapping[str, ResolvedScore], problems: list[Problem]
) -> None:
    taken = {symbol.code: "a tag" for symbol in symbols}
    for code, score in scores.items():
        for column in score.columns:
            if column in taken:
                message = f"score '{code}' gives a column '{column}', and {taken[column]} has that code already"
                problems.append(catalog.scores[code].problem(message, "score"))
            taken.setdefault(column, f"score '{code}'")

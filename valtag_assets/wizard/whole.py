"""``valtag new tag --all``: the tags a data team would want of the sources a catalog has, by their whitelist.

What each field gives follows from its part (fields.py); nothing here knows a data set. Whether a proposal says
anything new, or anything at all, is decided afterwards on data (judging.py).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from valtag_assets.engine.access import may_read
from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.spec.naming_law import code_of
from valtag_assets.wizard import words
from valtag_assets.wizard.fields import Column, Figures, columns_of
from valtag_assets.wizard.making import Proposal, fact_tag, master_tag, over_tags
from valtag_assets.wizard.names import MONEY, Reading, lawful
from valtag_assets.wizard.tiers import age_band
from valtag_assets.wizard.words import GROUPS, Noun

WINDOWS = (365, 90, 30)
# Of one fact: so many fields at most tell what a person likes, so many kinds of rows are counted apart.
_LIKED, _KINDS = 5, 8
# And of so many of them also how faithful and how broad the liking is.
_BROAD = 2
# A fact that so many fewer persons have a row of than of the widest one says only how often and when.
_REACH = 0.15
# What matters most comes first, and has the plain names.
_FAMILIES = ("master", "transaction", "behavior", "channel", "other")


@dataclass(frozen=True)
class Fact:
    """A fact with its columns by part. ``days``: of history up to the as-of, None where it is not known."""

    resolved: Resolved
    source: ResolvedSource
    columns: Sequence[Column]
    days: int | None

    def of(self, *parts: str) -> list[Column]:
        """The core columns with one of these parts, in the order of the parts, then of the table."""
        return [c for part in parts for c in self.columns if c.part == part and c.layer == "core" and _open(c)]

    def first(self, *parts: str) -> Column | None:
        return next(iter(self.of(*parts)), None)

    @property
    def windows(self) -> tuple[str, ...]:
        """The whole history, and the windows that are shorter than it."""
        return ("all", *(f"{days}d" for days in WINDOWS if self.days is None or days < self.days))

    @property
    def recent(self) -> tuple[str, ...]:
        """The whole history, and one window that shows what is going on now."""
        return tuple(window for window in self.windows if window in ("all", "90d"))


@dataclass(frozen=True)
class Looked:
    """What is known of the data, by source: figures of the fields, the first and last date of a fact, the share of
    persons who have a row. Nothing where nothing has been looked at."""

    figures: Mapping[str, Mapping[str, Figures]] = field(default_factory=dict)
    spans: Mapping[str, tuple[date, date]] = field(default_factory=dict)
    reach: Mapping[str, float] = field(default_factory=dict)
    as_of: date | None = None

    def days(self, source: str) -> int | None:
        """The days of history of a fact up to the as-of."""
        return (self.as_of - self.spans[source][0]).days + 1 if self.as_of and source in self.spans else None


def propose(resolved: Resolved, looked: Looked) -> list[Proposal]:
    """Every proposal of the catalog in the order of the tag tree, no code twice."""
    found: list[Proposal] = []
    widest = max(
        (looked.reach.get(code, 0.0) for code, s in resolved.sources.items() if s.spec.kind == "fact"), default=0
    )
    for code, source in sorted(resolved.sources.items(), key=lambda item: _FAMILIES.index(item[1].spec.family)):
        columns = columns_of(resolved, source, looked.figures.get(code))
        if source.spec.kind == "master":
            found += _of_master(resolved, columns)
        elif source.spec.kind == "fact":
            fact = Fact(resolved, source, columns, looked.days(code))
            found += _of_few(fact) if looked.reach.get(code, widest) < _REACH * widest else _of_fact(fact)
    order = list(words.CATEGORIES)
    return sorted(_apart(resolved, found), key=lambda proposal: order.index(proposal.category))


def left_out(resolved: Resolved) -> dict[str, str]:
    """The whitelisted fields that no proposal of ``--all`` reads because of what they are, and why."""
    found = {}
    for code, source in resolved.sources.items():
        for column in columns_of(resolved, source) if source.spec.kind in ("master", "fact") else ():
            if not _open(column):
                found[f"{code}.{column.name}"] = "personal data: name it to have a tag of it"
            elif column.layer != "core":
                found[f"{code}.{column.name}"] = f"its layer is {column.layer}"
    return found


def _open(column: Column) -> bool:
    return may_read("sensitive", column.access)


def _apart(resolved: Resolved, proposals: Sequence[Proposal]) -> Iterator[Proposal]:
    """No code twice, nor one the catalog has: a taken one says whose it is, and is left out if that is taken."""
    taken = set(resolved.tags)
    for proposal in proposals:
        made = proposal
        if taken & set(made.columns.values()) and not proposal.rests_on:
            value = proposal.tag["value"]
            source = resolved.sources[str(value.get("fact") or value.get("master"))]
            zh, en, noun = proposal.tag["title"]["zh"], proposal.tag["title"]["en"], words.noun_of(source)
            title = {"zh": zh if noun.zh in zh else noun.zh + zh, "en": f"{en} ({noun.many})"}
            named = source.code if noun.code in proposal.code else noun.code
            made = proposal.but(code=_whose(named, proposal.code), title=title)
        if not taken & set(made.columns.values()):
            taken |= set(made.columns.values())
            yield made


_FRONT = re.compile(r"(?:days_since_(?:first|last)_|days_since_|days_to_|top_|first_|last_|total_|avg_|is_|has_)?")


def _whose(noun: str, code: str) -> str:
    """top_brand → top_order_brand."""
    front = _FRONT.match(code)
    assert front is not None
    return f"{front[0]}{noun}_{code[front.end() :]}"


# --- masters ----------------------------------------------------------------------------------------------------


def _of_master(resolved: Resolved, columns: Sequence[Column]) -> Iterator[Proposal]:
    for column in columns:
        if column.layer != "core" or not _open(column):
            continue
        if column.part in ("dimension", "type", "status", "flag"):
            yield master_tag(resolved, column, None, "who the person is")
        elif column.type.numeric and column.part != "id":
            yield master_tag(resolved, column, None, "a number the company keeps of the person")
        elif column.part == "birth":
            age = master_tag(
                resolved, column, "years_since", "age follows from the birth date, and changes by itself"
            )
            yield age
            yield age_band(age)
            yield master_tag(resolved, column, "days_to_anniversary", "birthday greetings")
        elif column.part == "date":
            yield master_tag(
                resolved, column, "days_since", "how long ago it was, for any day; the date itself is fixed"
            )


# --- facts ------------------------------------------------------------------------------------------------------


def _of_few(fact: Fact) -> Iterator[Proposal]:
    counts, where = _counted(fact), _good(fact)
    yield from counts.tags(fact, where)
    yield next(_times(fact, counts.noun, where))


def _of_fact(fact: Fact) -> Iterator[Proposal]:
    kinds = _kinds(fact)
    bought = next((kind for kind in kinds if kind.bought), None)
    counts, where = _counted(fact), _good(fact)
    yield from counts.tags(fact, where)
    if fact.source.spec.family == "transaction":
        yield from _spent(fact, where, counts.noun, None)
    else:
        yield _distinct_days(fact)
        for kind in kinds:
            yield kind.tag(fact)
        if bought is not None:
            yield from _bought(fact, bought)
    if where is not None:
        yield from _undone(fact, counts.noun)
    yield from _times(fact, counts.noun, where)
    yield from _amounts(fact, where)
    yield from _flags(fact, counts.noun)
    yield from _liked(fact, bought.where if bought else where, _money(fact))


@dataclass(frozen=True)
class _Counted:
    """What is counted of a fact: its rows, or what several rows make up."""

    noun: Noun
    column: Column | None

    def tags(self, fact: Fact, where: str | None) -> Iterator[Proposal]:
        reading = Reading(fact.source, "count", None, where, fact.windows, self.noun)
        if self.column is None:
            yield vital(fact_tag(fact.resolved, reading, f"how often: rows of {fact.source.code}"))
        else:
            reading = replace(reading, agg="count_distinct", column=self.column)
            why = f"how often: several rows share one {self.column.name}"
            yield vital(fact_tag(fact.resolved, reading, why))


@dataclass(frozen=True)
class _Kind:
    """One kind of row of a behaviour, by the value of its type."""

    column: Column
    value: str
    noun: Noun
    bought: bool

    @property
    def where(self) -> str:
        return f"{self.column.name} = {_quoted(self.value)}"

    def tag(self, fact: Fact) -> Proposal:
        reading = Reading(fact.source, "count", None, self.where, fact.recent, which=self.noun)
        return fact_tag(fact.resolved, reading, f"one of the kinds of {self.column.name}")


def _counted(fact: Fact) -> _Counted:
    """Rows, unless an order (or session) has several of them."""
    entity = fact.first("entity", "session")
    if entity is None or list(fact.source.spec.key) == [entity.name]:
        return _Counted(words.noun_of(fact.source), None)
    return _Counted(words.noun_of_field(fact.source, entity.name), entity)


def _kinds(fact: Fact) -> list[_Kind]:
    column = fact.first("type")
    if column is None:
        return []
    found = []
    for value in (column.values or ())[:_KINDS]:
        title = words.value_title(fact.source, column.name, value)
        # A number names nothing.
        if not value.isdigit():
            bought = bool(words.BOUGHT.search(f"{value} {title.zh}"))
            found.append(_Kind(column, value, Noun(code_of(value), title.zh, title.en), bought))
    return found


def _good(fact: Fact) -> str | None:
    """The rows that count, where a status says which were paid for."""
    column = fact.first("status")
    if column is None:
        return None
    good = [value for value in column.values or () if words.PAID.search(_with_title(fact, column, value))]
    if not good:
        return None
    if len(good) == 1:
        return f"{column.name} = {_quoted(good[0])}"
    return f"{column.name} in ({', '.join(map(_quoted, good))})"


def _undone(fact: Fact, noun: Noun) -> Iterator[Proposal]:
    column = fact.first("status")
    for value in (column.values or ()) if column is not None else ():
        if column is not None and words.UNDONE.search(_with_title(fact, column, value)):
            title = words.value_title(fact.source, column.name, value)
            which = Noun(f"{code_of(value)}_{noun.code}", f"{title.zh}{noun.zh}", f"{title.en} {noun.en}")
            reading = Reading(fact.source, "count", None, f"{column.name} = {_quoted(value)}", fact.recent, which)
            yield fact_tag(fact.resolved, reading, "what was bought and given back")


def _with_title(fact: Fact, column: Column, value: str) -> str:
    title = words.value_title(fact.source, column.name, value)
    return f"{value} {value.replace('_', ' ')} {title.zh}"


def _money(fact: Fact) -> Column | None:
    return fact.first("money") or (fact.first("price") if not fact.of("additive") else None)


def _spent(fact: Fact, where: str | None, noun: Noun, which: Noun | None) -> Iterator[Proposal]:
    money = _money(fact)
    if money is None:
        return
    reading = Reading(fact.source, "sum", money, where, fact.windows, which=which)
    spend = vital(fact_tag(fact.resolved, reading, "how much: the money of a row adds up"))
    yield spend
    count = f"{noun.code}_count"
    how = {"type": str(MONEY), "unit": spend.tag["unit"], "value": f"round({spend.code} / {count}, 2)"}
    title = (f"{noun.zh}均额", f"Average {noun.en} value")
    yield over_tags(spend, f"avg_{noun.code}_value", title, "money", how, f"{spend.code} over {count}", count)


def _bought(fact: Fact, bought: _Kind) -> Iterator[Proposal]:
    """What a fact of behaviours tells of purchases: money and the time since the last one."""
    money = _money(fact)
    if money is not None:
        reading = Reading(fact.source, "sum", money, bought.where, fact.windows)
        yield vital(fact_tag(fact.resolved, reading, f"rows of {bought.value} carry the money that was spent"))
    reading = Reading(fact.source, "days_since_last", None, bought.where, which=bought.noun)
    yield vital(fact_tag(fact.resolved, reading, "recency of what matters most"))


def _distinct_days(fact: Fact) -> Proposal:
    time = next(column for column in fact.columns if column.part == "time")
    reading = Reading(fact.source, "count_distinct", time, None, fact.recent)
    return fact_tag(fact.resolved, reading, "a habit shows in days, however many rows a day has")


def _times(fact: Fact, noun: Noun, where: str | None) -> Iterator[Proposal]:
    for agg, why in (
        ("days_since_last", "recency"),
        ("days_since_first", "how long the person has been known by it"),
    ):
        yield fact_tag(fact.resolved, Reading(fact.source, agg, None, where, noun=noun), why)


def _amounts(fact: Fact, where: str | None) -> Iterator[Proposal]:
    main = _money(fact)
    for column in fact.of("money", "additive"):
        if column != main:
            reading = Reading(fact.source, "sum", column, where, fact.recent)
            yield fact_tag(fact.resolved, reading, "a quantity of a row that adds up")
    for column in fact.of("price", "rate"):
        if column != main:
            reading = Reading(fact.source, "avg", column, where)
            yield fact_tag(fact.resolved, reading, "a level, which does not add up: its mean")


def _flags(fact: Fact, noun: Noun) -> Iterator[Proposal]:
    for column in fact.of("flag"):
        stem, title = re.sub(r"^(?:is|has)_", "", column.name), column.source.titles[column.name]
        which = Noun(
            f"{stem}_{noun.code}", f"{re.sub('^是否', '', title.zh)}{noun.zh}", f"{title.en.lower()} {noun.en}"
        )
        reading = Reading(fact.source, "count", None, column.name, fact.recent, which)
        yield fact_tag(fact.resolved, reading, f"rows for which {column.name} holds")


def _liked(fact: Fact, where: str | None, money: Column | None) -> Iterator[Proposal]:
    name = money.name if money is not None else None
    chosen = fact.of("dimension")
    for column in [column for column in chosen if column.figures is not None and column.figures.steady]:
        reading = Reading(fact.source, "last", column)
        latest = fact_tag(fact.resolved, reading, "hardly anybody has two values: it belongs to the person")
        own = {"zh": column.source.titles[column.name].zh, "en": column.source.titles[column.name].en}
        code = lawful(column.name, column.type)
        yield replace(latest, category="attribute").but(code=code, title=own, group=GROUPS["about"])
    varied = [column for column in chosen if column.figures is None or not column.figures.steady]
    broad = 0
    for column in varied[:_LIKED]:
        reading = Reading(fact.source, "top", column, where, money=name)
        yield fact_tag(fact.resolved, reading, f"what the person likes: the {column.name} of most rows")
        if words.CHANNEL.search(words.said(fact.source, column.name)):
            first = Reading(fact.source, "first", column, where)
            yield fact_tag(fact.resolved, first, "where the person came from")
        elif broad < _BROAD:
            broad += 1
            yield fact_tag(fact.resolved, replace(reading, agg="share"), "how faithful the person is to it")
            many = replace(reading, agg="count_distinct", money=None)
            yield fact_tag(fact.resolved, many, "how wide the person's interest is")


def vital(proposal: Proposal) -> Proposal:
    """The proposal as one of recency, frequency or money."""
    return replace(proposal, vital=True)


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"

"""A source's clean columns, and its lookups, computed fields and row rules as typed trees."""

from collections.abc import Collection, Iterator, Mapping

from valtag_assets.expression.lineage import carried, meaning
from valtag_assets.expression.parse import ExpressionError, parse
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.expression.scope import Scope, Symbol
from valtag_assets.expression.tree import Node
from valtag_assets.spec.block import Title
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.problem import Problem
from valtag_assets.spec.source import RowRule, Source
from valtag_assets.spec.types import BOOLEAN, DataType

ORIGIN_COLUMNS = ("_file", "_row")
UNMEANT = {"title", "meaning", "owner", "checks", "reason", "layer", "access"}


def resolve_source(
    entry: Entry[Source], lookups: Mapping[str, ResolvedSource], problems: list[Problem], *, keyed: bool = False
) -> ResolvedSource:
    """Type ``entry``; ``lookups`` are the lookup sources, resolved before. Mistakes go to ``problems``.

    ``keyed``: identity.yaml says who its rows belong to, so a master may have several rows of one person.
    """
    source = entry.spec
    columns, titles, values = _declared(source, lookups)
    # While rows are cleaned their own values are there; what lookups bring are tokens already.
    taken_tokens = _taken_tokens(source, lookups)
    compute = []
    for number, item in enumerate(source.compute):
        try:
            node = parse(item.value, _scope(source, columns, titles, values, taken_tokens), expect=item.type)
            problems.extend(_sealed_faults(entry, node, taken_tokens, "compute", number, "value"))
            compute.append((item, node))
        except ExpressionError as error:
            problems.append(entry.problem(str(error), "compute", number, "value"))
        columns[item.name] = item.type
        titles[item.name] = item.title or Title(zh=item.name, en=item.name)
    scope = _scope(source, columns, titles, values, taken_tokens)
    refuse = _row_rules(entry, "refuse", source.refuse, scope, problems)
    drop = _row_rules(entry, "drop", source.drop, scope, problems)
    vaulted = taken_tokens | frozenset(source.vaulted)
    problems.extend(_order_faults(entry, vaulted))
    trees = [meaning(node) for _, node in (*compute, *refuse, *drop)]
    problems.extend(_role_faults(entry, columns, keyed=keyed))
    problems.extend(_lookup_faults(entry, columns, lookups))
    taken = "".join(sorted(lookups[look.source].meaning for look in source.lookups if look.source in lookups))
    parts = (_without_words(source.model_dump(mode="python")), trees, taken)
    return ResolvedSource(
        code=source.source,
        entry=entry,
        columns=columns,
        titles=titles,
        values=values,
        compute=tuple(compute),
        refuse=refuse,
        drop=drop,
        meaning=repr((*parts, *([source.vaulted] if source.vaulted else []))),
        scope=_scope(source, columns, titles, values, vaulted) if vaulted - taken_tokens else scope,
        keyed=keyed,
        vaulted=vaulted,
    )


def _role_faults(entry: Entry[Source], columns: Mapping[str, DataType], *, keyed: bool) -> Iterator[Problem]:
    """A time that is no time, a person that is no key, a master that would hold a person twice."""
    source = entry.spec
    time = columns.get(source.time or "")
    if time is not None and not time.temporal:
        yield entry.problem(f"'{source.time}' is a {time}, no time: give it type timestamp or date", "time")
    person = columns.get(source.person or "")
    if person is not None and person.kind not in ("text", "integer"):
        yield entry.problem(f"'{source.person}' is a {person}: a person's key is text or integer", "person")
    merged = source.deduplicate.key if source.deduplicate else (source.person,)
    if source.kind == "master" and not keyed and merged != (source.person,):
        message = f"a master has one row per person: deduplicate by [{source.person}], or make it a fact"
        yield entry.problem(message, "deduplicate", "key")


def _taken_tokens(source: Source, lookups: Mapping[str, ResolvedSource]) -> frozenset[str]:
    """The columns that lookups bring and that are vaulted there."""
    taken = [(lookups[item.source], item.take) for item in source.lookups if item.source in lookups]
    return frozenset(name for other, names in taken for name in names if name in other.vaulted)


def _sealed_faults(entry: Entry[Source], node: Node, tokens: Collection[str], *place: str | int) -> Iterator[Problem]:
    """A computed field that would hold the token of a lookup's value beside values of its own."""
    for name in sorted(carried(node) & set(tokens)):
        message = f"'{name}' is personal and comes from a lookup, which alone has its values: compute it there"
        yield entry.problem(message, *place)


def _order_faults(entry: Entry[Source], vaulted: Collection[str]) -> Iterator[Problem]:
    """Of equal rows the first by a personal text: its token has no order."""
    merge = entry.spec.deduplicate
    for number, text in enumerate(merge.order if merge is not None else ()):
        if text.split()[0] in vaulted:
            message = f"'{text.split()[0]}' is personal (access: pii) and has no order outside the vault"
            yield entry.problem(message, "deduplicate", "order", number)


def _lookup_faults(
    entry: Entry[Source], columns: Mapping[str, DataType], lookups: Mapping[str, ResolvedSource]
) -> Iterator[Problem]:
    """A field can be looked up only by a key of its own type."""
    for number, lookup in enumerate(entry.spec.lookups):
        other, own = lookups.get(lookup.source), columns.get(lookup.on)
        key = other.columns.get(other.spec.key[0]) if other is not None and other.spec.key else None
        if own is not None and key is not None and own != key:
            message = f"'{lookup.on}' is {own}, and the key of {lookup.source} is {key}; give both the same type"
            yield entry.problem(message, "lookups", number, "on")


def _declared(
    source: Source, lookups: Mapping[str, ResolvedSource]
) -> tuple[dict[str, DataType], dict[str, Title], dict[str, tuple[str, ...]]]:
    columns = {item.name: item.type for item in source.fields}
    titles = {item.name: item.title or Title(zh=item.source_name, en=item.name) for item in source.fields}
    values = {
        item.name: tuple(dict.fromkeys(item.values.values()))
        for item in source.fields
        if item.values and item.unknown != "keep"
    }
    for lookup in source.lookups:
        other = lookups.get(lookup.source)
        if other is None:
            continue
        # A name the lookup does not have is refused where references are checked (spec.catalog).
        for name in (taken for taken in lookup.take if taken in other.columns):
            columns[name], titles[name] = other.columns[name], other.titles[name]
            if name in other.values:
                values[name] = other.values[name]
    return columns, titles, values


def _scope(
    source: Source,
    columns: Mapping[str, DataType],
    titles: Mapping[str, Title],
    values: Mapping[str, tuple[str, ...]],
    vaulted: Collection[str],
) -> Scope:
    symbols = [
        Symbol(name, kind, values.get(name), (titles[name].zh, titles[name].en), name in vaulted)
        for name, kind in columns.items()
    ]
    return Scope(symbols, f"field of {source.source}")


def _row_rules(
    entry: Entry[Source], key: str, rules: tuple[RowRule, ...], scope: Scope, problems: list[Problem]
) -> tuple[tuple[RowRule, Node], ...]:
    found = []
    for number, rule in enumerate(rules):
        try:
            found.append((rule, parse(rule.where, scope, expect=BOOLEAN)))
        except ExpressionError as error:
            problems.append(entry.problem(str(error), key, number, "where"))
    return tuple(found)


def _without_words(dump: object) -> object:
    """A model dump without what only people read: rewording never makes data stale."""
    if isinstance(dump, dict):
        return {key: _without_words(value) for key, value in dump.items() if key not in UNMEANT}
    if isinstance(dump, list | tuple):
        return [_without_words(value) for value in dump]
    return str(dump)

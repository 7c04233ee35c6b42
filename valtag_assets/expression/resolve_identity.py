"""identity.yaml resolved: every source and field it names is there, and its rules can be kept."""

from collections import Counter
from collections.abc import Iterator, Mapping

from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.expression.resolved_identity import ResolvedIdentity, Slot
from valtag_assets.spec.catalog import Catalog, Entry
from valtag_assets.spec.identity import GIVEN, Identity
from valtag_assets.spec.problem import Problem, did_you_mean
from valtag_assets.spec.source import Computed, Field

# What everybody may read.
_OPEN = ("public", "internal")
# What a field is that is compared so; else a text.
_COMPARED = {"date": "date"}


def resolve_identity(
    catalog: Catalog, sources: Mapping[str, ResolvedSource], problems: list[Problem]
) -> ResolvedIdentity | None:
    """The identifiers of every source; None without identity.yaml, or with mistakes in it (to ``problems``)."""
    entry = catalog.identity
    if entry is None:
        return None
    found = [
        *_source_faults(entry, sources),
        *_uncovered(entry, sources),
        *_apart_faults(entry),
        *_channel_faults(entry, sources),
        *_suggest_faults(entry, sources),
    ]
    problems.extend(found)
    if found:
        return None
    spec = entry.spec
    ranks = {kind.code: rank for rank, kind in enumerate(spec.kinds)}
    own = {code: {f: kind for f, kind in named.items() if kind != GIVEN} for code, named in spec.sources.items()}
    fields = {code: _in_slots(named, ranks) for code, named in own.items()}
    given = {code: f for code, named in spec.sources.items() for f, kind in named.items() if kind == GIVEN}
    kinds = [kind.model_dump(exclude={"title", "access"}) for kind in spec.kinds]
    apart = {code: sorted(rule.unless) for code, rule in sorted(spec.apart.items())}
    pairs = {code: [(field, slot.name) for field, slot in named] for code, named in sorted(fields.items())}
    sealed = {slot.rank for code, named in fields.items() for f, slot in named if f in sources[code].vaulted}
    return ResolvedIdentity(entry, fields, repr((kinds, pairs, apart, spec.salt)), given, frozenset(sealed))


def _in_slots(named: Mapping[str, str], ranks: Mapping[str, int]) -> list[tuple[str, Slot]]:
    """The identifiers of a source, the strongest first; of one kind, in the order in which they are written."""
    seen: Counter[str] = Counter()
    found = []
    for field, kind in sorted(named.items(), key=lambda pair: ranks[pair[1]]):
        found.append((field, Slot(ranks[kind], seen[kind])))
        seen[kind] += 1
    return found


def _source_faults(entry: Entry[Identity], sources: Mapping[str, ResolvedSource]) -> Iterator[Problem]:
    kinds = [kind.code for kind in entry.spec.kinds]
    of_persons = [code for code, source in sources.items() if source.spec.kind != "lookup"]
    for code, named in entry.spec.sources.items():
        if code not in of_persons:
            why = (
                "is a lookup: it has no persons"
                if code in sources
                else f"is no source{did_you_mean(code, of_persons)}"
            )
            yield entry.problem(f"'{code}' {why}", "sources", code)
            continue
        if not named:
            yield entry.problem(f"'{code}' has no identifiers: write field: kind", "sources", code)
        columns = sources[code].columns
        for field, kind in named.items():
            if field not in columns:
                message = f"'{field}' is no field of {code}{did_you_mean(field, list(columns))}"
                yield entry.problem(message, "sources", code, field)
            elif columns[field].kind not in ("text", "integer"):
                message = f"'{field}' is a {columns[field]}: an identifier is text or integer"
                yield entry.problem(message, "sources", code, field)
            if kind not in (*kinds, GIVEN):
                message = f"'{kind}' is no kind of identifier{did_you_mean(kind, kinds)}"
                yield entry.problem(message, "sources", code, field)
        if list(named.values()).count(GIVEN) > 1:
            yield entry.problem(f"'{code}' says twice which {GIVEN} a row is of", "sources", code)


def _uncovered(entry: Entry[Identity], sources: Mapping[str, ResolvedSource]) -> Iterator[Problem]:
    """Whoever has persons has identifiers: a key that nothing says the kind of would be a person by itself."""
    for code, source in sources.items():
        if source.spec.kind != "lookup" and code not in entry.spec.sources:
            message = f"source '{code}' has persons: name its identifiers, as in {code}: {{{source.spec.person}: …}}"
            yield entry.problem(message, "sources")


def _apart_faults(entry: Entry[Identity]) -> Iterator[Problem]:
    kinds = [kind.code for kind in entry.spec.kinds]
    for code, rule in entry.spec.apart.items():
        if code not in kinds:
            yield entry.problem(f"'{code}' is no kind of identifier{did_you_mean(code, kinds)}", "apart", code)
            continue
        for number, kind in enumerate(rule.unless):
            if kind not in kinds:
                message = f"'{kind}' is no kind of identifier{did_you_mean(kind, kinds)}"
                yield entry.problem(message, "apart", code, "unless", number)
        for kind in kinds[: kinds.index(code)]:
            if kind not in rule.unless:
                message = (
                    f"'{kind}' is stronger than '{code}' and would join its keys: name it in unless, or put it below"
                )
                yield entry.problem(message, "apart", code)


def _channel_faults(entry: Entry[Identity], sources: Mapping[str, ResolvedSource]) -> Iterator[Problem]:
    """A channel is of a source with identifiers, a text, and nothing personal: everybody reads how it is called."""
    for code, origin in entry.spec.channels.items():
        if code not in entry.spec.sources:
            message = f"'{code}' has no identifiers here{did_you_mean(code, list(entry.spec.sources))}"
            yield entry.problem(message, "channels", code)
        elif origin.field is not None and code in sources:
            spec = sources[code].spec
            fields: dict[str, Field | Computed] = {field.name: field for field in spec.fields}
            fields |= {field.name: field for field in spec.compute}
            if origin.field not in fields:
                message = f"'{origin.field}' is no field of {code}{did_you_mean(origin.field, list(fields))}"
                yield entry.problem(message, "channels", code)
            elif fields[origin.field].type.kind != "text" or fields[origin.field].access not in _OPEN:
                message = f"'{origin.field}' is no channel: name a text field that is public or internal"
                yield entry.problem(message, "channels", code)


def _suggest_faults(entry: Entry[Identity], sources: Mapping[str, ResolvedSource]) -> Iterator[Problem]:
    """Suggestions compare fields of a master with identifiers."""
    suggest = entry.spec.suggest
    if suggest is None:
        return
    masters = [code for code in entry.spec.sources if code in sources and sources[code].spec.kind == "master"]
    if suggest.source not in masters:
        message = f"'{suggest.source}' is no master with identifiers{did_you_mean(suggest.source, masters)}"
        yield entry.problem(message, "suggest", "source")
        return
    columns = sources[suggest.source].columns
    for field, kind in suggest.fields.items():
        if field not in columns:
            message = f"'{field}' is no field of {suggest.source}{did_you_mean(field, list(columns))}"
            yield entry.problem(message, "suggest", "fields", field)
        elif kind != "equal" and columns[field].kind != _COMPARED.get(kind, "text"):
            message = f"'{field}' is a {columns[field]}: it can't be compared as a {kind}"
            yield entry.problem(message, "suggest", "fields", field)
    for number, names in enumerate(suggest.among):
        for field in names:
            if field not in suggest.fields:
                message = f"'{field}' is none of its fields{did_you_mean(field, list(suggest.fields))}"
                yield entry.problem(message, "suggest", "among", number)

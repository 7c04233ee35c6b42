"""``valtag identity``: one person's identifiers and how they hang together; all persons in numbers."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from valtag_assets.console.doors import counting, is_visible, through
from valtag_assets.console.insight import served
from valtag_assets.engine.access import Need
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.identity.figures import channel_figures
from valtag_assets.engine.identity.person import borne_by, identifiers_of, persons_of, successor_of
from valtag_assets.engine.identity.tables import HISTORY, IDENTIFIERS, KEYS, SUCCESSORS, SUGGESTIONS, identity_table
from valtag_assets.engine.identity.work import Work
from valtag_assets.engine.persons import PERSONS, clean_name, keyed_name
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.vault import KEY, VAULT, Vault, vault_files
from valtag_assets.expression.resolved_identity import ResolvedIdentity
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import Asking
from valtag_assets.spec.masking import MASK
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.snapshot import TableRef


@dataclass(frozen=True)
class Key:
    """One identifier of the person; ``name`` tells it from the others of its kind where it is masked."""

    name: str
    kind: str
    key: str
    since: datetime | None
    until: datetime | None
    first_seen: datetime | None
    last_seen: datetime | None
    rows: int
    sources: str


@dataclass(frozen=True)
class Link:
    """So many ``rows`` of ``source`` bear both identifiers, named by ``Key.name``."""

    hub: str
    other: str
    source: str
    rows: int


@dataclass(frozen=True)
class Borne:
    """The person's rows of a source."""

    source: str
    title: Mapping[str, str]
    rows: int
    first_seen: datetime | None
    last_seen: datetime | None


@dataclass(frozen=True)
class Graph:
    """One person. ``asked``: by what it was found (a kind; None: its id); ``was``: the former id asked for."""

    person: str
    asked: str | None
    was: str | None
    keys: Sequence[Key]
    links: Sequence[Link]
    sources: Sequence[Borne]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def find_graphs(setting: Setting, text: str, by: Asking) -> list[Graph]:
    """Everybody whose id or identifier ``text`` is. Raises Mistake for nobody, and without identity.yaml.

    A role is not told whose identifier it is, of a kind it may not read; the keys it may not read are masked.
    """
    with through(setting, "explain", by, "the identifiers of a person", person=text) as visit:
        visit.reader.require_persons()
        found = _graphs(setting, text, visit.reader)
        visit.rows = len(found)
        visit.person = found[0].person
    return found


def _graphs(setting: Setting, text: str, reader: Reader) -> list[Graph]:
    identity = _identity(setting)
    kinds = [kind for kind in identity.kinds if reader.may(Need(kind.access))]
    with tempfile.TemporaryDirectory() as folder, open_duckdb() as engine:
        files = _files(setting)
        if identity.sealed:
            files |= {KEY: [setting.tokens.table(Path(folder))], VAULT: vault_files(setting.warehouse)}
        work = Work(engine, Path(folder), files)
        found = work.rows(persons_of(text, identity, kinds))
        found = [row for row in found if is_visible(setting, reader, row["person_id"])]
        if found:
            return [_graph(setting, work, row["person_id"], row["kind"], reader) for row in found]
        for row in work.rows(successor_of(text)):
            if row["now"] is not None and is_visible(setting, reader, row["now"]):
                return [replace(_graph(setting, work, row["now"], None, reader), was=text)]
            if row["now"] is None and reader.brands is None:
                raise Mistake("nobody has this id any more: all its identifiers are gone; see valtag identity report")
    hidden = [kind.code for kind in identity.kinds if kind not in kinds]
    hint = f"; this role may not look for {', '.join(hidden)}" if hidden else ""
    raise Mistake(f"'{text}' is no person's id, and no usable identifier{hint}")


def _identity(setting: Setting) -> ResolvedIdentity:
    identity = setting.resolved.identity
    if identity is None:
        raise Mistake("the catalog has no identity.yaml: the declared key of a row is its person")
    return identity


def _files(setting: Setting) -> dict[str, Sequence[Path]]:
    """What is served now of the identities and of the rows they were found in."""
    resolved = setting.resolved
    sources = [resolved.sources[code] for code in _identity(setting).fields]
    names = [IDENTIFIERS, KEYS, SUCCESSORS, *map(keyed_name, sources)]
    names += [clean_name(source.code) for source in sources if source.spec.kind == "master"]
    return {name: served(setting, TableRef.parse(name), None).files for name in names}


def _graph(setting: Setting, work: Work, person: str, asked: str | None, reader: Reader) -> Graph:
    identity = _identity(setting)
    shown = {kind.code: reader.may(Need(kind.access)) for kind in identity.kinds}
    rows = work.rows(identifiers_of(person))
    rows.sort(key=lambda row: (identity.ranks[row["kind"]], row["key"], row["since"] or datetime.min))
    names, keys = dict[tuple[str, str], str](), list[Key]()
    vault = Vault(setting.warehouse, work.engine, work.folder)
    sealed = {identity.kinds[rank].code for rank in identity.sealed}
    known = vault.shown(row["key"] for row in rows if row["kind"] in sealed and shown[row["kind"]])
    for row in rows:
        number = sum(key.kind == row["kind"] for key in keys) + 1
        name = names.setdefault((row["kind"], row["key"]), f"{row['kind']} {number}")
        keys.append(Key(**{**row, "name": name, "key": _key(row, known) if shown[row["kind"]] else MASK}))
    links, sources = list[Link](), list[Borne]()
    for code in identity.fields:
        borne = work.rows(borne_by(setting.resolved.sources[code], identity, person))
        links += _links(identity, names, code, borne)
        if borne:
            title = setting.resolved.sources[code].spec.title
            seen = [row[end] for row in borne for end in ("first_seen", "last_seen") if row[end] is not None]
            first, last = (min(seen), max(seen)) if seen else (None, None)
            sources.append(Borne(code, title.model_dump(), sum(row["rows"] for row in borne), first, last))
    return Graph(person, asked, None, keys, links, sources)


def _key(row: Mapping[str, Any], known: Mapping[str, str]) -> str:
    return known.get(row["key"], row["key"])


def _links(
    identity: ResolvedIdentity, names: Mapping[tuple[str, str], str], source: str, borne: Sequence[Mapping[str, Any]]
) -> list[Link]:
    """The strongest identifier of each row that is the person's, with the others of the row."""
    found = dict[tuple[str, str], int]()
    for row in borne:
        slots = [slot for _, slot in identity.fields[source]]
        own = [(identity.kinds[slot.rank].code, row[slot.name]) for slot in slots]
        known = [names[key] for key in own if key in names]
        for other in known[1:]:
            found[known[0], other] = found.get((known[0], other), 0) + row["rows"]
    return [Link(hub, other, source, rows) for (hub, other), rows in sorted(found.items())]


@dataclass(frozen=True)
class Matched:
    """How many rows of a source are somebody's, and how many rows became part of another row of their person."""

    source: str
    title: Mapping[str, str]
    rows: int
    matched: int
    merged: int

    @property
    def rate(self) -> float | None:
        return self.matched / self.rows if self.rows else None


@dataclass(frozen=True)
class Channel:
    """Rows of a channel (None: rows that say none), those that are somebody's, those of the population and how many
    persons of it they are of."""

    channel: str | None
    rows: int
    identified: int
    known: int
    persons: int

    @property
    def identified_share(self) -> float:
        return self.identified / self.rows

    @property
    def known_share(self) -> float:
        return self.known / self.rows

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "identified_share": self.identified_share, "known_share": self.known_share}


@dataclass(frozen=True)
class Report:
    """All persons in numbers. ``sizes``: [identifiers, persons], the last of so many or more. ``kinds``: usable keys
    by kind, ``refused``: the others by reason and kind. ``suggestions``: pairs to look at, None where nobody asks.
    ``events``: how often each happened, and at the last change.
    """

    persons: int
    largest: int
    sizes: Sequence[Sequence[int]]
    kinds: Mapping[str, int]
    refused: Mapping[str, Mapping[str, int]]
    matched: Sequence[Matched]
    channels: Sequence[Channel]
    suggestions: int | None
    events: Mapping[str, int]
    last_events: Mapping[str, int]
    change: int

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "matched": [{**asdict(item), "rate": item.rate} for item in self.matched],
            "channels": [item.to_json() for item in self.channels],
        }


def identity_report(setting: Setting, by: Asking) -> Report:
    """What is served now. Raises Mistake without identity.yaml, or before the first run."""
    with counting(setting, "report", "identity/report", by):
        return report_on(setting)


def report_on(setting: Setting) -> Report:
    """``identity_report`` for who is through a door already."""
    identity = _identity(setting)
    keys, seen, told = (served(setting, TableRef.parse(name), None) for name in (KEYS, IDENTIFIERS, HISTORY))
    matched = []
    for code in identity.fields:
        source = setting.resolved.sources[code]
        snapshot = served(setting, TableRef.parse(keyed_name(source)), None)
        rows, unmatched = snapshot.metrics["rows"], snapshot.metrics["keying"]["unmatched"]
        matched.append(
            Matched(code, source.spec.title.model_dump(), rows["clean"], rows["clean"] - unmatched, rows["merged"])
        )
    events = identity_table(HISTORY)
    with tempfile.TemporaryDirectory() as folder, open_duckdb() as engine:
        coming = [keyed_name(setting.resolved.sources[code]) for code in identity.entry.spec.channels]
        files = {name: served(setting, TableRef.parse(name), None).files for name in [PERSONS, *coming]}
        work = Work(engine, Path(folder), {HISTORY: told.files, **files})
        channels = [Channel(**row) for row in channel_figures(work, setting.resolved)]
        counted = work.rows(events.group_by(["ordinal", "event"]).aggregate(n=events.count()).order_by("event"))
    change = told.metrics["changes"]
    total = dict[str, int]()
    for row in counted:
        total[row["event"]] = total.get(row["event"], 0) + row["n"]
    return Report(
        persons=keys.metrics["persons"],
        largest=keys.metrics["largest"],
        sizes=keys.metrics["sizes"],
        kinds=seen.metrics["kinds"],
        refused=seen.metrics["refused"],
        matched=matched,
        channels=channels,
        suggestions=_suggested(setting, identity),
        events=total,
        last_events={row["event"]: row["n"] for row in counted if row["ordinal"] == change},
        change=change,
    )


def _suggested(setting: Setting, identity: ResolvedIdentity) -> int | None:
    """How many pairs are to be looked at; None where nobody asks, or they were never found."""
    if identity.entry.spec.suggest is None:
        return None
    snapshot = setting.warehouse.current(TableRef.parse(SUGGESTIONS))
    return None if snapshot is None else snapshot.rows

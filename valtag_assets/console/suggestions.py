"""``valtag identity suggestions``: who may be one person, the likeliest first, with what speaks for it."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import through
from valtag_assets.console.insight import served
from valtag_assets.console.screen import count, share, table
from valtag_assets.engine.access import field_needs
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.identity.suggesting import require_splink, suggested_with
from valtag_assets.engine.identity.tables import SUGGESTIONS
from valtag_assets.engine.identity.work import Work
from valtag_assets.engine.persons import keyed_name
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.vault import VAULT, vault_files
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import Asking
from valtag_assets.spec.identity import Suggest
from valtag_assets.spec.masking import MASK
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.snapshot import TableRef


@dataclass(frozen=True)
class Pair:
    """Two persons, and of each field both values; masked where the role may not read it."""

    person: str
    other: str
    probability: float
    evidence: str
    values: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Pairs:
    """The likeliest ``pairs`` of ``total``, and the ``masked`` fields."""

    pairs: Sequence[Pair]
    total: int
    masked: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def find_pairs(setting: Setting, by: Asking, most: int) -> Pairs:
    """At most ``most`` pairs, as who asks may see them. Raises Mistake where identity.yaml asks for none, the
    extra is missing, or nothing was made yet."""
    with through(setting, "show", by, SUGGESTIONS) as visit:
        visit.reader.require_every_brand(SUGGESTIONS)
        visit.reader.require_persons()
        found = _found(setting, visit.reader, most)
        visit.rows = len(found.pairs)
    return found


def _found(setting: Setting, reader: Reader, most: int) -> Pairs:
    suggest, ref = _suggest(setting), TableRef.parse(SUGGESTIONS)
    if setting.warehouse.current(ref) is None:
        require_splink()
    source = setting.resolved.sources[suggest.source]
    needs = field_needs(setting.resolved, source)
    shown = [name for name in suggest.fields if reader.may(needs[name])]
    pairs, keyed = (served(setting, table, None) for table in (ref, TableRef.parse(keyed_name(source))))
    with tempfile.TemporaryDirectory() as folder, open_duckdb() as engine:
        work = Work(
            engine,
            Path(folder),
            {SUGGESTIONS: pairs.files, keyed_name(source): keyed.files, VAULT: vault_files(setting.warehouse)},
        )
        rows = work.rows(suggested_with(source, shown, most))
    masked = [name for name in suggest.fields if name not in shown]
    return Pairs([_pair(row, list(suggest.fields), shown) for row in rows], pairs.rows, masked)


def _suggest(setting: Setting) -> Suggest:
    identity = setting.resolved.identity
    if identity is None:
        raise Mistake("the catalog has no identity.yaml: nothing is suggested")
    if identity.entry.spec.suggest is None:
        raise Mistake("nothing is suggested: write suggest: into identity.yaml")
    return identity.entry.spec.suggest


def _pair(row: Mapping[str, Any], fields: Sequence[str], shown: Sequence[str]) -> Pair:
    values = {name: (row[f"a_{name}"], row[f"b_{name}"]) if name in shown else (MASK, MASK) for name in fields}
    return Pair(row["person_id"], row["other_id"], row["probability"], row["evidence"], values)


def print_pairs(console: Console, found: Pairs) -> None:
    """A line per pair: who, how likely, and both values of each field."""
    fields = list(found.pairs[0].values) if found.pairs else []
    rows = [
        [pair.person, pair.other, share(pair.probability), pair.evidence]
        + [_said(pair.values[name]) for name in fields]
        for pair in found.pairs
    ]
    title = f"疑似同一人 · Who may be one person: {count(len(rows))} of {count(found.total)} pairs"
    console.print(table(title, ["person", "other", ">likely", "evidence", *fields], rows))
    console.print(Text("供人复核，从不自动合并 · To look at: nothing is merged by it"))


def _said(values: Sequence[Any]) -> str:
    one, other = ("—" if value is None else str(value) for value in values)
    return one if one == other else f"{one} | {other}"

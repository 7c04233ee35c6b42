"""Whom somebody means who names a person: by the id, by one that was, or by an identifier of identity.yaml."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from valtag_assets.console.doors import is_visible
from valtag_assets.engine.access import Need, person_need
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.identity.person import persons_of, successor_of
from valtag_assets.engine.identity.tables import KEYS, SUCCESSORS
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.vault import KEY, persons_are_tokens
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.snapshot import TableRef
from valtag_assets.warehouse.tokens import looks_like


def find_person(setting: Setting, reader: Reader, said: str) -> tuple[str, str | None]:
    """The id of the person whom ``said`` names now, and how it does so where it is not the id itself.

    Identifiers count whose kind the reader may read. ``said`` itself where nobody he may know of is known by it: the
    caller says what that means. Mistake where it names several persons.
    """
    resolved = setting.resolved
    if persons_are_tokens(resolved):
        return (setting.tokens.of(said), None) if reader.may(Need("pii")) and not looks_like(said) else (said, None)
    if resolved.identity is None or not reader.may(person_need(resolved)):
        return said, None
    served = {name: setting.warehouse.current(TableRef.parse(name)) for name in (SUCCESSORS, KEYS)}
    files = {name: snapshot.files for name, snapshot in served.items() if snapshot is not None}
    if len(files) < len(served):
        return said, None
    kinds = [kind for kind in resolved.identity.kinds if reader.may(Need(kind.access))]
    with open_duckdb(setting.spill) as engine, TemporaryDirectory(dir=setting.spill) as folder:
        keys = {KEY: [setting.tokens.table(Path(folder))]} if resolved.identity.sealed else {}
        found = persons_of(said, resolved.identity, kinds, present=True)
        rows = engine.fetch(found, {**files, **keys}).to_pylist()
        former = engine.fetch(successor_of(said), files)["now"].to_pylist()
    rows = [row for row in rows if is_visible(setting, reader, row["person_id"])]
    if any(row["kind"] is None for row in rows):
        return said, None
    if former and former[0] is not None and is_visible(setting, reader, former[0]):
        return former[0], f"this id was merged into {former[0]}"
    titles = {kind.code: kind.title for kind in kinds}
    named = [f"{titles[row['kind']]} of {row['person_id']}" for row in rows]
    persons = sorted({row["person_id"] for row in rows})
    if len(persons) > 1:
        raise Mistake(f"that names several persons: {', '.join(named)}; give an id")
    return (persons[0], named[0]) if persons else (said, None)


def whom(setting: Setting, reader: Reader, said: str) -> str:
    """``find_person``, told on standard error where it says how."""
    person, how = find_person(setting, reader, said)
    if how is not None:
        print(how, file=sys.stderr)
    return person

"""The doors of the command line: who goes through, and the record of it.

What leaves by a door is recorded before it is shown, and so is who was refused; where that can't be written, nothing
leaves.
"""

import getpass
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from valtag_assets.delivery.access import receiver
from valtag_assets.engine.access import Need
from valtag_assets.engine.brands import VISIBLE, brand_tag, of_visible, persons_of_brands
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.persons import PERSONS, one_person
from valtag_assets.engine.reader import Denied, Reader, reader_of
from valtag_assets.engine.session import Engine
from valtag_assets.expression.resolved_delivery import ResolvedDestination
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import UNSAID, Asking, Door, names
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.snapshot import TableRef


@dataclass
class Visit:
    """One passage through a door: the reader, and what leaves with him. ``tags``: columns and audiences."""

    reader: Reader
    person: str | None = None
    rows: int | None = None
    tags: Sequence[str] = field(default_factory=tuple)


@contextmanager
def through(setting: Setting, door: Door, asking: Asking, what: str, *, person: str | None = None) -> Iterator[Visit]:
    """Let who asks through ``door`` to ``what``, if he may. Denied if not.

    The passage is recorded at its end, with what the visit says has left; so is a refusal.
    """
    who = completed(asking)
    try:
        visit = Visit(reader_of(setting.resolved, door, who, os.environ), person)
        yield visit
    except Denied as error:
        _record(setting, door, who, what, person, refused=str(error))
        raise
    reader = visit.reader
    who = replace(who, role=reader.role)
    _record(setting, door, who, what, visit.person, rows=visit.rows, tags=tuple(sorted(visit.tags)))


@contextmanager
def counting(setting: Setting, door: Door, what: str, asking: Asking = UNSAID) -> Iterator[Visit]:
    """``through`` to counts over the persons of every brand: not for a reader of some."""
    with through(setting, door, asking, what) as visit:
        visit.reader.require_every_brand(what)
        yield visit


@contextmanager
def sending(setting: Setting, to: Collection[ResolvedDestination], what: str, asking: Asking) -> Iterator[Visit]:
    """``through`` to sending, for who has a right to every destination, and to all who may be sent there."""
    with through(setting, "deliver", asking, what) as visit:
        for destination in to:
            if not names(visit.reader.rights.destinations, destination.code):
                raise visit.reader.unnamed(f"the destination {destination.code}")
            own, theirs = visit.reader.brands, receiver(setting.resolved, destination).brands
            if own is not None and (theirs is None or not theirs <= own):
                visit.reader.require_every_brand(f"the destination {destination.code}")
        yield visit


def oversee(
    setting: Setting, what: str, door: Door = "report", asking: Asking = UNSAID, need: Need | None = None
) -> Reader:
    """Who may know, or change, what concerns persons of all brands, and has what it needs. Denied for others.

    A refusal is recorded; a passage is not: counts of whole tables name nobody, and what erases has a record of its
    own.
    """
    who = completed(asking)
    try:
        reader = reader_of(setting.resolved, door, who, os.environ)
        reader.require_every_brand(what)
        reader.require(need or Need("public"), what)
    except Denied as error:
        _record(setting, door, who, what, None, refused=str(error))
        raise
    return reader


def completed(asking: Asking) -> Asking:
    """With the user and purpose of the environment (VALTAG_USER, VALTAG_PURPOSE) where none is said; the user's
    name on this machine stands in for a user."""
    return replace(
        asking,
        user=asking.user or os.environ.get("VALTAG_USER") or _login(),
        purpose=asking.purpose or os.environ.get("VALTAG_PURPOSE") or None,
    )


def visible_persons(setting: Setting, reader: Reader, engine: Engine, folder: Path) -> dict[str, list[Path]]:
    """The file of ``VISIBLE`` for a reader of some brands; nothing for one of all. Mistake where the tag that says
    of which brand a person is can't be read: then nobody can be told apart."""
    if reader.brands is None:
        return {}
    table, tag = brand_tag(setting.resolved)
    snapshot = setting.warehouse.latest(TableRef.parse(table))
    if snapshot is None or damage(snapshot) is not None or tag in snapshot.held or tag not in dict(snapshot.columns):
        raise Mistake(
            f"{reader.door}: {tag}, which says of which brand a person is, is not served: see valtag status"
        )
    file = folder / "visible.parquet"
    engine.write(persons_of_brands(setting.resolved, reader.brands), {table: snapshot.files}, file)
    return {VISIBLE: [file]}


def require_visible(setting: Setting, reader: Reader, person: str) -> None:
    """Mistake for a person of other brands than the reader's, in the words for a person there is not."""
    if not is_visible(setting, reader, person):
        raise Mistake(f"'{person}' is nobody in {PERSONS}")


def is_visible(setting: Setting, reader: Reader, person: str) -> bool:
    """Whether the reader may know that there is such a person; of nobody, a reader of some brands may not."""
    if reader.brands is None:
        return True
    with open_duckdb(setting.spill) as engine, tempfile.TemporaryDirectory(dir=setting.spill) as folder:
        files = visible_persons(setting, reader, engine, Path(folder))
        found = engine.fetch(of_visible(one_person(person)), {**files, PERSONS: _population(setting)})
    return bool(found.num_rows)


def _population(setting: Setting) -> Sequence[Path]:
    served = setting.warehouse.current(TableRef.parse(PERSONS), None)
    if served is None:
        raise Mistake(f"{PERSONS} is not served: see valtag status")
    return served.files


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return f"uid {os.getuid()}"


def _record(
    setting: Setting,
    door: Door,
    asking: Asking,
    what: str,
    person: str | None,
    *,
    rows: int | None = None,
    tags: Sequence[str] = (),
    refused: str | None = None,
) -> None:
    """Write the passage into the audit log; AuditError where that can't be done."""
    login = _login()
    setting.audit.record(
        door,
        actor=asking.user,
        role=asking.role,
        purpose=asking.purpose,
        what=what,
        rows=rows,
        tags=tags,
        person=person,
        refused=refused,
        details={"login": login} if login != asking.user else {},
    )

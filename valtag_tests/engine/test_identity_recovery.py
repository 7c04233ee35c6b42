"""True people behind dirty rows: shared devices, made-up phones, recycled numbers, families, late links."""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.identity.keying import keyed_rows
from valtag_assets.engine.identity.tables import KEYS
from valtag_assets.engine.identity.work import Work
from valtag_tests.engine.test_identity import Persons, catalog, write_rows

PEOPLE = 400
Told = tuple[int, Mapping[str, str], int | None]  # day, the row, whose it truly is (None: nobody can know)


def own_rows(draw: random.Random, person: int) -> Iterator[Told]:
    """A person's own identifiers: sometimes two member numbers held together by one account, phones, devices that
    were used without a name before somebody signed in on them."""
    member = {"m": f"M{person}"} if draw.random() < 0.7 else {}
    phone = {"p": f"P{person}"} if not member or draw.random() < 0.8 else {}
    if member and draw.random() < 0.3:
        account = {"u": f"U{person}"}
        yield draw.randrange(300), {**member, **account}, person
        yield draw.randrange(300), {"m": f"SECOND{person}", **account}, person
    if phone and draw.random() < 0.5:
        # Written beside a second number of the same person, without any name.
        yield draw.randrange(300), {**phone, "p2": f"Q{person}"}, person
    for day in (10, 150, 290):
        yield day, {**member, **phone}, person
    for number in range(draw.randrange(3)):
        device = {"d": f"D{person}.{number}"}
        for _ in range(3):
            yield draw.randrange(250), device, person
        yield 280, {**(member or phone), **device}, person


def dirty_rows(draw: random.Random, members: list[int]) -> Iterator[Told]:
    """What two people or more share; it tells nobody apart, and must not make them one."""
    for kiosk in range(5):
        for person in draw.sample(members, 30):
            yield draw.randrange(300), {"m": f"M{person}", "d": f"KIOSK{kiosk}"}, person
        yield draw.randrange(300), {"d": f"KIOSK{kiosk}"}, None
    for person in draw.sample(members, 40):
        yield draw.randrange(300), {"m": f"M{person}", "p": "13800000000"}, person
    yield 5, {"p": "13800000000"}, None
    for family in range(20):
        for person in draw.sample(members, 2):
            yield draw.randrange(300), {"m": f"M{person}", "d": f"FAMILY{family}"}, person
        yield draw.randrange(300), {"d": f"FAMILY{family}"}, None
    for number in range(20):
        former, later = draw.sample(members, 2)
        phone = {"p": f"RECYCLED{number}"}
        yield 5, {"m": f"M{former}", **phone}, former
        yield 40, phone, former
        yield 280, {"m": f"M{later}", **phone}, later
        yield 299, phone, later


def test_the_true_people_are_found_exactly(tmp_path: Path) -> None:
    draw = random.Random(7)
    own = [list(own_rows(draw, person)) for person in range(PEOPLE)]
    members = [person for person, rows in enumerate(own) if any(row.get("m") == f"M{person}" for _, row, _ in rows)]
    told = [row for rows in own for row in rows] + list(dirty_rows(draw, members))
    draw.shuffle(told)
    rows = [(day, row) for day, row, _ in told]
    resolved = catalog("company")
    assert resolved.identity is not None

    with open_duckdb() as engine:
        Persons(tmp_path, engine).see(rows, [], "company")
        work = Work(engine, tmp_path, {KEYS: [tmp_path / "keys1.parquet"], **write_rows(tmp_path, rows, [])})
        keyed = work.rows(keyed_rows(resolved.sources["visits"], resolved.identity).select("_row", "_person"))

    found = defaultdict(set)
    for row in keyed:
        found[told[row["_row"]][2]].add(row["_person"])
    assert found.pop(None) == {None}
    assert len(found) == PEOPLE and all(len(persons) == 1 for persons in found.values())
    assert len(set.union(*found.values()) - {None}) == PEOPLE

"""Two persons turn out to be one, and two after all: tags and audiences are as if it had always been known, and
whatever was sent to either was sent to the one."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from valtag_assets.console.explain import Asked, explain
from valtag_assets.console.person import find_person
from valtag_assets.console.triggers import person_log
from valtag_assets.engine.reader import reader_of
from valtag_assets.graph.jobs import DERIVE
from valtag_assets.spec.access import Asking
from valtag_tests.graph.caring import MORNING, TRIGGERED, messages, received
from valtag_tests.graph.shop import AS_OF, Shop
from valtag_tests.graph.test_deliveries import DESTINATIONS, crm, outcome
from valtag_tests.graph.test_identity_tables import CATALOG, LOOSE, devices, phones

DELIVERY = """
deliveries:
  - {code: women_crm, title: {zh: 女性, en: Women}, segment: women, to: crm, patience: 0, jump_from: 20}
"""
STOP = """
source: stop
title: {zh: 勿扰, en: Do not disturb}
kind: list
person: who
read: {path: data/stop.csv}
fields: [{name: who, type: text}]
"""
FILES = {
    **CATALOG,
    **TRIGGERED,
    "project.yaml": TRIGGERED["project.yaml"].replace("quiet:", "suppressed: [stop], quiet:"),
    "sources/stop.yaml": STOP,
    "identity.yaml": LOOSE.replace("channels:", "  stop: {who: person}\nchannels:"),
    "access.yaml": "roles: {desk: pii, office: internal, outside: public}\ndefault_role: desk\n",
    "destinations/crm.yaml": DESTINATIONS["destinations/crm.yaml"],
    "deliveries/all.yaml": DELIVERY,
}
# Women of 成都 who spend enough: both are cared for. The second is the first, as her phone says a day later.
FIRST, SECOND = 5, 11
NAMES = (f"C{FIRST:03d}", f"C{SECOND:03d}")
ONE = phones({SECOND: f"+86 139-0000-{FIRST:04d}"})
TABLES = ("tags/attribute", "tags/transaction", "scores/rfm", *(f"segments/{s}" for s in ("women", "quiet_women")))


def day(shop: Shop, number: int) -> dict[str, str]:
    """Everything so many days after the as-of, on the morning after that."""
    shop.clock = lambda: MORNING + timedelta(days=number)
    return shop.run(AS_OF + timedelta(days=number))


def made(folder: Path, rows: pd.DataFrame, number: int, stopped: str = "nobody", acts: bool = True) -> Path:
    """The folder of a shop after one more day; ``acts``: with triggers and deliveries. Not to be changed: take a
    copy."""
    with dg.DagsterInstance.ephemeral() as instance:
        shop = Shop(folder, instance, FILES if acts else {**CATALOG, "identity.yaml": LOOSE})
        shop.write(rows, devices())
        (folder / "catalog" / "data" / "stop.csv").write_text(f"who\n{stopped}\n")
        outcomes = day(shop, number)
        assert set(outcomes.values()) <= {"published", "reused"}, shop.heard
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("two"), phones(), 0)


@pytest.fixture(scope="module")
def one(two: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The list has the id that is no more."""
    folder = tmp_path_factory.mktemp("one")
    shutil.copytree(two, folder, dirs_exist_ok=True)
    return made(folder, ONE, 1, persons(looking(two))[NAMES[1]])


@pytest.fixture
def merged(one: Path, tmp_path: Path) -> Iterator[Shop]:
    """A shop of one's own a day after they turned out to be one."""
    shutil.copytree(one, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        shop = Shop(tmp_path, instance, FILES)
        shop.clock = lambda: MORNING + timedelta(days=1)
        yield shop


def looking(folder: Path) -> Shop:
    return Shop(folder, dg.DagsterInstance.ephemeral(), FILES)


def persons(shop: Shop) -> dict[str, str]:
    """By member number the person."""
    keys = shop.rows("identity/keys", None)
    return dict(keys[keys["kind"] == "member_no"][["key", "person_id"]].itertuples(index=False))


def by_number(shop: Shop, table: str, number: int) -> pd.DataFrame:
    """The table with each person's smallest member number instead of the id, which another history may have made
    another."""
    names = {person: name for name, person in sorted(persons(shop).items(), reverse=True)}
    rows = shop.rows(table, AS_OF + timedelta(days=number))
    rows["person_id"] = rows["person_id"].map(names)
    # A holdout is drawn from the id.
    return rows.drop(columns="is_holdout", errors="ignore").sort_values("person_id", ignore_index=True)


def test_tags_scores_and_audiences_are_as_if_it_had_always_been_known(one: Path, tmp_path: Path) -> None:
    shop, scratch = looking(one), looking(made(tmp_path, ONE, 1, acts=False))
    for table in TABLES:
        pd.testing.assert_frame_equal(by_number(shop, table, 1), by_number(scratch, table, 1))
    members = shop.served("segments/women", AS_OF + timedelta(days=1))
    assert members is not None
    assert (members.metrics["entries"], members.metrics["exits"], members.rows) == (0, 0, 29)


def test_nobody_is_anywhere_under_an_id_that_is_no_persons(one: Path) -> None:
    shop = looking(one)
    known = set(shop.rows("identity/persons", None)["person_id"])
    found = 0
    for ref in shop.setting.warehouse.tables():
        served = shop.setting.warehouse.latest(ref)
        if served is not None and "person_id" in dict(served.columns):
            rows = pd.concat(map(pd.read_parquet, served.files))
            assert set(rows["person_id"]) <= known, ref
            found += 1
    assert found >= 8


def test_whoever_was_sent_something_under_either_id_is_sent_it_no_more(two: Path, one: Path) -> None:
    before, shop = looking(two), looking(one)
    survivor, gone = (persons(before)[name] for name in NAMES)
    assert {persons(shop)[name] for name in NAMES} == {survivor}
    assert {m["person_id"] for m in messages(before, origin="care")} >= {survivor, gone}
    planned = [{m["key"] for m in messages(each, kind="message")} for each in (before, shop)]
    assert planned[0] == planned[1]
    entries = shop.rows("triggers/care", AS_OF + timedelta(days=1))
    mine = entries[entries["person_id"] == survivor].set_index("entered_as")
    assert set(mine.index) == {survivor, gone}
    assert mine.loc[survivor, "is_open"] and not mine.loc[gone, "is_open"] and mine.loc[gone, "reason"] == "merged"
    assert len(received(shop, "desk")) == len(received(before, "desk"))
    assert shop.rows("lists/stop", None)["person_id"].tolist() == [survivor]
    waited = messages(shop, person_id=gone, origin="thanks")
    assert [(m["state"], m["reason"]) for m in waited] == [("held_back", "suppressed")]


def test_a_destination_loses_the_id_that_is_no_more(two: Path, one: Path) -> None:
    survivor, gone = (persons(looking(two))[name] for name in NAMES)
    shop = looking(one)
    held = crm(shop)
    assert survivor in held and gone not in held and len(held) == 29
    assert outcome(shop, as_of=AS_OF + timedelta(days=1))["remove", "acknowledged"] == 1


def test_a_person_is_named_by_a_former_id_or_an_identifier_the_role_may_read(two: Path, one: Path) -> None:
    survivor, gone = (persons(looking(two))[name] for name in NAMES)
    setting = looking(one).setting
    desk, office, outside = (
        reader_of(setting.resolved, "explain", Asking(role), {}) for role in ("desk", "office", "outside")
    )
    assert find_person(setting, desk, survivor) == (survivor, None)
    assert find_person(setting, office, gone) == (survivor, f"this id was merged into {survivor}")
    for named in (NAMES[1], "0086 139 0000 0005", f"D{NAMES[1]}"):
        assert find_person(setting, desk, named)[0] == survivor
        assert find_person(setting, office, named) == (named, None)
    assert find_person(setting, outside, gone) == (gone, None), "who may read of nobody learns nothing"
    log = person_log(setting, gone, Asking("desk"))
    assert len([row for row in log.entries if row["trigger"] == "care"]) == 2


def test_what_was_said_of_two_is_explained_by_the_ids_of_then(two: Path, one: Path) -> None:
    survivor, gone = (persons(looking(two))[name] for name in NAMES)
    shop = looking(one)
    shop.clock = lambda: MORNING + timedelta(days=1)
    before = shop.rows("tags/transaction", AS_OF).set_index("person_id")["total_spend"]
    for person in (survivor, gone):
        found = explain(shop.setting, Asked(person, "total_spend", AS_OF, Asking("desk")))
        assert (found.value, found.proof.equal) == (before[person], True)
    now = explain(shop.setting, Asked(gone, "total_spend", None, Asking("desk")))
    assert (now.value, now.proof.equal) == (before[survivor] + before[gone], True)


def test_who_was_two_after_all_has_the_own_back_and_full_equals_incremental(merged: Shop) -> None:
    assert set(day(merged, 1).values()) == {"reused"}, "a run once more changes nothing"
    (survivor,) = {persons(merged)[name] for name in NAMES}
    merged.write(phones(), devices())
    day(merged, 2)
    first, second = (persons(merged)[name] for name in NAMES)
    assert survivor in (first, second) and first != second
    keys = {m["key"] for m in messages(merged)}
    entries = merged.rows("triggers/care", AS_OF + timedelta(days=2)).set_index("entered_as")
    assert {entries.loc[name, "person_id"] for name in (first, second)} == {first, second}
    assert entries.loc[[first, second], "is_open"].all(), "nobody enters a second time"
    assert {first, second} <= set(crm(merged))
    incremental = {table: by_number(merged, table, 2) for table in TABLES}
    merged.full = True
    merged.run(AS_OF + timedelta(days=2), DERIVE)
    for table, rows in incremental.items():
        pd.testing.assert_frame_equal(by_number(merged, table, 2), rows)
    assert {m["key"] for m in messages(merged)} == keys

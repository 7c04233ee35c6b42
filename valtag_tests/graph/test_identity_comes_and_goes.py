"""identity.yaml in a catalog that has run for long: whoever was known by a key is still the one, and nobody is
written to twice."""

from datetime import timedelta
from pathlib import Path

import duckdb

from valtag_assets.console.person import find_person
from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.identity.history import first_events, successors
from valtag_assets.engine.identity.tables import HISTORY, KEYS, identity_columns
from valtag_assets.engine.identity.work import Work
from valtag_assets.engine.persons import PERSON, PERSONS
from valtag_assets.engine.reader import reader_of
from valtag_assets.spec.access import Asking
from valtag_assets.spec.block import Title
from valtag_assets.spec.identity import IdentifierKind
from valtag_tests.graph.caring import MORNING, messages
from valtag_tests.graph.shop import AS_OF, Shop
from valtag_tests.kit import write_persons, write_rows

IDENTITY = """
kinds: [{code: member_no, title: {zh: 会员号, en: Member number}}]
sources: {customers: {customer_id: member_no}, orders: {customer_id: member_no}}
"""


def next_day(shop: Shop, number: int, identity: str | None) -> dict[str, str]:
    file = shop.root / "catalog" / "identity.yaml"
    file.unlink(missing_ok=True)
    if identity is not None:
        file.write_text(identity, encoding="utf-8")
    shop.clock = lambda: MORNING + timedelta(days=number)
    return shop.run(AS_OF + timedelta(days=number))


def test_who_was_known_by_a_key_is_the_person_who_has_it(cared: Shop) -> None:
    sent = {message["key"] for message in messages(cared)}
    outcomes = next_day(cared, 1, IDENTITY)
    assert set(outcomes.values()) == {"published", "reused"}, cared.heard
    person = cared.rows("identity/keys", None).set_index("key")["person_id"]
    now = cared.rows("identity/successors", None).set_index("was")["now"]
    assert len(now) == 60 and now.to_dict() == person.to_dict()
    assert set(cared.rows("identity/history", None)["event"]) == {"new", "named"}
    assert {message["key"] for message in messages(cared)} == sent
    entries = cared.rows("triggers/care", AS_OF + timedelta(days=1))
    assert (entries["person_id"] == entries["entered_as"].map(person)).all() and len(entries)

    assert set(next_day(cared, 1, IDENTITY).values()) == {"reused"}
    # A role that may not read member numbers finds nobody by them, though they once were ids.
    (cared.root / "catalog" / "access.yaml").write_text("roles: {desk: pii, office: internal}\ndefault_role: desk\n")
    setting = cared.setting
    desk, office = (reader_of(setting.resolved, "explain", Asking(role), {}) for role in ("desk", "office"))
    assert find_person(setting, desk, "C005")[0] == person["C005"]
    assert find_person(setting, office, "C005") == ("C005", None)


def test_a_person_is_who_has_the_key_now_though_two_were_one_for_a_while(tmp_path: Path) -> None:
    kinds = [IdentifierKind(code="member_no", title=Title(zh="会员号", en="Member number"), normalise="upper")]
    with duckdb.connect() as connection:
        work = Work(DuckDBEngine(connection), tmp_path, {})
        work.files[PERSONS] = write_persons(tmp_path, ["c1", "c2", "lost"])
        for number, owners in enumerate((["a", "a"], ["a", "b"]), 1):
            rows = [{"kind": "member_no", "key": f"C{n}", PERSON: who} for n, who in enumerate(owners, 1)]
            work.files[KEYS] = [write_rows(tmp_path / f"keys{number}.parquet", identity_columns(KEYS), rows)]
            if number == 1:
                work.write(first_events(kinds), tmp_path / "history.parquet")
                work.files[HISTORY] = [tmp_path / "history.parquet"]
            found = {row["was"]: row["now"] for row in work.rows(successors(work, kinds))}
            assert found == dict(zip(("c1", "c2"), owners, strict=True))


def test_without_identity_yaml_again_nothing_is_made_and_nobody_is_written_to(cared: Shop) -> None:
    next_day(cared, 1, IDENTITY)
    sent, persons = messages(cared), cared.rows("identity/persons", None)
    outcomes = next_day(cared, 2, None)
    assert outcomes["identity/persons"] == "refused" and "put it back" in cared.reason("identity/persons")
    assert not {name for name, outcome in outcomes.items() if outcome == "published"}
    assert messages(cared) == sent and cared.rows("identity/persons", None).equals(persons)
    assert set(next_day(cared, 2, IDENTITY).values()) <= {"published", "reused"}
    assert [message["key"] for message in messages(cared)] == [message["key"] for message in sent]

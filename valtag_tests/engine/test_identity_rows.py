"""The rows of a master with their persons: what is left of keys that went on to somebody else."""

from datetime import datetime
from pathlib import Path

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.identity.keying import keyed_rows, one_row_each, without_lost_keys
from valtag_assets.engine.identity.tables import KEYS, identity_columns
from valtag_assets.engine.identity.work import Work
from valtag_assets.engine.persons import OWNER
from valtag_assets.expression.resolve import resolve_catalog
from valtag_tests.kit import write_clean, write_rows

FILES = {
    "project.yaml": "name: shop\ntitle: {zh: 店, en: Shop}\nstart: 2024-01-01\n",
    "sources/members.yaml": """
source: members
title: {zh: 会员, en: Members}
kind: master
read: {path: members.csv}
time: joined_at
fields: [{name: card, type: text}, {name: phone, type: text}, {name: joined_at, type: timestamp}]
""",
    "identity.yaml": """
kinds:
  - {code: card, title: {zh: 卡, en: Card}}
  - {code: phone, title: {zh: 手机, en: Phone}, valid_for: 180d}
sources: {members: {card: card, phone: phone}}
""",
}
HANDED_ON = datetime(2024, 7, 1)


def test_a_number_that_went_on_to_somebody_else_is_nobody_s_but_theirs(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    resolved = resolve_catalog(tmp_path)
    source, identity = resolved.sources["members"], resolved.identity
    assert identity is not None
    members = [
        ("A", "13900000001", datetime(2024, 1, 1)),  # went on to B
        ("B", "13900000001", datetime(2024, 8, 1)),
        ("C", "13900000002", datetime(2024, 1, 1)),  # silent for long, and C's again
        ("D", "13900000003", datetime(2024, 1, 1)),
    ]
    rows = [
        {"card": card, "phone": phone, "joined_at": at, "_file": "f", "_row": n}
        for n, (card, phone, at) in enumerate(members)
    ]
    ends = {"since": None, "until": HANDED_ON}, {"since": HANDED_ON, "until": None}, {"since": None, "until": None}
    owned = [
        *({"kind": "card", "key": card, "person_id": card.lower(), **ends[2]} for card in "ABCD"),
        {"kind": "phone", "key": "13900000001", "person_id": "a", **ends[0]},
        {"kind": "phone", "key": "13900000001", "person_id": "b", **ends[1]},
        {"kind": "phone", "key": "13900000002", "person_id": "c", **ends[0]},
        {"kind": "phone", "key": "13900000002", "person_id": "c", **ends[1]},
        {"kind": "phone", "key": "13900000003", "person_id": "d", **ends[2]},
    ]
    clean = write_clean(tmp_path, resolved, "members", rows)
    keys = write_rows(tmp_path / "keys.parquet", identity_columns(KEYS), owned)
    with open_duckdb(tmp_path) as engine:
        work = Work(engine, tmp_path, {"clean/members": clean, KEYS: [keys]})
        found = work.keep("keyed", keyed_rows(source, identity))
        made = work.rows(one_row_each(source, without_lost_keys(source, identity, found)))
    assert {row[OWNER]: row["phone"] for row in made} == {
        "a": None,
        "b": "13900000001",
        "c": "13900000002",
        "d": "13900000003",
    }

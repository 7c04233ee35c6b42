"""Keys made by the engine for all rows are those made for one."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.delivery.keys import key_column, message_key
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.session import unbound

PERSONS = ["C001", "一二三", "a b", "", "x\\y'\"z"]


def test_the_engine_makes_the_same_keys_as_for_one_message(tmp_path: Path) -> None:
    pq.write_table(pa.table({"person_id": PERSONS}), tmp_path / "persons.parquet")
    persons = unbound("persons", {"person_id": "string"})
    keys = key_column(["crm", "win_back", "v1", "2", persons["person_id"], "3", "add"])
    with open_duckdb() as engine:
        found = engine.fetch(persons.select("person_id", key=keys), {"persons": [tmp_path / "persons.parquet"]})
    made = dict(zip(found["person_id"].to_pylist(), found["key"].to_pylist(), strict=True))
    assert made == {person: message_key("crm", "win_back", "v1", "2", person, "3", "add") for person in PERSONS}


def test_every_part_makes_another_key() -> None:
    parts = ["crm", "win_back", "v1", "2", "C001", "3", "add"]
    keys = {message_key(*parts)} | {message_key(*parts[:n], parts[n] + "x", *parts[n + 1 :]) for n in range(7)}
    assert len(keys) == 8

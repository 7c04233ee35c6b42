"""Whatever the destination is, it holds exactly the members and their published values."""

import asyncio
import csv
import json
import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as postgres
import duckdb
import pyarrow.parquet as pq
import pytest
import redis

from valtag_assets.delivery.erasing import purge, withdraw
from valtag_assets.delivery.message import Message, Parcel
from valtag_assets.delivery.outbox import ledger_file
from valtag_assets.delivery.redis import open_redis
from valtag_assets.spec.destination import Destination
from valtag_tests.delivery.post import FIELDS, TITLE, Post, destination, sent
from valtag_tests.delivery.test_outbox import NOW
from valtag_tests.serving.desk import attribute_rows, interest_rows, members

Held = dict[str, dict[str, str | None]]


def wanted() -> Held:
    """What should be there, every value as text."""
    rows = {row["person_id"]: row for row in attribute_rows()}
    more = {row["person_id"]: row for row in interest_rows()}
    elders = {row["person_id"] for row in members("elders")}
    found: Held = {}
    for member in members("vips"):
        person = member["person_id"]
        values = {**rows[person], **more[person], "elders": person in elders}
        found[person] = {name: text(values[name]) for name in FIELDS}
    return found


def text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Decimal):
        return f"{value:.3f}"
    return None if value is None else str(value)


def by_person(rows: list[dict[str, Any]]) -> Held:
    return {str(row["person_id"]): {name: text(row.get(name)) for name in FIELDS} for row in rows}


def read_csv(folder: Path, _: str) -> Held:
    with (folder / "files/out/vips_there.csv").open(encoding="utf-8", newline="") as file:
        rows = [{k: v or None for k, v in row.items()} for row in csv.DictReader(file)]
    for row in rows:
        row |= {name: str(int(row[name] == "true")) for name in ("is_vip", "elders")}
        row["last_order_at"] = datetime.fromisoformat(str(row["last_order_at"])).isoformat()
    return by_person(rows)


def read_lines(folder: Path, _: str) -> Held:
    lines = (folder / "files/out/vips_there.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return by_person([{**row, "last_order_at": row["last_order_at"].replace(" ", "T")} for row in rows])


def read_parquet(folder: Path, _: str) -> Held:
    return by_person(pq.read_table(folder / "files/out/vips_there.parquet").to_pylist())


def read_sqlite(folder: Path, _: str) -> Held:
    with closing(sqlite3.connect(folder / "files/bi.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute("SELECT * FROM audience")]
    rows = [{**row, "rate": f"{row['rate']:.3f}"} for row in rows]
    return by_person([{**row, "last_order_at": row["last_order_at"].replace(" ", "T")} for row in rows])


def read_duckdb(folder: Path, _: str) -> Held:
    with duckdb.connect(str(folder / "files/bi.duckdb")) as connection:
        return by_person(connection.sql("SELECT * FROM audience").to_arrow_table().to_pylist())


def read_postgres(_: Path, url: str) -> Held:
    with postgres.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT *, rate::text AS rate FROM audience")
        return by_person(cursor.fetch_arrow_table().to_pylist())


def read_redis(_: Path, url: str) -> Held:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        persons: Any = client.smembers("shop:vips_there:members")
        records: dict[str, Any] = {p: client.hgetall(f"shop:vips_there:person:{p}") for p in persons}
    numbers = {"true": "1", "false": "0"}
    return {
        person: {name: numbers.get(record.get(name), record.get(name)) for name in FIELDS}
        for person, record in records.items()
    }


KINDS: Mapping[str, tuple[dict[str, Any], Callable[[Path, str], Held]]] = {
    "csv": ({"kind": "file", "path": "out", "format": "csv"}, read_csv),
    "jsonl": ({"kind": "file", "path": "out", "format": "jsonl"}, read_lines),
    "parquet": ({"kind": "file", "path": "out", "format": "parquet"}, read_parquet),
    "sqlite": ({"kind": "database", "path": "bi.sqlite", "table": "audience"}, read_sqlite),
    "duckdb": ({"kind": "database", "path": "bi.duckdb", "table": "audience"}, read_duckdb),
    "postgres": ({"kind": "postgres", "url_env": "THERE", "table": "public.audience"}, read_postgres),
    "redis": ({"kind": "redis", "url_env": "THERE", "prefix": "shop"}, read_redis),
}


@pytest.mark.parametrize("name", KINDS)
def test_it_holds_the_members_and_follows_every_change(
    tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    said, read = KINDS[name]
    url = request.getfixturevalue(f"{name}_url") if name in ("postgres", "redis") else ""
    post = Post.of(tmp_path, destination(**said, batch=5))
    post.environment = {"THERE": url}
    assert sent(post.deliver()) == {("add", "acknowledged"): len(members("vips"))}
    held = wanted()
    assert read(tmp_path, url) == held
    post.members([row for row in members("vips") if row["person_id"] not in ("P03", "P06")])
    post.attributes(P00={"city": "成都", "points": None})
    assert sent(post.deliver()) == {
        ("change", "acknowledged"): 1,
        ("remove", "acknowledged"): 2,
        ("none", "unchanged"): len(members("vips")) - 3,
    }
    for person in ("P03", "P06"):
        del held[person]
    held["P00"] |= {"city": "成都", "points": None}
    assert read(tmp_path, url) == held
    assert sent(post.deliver()) == {("none", "unchanged"): len(held)}


def test_who_is_erased_goes_from_redis_and_nobody_else(tmp_path: Path, redis_url: str) -> None:
    said, read = KINDS["redis"]
    post = Post.of(tmp_path, destination(**said))
    post.environment = {"THERE": redis_url}
    post.deliver()
    held = wanted()
    done, again = (withdraw(post.place, ["P03"], "an erasure", post.now) for _ in range(2))
    assert (done.waiting, done.states) == ({}, {"there": {"acknowledged": 1}})
    assert (again.waiting, again.states) == ({}, {})
    assert read(tmp_path, redis_url) == {person: values for person, values in held.items() if person != "P03"}
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert [key for key in client.scan_iter() if "P03" in key] == []
    assert purge(ledger_file(post.desk.warehouse), ["P03"])["messages"] == 2
    post.members([row for row in members("vips") if row["person_id"] != "P03"])
    assert sent(post.deliver()) == {("none", "unchanged"): len(held) - 1}


def test_a_redis_that_is_away_leaves_the_withdrawal_waiting(tmp_path: Path, redis_url: str) -> None:
    post = Post.of(tmp_path, destination(**KINDS["redis"][0]))
    post.environment = {"THERE": redis_url}
    post.deliver()
    post.environment = {"THERE": "redis://127.0.0.1:1/0"}
    assert set(withdraw(post.place, ["P03"], "an erasure", post.now).waiting) == {"there"}
    post.environment = {"THERE": redis_url}
    post.at += timedelta(hours=1)
    assert withdraw(post.place, ["P03"], "an erasure", post.now).waiting == {}
    assert "P03" not in KINDS["redis"][1](tmp_path, redis_url)


@pytest.mark.parametrize(("ending", "count"), [("csv", 1), ("sqlite", 1)])
def test_append_adds_a_row_for_each_message_once(tmp_path: Path, ending: str, count: int) -> None:
    said = {**KINDS[ending][0], "fields": ["city"]}
    post = Post.of(tmp_path, destination(**said, mode="append"))
    post.deliver()
    post.attributes(P00={"city": "成都"})
    post.members(members("vips")[:-1])
    assert sent(post.deliver())[("none", "left")] == count
    if ending == "csv":
        with (tmp_path / "files/out/vips_there-2024-03-10.csv").open(encoding="utf-8") as file:
            rows = [(row["person_id"], row["operation"], row["city"]) for row in csv.DictReader(file)]
    else:
        with closing(sqlite3.connect(tmp_path / "files/bi.sqlite")) as connection:
            rows = connection.execute("SELECT person_id, operation, city FROM audience").fetchall()
    assert len(rows) == len(members("vips")) + 1
    assert [row for row in rows if row[1] == "change"] == [("P00", "change", "成都")]


def test_a_table_with_columns_of_its_own_keeps_them_and_gets_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    with closing(sqlite3.connect(tmp_path / "files/bi.sqlite")) as connection:
        columns = "origin TEXT, person_id TEXT, note TEXT DEFAULT 'ours'"
        connection.execute(f"CREATE TABLE audience ({columns}, PRIMARY KEY (origin, person_id))")
    Post.of(tmp_path, destination(**{**KINDS["sqlite"][0], "fields": ["city"]})).deliver()
    with closing(sqlite3.connect(tmp_path / "files/bi.sqlite")) as connection:
        assert connection.execute("SELECT DISTINCT note FROM audience").fetchall() == [("ours",)]
        assert connection.execute("SELECT city FROM audience WHERE person_id = 'P00'").fetchall() == [("上海",)]


def test_a_row_the_database_refuses_is_found_and_the_others_go_in(tmp_path: Path, postgres_url: str) -> None:
    with postgres.connect(postgres_url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS picky")
        cursor.execute(
            "CREATE TABLE picky (origin text, person_id text, points bigint CHECK (points <> 18),"
            " PRIMARY KEY (origin, person_id))"
        )
    said = {"kind": "postgres", "url_env": "THERE", "table": "picky", "fields": ["points"], "max_reject_share": 0.5}
    post = Post.of(tmp_path, destination(**said))
    post.environment = {"THERE": postgres_url}
    found = sent(post.deliver())
    assert found == {("add", "acknowledged"): len(members("vips")) - 1, ("add", "rejected"): 1}
    with post.outbox as outbox:
        (row,) = outbox.read(state="rejected").to_pylist()
    assert row["person_id"] == "P06" and "18" not in row["reason"]


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_server_that_is_not_there_loses_nothing(tmp_path: Path, name: str, request: pytest.FixtureRequest) -> None:
    said, read = KINDS[name]
    post = Post.of(tmp_path, destination(**said))
    scheme = "postgresql" if name == "postgres" else name
    post.environment = {"THERE": f"{scheme}://somebody:pass-word@127.0.0.1:9/0"}
    done = post.deliver()
    assert set(sent(done)) == {("add", "pending")}
    with post.outbox as outbox:
        assert "pass-word" not in f"{done.rows} {done.verdicts} {outbox.read().to_pylist()}"
    url = request.getfixturevalue(f"{name}_url")
    post.environment = {"THERE": url}
    post.at = post.at.replace(day=3)
    assert sent(post.deliver()) == {("add", "acknowledged"): len(members("vips"))}
    assert set(read(tmp_path, url)) == set(wanted())


@pytest.mark.parametrize(
    ("kind", "module", "extra"),
    [("redis", "redis.asyncio", "deliveries"), ("postgres", "adbc_driver_postgresql.dbapi", "databases")],
)
def test_a_client_that_is_not_installed_is_asked_for_by_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    post = Post.of(tmp_path, destination(**KINDS[kind][0]))
    post.environment = {"THERE": "anything"}
    (failed,) = [verdict for verdict in post.deliver().verdicts if verdict.check == "destination_ready"]
    assert f"valtag[{extra}]" in failed.detail["observed"]


def test_a_secret_that_is_not_set_is_asked_for_by_its_name(tmp_path: Path) -> None:
    done = Post.of(tmp_path, destination(**KINDS["redis"][0])).deliver()
    (failed,) = [verdict for verdict in done.verdicts if not verdict.passed and verdict.severity == "error"]
    assert failed.check == "destination_ready" and "THERE is not set" in failed.detail["observed"]


def test_nobody_sees_half_of_an_audience_that_is_loaded_into_redis(redis_url: str) -> None:
    spec = Destination.model_validate({"destination": "there", "title": TITLE, **KINDS["redis"][0], "prefix": "a*b"})
    parcels = [Parcel(message(person), {"city": "上海"}) for person in ("P1", "P2", "P3")]
    seen: list[set[str]] = []

    async def load(some: list[Parcel], *, dies: bool) -> None:
        async with open_redis(spec, {"THERE": redis_url}) as receiver:
            for parcel in some:
                assert [outcome.kind for outcome in await receiver.deliver([parcel])] == ["ok"]
                with redis.Redis.from_url(redis_url, decode_responses=True) as client:
                    seen.append(client.smembers("a*b:vips:members"))  # type: ignore[arg-type]
            if dies:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(load(parcels[:2], dies=True))
    asyncio.run(load(parcels[2:], dies=False))
    assert seen == [set(), set(), set()]
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert client.smembers("a*b:vips:members") == {"P1", "P2", "P3"}
        assert client.keys("*loading") == []


def message(person: str) -> Message:
    constant = dict.fromkeys(
        ("version", "step", "entry", "values_hash", "snapshot", "run", "reason", "reference"), ""
    )
    none = dict.fromkeys(("as_of", "expires_at", "lease_until", "sent_at", "answered_at"))
    said: dict[str, Any] = {"key": person, "kind": "sync", "origin": "vips", "destination": "there"}
    said |= {"person_id": person, "operation": "add", "state": "claimed", "arm": "treated", "values": {}}
    return Message(**constant, **none, **said, created_at=NOW, not_before=NOW, priority=0, attempts=1)

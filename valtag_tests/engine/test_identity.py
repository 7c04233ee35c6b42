"""Identifiers become persons: against a plain union-find, over random histories; ids stay with what is left."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from hashlib import md5
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.identity import history
from valtag_assets.engine.identity.identifiers import BEFORE, find_identifiers, keys
from valtag_assets.engine.identity.keys import normalised
from valtag_assets.engine.identity.numbers import Numbers
from valtag_assets.engine.identity.tables import HISTORY, IDENTIFIERS, KEYS, identity_table
from valtag_assets.engine.identity.work import Work
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.identity import Normalise
from valtag_tests.chance import MORE
from valtag_tests.engine.identity_oracle import Node, Rules, pieces_of, with_epochs
from valtag_tests.kit import write_catalog

KINDS = ("member", "union", "phone", "device")
FIELDS = {"m": 0, "u": 1, "p": 2, "p2": 2, "d": 3}
FIRST = date(2024, 1, 1)
RULES = {
    "loose": Rules((None,) * 4, (None,) * 4, {}),
    "limited": Rules((None, None, 2, 3), (None, None, 60, None), {}),
    "company": Rules((None, None, 5, 10), (None, None, 180, None), {0: frozenset({1})}),
    "apart": Rules((None, None, 3, 3), (None, None, 60, None), {0: frozenset({1})}),
}
Rows = Sequence[tuple[int, Mapping[str, str]]]


@cache
def catalog(name: str) -> Resolved:
    """A fact with five identifiers and a master with two, under the rules of that name."""
    rules = RULES[name]
    kinds = [
        {"code": code, "title": {"zh": code, "en": code}}
        | ({"limit": limit} if limit else {})
        | ({"valid_for": f"{days}d"} if days else {})
        for code, limit, days in zip(KINDS, rules.limits, rules.days, strict=True)
    ]
    apart = {KINDS[kind]: {"unless": [KINDS[other] for other in others]} for kind, others in rules.apart.items()}
    visits = "source: visits\ntitle: {zh: v, en: v}\nkind: fact\nread: {path: v.csv}\ntime: at\nfields:\n"
    visits += (
        "".join(f"  - {{name: {field}, type: text}}\n" for field in FIELDS) + "  - {name: at, type: timestamp}\n"
    )
    members = "source: members\ntitle: {zh: m, en: m}\nkind: master\nread: {path: m.csv}\nperson: m\nfields:\n"
    members += "  - {name: m, type: text}\n  - {name: p, type: text}\n"
    sources = {
        "visits": {field: KINDS[kind] for field, kind in FIELDS.items()},
        "members": {"m": "member", "p": "phone"},
    }
    files = {
        "identity.yaml": {"kinds": kinds, "sources": sources, "apart": apart},
        "sources/visits.yaml": visits,
        "sources/members.yaml": members,
        "sources/orders.yaml": None,
    }
    with tempfile.TemporaryDirectory() as folder:
        return resolve_catalog(write_catalog(Path(folder), files))


def write_rows(folder: Path, rows: Rows, members: Rows) -> dict[str, Sequence[Path]]:
    """The clean tables of the catalog."""
    found: dict[str, Sequence[Path]] = {}
    for name, fields, own in (("visits", [*FIELDS], rows), ("members", ["m", "p"], members)):
        columns: dict[str, Any] = {f: pa.array([row.get(f) for _, row in own], pa.string()) for f in fields}
        if name == "visits":
            at = [datetime.combine(FIRST + timedelta(days=day), datetime.min.time()) for day, _ in own]
            columns["at"] = pa.array(at, pa.timestamp("us"))
        columns |= {"_file": pa.array(["f"] * len(own), pa.string()), "_row": pa.array(range(len(own)), pa.int64())}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
        found[f"clean/{name}"] = [folder / f"{name}.parquet"]
    return found


def oracle(rows: Rows, members: Rows, rules: Rules) -> tuple[dict[Node, Node], dict[Node, str]]:
    borne = [(FIRST + timedelta(days=day), _keys(row)) for day, row in rows] + [
        (None, _keys(row)) for _, row in members
    ]
    nodes = with_epochs(borne, rules)
    return pieces_of(nodes, rules)


def _keys(row: Mapping[str, str]) -> list[tuple[int, str]]:
    return [(kind, row[field]) for field, kind in FIELDS.items() if row.get(field)]


def value(letter: str, most: int) -> st.SearchStrategy[str | None]:
    return st.none() | st.integers(0, most).map(lambda number: f"{letter}{number}")


ROW = st.fixed_dictionaries(
    {"m": value("M", 12), "u": value("U", 8), "p": value("P", 12), "p2": value("P", 12), "d": value("D", 12)}
)
SOME = st.fixed_dictionaries({"m": value("M", 12), "p": value("P", 12)})
VISITS = st.lists(st.tuples(st.integers(0, 300), ROW), min_size=1, max_size=40)
MEMBERS = st.lists(st.tuples(st.just(0), SOME), max_size=10)
TRIED = settings(max_examples=8 * MORE, suppress_health_check=[HealthCheck.too_slow])


@TRIED
@given(VISITS, MEMBERS, st.sampled_from(sorted(RULES)))
def test_pieces_and_refusals_are_those_of_a_union_find_by_the_same_rules(
    rows: Rows, members: Rows, name: str
) -> None:
    with tempfile.TemporaryDirectory() as folder, open_duckdb() as engine:
        work = Work(engine, Path(folder), {})
        work.files |= write_rows(Path(folder), rows, members)
        found = pd.DataFrame(work.rows(find_identifiers(work, catalog(name))), columns=identity_columns())

    pieces, refused = oracle(rows, members, RULES[name])
    nodes = [
        (KINDS.index(kind), key, None if pd.isnull(since) else since.date())
        for kind, key, since in found[["kind", "key", "since"]].itertuples(index=False)
    ]
    assert dict(zip(nodes, found["reason"], strict=True)) == {node: refused.get(node) for node in nodes}
    named = {node: piece for node, piece in zip(nodes, found["piece"], strict=True) if piece is not None}
    assert named == {node: birth_name(root) for node, root in pieces.items()}


def identity_columns() -> list[str]:
    return list(identity_table(IDENTIFIERS).columns)


def birth_name(node: Node) -> str:
    rank, key, since = node
    return md5(f"|{KINDS[rank]}|{since or ''}|{key}".encode()).hexdigest()


class Persons:
    """The keys and events of one data set after the other, each against the one before."""

    def __init__(self, folder: Path, engine: Any) -> None:
        self.folder, self.engine, self.generation = folder, engine, 0
        self.keys: pd.DataFrame | None = None
        self.events = pd.DataFrame()
        self.successors = pd.DataFrame()

    def see(self, rows: Rows, members: Rows, name: str) -> pd.DataFrame:
        self.generation += 1
        work = Work(self.engine, self.folder, {})
        work.files |= write_rows(self.folder, rows, members)
        self._put(work, IDENTIFIERS, "identifiers", find_identifiers(work, catalog(name)))
        if self.keys is not None:
            work.files[BEFORE] = [self.folder / f"keys{self.generation - 1}.parquet"]
        self._put(work, KEYS, f"keys{self.generation}", keys(self.generation, before=self.keys is not None))
        told = history.first_events() if self.keys is None else history.events(self.generation)
        self._put(work, HISTORY, f"history{self.generation}", told)
        self.events = pd.DataFrame(work.rows(identity_table(HISTORY)))
        work.files[HISTORY] = [self.folder / f"history{n}.parquet" for n in range(1, self.generation + 1)]
        self.successors = pd.DataFrame(work.rows(history.successors(work)), columns=["was", "now"])
        self.keys = pd.DataFrame(work.rows(identity_table(KEYS)), columns=list(identity_table(KEYS).columns))
        return self.keys

    def _put(self, work: Work, table: str, name: str, expression: ibis.Table) -> None:
        file = self.folder / f"{name}.parquet"
        work.write(expression, file)
        work.files[table] = [file]


@settings(TRIED, max_examples=3 * MORE)
@given(st.lists(st.tuples(VISITS, MEMBERS), min_size=2, max_size=3))
def test_over_adds_and_deletes_the_biggest_piece_keeps_the_id(steps: Sequence[tuple[Rows, Rows]]) -> None:
    with tempfile.TemporaryDirectory() as folder, open_duckdb() as engine:
        persons, before = Persons(Path(folder), engine), dict[Any, str]()
        ever, live = set[str](), set[str]()
        for rows, members in steps:
            found = persons.see(rows, members, "loose")
            now = {
                (kind, key): person
                for kind, key, person in found[["kind", "key", "person_id"]].itertuples(index=False)
            }
            assert_kept(before, now)
            assert len(set(now.values())) == len(set(oracle(rows, members, RULES["loose"])[0].values()))
            ever, live, before = ever | set(now.values()), set(now.values()), now
            ends = dict(persons.successors.itertuples(index=False))
            assert set(ends) == ever - live and set(ends.values()) <= live | {None}
            # The same rows once more change nothing, whoever was there before.
            assert persons.see(rows, members, "loose").equals(found)


def assert_kept(before: Mapping[Any, str], now: Mapping[Any, str]) -> None:
    """Each former id is kept by its biggest piece, unless a person who brought more, or as much, claims that."""
    shared = Counter((before[key], now[key]) for key in before.keys() & now.keys())
    for was in {person for person, _ in shared}:
        most = max(size for (old, _), size in shared.items() if old == was)
        if (was, was) in shared:
            assert shared[was, was] == most
        else:
            claims = [new for (old, new), size in shared.items() if old == was and size == most]
            assert any(shared[new, new] >= most for new in claims if (new, new) in shared)


def test_a_chain_of_five_hundred_is_one_person(tmp_path: Path) -> None:
    chain = [(0, {"p": f"P{n}", "d": f"D{n}"}) for n in range(500)]
    chain += [(0, {"p": f"P{n + 1}", "d": f"D{n}"}) for n in range(499)]
    with open_duckdb() as engine:
        assert Persons(tmp_path, engine).see(chain, [], "loose")["person_id"].nunique() == 1


def test_keys_that_a_hash_takes_for_one_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(0, {"m": f"M{n}", "p": f"P{n}", "d": f"D{n // 2}"}) for n in range(8)]
    hashed = Numbers.of

    def by_length_first(self: Numbers, rank: int, key: ir.StringValue) -> ir.IntegerValue:
        return hashed(self, rank, key) if self.seed else key.length().cast("int64") + (rank << 32)

    with open_duckdb() as engine:
        found = Persons(tmp_path, engine).see(rows, [], "loose")
        monkeypatch.setattr(Numbers, "of", by_length_first)
        assert Persons(tmp_path, engine).see(rows, [], "loose").equals(found)
    assert found["person_id"].nunique() == 4


def test_all_sources_of_a_key_are_named_however_many(tmp_path: Path) -> None:
    codes = [f"list{n}" for n in range(35)]
    files: dict[str, Any] = {"sources/members.yaml": None, "sources/orders.yaml": None}
    files["project.yaml"] = "name: lists\ntitle: {zh: 名单, en: Lists}\nstart: 2024-01-01\n"
    about = "title: {zh: m, en: m}\nkind: master\nread: {path: m.csv}\nfields: [{name: m, type: text}]\n"
    files |= {f"sources/{code}.yaml": f"source: {code}\nperson: m\n{about}" for code in codes}
    kinds = [{"code": "member", "title": {"zh": "m", "en": "m"}}]
    files["identity.yaml"] = {"kinds": kinds, "sources": {code: {"m": "member"} for code in codes}}
    resolved = resolve_catalog(write_catalog(tmp_path, files))
    clean = pa.table({"m": ["M1"], "_file": ["f"], "_row": pa.array([0], pa.int64())})
    pq.write_table(clean, tmp_path / "clean.parquet")
    with open_duckdb() as engine:
        work = Work(engine, tmp_path, {f"clean/{code}": [tmp_path / "clean.parquet"] for code in codes})
        (row,) = work.rows(find_identifiers(work, resolved))
    assert (row["sources"], row["rows"]) == (", ".join(sorted(codes)), 35)


def test_a_recycled_number_is_two_persons_and_rows_find_theirs_by_time(tmp_path: Path) -> None:
    rows = [(0, {"m": "M1", "p": "P1"}), (10, {"p": "P1", "d": "D1"}), (200, {"m": "M2", "p": "P1"})]
    with open_duckdb() as engine:
        found = Persons(tmp_path, engine).see(rows, [], "limited")
    owners = found[found["key"] == "P1"].sort_values("since", na_position="first")
    member = found.set_index("key")["person_id"]
    assert owners["person_id"].tolist() == [member["M1"], member["M2"]] and member["D1"] == member["M1"]
    assert owners["until"].tolist()[0] == owners["since"].tolist()[1] == datetime(2024, 7, 19)


@pytest.mark.parametrize(
    ("how", "texts"),
    [
        (
            "phone",
            {
                "13812345678": "13812345678",
                "138 1234-5678": "13812345678",
                "+86 13812345678": "13812345678",
                "008613812345678": "13812345678",
                "+1 (415) 555-0100": "+14155550100",
                "0044 20 7946 0958": "+442079460958",
                "021-12345678": None,
                "12345678901": None,
                "138123456789": None,
                "13812345678 转 8": None,
                "+8610 12345678": None,
                "+1 (300) 555-0100": "+13005550100",
            },
        ),
        ("email", {"Li@QQ.com": "li@qq.com", "li@qq": None, "li qq.com": None}),
        ("upper", {"31010x": "31010X", " ": None}),
        ("text", {" a ": "a", "é": "é", "\u3000a": "\u3000a", "a\t": "a", "a\x00": "a\x00", " \n": None, "": None}),
    ],
)
def test_spellings_of_one_identifier_are_one_key(how: Normalise, texts: Mapping[str, str | None]) -> None:
    table = ibis.table({"t": "string"}, name="t")
    with tempfile.TemporaryDirectory() as folder, open_duckdb() as engine:
        file = Path(folder) / "t.parquet"
        pq.write_table(pa.table({"t": list(texts)}), file)
        made = engine.fetch(table.select("t", key=normalised(table["t"], how)), {"t": [file]}).to_pylist()
    assert {row["t"]: row["key"] for row in made} == texts

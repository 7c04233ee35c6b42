"""Files come, change and go: what is cleaned step by step equals what is cleaned all at once."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from valtag_assets.engine.cleaning.account import Account, FileAccount
from valtag_assets.engine.cleaning.by_file import part_of_file
from valtag_assets.engine.cleaning.clean import clean_source
from valtag_assets.engine.cleaning.restate import Before, standing
from valtag_assets.engine.cleaning.spread import find_medians
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.reading.tables import RawTable
from valtag_assets.engine.session import Engine
from valtag_assets.spec.source import Source
from valtag_assets.warehouse.tokens import Tokens
from valtag_tests.chance import MORE
from valtag_tests.engine.cleaning.cleaned import project, row_rules, source

NAMES = ("order_id", "uid", "at", "amount")
Rows = tuple[tuple[str | None, ...], ...]
Files = Mapping[str, Rows]


def orders(amount: Mapping | None = None, uid: Mapping | None = None, **settings) -> Source:
    fields = [
        {"name": "order_id", "type": "text"},
        {"name": "uid", "type": "text", **(uid or {})},
        {"name": "at", "type": "timestamp"},
        {"name": "amount", "type": "decimal(18,2)", "bounds": {"min": 0, "otherwise": "null"}, **(amount or {})},
    ]
    data = {"kind": "fact", "person": "uid", "time": "at", "key": ["order_id"]}
    data["drop"] = [{"name": "test", "where": "uid = 'test'"}]
    return source(fields, **{**data, **settings})


@dataclass(frozen=True)
class State:
    """The tables of a source on disk, by part, and its accounts."""

    clean: Mapping[str, Path]
    merged: Mapping[str, Path]
    quarantine: Mapping[str, Path]
    vault: Mapping[str, Path]
    spread: Mapping[str, Path]
    files: Mapping[str, FileAccount]
    medians: Mapping[str, Decimal | None]
    account: Account | None
    until: object

    def rows(self) -> dict[str, dict[str, list[dict]]]:
        """Every row of every table, by part, in its order."""
        tables = {"clean": self.clean, "merged": self.merged, "quarantine": self.quarantine}
        tables |= {"vault": self.vault, "spread": self.spread}
        return {
            table: {name: pq.read_table(file).to_pylist() for name, file in sorted(parts.items())}
            for table, parts in tables.items()
        }


NOTHING = State({}, {}, {}, {}, {}, {}, {}, None, None)


class Shelf:
    """Cleans files into folders of its own."""

    def __init__(self, folder: Path, engine: Engine, spec: Source) -> None:
        self.folder, self.engine, self.spec, self.count = folder, engine, spec, 0

    def raw(self, files: Files) -> RawTable | None:
        if not files:
            return None
        self.count += 1
        folder = self.folder / f"raw{self.count}"
        folder.mkdir()
        for place, (name, rows) in enumerate(files.items()):
            columns = {column: pa.array([row[n] for row in rows], pa.string()) for n, column in enumerate(NAMES)}
            columns["_file"] = pa.array([name] * len(rows), pa.string())
            columns["_row"] = pa.array(range(1, len(rows) + 1), pa.int64())
            pq.write_table(pa.table(columns), folder / f"part-{place}.parquet")
        rows_in = sum(map(len, files.values()))
        return RawTable(folder, tuple((name, "VARCHAR") for name in NAMES), rows_in, None, 0, tuple(files))

    def clean(self, files: Files) -> State:
        """Clean all ``files`` at once."""
        return self.follow(NOTHING, {}, files)

    def follow(self, before: State, old: Files, new: Files) -> State:
        """From the files ``old`` to the files ``new``, reading only what changed."""
        arriving = {name for name, rows in new.items() if old.get(name) != rows}
        leaving = {name for name, rows in old.items() if new.get(name) != rows}
        self.count += 1
        into = self.folder / f"into{self.count}"
        into.mkdir()
        known = Before(
            *(before.clean, before.merged, before.quarantine, before.vault, before.spread),
            files=before.files,
            medians=before.medians,
        )
        raw = self.raw({name: new[name] for name in sorted(arriving)})
        medians = find_medians(self.engine, self.spec, project(), raw, into, known, leaving)
        self.turned = medians.turned
        if medians.turned:
            leaving |= medians.turned
            raw = self.raw({name: new[name] for name in sorted(arriving | medians.turned)})
        rules = replace(row_rules(self.spec), key=Tokens(self.folder, {}).table(self.folder))
        done = clean_source(self.engine, self.spec, project(), raw, {}, rules, medians, into, known, leaving)
        return State(
            standing(done.clean, before.clean),
            {} if done.merged is None else standing(done.merged, before.merged),
            standing(done.quarantine, before.quarantine),
            {} if done.vault is None else standing(done.vault, before.vault),
            {} if medians.spread is None else standing(medians.spread, before.spread),
            done.files,
            medians.of,
            done.account,
            done.data_until,
        )


def assert_same(found: State, wanted: State) -> None:
    assert found.rows() == wanted.rows()
    assert (found.files, found.account, found.until) == (wanted.files, wanted.account, wanted.until)
    assert found.medians == wanted.medians
    assert found.account is not None
    assert found.account.balanced


ORDER_IDS = st.sampled_from(["a", "b", "c", "d", None])
PEOPLE = st.sampled_from(["1", "2", "2", "test", None])
DAYS = st.sampled_from(["2024-01-31", "2024-02-01", "2024-02-29", "2023-12-31 23:59:59", "never"])
ROW = st.tuples(ORDER_IDS, PEOPLE, DAYS, st.sampled_from(["1", "2", "-3", "x", None]))
FILES = st.dictionaries(st.sampled_from(["a.csv", "b.csv", "c.csv", "d.csv"]), st.lists(ROW, max_size=4).map(tuple))
KINDS = {
    "never merged": {},
    "first": {"deduplicate": {"key": ["order_id"]}},
    "largest, outliers refused": {
        "deduplicate": {"key": ["order_id"], "order": ["amount desc"]},
        "amount": {"outlier": {"times": 1.5}},
    },
    "latest, outliers emptied, personal": {
        "uid": {"access": "pii"},
        "deduplicate": {"key": ["order_id", "uid"], "order": ["at desc", "amount"]},
        "amount": {"type": "float", "outlier": {"times": 1, "otherwise": "null"}},
    },
}


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=3 * MORE,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(FILES.filter(bool), min_size=2, max_size=4))
def test_any_history_of_files_ends_as_if_the_last_files_had_been_cleaned_alone(kind, history):
    with TemporaryDirectory() as folder, open_duckdb() as engine:
        shelf = Shelf(Path(folder), engine, orders(**KINDS[kind]))
        files, state = history[0], shelf.clean(history[0])
        for after in history[1:]:
            state, files = shelf.follow(state, files, after), after
        assert_same(state, shelf.clean(files))


def test_the_vault_has_what_every_token_of_the_tables_stands_for_and_nothing_else(tmp_path):
    with open_duckdb() as engine:
        shelf = Shelf(tmp_path, engine, orders(uid={"access": "pii"}, deduplicate={"key": ["order_id"]}))
        rows = (("a", "ann", "2024-01-05", "5"), ("a", "bob", "2024-01-05", "5"), ("t", "test", "2024-01-05", "5"))
        files = {"a.csv": (*rows, ("c", "eve", "never", "5")), "b.csv": (("d", "ann", "2024-02-05", "5"),)}
        state = shelf.clean(files)
        found = {name: sorted({row["value"] for row in rows}) for name, rows in state.rows()["vault"].items()}
        part = f"part-{part_of_file('a.csv')}.parquet"
        assert found == {"part-2024-01.parquet": ["ann", "bob"], "part-2024-02.parquet": ["ann"], part: ["eve"]}
        known = {row["token"]: row["value"] for rows in state.rows()["vault"].values() for row in rows}
        told = [row["uid"] for table in ("clean", "merged") for rows in state.rows()[table].values() for row in rows]
        assert sorted(known[token] for token in told) == ["ann", "ann", "bob"]
        refused = json.loads(state.rows()["quarantine"][part][0]["record"])
        assert known[refused["uid"]] == "eve" and refused["at"] == "never"
        later = shelf.follow(state, files, {"b.csv": files["b.csv"]})
        assert [row["value"] for rows in later.rows()["vault"].values() for row in rows] == ["ann"]


def test_a_median_that_moves_judges_the_files_anew_whose_values_change_sides(tmp_path):
    with open_duckdb() as engine:
        shelf = Shelf(tmp_path, engine, orders({"outlier": {"times": 10}}))
        files = {
            "a.csv": tuple((f"a{n}", "1", "2024-01-05", "1") for n in range(5)),
            "b.csv": (("b", "1", "2024-01-06", "15"),),
            "c.csv": (("c", "1", "2024-02-06", "2"),),
        }
        state = shelf.clean(files)
        assert state.medians == {"amount": 1}
        assert [row["rule"] for rows in state.rows()["quarantine"].values() for row in rows] == ["amount.outlier"]
        after = {**files, "d.csv": tuple((f"d{n}", "1", "2024-03-01", "2") for n in range(9))}
        later = shelf.follow(state, files, after)
        assert later.medians == {"amount": 2}
        assert shelf.turned == {"b.csv"}
        assert later.account.quarantined == 0
        assert later.clean["part-2024-02.parquet"] == state.clean["part-2024-02.parquet"]
        assert_same(later, shelf.clean(after))


@pytest.fixture
def shelf(tmp_path):
    with open_duckdb() as engine:
        yield Shelf(tmp_path, engine, orders(deduplicate={"key": ["order_id"], "order": ["amount desc"]}))


JANUARY = (("a", "1", "2024-01-05", "5"), ("b", "1", "2024-01-06", "5"), ("z", "1", "2024-01-07", "x"))
FEBRUARY = (("c", "2", "2024-02-05", "5"),)


def test_a_new_file_rewrites_the_months_of_its_rows_only(shelf):
    files = {"a.csv": JANUARY, "b.csv": FEBRUARY}
    state = shelf.clean(files)
    later = shelf.follow(state, files, {**files, "c.csv": (("d", "2", "2024-02-06", "5"),)})
    assert sorted(later.clean) == ["part-2024-01.parquet", "part-2024-02.parquet"]
    assert later.clean["part-2024-01.parquet"] == state.clean["part-2024-01.parquet"]
    assert later.clean["part-2024-02.parquet"] != state.clean["part-2024-02.parquet"]
    assert later.quarantine == state.quarantine


def test_a_merged_row_comes_back_when_the_one_it_was_merged_into_is_deleted(shelf):
    files = {"a.csv": JANUARY, "b.csv": (("a", "9", "2024-02-05", "70"),)}
    state = shelf.clean(files)
    assert [row["order_id"] for row in state.rows()["clean"]["part-2024-01.parquet"]] == ["b"]
    (lost,) = state.rows()["merged"]["part-2024-01.parquet"]
    assert (lost["order_id"], lost["uid"], lost["_into_file"], lost["_into_row"]) == ("a", "1", "b.csv", 1)
    later = shelf.follow(state, files, {"a.csv": JANUARY})
    assert [row["order_id"] for row in later.rows()["clean"]["part-2024-01.parquet"]] == ["a", "b"]
    assert sorted(later.clean) == ["part-2024-01.parquet"]
    assert list(later.merged) == ["part-none.parquet"]
    assert_same(later, shelf.clean({"a.csv": JANUARY}))


def test_a_late_file_may_win_over_a_row_of_another_month(shelf):
    files = {"a.csv": JANUARY, "b.csv": FEBRUARY}
    after = {**files, "c.csv": (("c", "2", "2024-01-01", "6"),)}
    state = shelf.follow(shelf.clean(files), files, after)
    assert list(state.clean) == ["part-2024-01.parquet"]
    assert_same(state, shelf.clean(after))


def test_a_file_that_brings_nothing_new_touches_nothing(shelf):
    files = {"a.csv": JANUARY, "b.csv": ()}
    state = shelf.clean(files)
    later = shelf.follow(state, files, {"a.csv": JANUARY, "c.csv": ()})
    assert (later.clean, later.merged, later.quarantine) == (state.clean, state.merged, state.quarantine)
    assert set(later.files) == {"a.csv", "c.csv"}


def test_the_rows_of_unchanged_files_are_not_needed(shelf):
    files = {"a.csv": JANUARY, "b.csv": FEBRUARY}
    state = shelf.clean(files)
    shutil.rmtree(next(shelf.folder.glob("raw*")))
    after = {**files, "b.csv": (("c", "3", "2024-02-05", "5"), ("a", "3", "2024-03-05", "1"))}
    assert_same(shelf.follow(state, files, after), shelf.clean(after))


def test_a_master_is_one_part_and_is_restated_file_by_file(tmp_path):
    fields = [{"name": "order_id", "type": "text"}, {"name": "uid", "type": "text"}]
    spec = source(fields, kind="master", person="uid", key=[])
    with open_duckdb() as engine:
        shelf = Shelf(tmp_path, engine, spec)
        files = {"a.csv": JANUARY, "b.csv": FEBRUARY}
        state = shelf.clean(files)
        assert list(state.clean) == ["part-all.parquet"]
        after = {"b.csv": FEBRUARY, "c.csv": (("x", "1", None, None),)}
        assert_same(shelf.follow(state, files, after), shelf.clean(after))

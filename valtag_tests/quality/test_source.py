import pyarrow as pa
import pytest

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.quality.audit import audit
from valtag_assets.quality.expectation import COMPOUND_UNIQUE
from valtag_assets.quality.misplaced import misplaced_checks
from valtag_assets.quality.profile import profile
from valtag_assets.quality.source import account_verdicts, sample_key, source_expectations
from valtag_tests.quality.catalogs import FILES, small_catalog
from valtag_tests.quality.frames import by_check, expect, failed, published, write

MEMBERS = {
    "member_id": ["M10001", "M10002", "M10003"],
    "city": ["上海", None, "北京"],
    "phone": ["131", "132", None],
    "level": [1, 2, 3],
}

READ = {"_file": ["members.csv"] * 3, "_row": [1, 2, 3]}


@pytest.fixture(scope="module")
def resolved(tmp_path_factory):
    return small_catalog(tmp_path_factory.mktemp("catalog"))


def members(resolved, folder, previous=None, clean=None, **changes):
    files = write(folder / "members.parquet", {**MEMBERS, **READ, **changes}, city=pa.string(), phone=pa.string())
    source = resolved.sources["members"]
    return audit(files, source_expectations(resolved, source, previous, clean), sample_key(source))


def test_a_clean_table_passes(resolved, tmp_path):
    assert failed(members(resolved, tmp_path, clean=3)) == set()


def test_a_person_twice_a_missing_level_and_lost_rows_hold_the_table(resolved, tmp_path):
    found = members(resolved, tmp_path, published(9), 4, member_id=["M10001", "M10001", None], level=[1, None, 3])
    assert failed(found) == {"rows", "rows_counted", "key", "member_id.present", "level.present"}
    assert all(verdict.holds == "table" for verdict in found if not verdict.passed)
    assert by_check(found)["key"].unexpected == 2


def test_a_private_field_that_breaks_its_pattern_warns_without_its_values(resolved, tmp_path):
    verdict = by_check(members(resolved, tmp_path, phone=["007", "131", None]))["phone.matches"]
    assert (verdict.holds, verdict.unexpected, verdict.evaluated) == ("nothing", 1, 2)
    assert verdict.detail["sample"] == [{"member_id": "M***01", "_file": "members.csv", "_row": 1}]


def test_a_column_that_had_values_and_is_now_empty_has_vanished(resolved, tmp_path):
    before = write(tmp_path / "before.parquet", MEMBERS)
    source = resolved.sources["members"]
    types = {name: source.columns[name] for name in MEMBERS}
    with open_duckdb() as engine:
        previous = published(3, profile=profile(engine, before, types, private={"member_id", "phone"}))
    assert failed(members(resolved, tmp_path, previous)) == set()
    found = members(resolved, tmp_path, previous, city=[None] * 3)
    assert failed(found) == {"city.vanished", "city.coverage"}
    assert by_check(found)["city.vanished"].holds == "table"
    never = published(3, profile={"columns": {"city": {"coverage": 0.0}}})
    assert "city.vanished" not in {verdict.check for verdict in members(resolved, tmp_path, never)}


def test_rows_of_one_order_line_are_one_row_and_empty_keys_are_no_key(resolved, tmp_path):
    source = resolved.sources["orders"]
    rows = {
        "order_id": ["1", "1", "1", None, None],
        "line": [1, 1, 2, 1, 1],
        "member_id": ["M10001"] * 5,
        "paid_at": [None] * 5,
        "amount": [1, 2, 3, 4, 5],
        "brand": ["a", "a", "b", None, None],
    }
    files = write(tmp_path / "orders.parquet", rows, paid_at=pa.timestamp("us"))
    found = by_check(audit(files, source_expectations(resolved, source, None), sample_key(source)))
    assert (found["key"].unexpected, found["key"].evaluated) == (2, 3)
    assert found["paid_at.present"].unexpected == 5
    assert (found["brand.unique"].passed, found["brand.unique"].holds) == (False, "nothing")


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((100, 80, 10, 5, 5), set()),
        ((100, 80, 10, 5, 4), {"account"}),
        ((100, 79, 11, 5, 5), {"quarantined"}),
        ((0, 0, 0, 0, 0), set()),
    ],
)
def test_every_row_read_is_accounted_for(resolved, numbers, expected):
    rows_in, clean, quarantined, merged, filtered = numbers
    found = account_verdicts(
        resolved,
        resolved.sources["orders"],
        rows_in=rows_in,
        clean=clean,
        quarantined=quarantined,
        merged=merged,
        filtered=filtered,
    )
    assert failed(found) == expected
    assert found[1].detail["rule"] == "sources/orders.yaml:15"


def test_key_columns_may_be_called_like_words_of_duckdb(tmp_path):
    files = write(tmp_path / "t.parquet", {"at": [1, 1, 2], "qualify": [1, 1, 1], "order": [1, 2, 3]})
    keys = [expect(name, COMPOUND_UNIQUE, None, column_list=["at", name]) for name in ("qualify", "order")]
    assert [(verdict.passed, verdict.unexpected) for verdict in audit(files, keys, "at")] == [(False, 2), (True, 0)]


def test_a_sound_catalog_has_no_misplaced_check(resolved):
    assert misplaced_checks(resolved) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("sources/members.yaml", "[{coverage: 0.5}]", "[{mean_change: 0.5}]", "mean_change is for integer"),
        (
            "sources/members.yaml",
            "{matches: '^1[0-9]{2}', severity: warn}",
            "{stability: 0.1}",
            "none are stored of pii",
        ),
        ("sources/members.yaml", "'^1[0-9]{2}'", "'(?=x)'", "the engine can't read it"),
        ("tags/attribute.yaml", "    empty: 未知", "    domain: {min: 1}", "min and max are for numbers"),
        ("tags/attribute.yaml", "domain: {min: 1, max: 5}", "domain: {values: [high]}", "'high' is no integer"),
    ],
)
def test_a_check_its_column_cannot_carry_is_a_mistake_of_the_catalog(tmp_path, monkeypatch, file, old, new, said):
    assert old in FILES[file]
    monkeypatch.setitem(FILES, file, FILES[file].replace(old, new))
    [problem] = misplaced_checks(small_catalog(tmp_path))
    assert said in problem.message
    assert problem.file.name == file.rpartition("/")[2]
    assert problem.line > 1

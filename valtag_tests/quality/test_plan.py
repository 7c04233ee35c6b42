"""From a catalog to verdicts: what holds a table, what holds a tag, what holds nothing."""

import json
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.quality.audit import audit
from valtag_assets.quality.plan import category_expectations, score_expectations, segment_expectations
from valtag_assets.quality.profile import profile
from valtag_assets.quality.suite import to_suite
from valtag_assets.warehouse.snapshot import Verdict
from valtag_tests.quality.catalogs import small_catalog
from valtag_tests.quality.frames import AS_OF, by_check, failed, published, write

KEYS = ["M10001", "M10002", "M10003", "M10004"]

ATTRIBUTE: dict[str, list[Any]] = {
    "person_id": KEYS,
    "city": ["上海", "北京", "未知", "上海"],
    "member_phone": ["131", "132", "133", "134"],
    "member_ends_date": [date(2030, 1, 1), None, None, None],
    "member_level": [1, 2, 3, None],
}
TRANSACTION: dict[str, list[Any]] = {
    "person_id": KEYS,
    "total_spend": [Decimal("10.00"), Decimal("250.00"), Decimal("0.00"), None],
    "total_spend_30d": [Decimal("10.00"), Decimal("50.00"), None, None],
    "order_count": [0, 3, 1, 0],
    "last_paid_at": [None, datetime(2024, 6, 30, 23, 59), None, None],
    "days_since_last_order": [None, 0, None, None],
    "top_brands": [["a"], ["b", "a"], [], None],
    "brand_share": [1.0, 0.5, None, None],
    "avg_order_value": [None, 83.3, 0.0, None],
    "spend_band": ["low", "high", "low", None],
}
TYPES = {
    "member_level": pa.int64(),
    "total_spend": pa.decimal128(18, 2),
    "total_spend_30d": pa.decimal128(18, 2),
    "order_count": pa.int64(),
    "last_paid_at": pa.timestamp("us"),
    "days_since_last_order": pa.int64(),
    "top_brands": pa.list_(pa.string()),
    "avg_order_value": pa.float64(),
    "member_phone": pa.string(),
}


@pytest.fixture(scope="module")
def resolved(tmp_path_factory):
    return small_catalog(tmp_path_factory.mktemp("catalog"))


def staged(folder: Path, name: str, columns: dict[str, list[Any]], **changes: list[Any]) -> list[Path]:
    columns = {**columns, **changes}
    return write(folder / f"{name}.parquet", columns, **{n: t for n, t in TYPES.items() if n in columns})


def judged(resolved, folder, category, previous=None, level=None, **changes) -> list[Verdict]:
    attribute = staged(folder, "attribute", ATTRIBUTE, **({"member_level": level} if level else {}))
    files, joined = attribute, {}
    if category == "attribute":
        files = staged(folder, "attribute", ATTRIBUTE, **changes)
    else:
        files, joined = staged(folder, "transaction", TRANSACTION, **changes), {"tags/attribute": attribute}
    expectations = category_expectations(resolved, resolved.categories[category], AS_OF, previous)
    return audit(files, expectations, "person_id", joined)


def held(verdicts: list[Verdict]) -> frozenset[str]:
    return published(4, tuple(verdicts)).held


def stopped(verdicts: list[Verdict]) -> bool:
    return any(not verdict.passed and verdict.holds == "table" for verdict in verdicts)


def test_good_tables_pass_with_nulls_where_nothing_is_known(resolved, tmp_path):
    assert failed(judged(resolved, tmp_path, "transaction")) == set()
    attribute = judged(resolved, tmp_path, "attribute")
    assert failed(attribute) == {"member_ends_date.not_future"}
    assert held(attribute) == frozenset() and not stopped(attribute)


def test_a_poisoned_city_holds_only_city(resolved, tmp_path):
    verdicts = judged(resolved, tmp_path, "attribute", city=["上海", "Shanghai", "'; --", "火星"])
    assert held(verdicts) == {"city"}
    assert not stopped(verdicts)
    verdict = by_check(verdicts)["city.values"]
    assert (verdict.unexpected, verdict.evaluated) == (3, 4)
    assert verdict.detail["title"] == {"zh": "城市：只能取规定的 3 个值", "en": "City: is one of the 3 known values"}
    assert verdict.detail["rule"] == "tags/attribute.yaml:5"
    assert verdict.detail["sample"][0] == {"person_id": "M***02", "city": "Aaaaaaaa"}


@pytest.mark.parametrize(
    ("changes", "tags"),
    [
        ({"total_spend": [Decimal("-0.01"), Decimal("250"), None, None]}, {"total_spend", "total_spend_30d"}),
        ({"order_count": [0, None, 1, 0]}, {"order_count"}),
        ({"order_count": [0, -3, 1, 0]}, {"order_count"}),
        ({"last_paid_at": [datetime(2024, 7, 1), None, None, None]}, {"last_paid_at"}),
        ({"days_since_last_order": [-1, None, None, None]}, {"days_since_last_order"}),
        ({"top_brands": [["a", "c"], [], None, None]}, {"top_brands"}),
        ({"brand_share": [1.5, None, None, None]}, {"brand_share"}),
        ({"avg_order_value": [float("nan"), float("inf"), None, None]}, {"avg_order_value"}),
        ({"spend_band": ["medium", None, None, None]}, {"spend_band"}),
    ],
)
def test_a_wrong_tag_is_held_and_its_siblings_go_on(resolved, tmp_path, changes, tags):
    verdicts = judged(resolved, tmp_path, "transaction", **changes)
    assert held(verdicts) == tags
    assert not stopped(verdicts)


def test_a_broken_law_holds_every_own_tag_it_reads(resolved, tmp_path):
    spend = [Decimal("10.01"), Decimal("999"), Decimal("5"), None]
    verdicts = judged(resolved, tmp_path, "transaction", total_spend_30d=spend)
    assert held(verdicts) == {"total_spend", "total_spend_30d"}
    broken = [verdict for verdict in verdicts if verdict.check == "law.window_le_total"]
    assert [(verdict.column, verdict.unexpected, verdict.evaluated) for verdict in broken] == [
        ("total_spend", 3, 3),
        ("total_spend_30d", 3, 3),
    ]
    assert broken[0].detail["expected"] == "total_spend_30d <= total_spend"
    assert broken[0].detail["sample"][0] == {
        "person_id": "M***01",
        "total_spend": 10.0,
        "total_spend_30d": 10.01,
    }


def test_a_law_reads_tags_of_other_categories_and_unknown_is_not_broken(resolved, tmp_path):
    verdicts = judged(resolved, tmp_path, "transaction", order_count=[5, 5, 5, 5])
    law = by_check(verdicts)["law.level_of_buyers"]
    # Level 1 breaks it; the person without a level is not judged.
    assert (law.passed, law.column, law.unexpected, law.evaluated) == (False, "order_count", 1, 3)
    assert held(verdicts) == {"order_count"}


def test_a_warning_law_holds_nothing_and_shows_no_private_value(resolved, tmp_path):
    attribute = staged(tmp_path, "attribute", ATTRIBUTE, member_phone=[None, "132", "133", "134"])
    files = staged(tmp_path, "transaction", TRANSACTION, order_count=[100, 3, 1, 0])
    expectations = category_expectations(resolved, resolved.categories["transaction"], AS_OF, None)
    law = by_check(audit(files, expectations, "person_id", {"tags/attribute": attribute}))["law.known_phone"]
    assert (law.passed, law.severity, law.holds, law.unexpected) == (False, "warn", "nothing", 1)
    assert law.detail["sample"] == [{"person_id": "M***01"}]


def test_a_law_without_the_table_it_reads_has_failed(resolved, tmp_path):
    files = staged(tmp_path, "transaction", TRANSACTION)
    expectations = category_expectations(resolved, resolved.categories["transaction"], AS_OF, None)
    law = by_check(audit(files, expectations, "person_id"))["law.level_of_buyers"]
    assert not law.passed
    assert "tags/attribute" in law.detail["error"]


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"person_id": ["M10001", "M10001", "M10003", "M10004"]}, "person_id.unique"),
        ({"person_id": ["M10001", None, "M10003", "M10004"]}, "person_id.present"),
        ({"surprise": [1, 2, 3, 4]}, "columns"),
        ({"member_ends_date": ["x", "y", None, None]}, "types"),
    ],
)
def test_a_table_that_is_not_what_it_should_be_is_held_whole(resolved, tmp_path, changes, check):
    verdicts = judged(resolved, tmp_path, "attribute", **changes)
    assert check in failed(verdicts)
    assert stopped(verdicts)


def test_a_collapsed_row_count_holds_the_table(resolved, tmp_path):
    few = by_check(judged(resolved, tmp_path, "attribute", published(6)))["rows"]
    assert (few.passed, few.holds, few.unexpected, few.evaluated) == (False, "table", 1, 4)
    assert by_check(judged(resolved, tmp_path, "attribute", published(5)))["rows"].passed


def test_coverage_may_warn_and_hold_at_two_levels(resolved, tmp_path):
    found = by_check(judged(resolved, tmp_path, "attribute", member_phone=["131", None, None, None]))
    assert (found["member_phone.coverage"].passed, found["member_phone.coverage.2"].passed) == (False, True)
    assert found["member_phone.coverage"].unexpected == 3


def test_a_shifted_tag_is_held_against_the_previous_snapshot(resolved, tmp_path):
    before = staged(tmp_path, "before", ATTRIBUTE, member_level=[1, 2, 3, 4])
    columns = {tag.code: tag.type for tag in resolved.categories["attribute"].tags}
    with open_duckdb() as engine:
        metrics = profile(engine, before, columns, private={"member_phone"})
    previous = published(4, profile=json.loads(json.dumps(metrics)))
    same = judged(resolved, tmp_path, "attribute", previous, member_level=[4, 3, 2, 1])
    assert held(same) == frozenset()
    assert by_check(same)["member_level.stability"].detail["observed"] == pytest.approx(0)
    assert by_check(same)["member_level.mean_change"].detail["observed"] == 2.5
    moved = judged(resolved, tmp_path, "attribute", previous, member_level=[5, 5, 5, 4])
    assert failed(moved) >= {"member_level.stability", "member_level.mean_change"}
    assert held(moved) == {"member_level"}


def test_the_first_snapshot_is_compared_with_nothing(resolved):
    first = category_expectations(resolved, resolved.categories["attribute"], AS_OF, None)
    assert not {"member_level.stability", "member_level.mean_change"} & {item.check for item in first}


def test_scores_stay_within_their_bins_and_codes(resolved, tmp_path):
    score = resolved.scores["rfm"]
    expectations = score_expectations(resolved, score)
    good = {
        "person_id": ["M10001", "M10002"],
        **{"rfm_r": [1, 5], "rfm_f": [2, 5], "rfm_m": [3, 5]},
        **{"rfm_code": ["123", "555"], "rfm_quadrant": ["000", "111"], "rfm_tier": ["lost", "champions"]},
    }
    assert failed(audit(write(tmp_path / "good.parquet", good), expectations, "person_id")) == set()
    bad = {**good, "rfm_r": [0, 6], "rfm_code": ["12", "556"], "rfm_tier": ["nobody", None]}
    found = audit(write(tmp_path / "bad.parquet", bad), expectations, "person_id")
    assert failed(found) == {"rfm_r.range", "rfm_code.matches", "rfm_tier.values", "rfm_tier.present"}
    assert stopped(found)


def test_members_of_a_segment_are_persons_each_once(resolved, tmp_path):
    expectations = segment_expectations(resolved, resolved.segments["buyers"], None, "")
    persons = write(tmp_path / "persons.parquet", {"person_id": KEYS})
    members = write(tmp_path / "members.parquet", {"person_id": [KEYS[0], KEYS[0], "stranger"]})
    joined = {"identity/persons": persons}
    found = by_check(audit(members, expectations, "person_id", joined))
    assert found["members"].unexpected == 1
    assert found["members"].detail["sample"] == [{"person_id": "s***er"}]
    assert found["person_id.unique"].unexpected == 2
    assert failed(audit(persons, expectations, "person_id", joined)) == set()


def test_the_suite_is_a_file_another_project_can_read(resolved):
    import great_expectations as gx

    expectations = category_expectations(resolved, resolved.categories["transaction"], AS_OF, None)
    suite = to_suite(expectations, "transaction")
    written = json.loads(json.dumps(suite.to_json_dict(), ensure_ascii=False))
    again = gx.ExpectationSuite(name=written["name"], expectations=written["expectations"])
    assert [item.meta["check"] for item in again.expectations] == [item.check for item in expectations]
    severities = {item.meta["check"]: item.severity.value for item in again.expectations}
    assert severities["law.known_phone"] == "warning"
    assert severities["order_count.present"] == "critical"


def test_check_names_are_ascii_unique_and_the_same_each_time(resolved):
    for category in resolved.categories.values():
        names = [item.check for item in category_expectations(resolved, category, AS_OF, None)]
        assert len(set(names)) == len(names)
        assert names == [item.check for item in category_expectations(resolved, category, AS_OF, None)]
    with pytest.raises(ValueError, match="ASCII"):
        replace(category_expectations(resolved, category, AS_OF, None)[0], check="城市")

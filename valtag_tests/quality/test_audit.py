"""Each kind of expectation on small files, against pandas."""

import json
import math
import os
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from valtag_assets.quality import expectation as kinds
from valtag_assets.quality import queries
from valtag_assets.quality.audit import audit
from valtag_assets.quality.expectation import Expectation
from valtag_assets.quality.stability import stability
from valtag_assets.spec.masking import mask_key
from valtag_assets.spec.types import DATE, INTEGER, TEXT, decimal, list_of
from valtag_tests.quality.frames import by_check, expect, frame, write

KEYS = [f"M{number:05d}" for number in range(12)]
NASTY = [
    "上海",
    "北京",
    "O'Hare",
    '"quoted"',
    "'; DROP TABLE x; --",
    "50% {off} :now",
    "a:b \\: c",
    "",
    None,
    "上海 ",
]


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("it's a: 'folder' {x}")
    cities = [*NASTY, "火星", "火星"]
    spend = [0, 1, -5, None, 12.5, 3, 4, -0.01, 8, 9, 10, None]
    return write(
        folder / "as_of=2024-06-30" / "部分 1.parquet",
        {
            "person_id": KEYS,
            "city": cities,
            "spend": spend,
            "ratio": [0.5, math.nan, math.inf, -math.inf, None, 1, 2, 3, 4, 5, 6, 7],
            "phone": ["13800000000", "13800000000", "x", None, "138", *["139"] * 7],
            "born_date": [date(1990, 1, 1), date(2024, 6, 30), date(2024, 7, 1), *[None] * 9],
            "last_at": [datetime(2024, 6, 30, 23, 59, 59, 999999), datetime(2024, 7, 1), *[None] * 10],
            "brands": [["a", "b"], [], None, ["a", "x'y"], ["z"], *[["b"]] * 7],
            "level": [1, 2, 3, 4, 5, 6, 7, 8, 9, None, 11, 12],
        },
        spend=pa.float64(),
        last_at=pa.timestamp("us"),
    )


def test_every_kind_counts_what_pandas_counts(people):
    data = frame(people)
    allowed = [value for value in NASTY if value is not None]
    found = by_check(
        audit(
            people,
            [
                expect("city.values", kinds.IN_SET, "city", value_set=allowed),
                expect("spend.range", kinds.BETWEEN, "spend", min_value=0),
                expect(
                    "ratio.range",
                    kinds.BETWEEN,
                    "ratio",
                    min_value=-sys.float_info.max,
                    max_value=sys.float_info.max,
                ),
                expect("phone.unique", kinds.UNIQUE, "phone"),
                expect("city.present", kinds.NOT_NULL, "city"),
                expect("born_date.not_future", kinds.BETWEEN, "born_date", max_value=date(2024, 6, 30)),
                expect(
                    "last_at.not_future",
                    kinds.BETWEEN,
                    "last_at",
                    max_value=datetime(2024, 7, 1),
                    strict_max=True,
                ),
                expect(
                    "pair",
                    kinds.COMPOUND_UNIQUE,
                    None,
                    column_list=["city", "phone"],
                    ignore_row_if="any_value_is_missing",
                ),
            ],
            "person_id",
        )
    )
    counts = {name: (verdict.unexpected, verdict.evaluated) for name, verdict in found.items()}
    cities, spend = data.city.dropna(), data.spend.dropna()
    pairs = data[["city", "phone"]].dropna()
    assert counts == {
        "city.values": (int((~cities.isin(allowed)).sum()), len(cities)),
        "spend.range": (int((spend < 0).sum()), len(spend)),
        "ratio.range": (3, 11),
        "phone.unique": (int(data.phone.dropna().duplicated(keep=False).sum()), data.phone.count()),
        "city.present": (int(data.city.isna().sum()), len(data)),
        "born_date.not_future": (1, 3),
        "last_at.not_future": (1, 2),
        "pair": (int(pairs.duplicated(keep=False).sum()), len(pairs)),
    }
    assert not any(verdict.passed for verdict in found.values())


def test_every_kind_passes_on_good_rows(tmp_path):
    files = write(
        tmp_path / "good.parquet",
        {"person_id": KEYS, "city": ["上海", None] * 6, "level": range(12), "brands": [["a"], None] * 6},
    )
    matching, matched = queries.unmatched("city", "^上", ["person_id"])
    listed, items = queries.items_outside("brands", list_of("text"), ["a"], ["person_id"])
    types = {"person_id": TEXT, "city": TEXT, "level": INTEGER, "brands": list_of("text")}
    typed, columns = queries.wrong_types(types)
    expectations = [
        expect("rows", kinds.ROW_COUNT, None, min_value=12),
        expect("rows_counted", kinds.ROW_COUNT_EQUALS, None, value=12),
        expect("columns", kinds.COLUMNS, None, column_set=list(types), exact_match=True),
        expect("types", kinds.ROWS, None, unexpected_rows_query=typed, measure=columns),
        expect("person_id.present", kinds.NOT_NULL, "person_id"),
        expect("person_id.unique", kinds.UNIQUE, "person_id"),
        expect("city.values", kinds.IN_SET, "city", value_set=["上海"]),
        expect("city.coverage", kinds.NOT_NULL, "city", mostly=0.5),
        expect("city.matches", kinds.ROWS, "city", unexpected_rows_query=matching, measure=matched),
        expect("city.vanished", kinds.NON_NULL_SHARE, "city", min_value=0, strict_min=True),
        expect("level.range", kinds.BETWEEN, "level", min_value=0, max_value=11),
        expect("level.mean", kinds.MEAN, "level", min_value=5.5, max_value=5.5),
        expect("brands.values", kinds.ROWS, "brands", unexpected_rows_query=listed, measure=items),
        expect(
            "pair",
            kinds.COMPOUND_UNIQUE,
            None,
            column_list=["city", "level"],
            ignore_row_if="any_value_is_missing",
        ),
    ]
    found = by_check(audit(files, expectations, "person_id"))
    assert [name for name, verdict in found.items() if not verdict.passed] == []
    assert {name: verdict.unexpected for name, verdict in found.items() if verdict.unexpected} == {"city.coverage": 6}
    evaluated = {name: verdict.evaluated for name, verdict in found.items()}
    assert evaluated["city.matches"] == evaluated["brands.values"] == evaluated["city.values"] == 6
    assert (evaluated["types"], evaluated["columns"], evaluated["rows"]) == (4, 4, 12)
    assert found["level.mean"].detail["observed"] == 5.5


def test_a_table_that_shrank_lost_a_column_or_changed_a_type_says_by_how_much(tmp_path):
    files = write(tmp_path / "a.parquet", {"person_id": KEYS, "level": ["1"] * 12, "extra": [None] * 12})
    types = {"person_id": TEXT, "level": INTEGER, "spend": decimal(18, 2)}
    typed, columns = queries.wrong_types(types)
    found = by_check(
        audit(
            files,
            [
                expect("rows", kinds.ROW_COUNT, None, min_value=20),
                expect("rows_counted", kinds.ROW_COUNT_EQUALS, None, value=15),
                expect("columns", kinds.COLUMNS, None, column_set=list(types), exact_match=True),
                expect("types", kinds.ROWS, None, unexpected_rows_query=typed, measure=columns),
                expect("extra.vanished", kinds.NON_NULL_SHARE, "extra", min_value=0, strict_min=True),
            ],
            "person_id",
        )
    )
    assert not any(verdict.passed for verdict in found.values())
    assert (found["rows"].unexpected, found["rows"].evaluated) == (8, 12)
    assert found["rows_counted"].unexpected == 3
    assert found["columns"].detail["observed"] == ["extra", "spend"]
    assert found["types"].unexpected == 1
    assert found["types"].detail["sample"] == [
        {"column_name": "level", "column_type": "VARCHAR", "expected": "BIGINT"}
    ]


def test_text_is_matched_anywhere_and_null_is_no_text(people):
    query, measure = queries.unmatched("phone", r"^1\d{2}", ["person_id"])
    item = expect("phone.matches", kinds.ROWS, "phone", unexpected_rows_query=query, measure=measure)
    [verdict] = audit(people, [item], "person_id")
    phones = frame(people).phone.dropna()
    assert verdict.unexpected == int((~phones.str.contains(r"^1\d{2}")).sum()) == 1
    assert verdict.evaluated == len(phones)
    assert verdict.detail["sample"] == [{"person_id": "M***02", "phone": "x"}]


@pytest.mark.parametrize("pattern", ["[{:x} %'\"]", r"\:a{1,2}", ":now", "%s", "{batch}", "--"])
def test_a_pattern_with_signs_of_sql_is_only_a_pattern(people, pattern):
    query, measure = queries.unmatched("city", pattern, ["person_id"])
    item = expect("city.matches", kinds.ROWS, "city", unexpected_rows_query=query, measure=measure)
    [verdict] = audit(people, [item], "person_id")
    cities = frame(people).city.dropna()
    assert "error" not in verdict.detail
    assert verdict.unexpected == int((~cities.str.contains(pattern)).sum())


def test_items_of_lists_are_checked_one_by_one(people):
    query, measure = queries.items_outside("brands", list_of("text"), ["a", "b", "O'X"], ["person_id"])
    item = expect("brands.values", kinds.ROWS, "brands", unexpected_rows_query=query, measure=measure)
    [verdict] = audit(people, [item], "person_id")
    assert (verdict.unexpected, verdict.evaluated) == (2, 11)
    assert verdict.detail["sample"][0] == {"person_id": "M***03", "brands": ["a", "x'y"]}


def test_a_warning_holds_nothing_and_may_not_be_made_to(people):
    [verdict] = audit(people, [expect("spend.range", kinds.BETWEEN, "spend", "warn", min_value=0)], "person_id")
    assert (verdict.passed, verdict.severity, verdict.holds) == (False, "warn", "nothing")
    with pytest.raises(ValueError, match="a warning holds nothing"):
        Expectation(**{**vars(expect("a", kinds.NOT_NULL, "a", "warn")), "holds": "tag"})


def test_an_expectation_that_breaks_has_failed_with_an_error_and_spoils_no_other(people):
    broken, _ = queries.unmatched("city", "(?=lookahead)", ["person_id"])
    found = by_check(
        audit(
            people,
            [
                expect("spend.range", kinds.BETWEEN, "spend", min_value=0),
                expect("city.range", kinds.BETWEEN, "city", min_value=date(2020, 1, 1)),
                expect("nobody.present", kinds.NOT_NULL, "nobody"),
                expect("city.matches", kinds.ROWS, "city", unexpected_rows_query=broken),
                expect(
                    "members",
                    kinds.ROWS,
                    None,
                    unexpected_rows_query=queries.not_among("person_id", "absent"),
                ),
            ],
            "person_id",
        )
    )
    failed = {name for name, verdict in found.items() if "error" in verdict.detail}
    assert failed == {"city.range", "nobody.present", "city.matches", "members"}
    assert not any(found[name].passed for name in failed)
    assert found["spend.range"].unexpected == 2


def test_the_next_audit_knows_nothing_of_the_one_before(people, tmp_path):
    among = {"unexpected_rows_query": queries.not_among("person_id", "others")}
    known = expect("members", kinds.ROWS, None, **among)
    cities = expect("city.range", kinds.BETWEEN, "city", min_value=date(2020, 1, 1))  # breaks
    first = by_check(audit(people, [known, cities], "person_id", {"others": people}))
    assert (first["members"].passed, "error" in first["city.range"].detail) == (True, True)
    # The same names, of other rows, types and columns; and nothing is joined.
    other = write(tmp_path / "other.parquet", {"person_id": ["a", "b"], "city": [date(2019, 1, 1), date(2021, 1, 1)]})
    second = by_check(audit(other, [known, cities, expect("spend.present", kinds.NOT_NULL, "spend")], "person_id"))
    assert (second["city.range"].unexpected, second["city.range"].evaluated) == (1, 2)
    assert all("error" in second[name].detail for name in ("members", "spend.present"))


def test_the_error_of_a_private_column_quotes_no_value(people):
    item = expect("city.range", kinds.BETWEEN, "city", shows="nothing", min_value=date(2020, 1, 1))
    [verdict] = audit(people, [item], "person_id")
    assert verdict.detail["error"]
    assert not any(city and city in json.dumps(verdict.detail, ensure_ascii=False) for city in ("上海", "火星"))


def test_samples_mask_the_key_and_leave_out_private_values(people):
    verdicts = audit(
        people,
        [
            expect("city.values", kinds.IN_SET, "city", value_set=["上海"]),
            expect("phone.values", kinds.IN_SET, "phone", shows="nothing", value_set=["139"]),
            expect("phone.pair", kinds.COMPOUND_UNIQUE, None, shows="nothing", column_list=["phone", "level"]),
            expect("person_id.values", kinds.IN_SET, "person_id", value_set=["M00000"]),
        ],
        "person_id",
    )
    text = json.dumps([dict(verdict.detail) for verdict in verdicts], ensure_ascii=False)
    assert not any(f'"person_id": "{key}"' in text for key in KEYS)
    assert "13800000000" not in text
    assert len(verdicts[0].detail["sample"]) == 5
    assert verdicts[0].detail["sample"][0] == {"person_id": "M***01", "city": "北京"}
    assert verdicts[1].detail["sample"] == [{"person_id": f"M***{end}"} for end in ("00", "01", "02", "04")]


@pytest.mark.parametrize(
    ("key", "shown"), [("M10045", "M***45"), ("12345", "***"), ("", "***"), ("张三丰李四光", "张***四光")]
)
def test_short_keys_vanish_and_long_ones_keep_their_ends(key, shown):
    assert mask_key(key) == shown


def test_details_are_json_with_dates_as_iso_text(people):
    items = [
        expect("born_date.not_future", kinds.BETWEEN, "born_date", max_value=date(2020, 1, 1)),
        expect("last_at.not_future", kinds.BETWEEN, "last_at", max_value=datetime(2020, 1, 1)),
    ]
    first, second = audit(people, items, "person_id")
    assert first.detail == {
        "title": {"zh": "期望", "en": "expected"},
        "rule": "tags/a.yaml:3",
        "observed": None,
        "expected": {"max_value": "2020-01-01"},
        "sample": [
            {"person_id": "M***01", "born_date": "2024-06-30"},
            {"person_id": "M***02", "born_date": "2024-07-01"},
        ],
    }
    assert second.detail["sample"][0]["last_at"] == "2024-06-30T23:59:59.999999"
    json.dumps([dict(first.detail), dict(second.detail)], allow_nan=False)


def test_one_nan_among_numbers_lies_outside_every_range(tmp_path):
    files = write(tmp_path / "a.parquet", {"person_id": ["a", "b"], "ratio": [math.nan, 7.5]})
    bounds = {"min_value": -sys.float_info.max, "max_value": sys.float_info.max}
    [verdict] = audit(files, [expect("ratio.range", kinds.BETWEEN, "ratio", **bounds)], "person_id")
    assert (verdict.unexpected, verdict.evaluated) == (1, 2)
    assert verdict.detail["sample"] == [{"person_id": "***", "ratio": "nan"}]


def test_several_files_are_one_table(tmp_path):
    files = write(tmp_path / "1.parquet", {"person_id": ["a", "b"]})
    files += write(tmp_path / "2.parquet", {"person_id": ["b", "c"]})
    [verdict] = audit(files, [expect("person_id.unique", kinds.UNIQUE, "person_id")], "person_id")
    assert (verdict.unexpected, verdict.evaluated) == (2, 4)


def test_an_empty_table_is_audited_too(tmp_path):
    files = write(tmp_path / "0.parquet", {"person_id": [], "n": []}, person_id=pa.string(), n=pa.int64())
    found = by_check(
        audit(
            files,
            [
                expect("rows", kinds.ROW_COUNT, None, min_value=1),
                expect("n.range", kinds.BETWEEN, "n", min_value=0),
                expect("n.vanished", kinds.NON_NULL_SHARE, "n", min_value=0, strict_min=True),
            ],
            "person_id",
        )
    )
    assert {name: verdict.passed for name, verdict in found.items()} == {
        "rows": False,
        "n.range": True,
        "n.vanished": False,
    }


def test_two_checks_of_one_name_are_refused(people):
    item = expect("city.present", kinds.NOT_NULL, "city")
    with pytest.raises(ValueError, match=r"different names: city\.present"):
        audit(people, [item, item], "person_id")


def test_great_expectations_still_has_the_name_its_duckdb_fix_needs(people):
    from great_expectations.execution_engine import sqlalchemy_execution_engine as module

    audit(people, [expect("city.present", kinds.NOT_NULL, "city")], "person_id")
    assert "duckdb" in module._PERSISTED_CONNECTION_DIALECTS
    assert [item.value for item in module._PERSISTED_CONNECTION_DIALECTS].count("duckdb") == 1


_WATCHED = """
import sys
from pathlib import Path
calls = []
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        calls.append(event)
    writing = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if writing and "__pycache__" not in str(args[0]):
        calls.append(f"write {args[0]}")
from valtag_assets.quality.audit import audit
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.quality import expectation as kinds
from valtag_tests.quality.frames import expect
assert "great_expectations" not in sys.modules
sys.addaudithook(watch)
verdicts = audit([Path(sys.argv[1])], [expect("city.present", kinds.NOT_NULL, "city")], "person_id")
assert [verdict.unexpected for verdict in verdicts] == [1]
print(calls)
"""


def test_an_audit_writes_no_file_and_calls_nobody(people, tmp_path):
    """In a process of its own: Great Expectations settles what it reports when it is imported."""
    here = str(Path(__file__).parents[2])
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": here, "GX_ANALYTICS_ENABLED": "true"}
    command = [sys.executable, "-c", _WATCHED, str(people[0])]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert list(tmp_path.iterdir()) == []


def test_the_index_in_sql_is_the_index_in_python(tmp_path):
    now = [-3, 0, 0, 1, 5, 5, 9, 50, None]
    files = write(tmp_path / "a.parquet", {"person_id": KEYS[:9], "n": now})
    histogram = {"edges": [0, 5, 9], "counts": [40, 30, 20, 10]}
    query, measure = queries.shifted("n", INTEGER, histogram, 0.01)
    item = expect("n.stability", kinds.ROWS, "n", unexpected_rows_query=query, measure=measure)
    [verdict] = audit(files, [item], "person_id")
    bins = pd.cut(pd.Series(now), [-math.inf, 0, 5, 9, math.inf]).value_counts(sort=False)
    assert verdict.detail["observed"] == pytest.approx(stability([40, 30, 20, 10], bins.tolist()))
    assert (verdict.passed, verdict.unexpected, verdict.evaluated) == (False, 1, 8)


def test_a_stable_column_passes_with_its_index_shown_and_an_emptied_one_fails(tmp_path):
    files = write(
        tmp_path / "a.parquet",
        {"person_id": KEYS, "c": ["x'", "y", "新"] * 4, "d": [None] * 12},
        d=pa.date32(),
    )
    histogram = {"values": ["x'", "y"], "counts": [10, 10, 10]}
    stable, index = queries.shifted("c", TEXT, histogram, 0.1)
    empty, none = queries.shifted("d", DATE, {"values": [], "counts": [10]}, 0.1)
    first, second = audit(
        files,
        [
            expect("c.stability", kinds.ROWS, "c", unexpected_rows_query=stable, measure=index),
            expect("d.stability", kinds.ROWS, "d", unexpected_rows_query=empty, measure=none),
        ],
        "person_id",
    )
    assert first.passed and first.detail["observed"] == pytest.approx(0, abs=1e-12)
    assert not second.passed and second.evaluated == 0

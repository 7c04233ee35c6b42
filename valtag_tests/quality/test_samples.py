"""What samples of failing rows tell of columns that nobody declared public or personal."""

from datetime import date
from pathlib import Path

import pytest

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.quality import expectation as kinds
from valtag_assets.quality.audit import audit
from valtag_assets.quality.column import shown_of
from valtag_assets.spec.masking import tells_somebody
from valtag_tests.quality.frames import expect, write


def test_samples_of_undeclared_columns_tell_shapes_and_where_rows_were_read(
    tmp_path: Path,
) -> None:
    values = {
        "person_id": ["M00001", "M00002"],
        "note": ["欧阳 call 13877770070", "a" * 1_000_000],
        "number": [13877770070, 7],
        "seen": [date(2024, 1, 1), None],
        "_file": ["orders.csv"] * 2,
        "_row": [17, 18],
    }
    files = write(tmp_path / "rows.parquet", values)
    items = [
        expect(f"{name}.values", kinds.IN_SET, name, shows="shapes", value_set=wanted)
        for name, wanted in (("note", ["x"]), ("number", [1]), ("seen", [date(2020, 1, 1)]))
    ]
    note, number, seen = audit(files, items, "person_id")
    first, second = note.detail["sample"]
    place = {"person_id": "M***01", "_file": "orders.csv", "_row": 17}
    assert first == {**place, "note": "字字 aaaa ###########"}
    assert second["note"] == "a" * 24 + "… (1000000 characters)" and second["_row"] == 18
    assert [row["number"] for row in number.detail["sample"]] == ["###########", 7]
    assert seen.detail["sample"] == [{**place, "seen": "2024-01-01"}]
    with open_duckdb() as engine:
        for own, other in zip((note, number, seen), audit(files, items, "person_id", engine=engine), strict=True):
            assert own.detail["sample"] == other.detail["sample"]


@pytest.mark.parametrize(
    ("levels", "shows"),
    [
        (["public"], "values"),
        (["public", "internal"], "shapes"),
        (["internal"], "shapes"),
        (["public", "pii"], "nothing"),
    ],
)
def test_values_are_shown_of_what_is_declared_public_alone(levels: list[str], shows: str) -> None:
    assert shown_of(levels) == shows  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["+86 138-0000-0000", "call 13800000000", "11010519491231002X", "a.b@x.cn", "(021) 5555-5555"]
)
def test_numbers_and_addresses_of_persons_are_known(text: str) -> None:
    assert tells_somebody(text)


@pytest.mark.parametrize("text", ["2024-01-31", "SKU 1029481", "@home", "上海", "3.14", "", "\x00"])
def test_other_texts_are_not_taken_for_them(text: str) -> None:
    assert not tells_somebody(text)

"""valtag explain against pandas over the raw files: which rows count, which do not and why, and the value."""

import math
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valtag_assets.console.explain import Asked, explain
from valtag_assets.console.explanation import Explanation
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import Asking
from valtag_assets.spec.mistake import Mistake
from valtag_tests.chance import MORE
from valtag_tests.console.ledger import VALUES, WINDOWS, Ledger, reason
from valtag_tests.console.planting import plant
from valtag_tests.graph.shop import AS_OF, Shop

PERSONS = [f"C{n:03d}" for n in range(1, 13)]
SUFFIX = {"all": "", "5d": "_5d", "before 5d": "_before_5d", "mtd": "_mtd"}


def asked(setting: Setting, person: str, tag: str, **more: Any) -> Explanation:
    return explain(setting, Asked(person, tag, **{"limit": 1000, **more}))


def recomputed(rows: Sequence[Mapping[str, Any]], value: Mapping[str, Any]) -> Any:
    """The tag of the rows that count, in plain Python."""
    agg, of = value["agg"], value.get("of")
    if not rows:
        return 0 if agg in ("count", "count_distinct") else None
    ordered = sorted(rows, key=lambda row: (row["moment"], row["订单号"]))
    cells = [row[of] for row in ordered] if of else []
    days = [(AS_OF - row["moment"].date()).days for row in rows]
    simple = {
        "count": lambda: len(rows),
        "count_distinct": lambda: len(set(cells)),
        "sum": lambda: sum(cells),
        "avg": lambda: float(sum(cells)) / len(cells),
        "min": lambda: min(cells),
        "max": lambda: max(cells),
        "first": lambda: cells[0],
        "last": lambda: cells[-1],
        "list": lambda: sorted(set(cells))[: value.get("k", 3)],
        "days_since_first": lambda: max(days),
        "days_since_last": lambda: min(days),
        "median": lambda: float(np.quantile([float(cell) for cell in cells], 0.5)),
        "quantile": lambda: float(np.quantile([float(cell) for cell in cells], value.get("q", 0.5))),
    }
    return simple[agg]() if agg in simple else ranked(ordered, value)


def ranked(rows: Sequence[Mapping[str, Any]], value: Mapping[str, Any]) -> Any:
    number = Counter(row[value["of"]] for row in rows)
    money: Counter[Any] = Counter()
    for row in rows:
        money[row[value["of"]]] += row["amount"] or 0
    measure = money if value.get("by") == "sum(amount)" else number
    best = sorted(number, key=lambda brand: (-measure[brand], -money[brand], brand))
    if value["agg"] == "top":
        return best[0]
    if value["agg"] == "top_k":
        return sorted(number, key=lambda brand: (-measure[brand], brand))[: value["k"]]
    whole = sum(measure.values())
    part = measure[value["equals"]] if "equals" in value else max(measure.values())
    return float(part) / float(whole) if whole else None


def alike(found: Any, expected: Any) -> bool:
    if isinstance(expected, float):
        return found is not None and math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-6)
    return bool(found == expected)


@settings(max_examples=20 * MORE, suppress_health_check=list(HealthCheck))
@given(person=st.sampled_from(PERSONS), code=st.sampled_from(sorted(VALUES)), window=st.sampled_from(WINDOWS))
def test_any_value_is_explained_by_exactly_the_raw_rows_that_make_it(
    setting: Setting, book: Ledger, person: str, code: str, window: str
) -> None:
    check(setting, book, person, code, window)


@pytest.mark.parametrize("code", sorted(VALUES))
def test_every_aggregation_is_explained_and_proven(setting: Setting, book: Ledger, code: str) -> None:
    check(setting, book, "C004", code, "all")


def check(setting: Setting, book: Ledger, person: str, code: str, window: str) -> None:
    value = VALUES[code][0]
    found = asked(setting, person, code + SUFFIX[window])
    judged = [(reason(row, value, window), row) for row in book.of(person)]
    counted = [row for why, row in judged if why == "counted"]
    assert found.clean is not None and found.clean.counted == len(counted)
    places = {(row.place.file, row.place.row) for row in found.clean.rows}
    assert places == {(row["file"], row["row"]) for row in counted}
    assert found.clean.left_out == {
        why: n for why, n in Counter(why for why, _ in judged).items() if why != "counted"
    }
    assert alike(found.value, recomputed(counted, value)), (found.value, recomputed(counted, value))
    assert found.proof.equal is True and found.proven


def test_a_row_names_the_duplicates_it_stands_for(setting: Setting, book: Ledger) -> None:
    merged = {person: book.of(person, "merged") for person in PERSONS[:6]}
    assert sum(map(len, merged.values())) > 5
    for person, rows in merged.items():
        found = asked(setting, person, "order_count")
        assert found.clean is not None
        shown = {place for row in found.clean.rows for place in row.place.merged}
        dated = [row for row in rows if row["moment"].date() <= AS_OF]
        assert shown == {(row["file"], row["row"]) for row in dated}


def test_refused_rows_with_the_persons_key_are_counted_by_rule_however_it_is_cased(
    setting: Setting, book: Ledger
) -> None:
    refused = {person: book.of(person, "refused") for person in PERSONS[:6]}
    assert any(row["会员"].islower() for rows in refused.values() for row in rows)
    for person, rows in refused.items():
        found = asked(setting, person, "order_count")
        assert found.clean is not None and found.clean.refused is not None
        places = {(place.file, place.row) for place in found.clean.refused.places}
        assert places == {(row["file"], row["row"]) for row in rows}
        assert found.clean.refused.rows == len(rows)


def test_one_row_decides_a_last_value_and_is_shown_whatever_the_limit(setting: Setting, book: Ledger) -> None:
    for code, end in (("first_brand", 0), ("last_brand", -1), ("least_amount", None)):
        rows = [row for row in book.of("C004") if reason(row, VALUES[code][0], "all") == "counted"]
        ordered = sorted(rows, key=lambda row: (row["moment"], row["订单号"]))
        cheapest = min(rows, key=lambda row: row["amount"] or Decimal(0))
        expected = cheapest if end is None else ordered[end]
        clean = asked(setting, "C004", code, limit=2).clean
        assert clean is not None and len(clean.rows) == 2
        decides = [row.place for row in clean.rows if row.decides]
        assert [(place.file, place.row) for place in decides] == [(expected["file"], expected["row"])]


def test_a_field_says_from_which_column_lookup_or_cleaning_it_comes(setting: Setting) -> None:
    clean = asked(setting, "C004", "top_brand").clean
    assert clean is not None
    assert clean.origins["brand"] == "looked up in products by sku"
    assert clean.origins["amount"].startswith("column “金额” → ≥ 0;")
    assert list(clean.measures) == ["rows", "count()", "sum(amount)"]


def test_what_a_role_may_not_read_is_masked_in_rows_and_ranking(setting: Setting) -> None:
    clean = asked(setting, "C004", "phone_count").clean
    assert clean is not None
    assert {row.fields["phone"] for row in clean.rows} == {"***"} == {row.value for row in clean.rows}
    assert {line[0] for line in clean.ranking} == {"***"}
    open_eyes = asked(setting, "C004", "phone_count", by=Asking("steward")).clean
    assert open_eyes is not None and all(str(row.value).startswith("138") for row in open_eyes.rows)


def test_a_tag_over_tags_is_explained_through_each_of_them(setting: Setting) -> None:
    found = asked(setting, "C004", "spend_per_order")
    assert [tag.code for tag in found.tags] == ["order_count", "spend"]
    assert found.value == pytest.approx(float(found.tags[1].value) / found.tags[0].value)
    assert all(tag.clean is not None and tag.proof.equal for tag in found.tags)
    assert asked(setting, "C004", "spend_per_order", deep=0).tags == []
    band = asked(setting, "C004", "spend_tier")
    assert band.value_title == "高 · High" and "high from 100" in band.how[0]


def test_a_score_shows_its_cuts_and_the_tags_it_read(setting: Setting, ran: Shop) -> None:
    row = ran.rows("scores/rfm").set_index("person_id").loc["C004"]
    for column in ("rfm_r", "rfm_tier", "rfm_quadrant"):
        found = asked(setting, "C004", column)
        assert found.value == row[column] and found.proven
    assert {tag.code for tag in found.tags} == {"days_since_last_order", "order_count", "spend"}
    assert any(words.startswith("M of spend: 1, and one more for each of ") for words in found.how)
    # C050 never ordered.
    nobody = asked(setting, "C050", "rfm_tier")
    assert nobody.value is None and nobody.proven and "not scored" in nobody.how[0]


def test_a_master_tag_shows_its_row_and_the_raw_column(setting: Setting) -> None:
    found = asked(setting, "C002", "gender")
    assert found.value == "male" and found.proven and found.clean is not None
    row = found.clean.rows[0]
    assert (row.place.file, row.place.row, row.fields) == ("customers.csv", 2, {"gender": "male"})
    assert found.clean.origins["gender"] == "column “性别” → code table; text"


def test_who_and_what_is_not_there_is_one_clear_line(setting: Setting) -> None:
    with pytest.raises(Mistake, match=r"'c004' is no person of tags/every .*did you mean 'C004'"):
        asked(setting, "c004", "spend")
    with pytest.raises(Mistake, match="'X999' is no person"):
        asked(setting, "X999", "rfm_tier")
    with pytest.raises(Mistake, match="did you mean 'spend'"):
        asked(setting, "C004", "spendd")
    with pytest.raises(Mistake, match="there is 2024-03-10"):
        asked(setting, "C004", "spend", as_of=AS_OF - timedelta(days=1))
    with pytest.raises(Mistake, match="did you mean 'steward'"):
        asked(setting, "C004", "spend", by=Asking("stewart"))


def test_a_served_value_that_its_rows_do_not_give_is_found_out(ran: Shop, setting: Setting, tmp_path: Path) -> None:
    good = ran.served("tags/every")
    assert good is not None
    apart = replace(setting, apart=tmp_path / "warehouse")
    shutil.copytree(setting.warehouse.root, apart.warehouse.root)
    plant(apart, "tags/every", "C004", "spend", Decimal("123456.78"))
    wrong = asked(apart, "C004", "spend")
    assert (wrong.value, wrong.proof.equal) == (Decimal("123456.78"), False) and not wrong.proven
    # What rests on it is consistent with neither; the rows below say where it began.
    below = asked(apart, "C004", "spend_per_order")
    assert below.proof.equal is False and [tag.proof.equal for tag in below.tags] == [True, False]
    assert asked(apart, "C005", "spend").proven

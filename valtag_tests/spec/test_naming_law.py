"""Any name becomes a code and a title in both languages."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valtag_assets.spec.naming_law import code_of, misspelt, title_of, unused


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("会员号", "member_no"),
        ("下单时间", "ordered_at"),
        ("金额", "amount"),
        ("客户 ID", "customer_id"),
        ("行 ID", "line_id"),
        ("省/自治区", "province"),
        ("SKU编码", "sku_code"),
        ("美容顾问", "meirong_adviser"),
        ("userLvCd", "user_lv_cd"),
        ("HTTPServer2", "http_server2"),
        ("event_time", "event_time"),
        ("JData_Action", "jdata_action"),
        ("N_OPEN_IN_24M", "n_open_in_24m"),
        ("２０２４年销量", "field_2024_year_xiaoliang"),
        ("case", "case_value"),
        ("'; DROP TABLE x; --", "drop_table_x"),
        ("../../etc/passwd", "etc_passwd"),
        ("", "field"),
        ("\x00\x1b[31m", "field_31m"),
        ("Ümläut", "ml_ut"),
    ],
)
def test_a_name_has_one_code(name: str, code: str) -> None:
    assert code_of(name) == code


def test_a_date_is_on_and_a_time_is_at() -> None:
    assert code_of("下单时间", "date") == "ordered_on"
    assert code_of("下单日期", "timestamp") == "ordered_at"


def test_codes_of_one_table_differ() -> None:
    found: list[str] = []
    for name in ("Name", "name", "名称"):
        found.append(unused(code_of(name), found))
    assert found == ["name", "name_2", "name_3"]


@pytest.mark.parametrize(
    ("name", "zh", "en"),
    [
        ("会员号", "会员号", "Member number"),
        ("客户 ID", "客户 ID", "Customer ID"),
        ("user_id", "用户编号", "User ID"),
        ("ordered_at", "下单时间", "Ordered at"),
        ("a1", "a1", "A1"),
        ("x\ny", "x y", "X y"),
    ],
)
def test_a_title_is_bilingual_where_the_glossary_knows_the_words(name: str, zh: str, en: str) -> None:
    title = title_of(name)
    assert (title.zh, title.en) == (zh, en)


@given(st.text(max_size=90), st.sampled_from([None, "date", "timestamp"]))
def test_every_name_gives_a_valid_code_and_a_printable_title(name: str, kind: str | None) -> None:
    code = code_of(name, kind)
    for found in (code, unused(code, [code])):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", found) and len(found) <= 60
    assert unused(code, [code]) != code
    assert title_of(name).en.isprintable() and title_of(name).zh


def test_a_treatment_with_two_values_is_an_experiment_and_any_other_a_course_of_treatment() -> None:
    assert title_of("TREATMENT", of_two=True).zh == "处理组"
    assert title_of("TREATMENT").zh == "疗程"
    assert title_of("城市", of_two=True).zh == "城市"


@pytest.mark.parametrize(
    ("name", "meant"), [("buy_mount", "buy_amount"), ("CatagoryId", "category_id"), ("quality", None), ("金额", None)]
)
def test_a_misspelt_name_stays_and_what_was_meant_can_be_said(name: str, meant: str | None) -> None:
    assert misspelt(name) == meant

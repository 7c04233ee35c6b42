"""Rules that can never hold are refused at check; those that can are not."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valtag_assets.expression.never import Range
from valtag_tests import kit

FILES = {
    "tags/who.yaml": kit.category(
        "who",
        kit.tag("city", "text", {"master": "members", "of": "city"}),
        kit.tag("age", "integer", {"master": "members", "of": "years_since(born)"}, domain={"min": 0, "max": 120}),
        kit.tag("is_vip", "boolean", {"master": "members", "of": "is_vip"}),
        kit.tag("rate", "decimal(9,3)", {"master": "members", "of": "rate"}),
    ),
}


def problems(folder: Path, *rules: Any, **more: Any) -> list[str]:
    segments = [
        {"code": f"s{number}", "title": {"zh": "人群", "en": "Audience"}, "rule": rule, **more}
        for number, rule in enumerate(rules)
    ]
    return kit.problems(folder, {**FILES, "segments/s.yaml": {"segments": segments}})


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("age > 30 and age < 20", "'age < 20' never holds together with 'age > 30'"),
        ("age > 29 and age < 31 and age != 30", "never holds together with"),
        ("age > 200", "the domain of age is at least 0 and at most 120"),
        ("rate >= 0.5 and 0.5 > rate", "never holds together with 'rate >= 0.5'"),
        ("city = '上海' and city = '北京'", "never holds together with"),
        ("city in ('上海', '北京') and city != '上海' and city != '北京'", "never holds together with"),
        ("is_vip and not is_vip", "never holds together with 'is_vip'"),
        ("city is null and city = '上海'", "never holds together with"),
        ({"any": ["age > 300", "city = '上海'"]}, "'age > 300' never holds"),
        ({"all": ["age > 20", {"none": ["age > 20"]}]}, "must hold and must not hold"),
        ("did(orders, at least 3 times) and did(orders, at most 2 times)", "never holds together with"),
        ("did(orders, within 7d) and did_not(orders, within 7d)", "never holds together with"),
        ("did_not(orders) and did(orders, at least 2 times)", "never holds together with"),
    ],
)
def test_a_rule_that_can_never_hold_is_refused_with_its_line(tmp_path: Path, rule: Any, said: str) -> None:
    (found,) = problems(tmp_path, rule)
    assert found.startswith("segments/s.yaml:") and "segments[s0].rule" in found and said in found


def test_rules_that_can_hold_are_not_refused(tmp_path: Path) -> None:
    assert (
        problems(
            tmp_path,
            "age > 29 and age <= 30",
            "age >= 0 and age <= 120",
            "rate > 0.5 and rate < 0.6",
            "city in ('上海', '北京') and city != '上海'",
            "city != '上海' and city != '北京'",
            "city is null and city != '上海'",
            "age < 20 or age > 30",
            {"none": ["age > 20", "age < 10"]},
            "did(orders, within 7d) and did_not(orders, within 3d)",
            "did(orders, at least 2 times) and did(orders, at most 2 times)",
            "did(orders, sum(amount) at most -5)",
            {"all": ["age > 20", {"any": ["age < 30", "age > 40"]}]},
        )
        == []
    )


@given(
    st.lists(st.tuples(st.sampled_from(["<", "<=", ">", ">=", "!=", "in"]), st.integers(-3, 3)), max_size=6),
)
def test_a_range_is_impossible_exactly_when_no_whole_number_fits(comparisons: list[tuple[str, int]]) -> None:
    known = Range()
    for how, value in comparisons:
        known = known.narrowed(how, frozenset({value}) if how == "in" else value, True)
    tests = {
        "<": lambda x, v: x < v,
        "<=": lambda x, v: x <= v,
        ">": lambda x, v: x > v,
        ">=": lambda x, v: x >= v,
        "!=": lambda x, v: x != v,
        "in": lambda x, v: x == v,
    }
    possible = any(all(tests[how](x, value) for how, value in comparisons) for x in range(-6, 7))
    needs_a_value = any(how != "!=" for how, _ in comparisons)
    if known.impossible:
        assert needs_a_value and not possible
    elif needs_a_value and not possible:
        # Only holes inside a range of more than one number go unseen.
        assert any(how == "!=" for how, _ in comparisons)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("did(ordrs)", "'ordrs' is no fact; did you mean 'orders'?"),
        ("did(members)", "'members' is no fact"),
        ({"did": {"fact": "orders", "where": "amuont > 3"}}, "did you mean 'amount'?"),
        ("did(orders, sum(brand) at least 3)", "sum is of numbers"),
        ("did(orders, where channel = 'shop')", "its values are 'app', 'web', 'store'"),
        ("in_segment(s9)", "'s9' is no segment"),
        ("in_list(vip)", "'vip' is no list"),
        ("city = '上还'", "did you mean '上海'?"),
        ("age = 'x'", ""),
        ("sequence(did(orders), did(orders, same colour))", "'colour' is no field of orders"),
        ({"at_least": 3, "of": ["age > 3"]}, "write 1 to 1"),
        ({"all": []}, "needs at least one rule"),
        ({"did": {"fact": "orders"}, "any": ["age > 1"]}, "exactly one of"),
        ({"did": {"fact": "orders", "withn": "3d"}}, "did you mean 'within'?"),
    ],
)
def test_mistakes_of_a_rule_are_told_with_file_line_and_fix(tmp_path: Path, rule: Any, said: str) -> None:
    found = problems(tmp_path, rule)
    assert found and found[0].startswith("segments/s.yaml:") and said in found[0]


def test_circles_of_segments_are_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, "in_segment(s1)", "in_segment(s2) and age > 3", "in_segment(s0)")
    assert len(found) == 1 and "in a circle" in found[0]


def test_what_orders_caps_and_ranks_an_audience_is_checked(tmp_path: Path) -> None:
    assert "asc" in problems(tmp_path, "age > 3", order=["age"], limit=3)[0]
    assert "did you mean 'age'" in problems(tmp_path, "age > 3", order=["agee desc"], limit=3)[0]
    assert "is no tag or score" in problems(tmp_path, "age > 3", caps=[{"per": "town", "at_most": 3}])[0]
    assert "order says who comes first" in problems(tmp_path, "age > 3", order=["age desc"])[0]
    twins = problems(tmp_path, "age > 3", "age > 4", waterfall={"set": "spring", "priority": 1})
    assert "give each audience its own" in twins[0]

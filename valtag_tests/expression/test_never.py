"""Rules that can never hold are refused at check; those that can are not."""

from collections.abc import Callable
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.expression.never import Range
from valtag_assets.expression.resolve_rule import resolve_rule
from valtag_assets.expression.resolve_segment import refusals
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.segment import Rule
from valtag_tests import kit
from valtag_tests.chance import MORE

FILES = {
    "tags/who.yaml": kit.category(
        "who",
        kit.tag("city", "text", {"master": "members", "of": "city"}),
        kit.tag("age", "integer", {"master": "members", "of": "years_since(born)"}, domain={"min": 0, "max": 120}),
        kit.tag("is_vip", "boolean", {"master": "members", "of": "is_vip"}),
        kit.tag("rate", "decimal(9,3)", {"master": "members", "of": "rate"}),
        kit.tag("level", "integer", {"master": "members", "of": "points"}),
        kit.tag("grade", "integer", {"master": "members", "of": "points"}, domain={"values": ["1", "2", "3"]}),
        kit.tag("born_date", "date", {"master": "members", "of": "born"}),
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
        ("age between 30 and 20", "'age between 30 and 20' never holds: no value is both"),
        ({"all": ["age > 20", {"any": ["age < 10"]}]}, "never holds together with 'age > 20'"),
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
            {"all": ["age > 20", {"any": ["age < 10", "is_vip"]}]},
            {"at_least": 1, "of": ["is_vip and not is_vip", "age > 3"]},
            "grade = 2",
            "grade in (1, 3) and grade != 3",
            "age > 1e1 and rate < 1e30",
            "rate > 1000000000000000000000000000000.5",
        )
        == []
    )


# Random rules over one person's few values; a person for whom a rule holds proves that it can.

Person = dict[str, Any]
DAYS = [date(2024, 1, day) for day in (1, 2, 3)]
VALUES: dict[str, list[Any]] = {
    "level": [None, -1, 0, 1, 2, 3, 4, 5],
    "city": [None, "上海", "北京"],
    "is_vip": [None, True, False],
    "born_date": [None, *DAYS],
    "orders": [0, 1, 2, 3, 4],
}
ORACLE = {
    "<": lambda x, v: x < v,
    "<=": lambda x, v: x <= v,
    ">": lambda x, v: x > v,
    ">=": lambda x, v: x >= v,
    "=": lambda x, v: x == v,
}
Test = Callable[[Person], bool]


def _compared(name: str, how: str, value: Any, written: str, mirrored: bool) -> tuple[str, Test]:
    if how == "!=":
        return f"{name} != {written}", lambda person: person[name] != value
    other = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(how, how)
    text = f"{written} {other} {name}" if mirrored else f"{name} {how} {written}"
    return text, lambda person: person[name] is not None and ORACLE[how](person[name], value)


def _counted(word: str, how: str, times: int) -> tuple[str, Test]:
    test = {"at least": lambda c: c >= times, "at most": lambda c: c <= times, "exactly": lambda c: c == times}[how]
    text = f"{word}(orders, {how} {times} times, within 9d)"
    return text, lambda person: test(person["orders"]) == (word == "did")


HOWS = st.sampled_from(["<", "<=", ">", ">=", "=", "!="])
LEAVES = st.one_of(
    st.builds(
        lambda how, value, mirrored: _compared("level", how, value, str(value), mirrored),
        HOWS,
        st.sampled_from([0, 1, 1.5, 2, 3, 4]),
        st.booleans(),
    ),
    st.builds(lambda how, day: _compared("born_date", how, day, f"'{day}'", False), HOWS, st.sampled_from(DAYS)),
    st.builds(
        lambda how, city: _compared("city", how, city, f"'{city}'", False),
        st.sampled_from(["=", "!="]),
        st.sampled_from(["上海", "北京"]),
    ),
    st.sampled_from(
        [
            ("is_vip", lambda person: person["is_vip"] is True),
            ("not is_vip", lambda person: person["is_vip"] is not True),
            ("is_vip = false", lambda person: person["is_vip"] is False),
            ("is_vip != false", lambda person: person["is_vip"] is not False),
            ("city is null", lambda person: person["city"] is None),
            ("city is not null", lambda person: person["city"] is not None),
            ("level is null", lambda person: person["level"] is None),
            ("not (level > 1)", lambda person: not (person["level"] is not None and person["level"] > 1)),
            ("level not in (1, 2)", lambda person: person["level"] not in (1, 2)),
            ("level in (1, 2)", lambda person: person["level"] in (1, 2)),
            ("not (level between 1 and 3)", lambda person: person["level"] not in (1, 2, 3)),
        ]
    ),
    st.builds(
        _counted,
        st.sampled_from(["did", "did_not"]),
        st.sampled_from(["at least", "at most", "exactly"]),
        st.integers(1, 3),
    ),
)
JOINS: dict[str, Callable[[int, int], bool]] = {
    "all": lambda held, many: held == many,
    "any": lambda held, many: held > 0,
    "none": lambda held, many: held == 0,
}


def _joined(how: str, below: list[tuple[Any, Test]], least: int) -> tuple[Any, Test]:
    rules, tests = [rule for rule, _ in below], [test for _, test in below]
    least = min(least, len(below))
    if how == "of":
        return {"at_least": least, "of": rules}, lambda person: sum(test(person) for test in tests) >= least
    return {how: rules}, lambda person: JOINS[how](sum(test(person) for test in tests), len(tests))


TREES = st.recursive(
    LEAVES,
    lambda below: st.builds(
        _joined,
        st.sampled_from(["all", "all", "any", "none", "of"]),
        st.lists(below, min_size=1, max_size=4),
        st.integers(1, 3),
    ),
    max_leaves=8,
)
PERSONS = [dict(zip(VALUES, chosen, strict=True)) for chosen in product(*VALUES.values())]


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    return kit.make_catalog(tmp_path_factory.mktemp("catalog"), FILES)


@settings(max_examples=400 * MORE)
@given(TREES)
def test_a_rule_that_holds_for_somebody_is_never_refused(resolved: Resolved, made: tuple[Any, Test]) -> None:
    data, test = made
    faults: list[str] = []
    rule = resolve_rule(Rule.model_validate(data), resolved.rules, lambda said, _: faults.append(said))
    assert faults == []
    if any(map(test, PERSONS)):
        assert refusals(rule, resolved.tags) == [], data


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
        ("at_least(²,age > 3,age > 4)", "begins with how many"),
        (f"at_least({'9' * 5000},age > 3,did(orders))", "begins with how many"),
        ("did(orders, at least 1.2.3 times)", "a clause is one of"),
        (f"did(orders, at least {'9' * 5000} times)", "a clause is one of"),
        ({"did": {"fact": "orders", "at_least": 10**30}}, "less than 19 digits"),
        ({"did": {"fact": "orders", "at_least": True}}, "less than 19 digits"),
        ({"did": {"fact": "orders", "sum": "amount", "at_least": float("inf")}}, "less than 19 digits"),
        ({"did": {"fact": "orders", "sum": "amount", "at_most": float("nan")}}, "less than 19 digits"),
        (f"age > {'9' * 5000}", "too large for an integer"),
        ("did(orders, before 0001-01-01)", "there is no date before it"),
        ("not " * 300 + "did(orders)", "nested more than 30 deep"),
        (" or ".join(["did(orders)"] * 2001), "has 2,001 conditions, more than 2,000"),
    ],
)
def test_mistakes_of_a_rule_are_told_with_file_line_and_fix(tmp_path: Path, rule: Any, said: str) -> None:
    found = problems(tmp_path, rule)
    assert found and found[0].startswith("segments/s.yaml:") and said in found[0]


def test_circles_of_segments_are_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, "in_segment(s1)", "in_segment(s2) and age > 3", "in_segment(s0)")
    assert len(found) == 1 and "in a circle" in found[0]


def test_a_chain_of_thousands_of_audiences_is_resolved(tmp_path: Path) -> None:
    rules = [f"in_segment(s{number + 1})" for number in range(1999)]
    assert problems(tmp_path, *rules, "age > 3") == []


def test_an_audience_is_not_called_like_the_key_of_all(tmp_path: Path) -> None:
    one = {"code": "person_id", "title": {"zh": "人", "en": "Person"}, "rule": "age > 3"}
    (found,) = kit.problems(tmp_path, {**FILES, "segments/s.yaml": {"segments": [one]}})
    assert found.startswith("segments/s.yaml:2: segments[person_id].code")


@pytest.mark.parametrize(
    "more",
    [
        {"limit": 10**30},
        {"caps": [{"per": "city", "at_most": 10**30}]},
        {"sample": {"count": 10**30, "seed": 1}},
        {"sample": {"share": float("nan"), "seed": 1}},
        {"size": {"jump": float("inf")}},
        {"size": {"jump": float("nan")}},
        {"size": {"min": 10, "max": 3}},
    ],
)
def test_sizes_that_no_audience_can_have_are_refused(tmp_path: Path, more: Any) -> None:
    (found,) = problems(tmp_path, "age > 3", **more)
    assert found.startswith("segments/s.yaml:")


def test_what_orders_caps_and_ranks_an_audience_is_checked(tmp_path: Path) -> None:
    assert "asc" in problems(tmp_path, "age > 3", order=["age"], limit=3)[0]
    assert "did you mean 'age'" in problems(tmp_path, "age > 3", order=["agee desc"], limit=3)[0]
    assert "is no tag or score" in problems(tmp_path, "age > 3", caps=[{"per": "town", "at_most": 3}])[0]
    assert "order says who comes first" in problems(tmp_path, "age > 3", order=["age desc"])[0]
    twins = problems(tmp_path, "age > 3", "age > 4", waterfall={"set": "spring", "priority": 1})
    assert "give each audience its own" in twins[0]

"""Rules as text: what is read, and what is said of what can't be."""

import re

import pytest

from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.rule_text import read_rule, rule_data, write_rule
from valtag_assets.spec.segment import Rule


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("age > 3 and city = '上海'", "age > 3 and city = '上海'"),
        ("age > 3 and did(orders)", {"all": ["age > 3", {"did": {"fact": "orders"}}]}),
        ("a or b and did(o)", {"any": ["a", {"all": ["b", {"did": {"fact": "o"}}]}]}),
        ("not did(o) and not a = 1", {"all": [{"none": [{"did": {"fact": "o"}}]}, "not a = 1"]}),
        ("(a or did(o)) and b", {"all": [{"any": ["a", {"did": {"fact": "o"}}]}, "b"]}),
        ("age between 1 and 3 and did(o)", {"all": ["age between 1 and 3", {"did": {"fact": "o"}}]}),
        (
            "case when a and b then 1 else 0 end = 1 or in_list(l)",
            {"any": ["case when a and b then 1 else 0 end = 1", {"in_list": "l"}]},
        ),
        ("did（o，within 30d）", {"did": {"fact": "o", "within": "30d"}}),
        (
            "did(o, sum(x * 2) at least 10.5, where note = 'a, b) and (c')",
            {"did": {"fact": "o", "where": "note = 'a, b) and (c'", "sum": "x * 2", "at_least": 10.5}},
        ),
        ("at_least(2, a, b, in_segment(s))", {"at_least": 2, "of": ["a", "b", {"in_segment": "s"}]}),
        (
            "sequence(did(v), did_not(o, within 7d, same c, same d = e), since 2024-01-31)",
            {
                "sequence": {
                    "steps": [
                        {"did": {"fact": "v"}},
                        {"did_not": {"fact": "o", "within": "7d", "same": ["c", "d = e"]}},
                    ],
                    "since": "2024-01-31",
                }
            },
        ),
    ],
)
def test_a_text_is_read_as_the_tree_it_stands_for(text: str, data: object) -> None:
    rule = read_rule(text)
    assert rule == Rule.model_validate(data)
    assert rule_data(rule) == data
    assert read_rule(write_rule(rule)) == rule


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("did(orders) = true", "before '= true' (at character 13)"),
        ("did(orders", "is not closed"),
        ("did()", "something is missing before ')'"),
        ("did(orders, at leest 3)", "a clause is one of"),
        ("did(orders, within 30)", "write days (30d)"),
        ("did(orders, at least 0 times)", "holds for everybody"),
        ("did(orders, at least 1.5 times)", "no number of times"),
        ("did(orders, sum(amount) at lest 3)", "a clause is one of"),
        ("did(orders, between 10d and 20d)", "holds no date"),
        ("did(orders, between 2024-02-01 and 2024-01-01)", "the first date is the later one"),
        ("at_least(5, a, did(x))", "write 1 to 2"),
        ("at_least(x, a, did(x))", "begins with how many"),
        ("x and did(o) or", "ends where a condition is expected"),
        ("lower(did(x))", "a condition by itself"),
        ("sequence(did(a))", "at least two steps"),
        ("sequence(did_not(a), did(b))", "first step of a sequence is something that was done"),
        ("in_segment(A B)", "is no code"),
        ("did(orders, within 3d, within 4d)", "within is said twice"),
        ("did(orders, within 3d, before 2024-01-01)", "give one of"),
        ("did(orders, sum(amount))", "a clause is one of"),
        (f"{'(' * 200}did(o){')' * 200}", "nested more than"),
        ("did(o); drop table x", "before ';"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ExpressionError, match=re.escape(said)):
        read_rule(text)


@pytest.mark.parametrize("number", [0.00001, -0.00001, 1e16, 123456789012345678, 0.1, 5])
def test_a_number_of_any_size_is_written_as_it_is_read(number: float) -> None:
    rule = Rule.model_validate({"did": {"fact": "orders", "sum": "amount", "at_least": number}})
    assert read_rule(write_rule(rule)) == rule


def test_the_words_of_a_period_are_the_same_in_yaml() -> None:
    for ends in (["60d", "30d"], ["2024-01-01", "2024-01-31"], ["90d", "2024-01-31"]):
        words = Rule.model_validate({"did": {"fact": "orders", "between": " and ".join(ends)}})
        assert words == Rule.model_validate({"did": {"fact": "orders", "between": ends}})
        assert read_rule(write_rule(words)) == words
    for wrong in ("60d", "60d and 30d and 10d", ["60d"], 60):
        with pytest.raises(ValueError, match="between has two ends: 60d and 30d"):
            Rule.model_validate({"did": {"fact": "orders", "between": wrong}})

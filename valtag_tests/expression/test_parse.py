"""What may be written, and what is said about the rest."""

import pytest

from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.lineage import meaning, names_read
from valtag_assets.expression.parse import parse
from valtag_assets.expression.tree import Call, Literal, Name
from valtag_assets.spec.types import BOOLEAN, DATE, FLOAT, INTEGER, TEXT, DataType, decimal
from valtag_tests.expression.running import SCOPE


def refused(text: str, expect: DataType | None = None) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        parse(text, SCOPE, expect)
    return caught.value


def test_a_tree_has_names_literals_and_calls_with_their_types() -> None:
    assert parse("age > 18", SCOPE) == Call(">", (Name("age", INTEGER), Literal(18, INTEGER)), BOOLEAN)


@pytest.mark.parametrize(
    "text",
    [
        'age between 18 and 25 and city = "上海"',
        "age　BETWEEN 18 and 25\nand (city == '上海')",
        "age between １８ and ２５ and city＝“上海”",
        "（age between 18 and 25） and city = 「上海」",
        "a\u200bge between 18 and 25 and city = ”上海“",
    ],
)
def test_one_meaning_has_one_text_however_it_is_typed(text: str) -> None:
    assert meaning(parse(text, SCOPE)) == "age between 18 and 25 and city = '上海'"


def test_signs_of_the_chinese_keyboard_are_read() -> None:
    assert (
        meaning(parse("age≥18 and orders≠３ and spend＜１．５", SCOPE)) == "age >= 18 and orders != 3 and spend < 1.5"
    )


def test_what_stands_in_quotes_is_kept_as_it_is() -> None:
    assert parse("name = '＞（x）\u200b'", SCOPE).arguments[1] == Literal("＞（x）\u200b", TEXT)  # type: ignore[union-attr]


def test_operators_bind_as_in_sql() -> None:
    written = "not age > 1 + 2 * 3 % 2 or vip and orders - 1 - 1 = 0"
    grouped = "(not (age > (1 + ((2 * 3) % 2)))) or (vip and (((orders - 1) - 1) = 0))"
    assert parse(written, SCOPE) == parse(grouped, SCOPE)
    assert meaning(parse(grouped, SCOPE)) == written


def test_lineage_names_every_field_once() -> None:
    assert names_read(parse("if(vip, spend / orders, spend) > 3 and has(brands, 'a')", SCOPE)) == {
        "vip",
        "spend",
        "orders",
        "brands",
    }


@pytest.mark.parametrize(
    ("word", "code"),
    [("agee", "age"), ("年龄", "age"), ("Age", "age"), ("消费金", "spend"), ("pay_at", "paid_at")],
)
def test_an_unknown_name_gets_the_code_that_was_meant(word: str, code: str) -> None:
    error = refused(f"vip and {word} is null")
    assert error.suggestion == code
    assert error.position == 8
    assert str(error) == f"unknown tag '{word}'; did you mean '{code}'? (at character 9)"


def test_a_position_counts_in_the_text_as_written() -> None:
    assert refused("“ｘ” = name　and　ﬁne = 1").position == 15


def test_a_value_outside_its_code_table_is_refused_with_the_nearest() -> None:
    for text in ("city = '上每'", "'上每' != city", "city in ('北京', '上每')", "city not in ('上每')"):
        error = refused(text)
        assert error.suggestion == "上海"
        assert "its values are '上海', '北京', '广州'" in str(error)
    assert "its values are 'a', 'b', '茅台'" in str(refused("has(brands, 'c')"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("city > 3", "city (text) and 3 (integer) cannot be compared; write a text in quotes: '3'"),
        ("age > '18'", "write a number without quotes"),
        ("age = vip", "age (integer) and vip (boolean) cannot be compared"),
        ("born = 3", "born (date) and 3 (integer) cannot be compared"),
        ("born > '2024-02-30'", "'2024-02-30' is no date"),
        ("born > '2024-1-3'", "write it like '2024-01-31'"),
        ("born > '2024-01-03 10:00'", "has a time of day"),
        ("paid_at in ('2024-01-03', '2024-01-03 10:00')", "has a time of day"),
        ("coalesce(born, paid_at) is null", "write date(…) around the timestamp"),
        ("city = null", "write 'is null'"),
        ("age in (1, null)", "write 'or … is null'"),
        ("vip < true", "has no order"),
        ("brands = 'a'", "use has(list, value)"),
        ("has(name, 'a')", "use contains(text, part)"),
        ("has(brands, 1)", "has needs a value of type text"),
        ("contains(brands, 'a')", "contains needs text"),
        ("born + 1", "use days_between"),
        ("name + 'x'", "use concat(a, b)"),
        ("age + null", "needs numbers, not null (null)"),
        ("spend % 2", "% is for integers"),
        ("vip and age", "needs conditions on both sides, not age (integer)"),
        ("not age", "not needs a condition"),
        ("if(age, 1, 2)", "if needs a condition first"),
        ("if(vip, 1, 'a')", "cannot be values of one if"),
        ("case when age then 1 end", "case when needs a condition"),
        ("hour(born)", "hour needs a timestamp, not born (date)"),
        ("year(age)", "year needs a date or timestamp"),
        ("round(share, age)", "needs a written whole number from 0 to 15"),
        ("substring(name, 0, 2)", "needs a written whole number of at least 1"),
        ("round()", "round is written round(x) or round(x, n)"),
        ("age in (orders, 1)", "in takes written values"),
        ("name like city", "like takes a written pattern"),
        (r"name like '\x'", r"write \\ for a backslash"),
        ("spend * spend * spend * spend * spend", "round(x, n) a part of it first"),
        ("null is null", "says nothing"),
        ("date(name)", "date needs a timestamp or a written date"),
        ("timestamp(paid_at)", "a written point in time"),
    ],
)
def test_what_does_not_fit_in_type_is_explained(text: str, said: str) -> None:
    assert said in str(refused(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (" \u200b ", "is empty"),
        ("(select age from person)", "subqueries are not allowed"),
        ("exists (select 1)", "subqueries are not allowed"),
        ("age in (select 3)", "subqueries are not allowed"),
        ("cast(age as text)", "there are no casts"),
        ("age::text", "there are no casts"),
        ("row_number() over (order by age)", "window functions are not allowed"),
        ("count(*)", "* only multiplies"),
        ("*", "* only multiplies"),
        ("person.age > 3", "names have no dots"),
        ("`age` > 3", "names are written without quotes"),
        ("age > 3 -- adults", "comments (--) are not allowed"),
        ("age > 3 /* adults */", "comments (/*) are not allowed"),
        ("age > 3 # adults", "comments are not allowed"),
        ("age > 3; drop table person", "one expression only"),
        ("age > 3 && vip", "write and"),
        ("age > 3 || vip", "write or; to join texts"),
        ("!vip", "write not"),
        ("brands[1] = 'a'", "write has(list, value)"),
        ("age = ?", "there are no placeholders"),
        ("age = :x", "there are no parameters"),
        ("age = @x", "there are no parameters"),
        ("vip is true", "is goes with null only"),
        ("age is distinct from 3", "!= is null-safe already"),
        ("(age, orders) = 3", "behind in only"),
        ("age in ()", "in takes a list of written values"),
        ("age between symmetric 1 and 2", "between is written"),
        ("paid_at at time zone 'UTC' is null", "times are local already"),
        ("interval '1' day", "intervals are not written here"),
        ("case age when 3 then 1 end", "case when x = … then"),
        ("name ilike 'a'", "lower(text) like"),
        ("name like 'a!%' escape '!'", "the backslash"),
        ("name = 'a' 'b'", "two texts side by side"),
        ("{'a': 1}", "'{' has no meaning here"),
        ("age > 3 as adult", "an expression has no alias"),
        ("x -> age", "something is missing or too much at: >"),
        ("age > 18岁", "something is missing or too much at: 岁"),
        ("age >", "something is missing or too much at: >"),
        ("age between 1", "something is missing or too much at: 1"),
        ("(age > 3", "is not closed"),
        ("age > 3)", "this ) closes nothing"),
        ("name = 'abc", "the text that opens with ' is not closed: 'abc"),
        ("name = “abc", "the text that opens with “ is not closed"),
        ("1e999 > share", "too large"),
        ("age < 99999999999999999999", "too large for an integer"),
        ("sum(spend) > 3", "agg: and of: in the catalog"),
        ("today() > born", "write as_of()"),
        ("lenght(name)", "there is no function 'lenght'; did you mean 'length'?"),
        ("ifnull(age, 0)", "write coalesce(a, b)"),
        ("read_csv('/etc/passwd')", "there is no function 'read_csv'"),
    ],
)
def test_what_is_no_part_of_the_language_is_refused_by_name(text: str, said: str) -> None:
    assert said in str(refused(text))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 40 + "age" + ")" * 40,
        "not " * 40 + "vip",
        "abs(" * 500 + "age" + ")" * 500,
        "not (" * 200 + "vip" + ")" * 200,
        "-" + " -" * 5000 + "age",
        " + ".join(["age"] * 5000),
        "case when vip then " * 100 + "1" + " end" * 100,
    ],
)
def test_bottomless_nesting_is_an_error_and_no_crash(text: str) -> None:
    assert "split it into tags" in str(refused(text))


@pytest.mark.parametrize(
    ("text", "data_type"),
    [
        ("age + orders", INTEGER),
        ("spend + age", decimal(22, 2)),
        ("spend + 0.125", decimal(11, 3)),
        ("spend * 0.125", decimal(12, 5)),
        ("spend * share", FLOAT),
        ("age / orders", FLOAT),
        ("1.50", decimal(3, 2)),
        ("0.01", decimal(2, 2)),
        ("1e3", FLOAT),
        ("round(spend, 1)", decimal(9, 1)),
        ("round(spend)", INTEGER),
        ("floor(share)", INTEGER),
        ("coalesce(spend, 0)", decimal(21, 2)),
        ("if(vip, null, born)", DATE),
        ("null", None),
    ],
)
def test_the_type_of_a_result_is_stated(text: str, data_type: DataType | None) -> None:
    assert parse(text, SCOPE).type == data_type


def test_the_place_decides_which_types_fit() -> None:
    assert parse("spend / orders", SCOPE, decimal(18, 2)).type == FLOAT
    assert parse("'2024-01-31'", SCOPE, DATE).type == DATE
    assert parse("null", SCOPE, INTEGER).type is None
    assert "is no condition" in str(refused("age + 1", BOOLEAN))
    assert "use round(x), floor(x) or ceil(x)" in str(refused("age / 2", INTEGER))
    assert "use date(…)" in str(refused("paid_at", DATE))
    assert "where text is wanted" in str(refused("age", TEXT))

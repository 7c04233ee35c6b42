from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from valtag_tests.chance import MORE
from valtag_tests.engine.cleaning.cleaned import clean, clean_values, source

MONEY = "decimal(18,2)"


def amounts(rows, **amount):
    """Clean (unit, amount) pairs; amounts in order, or the rule that refused the row."""
    spec = source(
        [
            {"name": "n", "type": "text"},
            {"name": "unit", "type": "text"},
            {"name": "amount", "type": MONEY, **amount},
        ]
    )
    columns = {
        "n": [str(n) for n in range(len(rows))],
        "unit": [r[0] for r in rows],
        "amount": [r[1] for r in rows],
    }
    outcome = clean(spec, columns)
    refused = outcome.rules()
    found = {row["_row"]: row["amount"] for row in outcome.rows} | refused
    return [found[number + 1] for number in range(len(rows))]


def test_cents_become_yuan_exactly():
    cleaned = clean_values(["136050", "1"], type=MONEY, unit={"to": "CNY", "factor": 0.01})
    assert list(cleaned.values()) == [Decimal("1360.50"), Decimal("0.01")]


def test_a_chain_of_units_rounds_once_at_the_end():
    chain = [{"to": "USD", "factor": "0.01"}, {"to": "CNY", "factor": "7.12345"}]
    assert clean_values(["101"], type=MONEY, unit=chain) == {"101": Decimal("7.19")}  # 1.01 × 7.12345 = 7.1946845
    precise = [{"to": "CNY", "factor": "0.5"}]
    assert clean_values(["0.01"], type=MONEY, unit=precise) == {"0.01": Decimal("0.01")}  # 0.005 up
    assert clean_values(["1.2345"], type=MONEY, unit={"to": "x", "factor": 100}) == {"1.2345": Decimal("123.45")}


def test_another_field_of_the_row_may_name_the_unit():
    factors = {"元": 1, "分": 0.01, "万元": 10000}
    rows = [("元", "5"), (" 分 ", "5"), ("万元", "0.5"), ("角", "5"), (None, "5"), ("角", None)]
    assert amounts(rows, unit={"to": "CNY", "by": "unit", "factors": factors}) == [
        Decimal("5.00"),
        Decimal("0.05"),
        Decimal("5000.00"),
        "amount.unit",
        "amount.unit",
        None,
    ]


def test_a_unit_named_by_a_field_may_be_followed_by_a_fixed_one():
    chain = [{"to": "元", "by": "unit", "factors": {"分": "0.01", "元": 1}}, {"to": "USD", "factor": "0.14"}]
    assert amounts([("分", "1000"), ("元", "10")], unit=chain) == [Decimal("1.40"), Decimal("1.40")]


CENTS = st.integers(-(10**16), 10**16) | st.integers(-(10**9), 10**9) | st.integers(-1000, 1000)


@settings(max_examples=6 * MORE, phases=[Phase.explicit, Phase.generate])
@given(
    st.lists(CENTS, min_size=20, max_size=60), st.sampled_from(["0.5", "7.1", "0.0092", "1", "0.00000005", "12345"])
)
def test_a_product_of_any_size_is_rounded_once_and_half_away_from_zero(cents, factor):
    texts = [str(Decimal(each).scaleb(-2)) for each in dict.fromkeys(cents)]
    cleaned = clean_values(texts, type=MONEY, unit={"to": "x", "factor": factor})
    for text in texts:
        exact = (Decimal(text) * Decimal(factor)).quantize(Decimal("0.01"), ROUND_HALF_UP)
        assert cleaned[text] == (exact if abs(exact) < 10**16 else "[x.invalid]")


def test_a_product_that_does_not_fit_is_invalid():
    cleaned = clean_values(["9999999999999999"], type=MONEY, unit={"to": "x", "factor": 1000})
    assert cleaned == {"9999999999999999": "[x.invalid]"}


def test_units_of_integers_and_floats():
    seconds = {"to": "s", "factor": 0.001}
    assert clean_values(["1499", "1500", "-1500"], type="integer", unit=seconds) == {
        "1499": 1,
        "1500": 2,
        "-1500": -2,
    }
    assert clean_values(["1.5"], type="integer", unit={"to": "ms", "factor": 1000}) == {"1.5": 1500}
    assert clean_values(["1500"], type="float", unit=seconds) == {"1500": 1.5}
    assert clean_values(pa.array([1.5]), "DOUBLE", type="integer", unit={"to": "ms", "factor": 1000}) == {1.5: 1500}
    assert clean_values(pa.array([1500]), "BIGINT", type=MONEY, unit=seconds) == {1500: Decimal("1.50")}


def test_a_unit_by_an_unknown_field_is_a_mistake():
    with pytest.raises(ValueError, match="named by 'currency'"):
        amounts([("x", "1")], unit={"to": "CNY", "by": "currency", "factors": {"x": 1}})
    with pytest.raises(ValueError, match="is no number"):
        amounts([("x", "1")], unit={"to": "CNY", "factor": "seven"})


def test_values_outside_their_bounds_are_refused_or_nulled_or_clipped():
    values = ["-1", "0", "150", "151", None]
    bounds = {"min": 0, "max": 150}
    refused = clean_values(values, type="integer", bounds=bounds)
    assert refused == {"-1": "[x.bounds]", "0": 0, "150": 150, "151": "[x.bounds]", None: None}
    nulled = clean_values(values, type="integer", bounds={**bounds, "otherwise": "null"})
    assert nulled == {"-1": None, "0": 0, "150": 150, "151": None, None: None}
    clipped = clean_values(values, type="integer", bounds={**bounds, "otherwise": "clip"})
    assert clipped == {"-1": 0, "0": 0, "150": 150, "151": 150, None: None}


def test_a_clipped_value_is_the_nearest_one_of_its_type_inside():
    bounds = {"min": 0.5, "max": 9.999, "otherwise": "clip"}
    assert clean_values(["-3", "11"], type="integer", bounds=bounds) == {"-3": 1, "11": 9}
    assert clean_values(["11"], type=MONEY, bounds=bounds) == {"11": Decimal("9.99")}
    assert clean_values(["11", "0.1"], type="float", bounds=bounds) == {"11": 9.999, "0.1": 0.5}


def test_dates_and_times_have_bounds_in_whole_days():
    ends = {"min": "2000-01-01", "max": "2024-12-31"}
    values = ["1999-12-31 23:59:59", "2000-01-01", "2024-12-31 23:59:59.9", "2025-01-01", None]
    first, last = datetime(2000, 1, 1), datetime(2024, 12, 31, 23, 59, 59, 900000)
    refused = clean_values(values, type="timestamp", bounds=ends)
    assert list(refused.values()) == [first, last, None, "[x.bounds]", "[x.bounds]"]
    clipped = clean_values(values, type="timestamp", bounds={**ends, "otherwise": "clip"})
    assert list(clipped.values()) == [first, first, last, datetime(2024, 12, 31, 23, 59, 59, 999999), None]
    days = clean_values(values, type="date", bounds={**ends, "otherwise": "clip"})
    assert list(days.values()) == [first.date(), first.date(), last.date(), last.date(), None]
    nulled = clean_values(values, type="date", bounds={**ends, "otherwise": "null"})
    assert list(nulled.values()) == [None, first.date(), last.date(), None, None]


def test_bounds_hold_after_the_unit():
    settings = {"unit": {"to": "CNY", "factor": 0.01}, "bounds": {"max": 10}}
    assert clean_values(["1000", "1001"], type=MONEY, **settings) == {
        "1000": Decimal(10),
        "1001": "[x.bounds]",
    }


@pytest.mark.parametrize("kind", ["integer", MONEY, "float"])
def test_an_amount_ten_thousand_times_the_median_is_an_outlier(kind):
    values = ["99", "100", "-101", "1000000", "-1000001", "oops", None]
    refused = clean_values(values, type=kind, outlier={"times": 1000}, invalid="null")
    assert [str(refused[v]).startswith("[x.outlier") for v in values] == [False] * 3 + [True] * 2 + [False] * 2
    nulled = clean_values(values, type=kind, outlier={"times": 1000, "otherwise": "null"}, invalid="null")
    assert [nulled[v] is None for v in values] == [False] * 3 + [True] * 4


def test_the_median_is_exact_for_even_counts_and_leaves_out_what_the_bounds_refuse():
    outlier = {"times": 2}
    assert clean_values(["1", "2", "3", "5.01"], type=MONEY, outlier=outlier)["5.01"] == "[x.outlier]"
    assert clean_values(["1", "2", "3", "5.00"], type=MONEY, outlier=outlier)["5.00"] == Decimal(5)
    many = ["1", "1.1", "3", "900", "901", "902", "903"]
    cleaned = clean_values(many, type=MONEY, outlier=outlier, bounds={"max": 100})
    assert cleaned["3"] == "[x.outlier]"
    assert cleaned["900"] == "[x.bounds]"


def test_a_column_without_values_has_no_outliers():
    assert clean_values([None, ""], type="integer", outlier={"times": 2}) == {None: None, "": None}


def test_required_holds_for_what_is_left_after_cleaning():
    cleaned = clean_values(["1", "", "x", "200"], type="integer", required=True, invalid="null", bounds={
        "max": 100, "otherwise": "null",
    })  # fmt: skip
    assert cleaned == {"1": 1, "": "[x.required]", "x": "[x.required]", "200": "[x.required]"}

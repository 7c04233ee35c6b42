from decimal import Decimal

import pyarrow as pa
import pytest

from valtag_tests.engine.cleaning.cleaned import clean_values

REFUSED = "[x.invalid]"
MONEY = "decimal(18,2)"


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("12.50", "12.50"),
        ("￥1,360.50", "1360.50"),
        ("１，３６０", "1360"),
        ("$ -5", "-5"),
        ("-€5", "-5"),
        ("5 €", "5"),
        ("+7", "7"),
        ("−3.5", "-3.5"),
        ("1.36e3", "1360"),
        ("5e-3", "0.01"),
        ("9e-10", "0"),
        ("-8.881784e-16", "0"),
        ("1 234 567.891", "1234567.89"),
        (".5", "0.5"),
        ("12.", "12"),
        ("007.10", "7.1"),
        ("1.005", "1.01"),
        ("-1.005", "-1.01"),
        ("1.00499999999999999999999999", "1.00"),
        ("9999999999999999.99", "9999999999999999.99"),
    ],
)
def test_an_amount_is_read_in_its_usual_spellings(text, amount):
    assert clean_values([text], type=MONEY) == {text: Decimal(amount)}


@pytest.mark.parametrize("scale", [8, 17, 20])
def test_a_wide_decimal_is_exact_on_both_sides_of_what_fits_64_bits(scale):
    step = Decimal(1).scaleb(-scale)
    edge = 10 ** max(18 - scale, 0)
    texts = [str(edge), f"-{edge}", f"{edge - 1}.{'9' * scale}", f"-{edge - 1}.{'9' * scale}5", f"0.{'0' * scale}5"]
    texts += [f"{edge - 1}.{'9' * scale}4", f"{edge}.{'0' * scale}5", "9" * (38 - scale)]
    rounded = [Decimal(edge), Decimal(-edge), edge - step, Decimal(-edge), step, edge - step, edge + step]
    cleaned = clean_values(texts, type=f"decimal(38,{scale})")
    assert list(cleaned.values()) == [*rounded, Decimal("9" * (38 - scale))]


def test_what_is_no_plain_number_is_refused():
    wrong = [
        "1,5",
        "1.360,50",
        "0,123",
        "1,36,000",
        "(12.50)",
        "12%",
        "1_000",
        "0x1F",
        "1e999",
        "inf",
        "Infinity",
    ]
    wrong += [
        "--5",
        "-$-5",
        "1.2.3",
        "12元",
        "e5",
        ".",
        "+",
        "￥",
        "10000000000000000",
        "1e16",
        "NaN5",
        "１２a",
    ]
    assert clean_values(wrong, type=MONEY) == dict.fromkeys(wrong, REFUSED)


def test_a_whole_number_has_no_fraction_and_no_exponent():
    cleaned = clean_values(["12", "12.0", "1,360", "-7", "+7", "12.5", "1e3", "9223372036854775808"], type="integer")
    assert list(cleaned.values()) == [12, 12, 1360, -7, 7, REFUSED, REFUSED, REFUSED]
    assert clean_values(["9223372036854775807"], type="integer") == {"9223372036854775807": 2**63 - 1}


def test_a_float_is_finite():
    cleaned = clean_values(["1.5", "1e-3", "-2", "1e999", "-1e999", "nan"], type="float")
    assert list(cleaned.values()) == [1.5, 0.001, -2.0, None, REFUSED, REFUSED]
    typed = clean_values(pa.array([1.5, float("inf"), float("nan"), None]), "DOUBLE", type="float")
    assert [typed[1.5], typed[float("inf")], typed[None]] == [1.5, REFUSED, None]


def test_a_typed_float_is_a_whole_number_exactly_or_refused():
    cleaned = clean_values(pa.array([17850.0, -3.0, 1.5, 1e30]), "DOUBLE", type="integer")
    assert cleaned == {17850.0: 17850, -3.0: -3, 1.5: REFUSED, 1e30: REFUSED}


def test_a_typed_float_becomes_the_decimal_people_read():
    cleaned = clean_values(pa.array([0.1 + 0.2, 1.005, 1e15, -2.675, 8.9e-16, 1e20]), "DOUBLE", type=MONEY)
    expected = [Decimal("0.30"), Decimal("1.01"), Decimal(10**15), Decimal("-2.68"), Decimal(0), REFUSED]
    assert list(cleaned.values()) == expected


def test_typed_decimals_and_integers_fit_or_are_refused():
    decimals = pa.array([Decimal("1.005"), Decimal("2.000"), Decimal("2.500")], pa.decimal128(10, 3))
    assert list(clean_values(decimals, "DECIMAL(10,3)", type=MONEY).values()) == [
        Decimal("1.01"),
        Decimal("2.00"),
        Decimal("2.50"),
    ]
    assert list(clean_values(decimals, "DECIMAL(10,3)", type="integer").values()) == [2, REFUSED, REFUSED]
    assert clean_values(pa.array([5, 1000]), "BIGINT", type="decimal(4,2)") == {
        5: Decimal("5.00"),
        1000: REFUSED,
    }
    assert clean_values(pa.array([5]), "BIGINT", type="float") == {5: 5.0}
    huge = pa.array([2**63, 5], pa.uint64())
    assert clean_values(huge, "UBIGINT", type="integer") == {2**63: REFUSED, 5: 5}


def test_booleans_are_read_in_three_languages():
    true, false = ["true", "T", "1", "Yes", "y", "是"], ["FALSE", "f", "0", "no", "N", "否"]
    assert clean_values(true, type="boolean") == dict.fromkeys(true, True)
    assert clean_values(false, type="boolean") == dict.fromkeys(false, False)
    assert clean_values(["2", "ja"], type="boolean") == {"2": REFUSED, "ja": REFUSED}
    assert clean_values(pa.array([True, False]), "BOOLEAN", type="boolean") == {True: True, False: False}
    assert clean_values(pa.array([1, 0, 2]), "INTEGER", type="boolean") == {1: True, 0: False, 2: REFUSED}


def test_an_invalid_value_may_become_null_instead():
    assert clean_values(["5", "five"], type="integer", invalid="null") == {"5": 5, "five": None}

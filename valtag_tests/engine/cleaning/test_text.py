import pyarrow as pa
import pytest

from valtag_tests.engine.cleaning.cleaned import clean_values


def test_spaces_of_every_kind_are_trimmed_at_both_ends_only():
    values = ["\ufeff a\u3000", "\u00a0a b\u200b", "\t\r\na\u2003", "a\u3000b", "a"]
    assert list(clean_values(values, half_width=False).values()) == ["a", "a b", "a", "a\u3000b", "a"]


def test_trim_may_be_switched_off():
    assert clean_values([" a "], trim=False)[" a "] == " a "


def test_full_width_letters_digits_and_spaces_become_half_width():
    cleaned = clean_values(["ＡＢ　１２（ｘ）～", "苹果，手机"])
    assert list(cleaned.values()) == ["AB 12(x)~", "苹果,手机"]
    assert clean_values(["ＡＢ"], half_width=False) == {"ＡＢ": "ＡＢ"}


def test_an_emoji_made_of_joined_ones_stays_whole():
    assert clean_values([" 👨‍👩‍👧 "]) == {" 👨‍👩‍👧 ": "👨‍👩‍👧"}


@pytest.mark.parametrize("spelling", ["", "NA", " N/A ", "未知", "ＮＵＬＬ", "-"])
def test_a_missing_spelling_is_null_in_whatever_width_it_is_written(spelling):
    assert clean_values([spelling]) == {spelling: None}


def test_a_field_may_add_missing_spellings_and_case_counts_in_them():
    cleaned = clean_values(["Unknown", "unknown", "暂无"], missing=["Unknown", "　暂无"])
    assert cleaned == {"Unknown": None, "unknown": "unknown", "暂无": None}


def test_the_project_says_what_is_missing_everywhere():
    assert clean_values(["NA", "没有"], missing_everywhere=["没有"]) == {"NA": "NA", "没有": None}


def test_a_list_of_missing_spellings_may_be_long():
    many = [f"none{n}" for n in range(100)]
    assert clean_values([*many, "some", ""], missing=many) == dict.fromkeys(many) | {"some": "some", "": None}


def test_a_missing_number_may_be_written_as_minus_one_in_text_and_in_typed_columns():
    assert clean_values(["-1", "1"], type="integer", missing=["-1"]) == {"-1": None, "1": 1}
    assert clean_values(pa.array([-1, 1]), "BIGINT", type="integer", missing=["-1"]) == {-1: None, 1: 1}
    assert clean_values(pa.array([-1.0, 1.5]), "DOUBLE", type="float", missing=["-1"]) == {
        -1.0: None,
        1.5: 1.5,
    }
    tiny = pa.array([-1, 1], pa.int8())
    assert clean_values(tiny, "TINYINT", type="integer", missing=["-1", "99999"]) == {-1: None, 1: 1}


def test_replacements_run_in_order_and_may_use_groups():
    steps = [{"pattern": r"^id-(\d+)-(\d+)$", "by": r"\2/\1"}, {"pattern": r"^0+", "by": ""}]
    assert clean_values(["id-12-034", "x"], replace=steps) == {"id-12-034": "34/12", "x": "x"}


def test_a_replacement_that_leaves_nothing_leaves_a_missing_value():
    assert clean_values(["元"], replace={"pattern": "元", "by": ""}) == {"元": None}


def test_case_is_brought_to_one():
    assert clean_values(["ÀB"], case="lower") == {"ÀB": "àb"}
    assert clean_values(["àb"], case="upper") == {"àb": "ÀB"}


def test_a_code_table_reads_spellings_after_trim_width_and_case():
    table = {"M": "male", "男": "male", "F": "female", "女": "female"}
    cleaned = clean_values(["m", " Ｍ", "男", "f"], case="lower", values=table)
    assert list(cleaned.values()) == ["male", "male", "male", "female"]


def test_a_value_without_a_code_is_refused_or_set_to_null_or_kept():
    table = {"M": "male"}
    assert clean_values(["M", "X"], values=table) == {"M": "male", "X": "[x.unknown_value]"}
    assert clean_values(["M", "X"], values=table, unknown="null") == {"M": "male", "X": None}
    assert clean_values(["M", "X"], values=table, unknown="keep") == {"M": "male", "X": "X"}


def test_a_missing_value_is_no_unknown_one():
    assert clean_values(["", None], values={"M": "male"}) == {"": None, None: None}


def test_a_code_table_over_a_typed_column_compares_its_text():
    assert clean_values(pa.array([1, 2]), "INTEGER", values={1: "male", 2: "female"}) == {
        1: "male",
        2: "female",
    }
    assert clean_values(pa.array([1.0]), "DOUBLE", values={"1": "male"}) == {1.0: "male"}


def test_two_spellings_that_become_one_must_mean_the_same():
    with pytest.raises(ValueError, match="same spelling"):
        clean_values(["a"], case="lower", values={"A": "first", "a": "second"})


def test_ids_keep_their_leading_zeros_and_lose_only_the_point_zero_of_a_float_column():
    assert clean_values(["007", "17850.0"]) == {"007": "007", "17850.0": "17850.0"}
    floats = pa.array([17850.0, 1e15, None, float("inf")])
    assert list(clean_values(floats, "DOUBLE").values())[:3] == ["17850", "1000000000000000", None]


def test_an_id_as_text_may_lose_its_point_zero_by_a_replacement():
    assert clean_values(["17850.0"], replace={"pattern": r"\.0$"}) == {"17850.0": "17850"}


def test_text_that_looks_like_sql_is_only_text():
    values = ["'; drop table raw; --", '"', "\\", "\\1", "%", "null\n", "😀", "a'b\"c", "${x}", "{y}"]
    cleaned = clean_values(values, values={value: value for value in values})
    assert cleaned == {value: value.strip() for value in values} | {"null\n": None}

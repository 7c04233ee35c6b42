from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from valtag_tests.engine.cleaning.cleaned import clean_values

REFUSED = "[x.invalid]"


def times(values, **field):
    return list(clean_values(values, type="timestamp", **field).values())


def test_iso_times_are_read_in_every_length():
    values = ["2024-02-29", "2024-02-29 08:05", "2024-02-29T08:05:09", "2024-02-29 08:05:09.1234567"]
    expected = [datetime(2024, 2, 29), datetime(2024, 2, 29, 8, 5), datetime(2024, 2, 29, 8, 5, 9)]
    assert times(values) == [*expected, datetime(2024, 2, 29, 8, 5, 9, 123456)]


@pytest.mark.parametrize(
    "text",
    ["2024-02-29T16:30:00Z", "2024-02-29 16:30:00 UTC", "2024-02-29T11:30-05:00", "2024-02-29 22:00:00+0530"],
)
def test_an_iso_time_with_a_zone_is_an_instant_and_ends_on_the_local_clock(text):
    assert clean_values([text], type="timestamp") == {text: datetime(2024, 3, 1, 0, 30)}
    assert clean_values([text], type="date") == {text: date(2024, 3, 1)}


def test_impossible_and_half_dates_are_refused():
    wrong = [
        "2023-02-29",
        "2024-13-01",
        "2024-00-10",
        "2024-01-01 24:00",
        "2024-01-01 23:59:60",
        "0000-00-00",
    ]
    wrong += [
        "2024-1-1",
        "2024-01",
        "20240101",
        "2024/01/01",
        "infinity",
        "epoch",
        "2024-01-01 8:00",
        "0000-01-01",
    ]
    wrong += ["2024-01-01 12:00:00+99:00", "today", "2024-01-01 12", "12024-01-01"]
    assert clean_values(wrong, type="timestamp") == dict.fromkeys(wrong, REFUSED)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("YYYY/M/D H:mm", "2024/1/9 8:05", datetime(2024, 1, 9, 8, 5)),
        ("YYYY年M月D日", "2024年12月3日", datetime(2024, 12, 3)),
        ("YYYYMMDD", "20240229", datetime(2024, 2, 29)),
        ("YYYYMMDDHHmmss", "20240229235959", datetime(2024, 2, 29, 23, 59, 59)),
        ("D/M/YYYY", "3/12/2024", datetime(2024, 12, 3)),
        ("M/D/YYYY H:mm", "12/3/2024 23:59", datetime(2024, 12, 3, 23, 59)),
        ("DD-MMM-YYYY", "03-Dec-2024", datetime(2024, 12, 3)),
        ("D MMM YYYY HH:mm:ss.SSS", "3 DEC 2024 01:02:03.045", datetime(2024, 12, 3, 1, 2, 3, 45000)),
        ("YYYY.MM.DD", "2024.12.03", datetime(2024, 12, 3)),
        ("YYYYMMDDTHHmm", "20240229T0805", datetime(2024, 2, 29, 8, 5)),
    ],
)
def test_a_pattern_reads_what_it_shows(pattern, text, expected):
    assert clean_values([text], type="timestamp", formats=[pattern]) == {text: expected}


def test_a_pattern_matches_the_whole_text_and_no_other_separator():
    wrong = [
        "2024/1/9",
        "2024/1/9 8:05:00",
        "x2024/1/9 8:05",
        "2024/1/9 8:05 ",
        "2024/2/30 8:05",
        "2024/1/9 24:05",
    ]
    cleaned = clean_values(wrong, type="timestamp", formats=["YYYY/M/D H:mm"], trim=False)
    assert cleaned == dict.fromkeys(wrong, REFUSED)
    assert times(["2024-12-03"], formats=["YYYY.MM.DD"]) == [REFUSED]
    assert times(["03-Foo-2024", "03-anf-2024"], formats=["DD-MMM-YYYY"]) == [REFUSED, REFUSED]


def test_several_formats_in_one_column_are_tried_in_order():
    values = ["2024-01-02", "2024/1/2", "1704164645", "1704164645123", "25/12/2023", "3/4/2024"]
    formats = ["iso", "YYYY/M/D", "M/D/YYYY", "D/M/YYYY", "epoch_ms", "epoch_s"]
    assert times(values, formats=formats) == [
        datetime(2024, 1, 2),
        datetime(2024, 1, 2),
        datetime(2024, 1, 2, 11, 4, 5),
        datetime(2024, 1, 2, 11, 4, 5, 123000),
        datetime(2023, 12, 25),
        datetime(2024, 3, 4),
    ]


def test_digits_alone_are_read_by_whichever_of_date_and_epoch_stands_first():
    assert times(["20240102"], formats=["YYYYMMDD", "epoch_s"]) == [datetime(2024, 1, 2)]
    assert times(["20240102"], formats=["epoch_s", "YYYYMMDD"]) == [datetime(1970, 8, 23, 14, 15, 2)]


def test_epochs_are_instants_in_every_unit_before_1970_and_with_fractions():
    assert times(["0", "-86400", "1.5"], formats=["epoch_s"]) == [
        datetime(1970, 1, 1, 8),
        datetime(1969, 12, 31, 8),
        datetime(1970, 1, 1, 8, 0, 1, 500000),
    ]
    assert times(["1704164645123456"], formats=["epoch_us"]) == [datetime(2024, 1, 2, 11, 4, 5, 123456)]
    assert times(["12345678901234567890", "1e9"], formats=["epoch_s"]) == [REFUSED, REFUSED]


def test_typed_epochs_are_read_like_written_ones():
    assert clean_values(pa.array([1704164645]), "BIGINT", type="date", formats=["epoch_s"]) == {
        1704164645: date(2024, 1, 2)
    }
    assert clean_values(pa.array([1704164645.0]), "DOUBLE", type="date", formats=["epoch_s"]) == {
        1704164645.0: date(2024, 1, 2)
    }
    assert clean_values(pa.array([20240102]), "INTEGER", type="date", formats=["YYYYMMDD"]) == {
        20240102: date(2024, 1, 2)
    }


def test_a_purchase_late_in_the_utc_day_belongs_to_the_next_local_day():
    assert times(["2024-01-01 18:00:00"], timezone="UTC") == [datetime(2024, 1, 2, 2)]
    assert times(["2024-01-01 18:00:00"]) == [datetime(2024, 1, 1, 18)]
    here = clean_values(["2024-07-01 12:00"], type="timestamp", timezone="America/New_York", timezone_here="UTC")
    assert here == {"2024-07-01 12:00": datetime(2024, 7, 1, 16)}


def test_typed_times_keep_their_clock_or_come_from_their_zone():
    naive = pa.array([datetime(2024, 1, 1, 18)], pa.timestamp("us"))
    assert list(clean_values(naive, "TIMESTAMP", type="timestamp").values()) == [datetime(2024, 1, 1, 18)]
    assert list(clean_values(naive, "TIMESTAMP", type="timestamp", timezone="UTC").values()) == [
        datetime(2024, 1, 2, 2)
    ]
    assert list(clean_values(naive, "TIMESTAMP", type="date").values()) == [date(2024, 1, 1)]
    aware = pa.array([datetime(2024, 1, 1, 18, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    kind = "TIMESTAMP WITH TIME ZONE"
    assert list(clean_values(aware, kind, type="timestamp").values()) == [datetime(2024, 1, 2, 2)]
    assert list(clean_values(aware, kind, type="date").values()) == [date(2024, 1, 2)]
    day = pa.array([date(2024, 1, 1), date(1900, 1, 1)])
    assert list(clean_values(day, "DATE", type="date", missing=["1900-01-01"]).values()) == [
        date(2024, 1, 1),
        None,
    ]
    assert clean_values(day, "DATE", type="timestamp")[date(2024, 1, 1)] == datetime(2024, 1, 1)


def test_two_digit_years_must_be_meant_and_turn_at_1970():
    with pytest.raises(ValueError, match="two_digit_years"):
        times(["1/2/70"], formats=["D/M/YY"])
    assert times(["1/2/70", "1/2/69", "1/2/1970"], formats=["D/M/YY"], two_digit_years=True) == [
        datetime(1970, 2, 1),
        datetime(2069, 2, 1),
        REFUSED,
    ]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("YYYY-MM", "exactly one year, month and day"),
        ("YYYY-MM-DD mm", "minute but no hour"),
        ("YYYY-MM-DD-DD", "day twice"),
        ("yyyy-mm-dd", "unknown token 'yyyy'"),
        ("epoch_ns", "unknown format 'epoch_ns'"),
        ("YYYY-MMM-MM-DD", "exactly one"),
    ],
)
def test_a_format_that_makes_no_sense_is_named(pattern, said):
    with pytest.raises(ValueError, match=said):
        times(["2024-01-01"], formats=[pattern])

"""Random tables under random rules: cleaned by SQL and by plain Python, equal cell for cell."""

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from valtag_assets.engine.cleaning.account import Account
from valtag_tests.chance import MORE
from valtag_tests.engine.cleaning.cleaned import clean, project, source
from valtag_tests.engine.cleaning.reference import clean_rows

WRAPS = st.sampled_from(["{}", " {}", "{}\u3000", "\ufeff{}\t", "{} "])
ODD = st.sampled_from([None, "", "NA", "未知", "-", "x", "'; --", "😀", "nan", "1,5", "1e999", "[", "0x1"])


def texts(*usual):
    """Column values: usual ones in any spacing, and one odd one in ten."""
    plain = st.builds(str.format, WRAPS, st.one_of(*usual))
    return st.integers(0, 9).flatmap(lambda chance: ODD if chance == 7 else plain)


IDS = texts(st.sampled_from(["1", "２", "03", "a", "A"]))
WHOLE = texts(st.integers(-200, 200).map(str), st.sampled_from(["1,360", "12.0", "12.5", "1e3", "9" * 20, "１２"]))
MONEY = texts(
    st.decimals(-(10**6), 10**6, places=4).map(str),
    st.sampled_from(["￥1,360.50", "$5", "1.005", "-1.005", "2.5e2", "9" * 17, "12.", "1.36.0"]),
)
CODES = texts(st.sampled_from(["m", "M", "男", "f", "女", "Ｆ", "其他", "male"]))
FLAGS = texts(st.sampled_from(["true", "F", "0", "1", "是", "否", "2", "YES"]))
TIMES = texts(
    st.datetimes().map(lambda at: at.replace(microsecond=0, year=1950 + at.year % 100).isoformat(sep=" ")),
    st.dates().map(lambda day: day.replace(year=2000, month=2, day=min(day.day, 29)).isoformat()),
    st.integers(-(10**9), 2 * 10**9).map(str),
    st.sampled_from(["2023-02-29", "2024/1/9 8:05", "2024/2/30 8:05", "2024-01-01 24:00:00", "2024-03-10T02:30"]),
)
OTHERWISE = st.sampled_from(["quarantine", "null"])
BOUNDS = st.none() | st.fixed_dictionaries(
    {
        "min": st.integers(-50, 0),
        "max": st.integers(1, 50),
        "otherwise": st.sampled_from(["quarantine", "null", "clip"]),
    }
)
ZONES = st.sampled_from([None, "UTC", "America/New_York", "Asia/Shanghai"])
FORMATS = ["iso", "YYYY/M/D H:mm", "epoch_s"]


@st.composite
def specs(draw):
    case = draw(st.sampled_from([None, "lower"]))
    table = {"m": "male", "男": "male", "f": "female", "女": "female"}
    fields = [
        {"name": "uid", "type": "text", "from": "客 户", "case": case},
        {"name": "at", "type": "timestamp", "formats": FORMATS, "timezone": draw(ZONES)},
        {"name": "whole", "type": "integer", "bounds": draw(BOUNDS), "invalid": draw(OTHERWISE), "missing": ["-1"]},
        {"name": "money", "type": "decimal(12,2)", "bounds": draw(BOUNDS), "required": draw(st.booleans())},
        {
            "name": "sex",
            "type": "text",
            "case": "lower",
            "values": table,
            "unknown": draw(st.sampled_from(["quarantine", "null", "keep"])),
            "trim": draw(st.booleans()),
        },
        {"name": "flag", "type": "boolean", "invalid": draw(OTHERWISE)},
        {"name": "day", "type": "date", "formats": FORMATS, "invalid": "null", "from": "at"},
        {"name": "note", "type": "text", "from": "uid", "half_width": draw(st.booleans()),
         "replace": [{"pattern": "^0+"}]},
    ]  # fmt: skip
    merge = {
        "key": draw(st.sampled_from([["uid"], ["uid", "whole"]])),
        "order": [draw(st.sampled_from(["money desc", "at asc"]))],
    }
    return source(
        fields, kind="fact", person="uid", time="at", key=["whole"], deduplicate=draw(st.none() | st.just(merge))
    )


ROWS = st.lists(
    st.fixed_dictionaries(
        {"客 户": IDS, "uid": IDS, "at": TIMES, "whole": WHOLE, "money": MONEY, "sex": CODES, "flag": FLAGS}
    ),
    min_size=0,
    max_size=60,
)


# Without shrinking, which would run minutes of SQL; a failing table is short enough to read.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(max_examples=25 * MORE, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(specs(), ROWS, st.sampled_from(["Asia/Shanghai", "Europe/London"]))
def test_sql_cleans_as_plain_python_does(spec, rows, zone):
    columns = {field.source_name: [row[field.source_name] for row in rows] for field in spec.fields}
    outcome = clean(spec, columns, timezone=zone)
    kept, refused, merged, repaired = clean_rows(spec, project(timezone=zone), rows)
    names = [field.name for field in spec.fields] + ["_row"]
    assert sorted(([row[name] for name in names] for row in outcome.rows), key=lambda row: row[-1]) == sorted(
        ([row[name] for name in names] for row in kept), key=lambda row: row[-1]
    )
    assert outcome.rules() == refused
    account = outcome.account
    assert account.balanced
    assert (account.rows_in, account.clean, account.merged) == (len(rows), len(kept), merged)
    assert {name: count for name, count in account.repaired.items() if count} == repaired


def test_an_account_that_loses_a_row_does_not_balance():
    good = Account(10, 7, 1, 1, 1, {"a.invalid": 1, "drop.b": 1}, {})
    assert good.balanced
    assert not Account(10, 6, 1, 1, 1, {"a.invalid": 1, "drop.b": 1}, {}).balanced
    assert not Account(10, 7, 1, 1, 1, {"a.invalid": 1}, {}).balanced

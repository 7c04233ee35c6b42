"""The compiled offsets against zoneinfo, at random instants and around every change of the clocks."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from valtag_assets.engine.cleaning.zones import local_to_utc, offsets, utc_to_local
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.session import unbound

ZONES = (
    "America/New_York",
    "Asia/Shanghai",
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Africa/Casablanca",
    "Pacific/Apia",
    "UTC",
)
NEAR = (-7200, -3601, -1800, -1, 0, 1, 1799, 3600, 7199)


def moments(zone: str) -> list[datetime]:
    chance = random.Random(zone)
    found = [datetime(1900, 1, 1) + timedelta(seconds=chance.randrange(150 * 365 * 86400)) for _ in range(2000)]
    known = offsets(zone)
    for at, *both in zip(known.at, known.seconds, known.seconds[1:], strict=False):
        found += [at + timedelta(seconds=shift + near) for near in NEAR for shift in (0, *both)]
    return found


def converted(folder: Path, values: list[datetime], convert) -> list[datetime]:
    file = folder / "t.parquet"
    numbers = pa.array(range(len(values)))
    pq.write_table(pa.table({"n": numbers, "t": pa.array(values, pa.timestamp("us"))}), file)
    table = unbound("t", {"n": "int64", "t": "timestamp(6)"})
    with open_duckdb() as engine:
        result = engine.fetch(table.select("n", out=convert(table["t"])).order_by("n"), {"t": [file]})
    return result.column("out").to_pylist()


@pytest.mark.parametrize("zone", ZONES)
def test_utc_to_local_is_what_zoneinfo_says(zone, tmp_path):
    values = moments(zone)
    expected = [at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) for at in values]
    assert converted(tmp_path, values, lambda t: utc_to_local(t, zone)) == expected


@pytest.mark.parametrize("zone", ZONES)
def test_local_to_utc_takes_the_first_occurrence_and_shifts_gaps_forward_as_zoneinfo_does(zone, tmp_path):
    values = moments(zone)
    expected = [at.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None) for at in values]
    assert converted(tmp_path, values, lambda t: local_to_utc(t, zone)) == expected


def test_the_summer_times_of_shanghai_from_1986_to_1991_are_known():
    changes = [at.year for at in offsets("Asia/Shanghai").at if at.year >= 1986]
    assert changes == [year for year in range(1986, 1992) for _ in range(2)]


def test_a_skipped_wall_clock_time_moves_forward_by_the_change(tmp_path):
    (utc,) = converted(tmp_path, [datetime(2024, 3, 10, 2, 30)], lambda t: local_to_utc(t, "America/New_York"))
    assert utc.replace(tzinfo=UTC).astimezone(ZoneInfo("America/New_York")).hour == 3

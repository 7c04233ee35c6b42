"""Transitions between tiers against pandas."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.session import unbound
from valtag_assets.engine.transitions import Move, count_moves, read_moves
from valtag_assets.spec.types import TEXT
from valtag_tests import kit
from valtag_tests.chance import MORE

TIERS = ["high", "mid", "low"]
holders = st.dictionaries(st.integers(0, 30).map(str), st.sampled_from(TIERS), max_size=25)


def moves(folder: Path, before: dict[str, str], now: dict[str, str]) -> list[Move]:
    files = {}
    for name, holds in (("before", before), ("now", now)):
        rows = [{"person_id": person, "tier": tier} for person, tier in holds.items()]
        files[name] = [kit.write_rows(folder / f"{name}.parquet", {"person_id": TEXT, "tier": TEXT}, rows)]
    table = unbound("now", {"person_id": "string", "tier": "string"})
    with kit.connected() as connection:
        found = count_moves(DuckDBEngine(connection), table, "tier", files["now"], files["before"])
    return read_moves(found, TIERS)


@given(before=holders, now=holders)
@settings(max_examples=30 * MORE)
def test_moves_are_the_crosstab_of_pandas(before: dict[str, str], now: dict[str, str]) -> None:
    with TemporaryDirectory() as name:
        found = moves(Path(name), before, now)
    frame = pd.DataFrame({"before": pd.Series(before, dtype=str), "now": pd.Series(now, dtype=str)}).fillna("none")
    table = pd.crosstab(frame["before"], frame["now"])
    wanted = {(b, n): int(count) for (b, n), count in table.stack().items() if count} if len(frame) else {}
    assert {(move.before or "none", move.now or "none"): move.persons for move in found} == wanted
    for move in found:
        assert move.share == pytest.approx(move.persons / table.loc[move.before or "none"].sum())


def test_moves_come_in_the_order_of_the_tiers_with_in_and_out_last(tmp_path: Path) -> None:
    before = {"a": "low", "b": "low", "c": "high", "d": "high"}
    found = moves(tmp_path, before, {"a": "high", "c": "high", "e": "mid"})
    assert found == [
        Move("high", "high", 1, 0.5),
        Move("high", None, 1, 0.5),
        Move("low", "high", 1, 0.5),
        Move("low", None, 1, 0.5),
        Move(None, "mid", 1, 1.0),
    ]

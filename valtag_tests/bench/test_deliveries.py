"""The bench of deliveries measures deliveries: what it counts is there."""

from pathlib import Path

from valtag_tests.bench.deliveries import audience, ledger, planned


def test_made_messages_are_different_ones() -> None:
    table = planned(10, 50)
    assert len(set(table["key"].to_pylist())) == len(set(table["person_id"].to_pylist())) == 50


def test_every_step_of_a_ledger_is_told(tmp_path: Path) -> None:
    found = ledger(tmp_path, 5000, 2500)
    assert [step["rows"] for step in found] == [2500, 5000]
    assert all(step["plan µs"] > 0 and step["bytes a row"] > 100 for step in found)


def test_an_audience_is_compared_and_planned(tmp_path: Path) -> None:
    assert audience(tmp_path, 200)["persons"] == 200

"""Dagster's event log with open databases is Dagster's event log."""

from pathlib import Path

import dagster as dg
import pytest

from valtag_assets.graph.event_log import KeptEventLog, open_instance


@dg.asset(check_specs=[dg.AssetCheckSpec("sound", asset="made")])
def made() -> dg.MaterializeResult:
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, metadata={"unexpected_count": 0})])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return tmp_path


def told(instance: dg.DagsterInstance, run_id: str) -> list[tuple[str, str | None]]:
    return [(str(event.dagster_event_type), event.step_key) for event in instance.all_logs(run_id)]


def test_dagster_itself_reads_what_was_kept_while_it_is_open_and_afterwards(home: Path) -> None:
    key = dg.AssetKey("made")
    with open_instance(home) as kept:
        assert isinstance(kept.event_log_storage, KeptEventLog)
        done = dg.materialize([made], instance=kept)
        written = told(kept, done.run_id)
        with dg.DagsterInstance.from_config(str(home)) as beside:
            assert told(beside, done.run_id) == written
    assert len(written) > 10
    with dg.DagsterInstance.from_config(str(home)) as dagster:
        assert not isinstance(dagster.event_log_storage, KeptEventLog)
        assert told(dagster, done.run_id) == written
        assert dagster.get_latest_materialization_event(key) is not None
        [run] = dagster.get_runs()
        assert run.status == dg.DagsterRunStatus.SUCCESS
        again = dg.materialize([made], instance=dagster)
    with open_instance(home) as kept:
        assert {run.run_id for run in kept.get_runs()} == {done.run_id, again.run_id}
        assert told(kept, again.run_id) == written


def test_a_storage_that_was_chosen_stays(home: Path, tmp_path: Path) -> None:
    (home / "dagster.yaml").write_text(
        "event_log_storage:\n"
        "  module: dagster._core.storage.event_log\n"
        "  class: ConsolidatedSqliteEventLogStorage\n"
        f"  config: {{base_dir: {tmp_path / 'own'}}}\n",
        encoding="utf-8",
    )
    with open_instance(home) as instance:
        assert type(instance.event_log_storage).__name__ == "ConsolidatedSqliteEventLogStorage"

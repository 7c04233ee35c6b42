"""What Dagster is told to do by itself: schedule, sensors, freshness, automation, partitions."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from valtag_assets.definitions import build_definitions
from valtag_assets.graph.jobs import INTAKE
from valtag_tests.graph.shop import AS_OF, FILES, Shop, customers, orders

SHANGHAI = ZoneInfo("Asia/Shanghai")
CATEGORY = """
category: lifecycle
title: {zh: 生命周期类, en: Lifecycle}
refresh: {schedule: daily, deadline: "07:15"}
tags:
  - code: is_quiet
    title: {zh: 沉默, en: Quiet}
    type: boolean
    value: order_count = 0
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop whose clock stands at noon of the day after its as-of, in Shanghai."""
    with dg.DagsterInstance.ephemeral() as instance:
        noon, ticks = datetime(2024, 3, 11, 4, tzinfo=UTC), count()
        files = {**FILES, "tags/lifecycle.yaml": CATEGORY}
        made = Shop(tmp_path, instance, files, clock=lambda: noon + timedelta(seconds=next(ticks)))
        made.write()
        yield made


@pytest.fixture
def definitions(shop: Shop) -> dg.Definitions:
    return build_definitions(shop.setting)


def node(definitions: dg.Definitions, table: str) -> Any:
    return definitions.resolve_asset_graph().get(dg.AssetKey(table.split("/")))


def tick(shop: Shop, sensor: str, cursor: str | None) -> Any:
    """One evaluation of a sensor, as its daemon would make it."""
    definitions = build_definitions(shop.setting)
    found = definitions.resolve_sensor_def(sensor)
    with dg.build_sensor_context(shop.instance, cursor=cursor, definitions=definitions) as context:
        return found.evaluate_tick(context)


def asked_by_schedule(shop: Shop, definitions: dg.Definitions, due: datetime) -> Any:
    """The run request of one evaluation of the daily schedule."""
    schedule = definitions.resolve_schedule_def("daily_refresh")
    repository = definitions.get_repository_def()
    with dg.build_schedule_context(shop.instance, scheduled_execution_time=due, repository_def=repository) as context:
        (request,) = schedule.evaluate_tick(context).run_requests
    return request


def test_the_graph_loads(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_everything_that_starts_by_itself_is_stopped_at_first(definitions: dg.Definitions) -> None:
    sensors = [definitions.resolve_sensor_def(name) for name in ("landing", "health_watch", "automation")]
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.STOPPED}
    assert len(list(definitions.sensors or [])) == len(sensors)
    schedule = definitions.resolve_schedule_def("daily_refresh")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert definitions.resolve_schedule_def("daily_vacuum").default_status == dg.DefaultScheduleStatus.STOPPED
    assert len(list(definitions.schedules or [])) == 3


def test_the_vacuum_job_says_what_left_history(shop: Shop, definitions: dg.Definitions) -> None:
    for rows in (orders(), orders().iloc[:-1]):
        shop.write(order_rows=rows)
        shop.run(job=INTAKE)
    late = replace(shop.setting, clock=lambda: datetime(2024, 6, 1, tzinfo=UTC))
    result = build_definitions(late).resolve_job_def("vacuum").execute_in_process(instance=shop.instance)
    (told,) = [event.step_output_data.metadata for event in result.all_events if event.is_successful_output]
    assert told["by table 按表"].value["clean/orders"] == 1
    assert told["bytes to be freed 将释放"].value > 0


def test_the_schedule_asks_for_yesterday_two_hours_before_the_deadline(
    shop: Shop, definitions: dg.Definitions
) -> None:
    schedule = definitions.resolve_schedule_def("daily_refresh")
    assert schedule.cron_schedule == "0 4 * * *"
    assert schedule.execution_timezone == "Asia/Shanghai"
    request = asked_by_schedule(shop, definitions, datetime(2024, 3, 11, 4, tzinfo=SHANGHAI))
    assert request.partition_key == AS_OF.isoformat() == "2024-03-10"
    assert request.run_key


def test_the_run_the_schedule_asks_for_publishes_yesterday(shop: Shop, definitions: dg.Definitions) -> None:
    shop.run(job=INTAKE)
    request = asked_by_schedule(shop, definitions, datetime(2024, 3, 11, 4, tzinfo=SHANGHAI))
    job = definitions.resolve_schedule_def("daily_refresh").job_name
    shop.write(order_rows=orders().iloc[:-1])
    day = datetime.fromisoformat(request.partition_key).date()
    outcomes = shop.run(day, job=job, select="+segments/spenders +segments/quiet_women")
    assert outcomes["tags/transaction"] == "published"
    assert outcomes["segments/spenders"] == "published"
    # What is computed on demand waits until somebody asks for it.
    assert "tags/attribute" not in outcomes


def test_a_new_file_in_the_landing_folder_is_observed_and_starts_a_run(shop: Shop) -> None:
    first = tick(shop, "landing", None)
    assert len(first.run_requests) == 1
    assert tick(shop, "landing", first.cursor).run_requests == []

    orders().iloc[:5].to_csv(shop.root / "catalog/data/orders_late.csv", index=False)
    second = tick(shop, "landing", first.cursor)

    (request,) = second.run_requests
    assert request.partition_key == AS_OF.isoformat()
    (observation,) = second.asset_events
    assert observation.asset_key == dg.AssetKey(["sources", "orders"])
    assert observation.tags["dagster/data_version"]
    assert request.run_key != first.run_requests[0].run_key
    assert tick(shop, "landing", second.cursor).run_requests == []


def test_a_changed_file_starts_a_run_of_its_source_only(shop: Shop) -> None:
    first = tick(shop, "landing", None)
    assert {event.asset_key.path[-1] for event in first.asset_events} == {"customers", "orders"}
    shop.write(customer_rows=customers().assign(性别="女"))
    (shop.root / "catalog/data/orders.csv").touch()
    second = tick(shop, "landing", first.cursor)
    versions = [{event.asset_key: event.tags for event in found.asset_events} for found in (first, second)]
    source = dg.AssetKey(["sources", "orders"])
    # A touched file with the same content is looked at, and found to be the same.
    assert versions[0][source] == versions[1][source]
    source = dg.AssetKey(["sources", "customers"])
    assert versions[0][source] != versions[1][source]


def test_a_vanished_file_is_noticed_and_does_not_break_the_sensor(shop: Shop) -> None:
    first = tick(shop, "landing", None)
    (shop.root / "catalog/data/orders.csv").unlink()
    second = tick(shop, "landing", first.cursor)
    assert len(second.run_requests) == 1
    assert "orders*.csv" in json.loads(second.cursor)["orders"][0]
    assert second.asset_events == []


def test_the_health_sensor_reports_what_is_refused_once(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.run(job=INTAKE)
    first = tick(shop, "health_watch", None)
    assert len(first.run_requests) == 1
    assert tick(shop, "health_watch", first.cursor).run_requests == []

    shop.write(order_rows=orders().assign(amount="-5"))
    shop.run(job=INTAKE)
    second = tick(shop, "health_watch", first.cursor)

    assert len(second.run_requests) == 1
    assert "clean/orders: refused" in capsys.readouterr().err
    assert tick(shop, "health_watch", second.cursor).run_requests == []


def test_the_health_page_names_what_is_not_well(shop: Shop) -> None:
    shop.run(select="+segments/women")
    shop.write(order_rows=orders().assign(amount="-5"))
    shop.run(job=INTAKE)
    page = build_definitions(shop.setting).resolve_job_def("health").execute_in_process(instance=shop.instance)
    (materialization,) = page.asset_materializations_for_node("health__status")
    metadata = materialization.metadata
    rows = {row.data["table"]: row.data for row in metadata["health 健康"].records}
    assert rows["clean/orders"]["state"].startswith("refused")
    assert "quarantined" in rows["clean/orders"]["reason"]
    assert rows["segments/women"]["state"] == "ok"
    assert metadata["not well 异常"].value == sum(row["state"] not in ("ok", "warned") for row in rows.values())


def test_each_category_has_the_freshness_policy_of_its_refresh(definitions: dg.Definitions) -> None:
    daily, late = (node(definitions, f"tags/{code}").freshness_policy for code in ("transaction", "lifecycle"))
    assert (daily.deadline_cron, daily.timezone) == ("0 6 * * *", "Asia/Shanghai")
    assert late.deadline_cron == "15 7 * * *"
    on_demand = node(definitions, "tags/attribute").freshness_policy
    assert on_demand.fail_window.to_timedelta() == timedelta(days=90)
    assert on_demand.warn_window.to_timedelta() == timedelta(days=45)
    for table in ("scores/rfm", "segments/women"):
        assert node(definitions, table).freshness_policy == daily


def test_daily_tables_are_partitioned_from_the_start_to_yesterday(definitions: dg.Definitions) -> None:
    days = node(definitions, "tags/transaction").partitions_def
    noon = datetime(2024, 3, 11, 12, tzinfo=SHANGHAI)
    keys = days.get_partition_keys(current_time=noon)
    assert (keys[0], keys[-1]) == ("2024-01-01", "2024-03-10")
    for table in ("tags/lifecycle", "scores/rfm", "segments/women"):
        assert node(definitions, table).partitions_def == days
    for table in ("clean/orders", "identity/persons", "tags/attribute"):
        assert node(definitions, table).partitions_def is None


def test_everything_but_what_is_on_demand_is_automated(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    manual = {
        "/".join(key.path) for key in graph.materializable_asset_keys if graph.get(key).automation_condition is None
    }
    assert manual == {"tags/attribute", "health/status"}


def test_a_changed_source_makes_its_clean_table_due_and_nothing_else(shop: Shop) -> None:
    shop.run(job="refresh", select="identity/* +tags/* +segments/shanghai")
    definitions = build_definitions(shop.setting)
    settled = dg.evaluate_automation_conditions(definitions, shop.instance)
    again = dg.evaluate_automation_conditions(definitions, shop.instance, cursor=settled.cursor)
    assert again.total_requested == 0

    version = {"dagster/data_version": "another content"}
    shop.instance.report_runless_asset_event(dg.AssetObservation(dg.AssetKey(["sources", "orders"]), tags=version))
    due = dg.evaluate_automation_conditions(definitions, shop.instance, cursor=again.cursor)

    keys = {"/".join(key.path) for key in definitions.resolve_asset_graph().materializable_asset_keys}
    asked = {key for key in keys if due.get_num_requested(dg.AssetKey(key.split("/"))) > 0}
    assert "clean/orders" in asked
    assert not {"clean/customers", "identity/persons", "tags/attribute", "segments/shanghai"} & asked


def test_a_table_is_stale_when_its_meaning_changes_and_not_when_it_is_reworded(shop: Shop) -> None:
    versions = {}
    for name, old, new in (
        ("as it was", "", ""),
        ("reworded", "en: Cumulative spend", "en: Money spent"),
        ("another meaning", "agg: days_since_last}", "agg: days_since_first}"),
    ):
        text = FILES["tags/transaction.yaml"].replace(old, new) if old else FILES["tags/transaction.yaml"]
        shop.files = {**FILES, "tags/transaction.yaml": text}
        shop.write()
        versions[name] = node(build_definitions(shop.setting), "tags/transaction").code_version
    assert versions["reworded"] == versions["as it was"] != versions["another meaning"]

"""valtag run: what it says, how it ends, and what a second run does."""

import os
import re
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from valtag_tests.cli.conftest import Shop, Valtag


def test_the_starter_runs_as_it_is_and_all_is_well(valtag: Valtag, served: Shop) -> None:
    assert valtag("status", *served.options).code == 0


def test_a_second_run_changes_nothing_and_starts_no_run(valtag: Valtag, served: Shop) -> None:
    files = sorted(served.data.rglob("*.parquet"))
    said = valtag("run", *served.options)
    assert said.code == 0
    assert "nothing changed" in said.out
    assert sorted(served.data.rglob("*.parquet")) == files
    assert said.err == ""


def test_the_summary_accounts_for_every_row_and_every_person(valtag: Valtag, served: Shop) -> None:
    said = valtag("run", *served.options, "--json")
    summary = said.json
    assert said.code == summary["exit"] == 0
    assert summary["as_of"] == "2025-12-31"
    orders = next(source for source in summary["sources"] if source["code"] == "orders")
    numbers = {name: orders[name] for name in ("rows_in", "clean", "quarantined", "merged", "filtered")}
    assert numbers == {"rows_in": 30, "clean": 26, "quarantined": 2, "merged": 1, "filtered": 1}
    transaction = next(c for c in summary["categories"] if c["code"] == "transaction")
    assert (transaction["tags"], transaction["persons"]) == (7, 19)
    assert sum(tier["persons"] for tier in summary["scores"][0]["tiers"]) == 18
    assert sum(tier["revenue_share"] for tier in summary["scores"][0]["tiers"]) == pytest.approx(1)
    sizes = {segment["code"]: segment["size"] for segment in summary["segments"]}
    assert sizes["never_bought"] == 1
    reports = {
        report["code"]: (report["lines"], report["agree"], report["compared"]) for report in summary["reports"]
    }
    assert reports == {"city_conversion": (4, 6, 6), "category_sales": (4, 3, 3)}
    assert summary["checks"]["held"] == 0


def test_the_summary_is_read_by_people_too(valtag: Valtag, served: Shop) -> None:
    said = valtag("run", *served.options)
    assert "入门小店 · Starter shop (shop), as-of 2025-12-31" in said.out
    assert re.search(r"orders\s+订单表\s+30\s+26\s+2\s+1\s+1\s+amount", said.out)
    assert "上海年轻未复购" in said.out
    assert "show quarantine/orders" in said.out


def test_an_as_of_that_is_not_over_is_refused_with_the_range(valtag: Valtag, served: Shop) -> None:
    tomorrow = date.today() + timedelta(days=2)
    said = valtag("run", *served.options, "--as-of", tomorrow)
    assert said.code == 1
    assert "is not over yet" in said.err and "as-of may be 2025-01-01 to " in said.err


def test_an_as_of_before_the_start_is_refused_with_the_range(valtag: Valtag, served: Shop) -> None:
    said = valtag("run", *served.options, "--as-of", "2024-12-31")
    assert said.code == 1
    assert "before the catalog's start 2025-01-01" in said.err and "as-of may be 2025-01-01 to " in said.err


def test_an_unknown_table_is_refused_with_what_was_meant(valtag: Valtag, served: Shop) -> None:
    said = valtag("run", *served.options, "--select", "tags/transactoin")
    assert said.code == 1
    assert "did you mean 'tags/transaction'?" in said.err


def test_a_selection_makes_only_what_it_names(valtag: Valtag, ran: Shop) -> None:
    said = valtag("run", *ran.options, "--as-of", "2025-12-30", "--select", "tags/attribute segments/*", "--json")
    tried = re.findall(r"^\s*\d+/\d+\s+(\S+)", said.err, re.MULTILINE)
    assert "tags/attribute" in tried
    assert all(table.startswith(("tags/attribute", "segments/")) for table in tried)
    # The segments read tables that nobody has made for that day.
    assert said.code == said.json["exit"] == 2


def test_a_selection_takes_what_lies_above_it(valtag: Valtag, ran: Shop) -> None:
    said = valtag("run", *ran.options, "--as-of", "2025-12-30", "-s", "+segments/never_bought", "--json")
    assert said.code == 0
    assert [segment["code"] for segment in said.json["segments"]] == ["never_bought"]
    assert [category["code"] for category in said.json["categories"]] == ["transaction"]


def test_a_missing_source_is_code_1_and_nothing_else_suffers(valtag: Valtag, ran: Shop) -> None:
    (ran.catalog / "data/orders.csv").rename(ran.catalog / "data/away.csv")
    said = valtag("run", *ran.options, "--json")
    assert said.code == 1
    assert "orders.csv" in said.json["unreadable"]["clean/orders"]
    assert next(c for c in said.json["categories"] if c["code"] == "attribute")["state"] == "unchanged"
    (ran.catalog / "data/away.csv").rename(ran.catalog / "data/orders.csv")
    assert valtag("run", *ran.options, "-s", "+tags/transaction").code == 0


def test_a_held_tag_is_code_2_and_told_with_its_reason(valtag: Valtag, ran: Shop) -> None:
    ran.edit("tags/attribute.yaml", "domain: {min: 0, max: 120}", "domain: {min: 0, max: 40}")
    said = valtag("run", *ran.options, "-s", "+segments/*", "--json")
    assert said.code == 2
    assert [tag["tag"] for tag in said.json["held"]] == ["age"]
    stopped = {item["table"] for item in said.json["stopped"]}
    assert stopped == {"segments/young_shanghai_lapsed"}
    printed = valtag("run", *ran.options, "-s", "+segments/young_shanghai_lapsed")
    assert printed.code == 2
    assert "held  tags/attribute.age" in printed.out


def test_a_fault_of_the_machine_is_code_3_without_a_traceback(valtag: Valtag, shop: Shop) -> None:
    shop.data.mkdir()
    (shop.data / "warehouse").write_text("in the way")
    said = valtag("run", *shop.options)
    assert said.code == 3
    assert "Traceback" not in said.err + said.out
    log = re.search(r"the trace is in (\S+\.log)", said.err)
    assert log is not None and "Traceback" in Path(log.group(1)).read_text(encoding="utf-8")


def test_a_killed_run_leaves_the_warehouse_sound_and_the_next_one_works(valtag: Valtag, shop: Shop) -> None:
    command = [sys.executable, "-c", "from valtag_assets.cli import main; main()", "run", *shop.options]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert child.stderr is not None
    assert "clean/customers" in child.stderr.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    said = valtag("run", *shop.options, "-s", "+tags/transaction")
    assert said.code == 0

    import dagster as dg

    with dg.DagsterInstance.from_config(str(shop.data / "dagster_home/shop")) as instance:
        under_way = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
        assert instance.get_runs(filters=dg.RunsFilter(statuses=under_way)) == []


@pytest.mark.long
def test_an_interrupted_run_ends_with_a_word_and_the_next_one_works(valtag: Valtag, shop: Shop) -> None:
    command = [sys.executable, "-c", "import sys; from valtag_assets.cli import main; sys.exit(main())", "run"]
    child = subprocess.Popen([*command, *shop.options], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert child.stderr is not None
    assert "clean/customers" in child.stderr.readline()
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    rest = child.communicate(timeout=60)[1]
    assert child.returncode == 130
    assert "stopped; what was published stays" in rest and "Traceback" not in rest
    assert valtag("run", *shop.options).code == 0


def test_two_runs_at_once_are_refused(valtag: Valtag, ran: Shop) -> None:
    import filelock

    with filelock.FileLock(ran.data / "dagster_home/shop/run.lock"):
        said = valtag("run", *ran.options)
    assert said.code == 1
    assert "another valtag run of shop is at work" in said.err


def test_a_plan_before_the_first_run_names_no_date(valtag: Valtag, shop: Shop, served: Shop) -> None:
    assert "a first run has yet to read" in valtag("plan", *shop.options).out
    assert "as-of 2025-01-31" in valtag("plan", *shop.options, "--as-of", "2025-01-31").out
    assert "yet to read" not in valtag("plan", *served.options).out

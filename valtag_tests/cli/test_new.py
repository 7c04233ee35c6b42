"""valtag new tag: from a field to a tag in its file."""

import shutil
from pathlib import Path

import pytest
import typer

from valtag_assets import cli
from valtag_assets.commands import new
from valtag_assets.engine.usefulness import expected_score
from valtag_assets.spec.insight import Insight
from valtag_tests.cli.conftest import Shop, Valtag

AVERAGE = ("new", "tag", "orders.amount", "--agg", "avg", "--window", "90d")


def text_of(shop: Shop, category: str) -> str:
    return (shop.catalog / "tags" / f"{category}.yaml").read_text(encoding="utf-8")


def test_one_line_writes_one_block_and_nothing_else(valtag: Valtag, ran: Shop) -> None:
    before = text_of(ran, "transaction")
    said = valtag(*AVERAGE, *ran.options, "--yes")
    assert said.code == 0 and f"wrote {ran.catalog}/tags/transaction.yaml" in said.out
    after = text_of(ran, "transaction")
    block = (
        "  - code: avg_amount\n"
        "    title: {zh: 平均金额, en: Average amount}\n"
        "    meaning: Mean of amount over orders\n"
        "    type: decimal(18,2)\n"
        "    unit: CNY\n"
        "    value: {fact: orders, agg: avg, of: amount}\n"
        "    windows: [90d]\n"
        "    checks: [{coverage: 0.25, severity: warn}]\n"
    )
    assert after == before.replace("# Laws that", f"{block}# Laws that")
    assert valtag("check", *ran.options[:2]).code == 0
    assert [path.name for path in (ran.catalog / "tags").iterdir() if path.name.startswith(".")] == []


def test_it_is_tried_on_the_persons_there_are(valtag: Valtag, served: Shop) -> None:
    found = valtag(*AVERAGE, *served.options, "--json").json
    (tag,) = found["tags"]
    column = tag["columns"]["avg_amount_90d"]
    assert (found["persons"], found["as_of"], found["written"]) == (19, "2025-12-31", [])
    assert column["coverage"] == 10 / 19 and column["distinct"] == 10
    assert sum(bar["share"] for bar in column["distribution"]) == pytest.approx(1)
    assert column["separation"]["auc"] is None and column["separation"]["persons"] < 19
    assert "fewer than 30" in column["separation"]["why"]
    assert column["score"] == expected_score(Insight(), column["coverage"], column["separation"]["information"])
    assert column["cost"]["rows"] == 0 and column["cost"]["tiles_there"] == 10  # total_spend has its sums and counts
    other = valtag(
        "new",
        "tag",
        "orders.order_no",
        "--agg",
        "count_distinct",
        "--code",
        "number_count",
        *served.options,
        "--json",
    ).json["tags"][0]
    assert other["columns"]["number_count"]["cost"]["rows"] == 26


def test_it_is_shown_before_it_is_written(valtag: Valtag, served: Shop) -> None:
    before = text_of(served, "transaction")
    said = valtag(*AVERAGE, *served.options)
    assert said.code == 0 and "nothing is written: add --yes" in said.out
    assert "coverage 覆盖率 52.6%" in said.out and "█" in said.out and "tried on 19 persons" in said.out
    assert text_of(served, "transaction") == before


def test_a_tag_that_means_it_gets_the_window(valtag: Valtag, ran: Shop) -> None:
    before = text_of(ran, "transaction")
    said = valtag("new", "tag", "orders.amount", "--agg", "sum", "--window", "90d", *ran.options, "--yes")
    assert said.code == 0 and "total_spend means this" in said.out
    assert text_of(ran, "transaction") == before.replace("[all, 30d]", "[all, 30d, 90d]", 1)
    again = valtag("new", "tag", "orders.amount", "--window", "90d", *ran.options, "--yes")
    assert again.code == 1 and "'total_spend' has 90d already" in again.err
    other = valtag("new", "tag", "orders", "--agg", "days_since_last", "--window", "90d", *ran.options, "--json").json
    assert list(other["tags"][0]["columns"]) == ["days_since_last_order_90d"] and other["tags"][0]["reason"]
    time = valtag("new", "tag", "orders.ordered_at", "--agg", "max", "--window", "30d", *ran.options, "--json").json
    assert list(time["tags"][0]["columns"]) == ["last_order_at_30d"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            ("customers.birth_date", "--access", "internal", "--code", "years"),
            "made of customers.birth_date, which is sensitive",
        ),
        (("customers.gender", "--code", "sex"), "'sex' would say exactly what 'gender' (attribute.yaml:"),
        (("orders.amount", "--agg", "max", "--code", "age"), "tag 'age' is defined already"),
        (("orders.amount", "--agg", "max", "--code", "largest_at"), "must not end in _at"),
        (("orders.amount", "--agg", "max", "--owner", "nobody"), "is neither an e-mail address nor team:name"),
        (("orders.amount", "--agg", "max", "--category", "../x"), "is no code"),
        (("orders.amount", "--agg", "max", "--where", "statu = 'paid'"), "did you mean 'status'"),
        (("orders.amount", "--agg", "summ"), "did you mean 'sum'"),
        (("orders.amont",), "did you mean 'amount'"),
        (("order",), "did you mean 'orders'"),
        (("orders.amount", "--window", "30 days"), "unknown window '30 days'"),
        (("orders.category", "--agg", "sum"), "agg sum needs a number"),
        (("customers.city", "--agg", "sum"), "'sum' is nothing made of a master's field"),
        ((), "name a field"),
        (("orders", "--all"), "leave out the field, or --all"),
        (("orders.amount", "--outcome", "purchases soon"), "is no outcome"),
        (("orders.amount", "--as-of", "2999-01-01"), "is not over yet"),
    ],
)
def test_what_governance_refuses_is_refused_and_nothing_is_written(
    valtag: Valtag, served: Shop, more: tuple[str, ...], why: str
) -> None:
    before = {path: path.read_bytes() for path in served.catalog.rglob("*.yaml")}
    said = valtag("new", "tag", *more, *served.options, "--yes")
    assert said.code == 1 and why in said.out + said.err
    assert {path: path.read_bytes() for path in served.catalog.rglob("*.yaml")} == before


def test_values_above_the_role_are_not_shown(valtag: Valtag, served: Shop) -> None:
    asked = ("new", "tag", "customers.birth_date", "--agg", "days_since", *served.options)
    said = valtag(*asked)
    assert "access: sensitive" in said.out and "the values are sensitive: not shown to this role" in said.out
    assert "█" not in said.out
    assert "█" in valtag(*asked, "--role", "steward").out
    assert valtag(*asked, "--json").json["tags"][0]["columns"]["days_since_birthday"]["distribution"] is None


def test_without_data_it_says_what_to_do_and_writes_all_the_same(valtag: Valtag, shop: Shop) -> None:
    said = valtag(*AVERAGE, *shop.options, "--yes")
    assert said.code == 0 and "not tried on data: identity/persons has no published snapshot" in said.out
    assert "avg_amount" in text_of(shop, "transaction")


def test_a_new_category_gets_its_file(valtag: Valtag, ran: Shop) -> None:
    assert valtag(*AVERAGE, *ran.options, "--category", "basket", "--yes").code == 0
    assert text_of(ran, "basket").startswith("category: basket\ntitle: {zh: basket, en: Basket}\n")
    assert valtag("check", *ran.options[:2]).code == 0


def test_questions_are_asked_where_somebody_can_answer(
    valtag: Valtag, ran: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["orders.amount", "max", "90d,30d", "status = 'paid'", "", "最大单笔", "", ""])
    asked = []

    def prompt(question: str, default: str) -> str:
        asked.append(question)
        return next(answers) or default

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "prompt", prompt)
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: True)
    assert new.typer is typer and cli.app
    assert valtag("new", "tag", *ran.options).code == 0
    assert len(asked) == 8
    block = text_of(ran, "transaction").partition("- code: max_paid_amount\n")[2]
    assert block.startswith("    title: {zh: 最大单笔, en: Largest paid amount}\n")
    assert "where: status = 'paid'}\n    windows: [90d, 30d]\n" in block


def test_a_whole_catalog_from_the_sources_alone(valtag: Valtag, ran: Shop, tmp_path: Path) -> None:
    bare = Shop(tmp_path / "bare" / "shop", ran.data)
    shutil.copytree(ran.catalog, bare.catalog, ignore=shutil.ignore_patterns("tags", "scores", "segments", "reports"))
    found = valtag("new", "tag", "--all", *bare.options, "--yes", "--json").json
    assert {Path(path).stem for path in found["written"]} == {"attribute", "transaction", "lifecycle", "interest"}
    assert valtag("check", *bare.options[:2]).code == 0
    made = {tag["tag"]["code"] for tag in found["tags"]}
    assert made >= {"age", "age_band", "city", "gender", "order_count", "spend", "avg_order_value", "spend_tier"}
    assert made >= {"days_since_last_order", "days_since_registered", "top_category", "category_count"}
    assert "name" not in made and "personal data" in found["skipped"]["customers.name"]
    assert {"spend_30d <= spend_90d", "order_count > 0 or spend = 0"} <= {law["law"] for law in found["laws"]}
    assert all(tag["reason"] for tag in found["tags"])
    again = valtag("new", "tag", "--all", *bare.options, "--yes").out
    assert "0 tags, 0 columns" in again and "nothing to write" in again, "what is there is not proposed again"
    only = valtag("new", "tag", "--all", "--category", "interest", *ran.options, "--json").json
    assert {tag["category"] for tag in only["tags"]} == {"interest"}

"""``valtag plan``: what a run would do, and why, before it does anything."""

from datetime import date, timedelta

from valtag_assets.graph.planning import MEANING, Planned, plan_run
from valtag_tests.graph.shop import AS_OF, Shop, orders


def planned(shop: Shop, as_of: date = AS_OF) -> Planned:
    return plan_run(shop.setting, as_of)


def actions(plan: Planned) -> dict[str, str]:
    return {step.table: step.action for step in plan.steps}


def why(plan: Planned, table: str) -> str:
    return "; ".join(next(step.why for step in plan.steps if step.table == table))


def edit(shop: Shop, file: str, old: str, new: str) -> None:
    assert old in shop.files[file]
    shop.files = {**shop.files, file: shop.files[file].replace(old, new)}
    shop.write()


def test_before_the_first_run_everything_is_computed_and_nothing_is_called_a_change(shop: Shop) -> None:
    shop.write()
    plan = planned(shop)
    assert {step.action for step in plan.steps} == {"compute"}
    assert not plan.catalog_changed
    assert why(plan, "clean/orders") == "never published"


def test_after_a_run_nothing_would_be_computed_and_planning_writes_nothing(ran: Shop) -> None:
    before = sorted(path for path in (ran.root / "data").rglob("*"))
    plan = planned(ran)
    assert plan.computed == []
    assert sorted(path for path in (ran.root / "data").rglob("*")) == before


def test_a_new_day_computes_what_depends_on_the_day(ran: Shop) -> None:
    next_day = AS_OF + timedelta(days=1)
    plan = planned(ran, next_day)
    assert {table for table, action in actions(plan).items() if action == "keep"} == {
        "clean/customers",
        "clean/orders",
        "identity/persons",
        "identity/strangers",
    }
    assert why(plan, "tags/transaction") == f"not yet published for {next_day}"


def test_a_changed_tag_names_its_tiles_and_the_audiences_it_touches(ran: Shop) -> None:
    edit(ran, "tags/transaction.yaml", "agg: sum, of: amount}", "agg: sum, of: amount, where: amount > 20}")
    plan = planned(ran)
    assert plan.catalog_changed
    step = next(step for step in plan.steps if step.table == "tags/transaction")
    assert set(step.tags.changed) == {"total_spend", "total_spend_3d"}
    assert plan.touched == {"spenders": ["total_spend"]}
    assert [set(tiles.tags) for tiles in plan.tiles] == [{"total_spend", "total_spend_3d"}]
    assert actions(plan)["segments/shanghai"] == "keep"
    assert MEANING in why(plan, "tags/transaction")
    assert "rests on tags/transaction" in why(plan, "scores/rfm")


def test_what_was_planned_is_what_is_done(ran: Shop) -> None:
    edit(ran, "segments/audiences.yaml", "total_spend > 100", "total_spend > 90")
    plan = planned(ran)
    assert [step.table for step in plan.computed] == ["segments/spenders"]
    done = ran.run()
    assert {table for table, outcome in done.items() if outcome == "published"} == {"segments/spenders"}


def test_rewording_a_title_changes_nothing(ran: Shop) -> None:
    edit(ran, "tags/transaction.yaml", "累计消费金额", "消费总额")
    assert planned(ran).computed == []


def test_new_rows_compute_what_rests_on_them(ran: Shop) -> None:
    rows = orders()
    rows.loc[0, "amount"] = "55.55"
    ran.write(order_rows=rows)
    plan = planned(ran)
    assert why(plan, "clean/orders") == "its inputs have changed"
    assert actions(plan)["tags/attribute"] == "keep"
    assert actions(plan)["segments/women"] == "keep"
    assert actions(plan)["segments/spenders"] == "compute"


def test_a_full_run_computes_everything_again_to_equal_content(ran: Shop) -> None:
    before = hashes(ran)
    ran.full = True
    assert {step.action for step in planned(ran).steps} == {"compute"}
    done = ran.run()
    assert set(done.values()) == {"published"}
    assert hashes(ran) == before


def hashes(shop: Shop) -> dict[str, str]:
    found = {table: shop.served(table) for table in ("tags/transaction", "scores/rfm", "segments/spenders")}
    return {table: snapshot.content_hash for table, snapshot in found.items() if snapshot is not None}

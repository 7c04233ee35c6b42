"""Who counts as a person, and what happens to the rest."""

import pandas as pd

from valtag_assets.graph.jobs import INTAKE
from valtag_tests.graph.shop import FILES, Shop, customers, orders


def test_rows_of_strangers_are_counted_and_warned_of_but_hold_nothing(shop: Shop) -> None:
    guest = {"order_id": "X1", "customer_id": "NOBODY", "ordered_at": "2024-03-09 10:00:00", "amount": "999"}
    shop.write(order_rows=pd.concat([orders(), pd.DataFrame([guest, {**guest, "order_id": "X2"}])]))

    outcomes = shop.run(select="identity/strangers +tags/transaction")

    assert set(outcomes.values()) == {"published"}
    (row,) = shop.rows("identity/strangers", None).to_dict("records")
    assert row == {"source": "orders", "rows": len(orders()) + 2, "strangers": 2, "keys": 1}
    snapshot = shop.served("identity/strangers", None)
    assert snapshot is not None
    assert [verdict.passed for verdict in snapshot.verdicts] == [False]
    assert "NOBODY" not in set(shop.rows("tags/transaction")["person_id"])


def test_without_a_master_whoever_appears_in_a_fact_is_a_person(shop: Shop) -> None:
    project = FILES["project.yaml"].replace("persons: {sources: [customers]}", "persons: {sources: [orders]}")
    shop.files = {**FILES, "project.yaml": project}
    shop.write()
    shop.run(job=INTAKE)
    assert set(shop.rows("identity/persons", None)["person_id"]) == set(orders()["customer_id"])


def test_data_older_than_the_category_allows_are_not_published(shop: Shop) -> None:
    young = FILES["tags/transaction.yaml"].replace("tags:", "refresh: {schedule: daily, max_age: 5}\ntags:", 1)
    shop.files = {**FILES, "tags/transaction.yaml": young}
    rows = orders()
    old = rows[rows["ordered_at"] < "2024-03-04"]
    shop.write(order_rows=old)

    outcomes = shop.run(select="+tags/transaction +segments/women")

    assert outcomes["tags/transaction"] == "refused"
    assert "data_age" in shop.reason("tags/transaction")
    assert outcomes["segments/women"] == "published"


def test_ids_with_spaces_quotes_and_emoji_stay_what_they_are(shop: Shop) -> None:
    odd = ["C 1", "O'Brien; DROP TABLE x", '张"三"😀']
    rows = customers().iloc[:3].assign(顾客号=odd)
    bought = orders().iloc[:3].assign(customer_id=odd)
    shop.write(customer_rows=rows, order_rows=bought)
    shop.run(select="+tags/transaction")
    assert set(shop.rows("identity/persons", None)["person_id"]) == set(odd)
    spent = shop.rows("tags/transaction").set_index("person_id")["order_count"]
    assert spent.to_dict() == dict.fromkeys(odd, 1)

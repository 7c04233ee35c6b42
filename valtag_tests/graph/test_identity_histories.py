"""Random histories of persons who come, go, turn out to be one and two after all: in the end everything is as if it
had always been known, and nobody was sent anything twice."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from valtag_tests.graph.caring import CHANNELS, MORNING, RECEIVER, messages
from valtag_tests.graph.shop import AS_OF, PROJECT, RFM, Shop
from valtag_tests.graph.test_identity_tables import CATALOG, LOOSE
from valtag_tests.graph.test_merged_persons import by_number, persons

# A run takes seconds: one short history here, the long ones in make test-long.
HISTORIES = [(0, 2), *(pytest.param(seed, 6, marks=pytest.mark.long) for seed in range(1, 10))]
TABLES = ("tags/attribute", "tags/transaction", "scores/rfm", "segments/spenders")
SEGMENTS = """
segments:
  - {code: spenders, title: {zh: 高消费, en: Spenders}, rule: total_spend > 50}
"""
CARE = """
trigger: care
title: {zh: 关怀, en: Care}
when: total_spend > 50
actions: [{step: sms, to: gateway}]
"""
FILES = {name: text for name, text in CATALOG.items() if name.startswith(("sources/", "tags/"))} | {
    "project.yaml": PROJECT + CHANNELS.partition("contact:")[0],
    "identity.yaml": LOOSE,
    "tags/transaction.yaml": CATALOG["tags/transaction.yaml"].replace("    checks: [{mean_change: 0.5}]\n", ""),
    "scores/rfm.yaml": RFM,
    "segments/audiences.yaml": SEGMENTS,
    "triggers/care.yaml": CARE,
    "destinations/gateway.yaml": RECEIVER.format(code="gateway", channel="sms"),
}


@dataclass
class Company:
    """What the company has in its tables, and what happens to it. ``phones``: of each customer the number."""

    chance: random.Random
    phones: dict[str, str] = field(default_factory=dict)
    orders: list[dict[str, str | None]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    def comes(self) -> None:
        number = next(self.numbers)
        name = f"C{number:03d}"
        self.phones[name] = f"1390000{number:04d}"
        for _ in range(self.chance.randint(0, 2)):
            self.buys(name)

    def buys(self, name: str | None = None) -> None:
        """Some orders name the customer, some the device, some both: by these the device finds its owner."""
        name, order = name or self._somebody(), next(self.numbers)
        said = self.chance.choice(["customer", "device", "both"])
        self.orders.append(
            {
                "order_id": f"O{order:04d}",
                "customer_id": None if said == "device" else name,
                "device": None if said == "customer" else f"D{name}",
                "ordered_at": f"{AS_OF - timedelta(days=self.chance.randint(0, 9))} 09:30:00",
                "amount": f"{self.chance.randint(5, 60)}",
            }
        )

    def turns_out_to_be(self) -> None:
        """Two customers have one number."""
        self.phones[self._somebody()] = self.phones[self._somebody()]

    def is_another_after_all(self) -> None:
        name = self._somebody()
        self.phones[name] = f"1390000{int(name[1:]):04d}"

    def goes(self) -> None:
        name = self._somebody()
        del self.phones[name]
        self.orders = [row for row in self.orders if row["customer_id"] != name and row["device"] != f"D{name}"]

    def _somebody(self) -> str:
        return self.chance.choice(sorted(self.phones))

    def write(self, shop: Shop) -> None:
        rows = [
            {"顾客号": name, "城市": "成都", "性别": "女", "手机": phone}
            for name, phone in sorted(self.phones.items())
        ]
        shop.write(pd.DataFrame(rows), pd.DataFrame(self.orders))


@contextmanager
def opened(folder: Path) -> Iterator[Shop]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Shop(folder, instance, FILES)


def run(shop: Shop, company: Company, number: int) -> None:
    company.write(shop)
    shop.clock = lambda: MORNING + timedelta(days=number)
    outcomes = shop.run(AS_OF + timedelta(days=number))
    assert set(outcomes.values()) <= {"published", "reused"}, shop.heard


def open_entries(shop: Shop, number: int) -> set[str]:
    """Who is cared for now, by the smallest member number."""
    entries = by_number(shop, "triggers/care", number)
    return set(entries[entries["is_open"]]["person_id"])


def sent(shop: Shop) -> dict[str, str]:
    """By the key of every message the person it was sent to, under the id of then."""
    return {row["key"]: row["person_id"] for row in messages(shop, state="sent")}


@pytest.mark.parametrize(("seed", "runs"), HISTORIES)
def test_in_the_end_all_is_as_if_it_had_always_been_known_and_nothing_was_sent_twice(
    tmp_path: Path, seed: int, runs: int
) -> None:
    company = Company(random.Random(seed))
    for _ in range(30):
        company.comes()
    for _ in range(3):
        company.turns_out_to_be()
    deeds = [company.comes, company.buys, company.turns_out_to_be, company.is_another_after_all, company.goes]
    with opened(tmp_path / "told") as shop:
        before: dict[str, str] = {}
        for number in range(runs):
            run(shop, company, number)
            ends = shop.rows("identity/successors", None).set_index("was")["now"].to_dict()
            now = sent(shop)
            reached = {ends.get(person, person) for person in before.values()}
            fresh = [person for key, person in now.items() if key not in before]
            assert len(fresh) == len(set(fresh)) and reached.isdisjoint(fresh), "nobody twice"
            before = now
            if number < runs - 1:
                for deed in (company.turns_out_to_be, *company.chance.choices(deeds, k=5)):
                    deed()
        with opened(tmp_path / "known") as other:
            run(other, company, runs - 1)
            last = runs - 1
            for table in TABLES:
                pd.testing.assert_frame_equal(by_number(shop, table, last), by_number(other, table, last))
            assert open_entries(shop, last) == open_entries(other, last)
            names = {
                person: min(n for n, p in persons(shop).items() if p == person) for person in persons(shop).values()
            }
            told = {names.get(ends.get(person, person)) for person in before.values()}
            assert open_entries(shop, last) <= told, "whoever is cared for was written to"

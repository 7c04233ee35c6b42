"""The store of `valtag serve` is the last asset of a catalog that is served."""

import dagster as dg
import pytest

from valtag_assets.definitions import build_definitions
from valtag_assets.serving.building import PLACE
from valtag_assets.serving.store import FILE, Records
from valtag_tests.graph.shop import FILES, Shop, orders

BANNER = """
placement: banner
title: {zh: 横幅, en: Banner}
variants:
  - {code: champions, title: {zh: 冠军, en: Champions}, when: "rfm_r = 5 and women"}
  - {code: spenders, title: {zh: 高消费, en: Spenders}, when: spenders}
default: {code: all, title: {zh: 通用, en: Everybody}}
"""


@pytest.fixture
def served(ran: Shop) -> Shop:
    """A shop that was run, and is served from now on."""
    ran.files = {**FILES, "placements/banner.yaml": BANNER}
    ran.write()
    return ran


def stores(shop: Shop) -> list[str]:
    return shop.setting.derived.names(*PLACE)


def test_only_a_catalog_that_is_served_has_the_asset(ran: Shop) -> None:
    key = dg.AssetKey(["serving", "lookup"])
    assert key not in build_definitions(ran.setting).resolve_asset_graph().get_all_asset_keys()


def test_the_store_of_a_catalog_rests_on_what_it_holds(served: Shop) -> None:
    key = dg.AssetKey(["serving", "lookup"])
    node = build_definitions(served.setting).resolve_asset_graph().get(key)
    assert node.group_name == "8_serving"
    assert {"/".join(parent.path) for parent in node.parent_keys} >= {
        "tags/attribute",
        "scores/rfm",
        "segments/women",
    }


def test_a_run_ends_with_the_store_and_the_next_one_replaces_it(served: Shop) -> None:
    served.run(select="serving/lookup")
    (first,) = stores(served)
    rows = orders()
    rows.loc[0, "amount"] = "11.11"
    served.write(order_rows=rows)
    served.run(select="+serving/lookup")
    (second,) = stores(served)
    assert first != second
    (made,) = served.setting.derived.entries(*PLACE)
    assert made.about["persons"] == 60
    records = Records(made.file(FILE))
    assert records.find("C001") is not None and records.find("C061") is None
    records.close()

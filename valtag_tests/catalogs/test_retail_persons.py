"""The retail pack's customers are found as they were made up: two cards, recycled phones, guests, shared devices."""

from pathlib import Path

import pandas as pd
import pytest

from valtag_assets.console.insight import served
from valtag_assets.console.opening import open_setting
from valtag_assets.graph.setting import Setting
from valtag_assets.warehouse.snapshot import TableRef
from valtag_tests.catalogs.people import true_persons
from valtag_tests.catalogs.raw import UNTIL
from valtag_tests.cli.conftest import Valtag, valtag
from valtag_tests.graph.shop import opened

__all__ = ["valtag"]

STAGES = ("+keyed/orders", "+keyed/coupons", "+identity/review")


@pytest.fixture
def setting(valtag: Valtag, tmp_path: Path) -> Setting:
    """A shop of 300 people, of which it is known who is who, and no more."""
    assert valtag("init", "retail", "--into", tmp_path, "--pack", "retail", "--persons", 300).code == 0
    where = ("--catalog", tmp_path / "retail", "--data", tmp_path / "data")
    stages = [part for name in STAGES for part in ("--select", name)]
    ran = valtag("run", *where, "--as-of", UNTIL.date(), *stages)
    assert ran.code == 0, ran.err
    return open_setting(str(tmp_path / "retail"), tmp_path / "data")


def table(setting: Setting, name: str) -> pd.DataFrame:
    rows = pd.concat(map(pd.read_parquet, served(setting, TableRef.parse(name), None).files))
    return opened(rows, setting.warehouse.root)


def test_every_row_is_of_who_it_truly_is(setting: Setting) -> None:
    data = setting.resolved.catalog.root / "data"
    keys = table(setting, "identity/keys")
    cards = keys[keys["kind"] == "member_no"].rename(columns={"key": "number", "person_id": "_person"})
    orders = table(setting, "keyed/orders").rename(columns={"receipt_no": "number"})
    coupons = table(setting, "keyed/coupons").rename(columns={"coupon_id": "number"})
    told = {"会员": cards, "订单": orders, "领券": coupons}
    rows = pd.concat(
        part.assign(truly=part["number"].map(true_persons(data, about)))[["truly", "_person", "number"]]
        for about, part in told.items()
    )
    nobody = rows["truly"].isna()
    assert nobody.any() and rows[nobody]["_person"].isna().all()
    pairs = rows[~nobody].drop_duplicates(["truly", "_person"])
    assert pairs["_person"].notna().all()
    assert pairs["truly"].is_unique and pairs["_person"].is_unique

    # Each way of being hard to tell is there.
    assert cards["_person"].duplicated().any()  # two cards
    assert not set(pairs["_person"]) <= set(cards["_person"])  # guests
    phones = keys[(keys["kind"] == "phone") & keys["key"].duplicated(keep=False)]
    assert (phones.groupby("key")["person_id"].nunique() == 2).any()  # recycled
    refused = table(setting, "identity/review")
    assert set(refused["kind"] + " " + refused["reason"]) == {
        *("device shared", "device conflict", "phone blocked", "phone malformed")
    }

"""Masks: what is left of a value that may not be read, the same at every door, and equal to Python's own HMAC."""

import hashlib
import hmac
import string
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.masks import mask_column, mask_value
from valtag_assets.engine.session import unbound
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.spec.types import DataType
from valtag_tests.access.house import ALL, MASK_KEY, House
from valtag_tests.chance import MORE
from valtag_tests.cli.conftest import Valtag
from valtag_tests.kit import write_rows

PHONE = "13800000001"
DIGEST = hmac.new(MASK_KEY.encode(), PHONE.encode(), hashlib.sha256).hexdigest()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def from_engine(folder: Path, kind: DataType, values: list[Any], how: Any, key: bytes) -> list[str]:
    file = write_rows(folder / "values.parquet", {"value": kind}, [{"value": value} for value in values])
    table = unbound("values", {"value": str(to_ibis_type(kind))})
    with open_duckdb() as engine:
        found = engine.fetch(table.select(left=mask_column(table["value"], how, key)), {"values": [file]})
    return list(found["left"].to_pylist())


@settings(max_examples=15 * MORE, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(TEXT | st.none(), min_size=1, max_size=20), key=st.binary(min_size=16, max_size=100))
def test_the_engine_and_python_mask_alike(tmp_path: Path, values: list[str | None], key: bytes) -> None:
    text = DataType("text")
    for how in ("last4", "hmac", "stars"):
        assert from_engine(tmp_path, text, values, how, key) == [mask_value(value, how, key) for value in values]  # type: ignore[arg-type]
    wanted = ["***" if v is None else hmac.new(key, v.encode(), hashlib.sha256).hexdigest() for v in values]
    assert from_engine(tmp_path, text, values, "hmac", key) == wanted


@pytest.mark.parametrize(
    ("kind", "value", "in_json"),
    [
        (DataType("date"), date(2003, 4, 12), "2003-04-12"),
        (DataType("timestamp"), datetime(2003, 4, 12, 8, 30), "2003-04-12T08:30:00"),
        (DataType("decimal", 18, 2), Decimal("1234567.50"), "1234567.50"),
        (DataType("integer"), 12345678, 12345678),
        (DataType("boolean"), True, True),
        (DataType("list", item="text"), ["a", "b"], ["a", "b"]),
    ],
)
def test_every_type_is_masked_as_its_text_in_json(tmp_path: Path, kind: DataType, value: Any, in_json: Any) -> None:
    for how in ("last4", "hmac"):
        assert from_engine(tmp_path, kind, [value], how, b"k" * 16) == [mask_value(in_json, how, b"k" * 16)]  # type: ignore[arg-type]


def test_the_last_characters_are_shown_of_long_texts_alone() -> None:
    assert [mask_value(text, "last4") for text in ("12345678", "1234567", "", None)] == [
        "***5678",
        "***",
        "***",
        "***",
    ]
    assert set(mask_value(string.printable, "hmac", b"k" * 16)) <= set(string.hexdigits)


def masked(house: House, how: str, **more: Any) -> House:
    roles = {"clerk": {**ALL, "level": "internal"}, "sender": ALL, **more}
    masks = {"levels": {"pii": how}, "key": "HOUSE_MASK_KEY"}
    return house.rules({"roles": roles, "default_role": "clerk", "masks": masks})


@pytest.mark.parametrize(("how", "left"), [("last4", "***0001"), ("hmac", DIGEST), ("stars", "***")])
def test_a_mask_is_the_same_at_every_door(
    house: House, valtag: Valtag, monkeypatch: pytest.MonkeyPatch, how: str, left: str
) -> None:
    monkeypatch.setenv("HOUSE_MASK_KEY", MASK_KEY)
    options = masked(house, how).options
    shown = valtag("show", "tags/contact", *options, "--person", "C001", "--json").json
    assert (shown["rows"], shown["masked"]) == ([{"person_id": "C001", "phone": left}], ["phone"])
    assert left in valtag("show", "clean/customers", *options, "--person", "C001", "--csv").out
    found = valtag("segment", "preview", "phone is not null and order_count > 0", *options, "--json")
    assert PHONE not in found.out and {len(item["phone"]) for item in found.json["examples"]} == {len(left)}


def test_a_dropped_column_is_not_there(house: House, valtag: Valtag) -> None:
    options = masked(house, "drop").options
    assert valtag("show", "tags/contact", *options, "--csv", "-n", 1).out.splitlines()[0] == "person_id"
    assert "phone" not in valtag("show", "clean/customers", *options, "--csv", "-n", 1).out


def test_a_mask_without_its_key_shows_nothing(house: House, valtag: Valtag, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOUSE_MASK_KEY", raising=False)
    options = masked(house, "hmac").options
    said = valtag("show", "tags/contact", *options)
    assert said.code == 1 and "HOUSE_MASK_KEY, which is not set" in said.err and said.out == ""
    monkeypatch.setenv("HOUSE_MASK_KEY", "short")
    assert "shorter than 16 characters" in valtag("show", "tags/contact", *options).err
    assert valtag("show", "tags/attribute", *options).code == 0


def test_without_the_right_to_a_tag_nothing_is_left_of_it(
    house: House, valtag: Valtag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUSE_MASK_KEY", MASK_KEY)
    narrow = {**ALL, "level": "internal", "tags": {"deny": ["phone"]}}
    options = masked(house, "last4", narrow=narrow).options
    shown = valtag("show", "tags/contact", *options, "--role", "narrow", "--json", "-n", 1).json
    assert shown["rows"][0]["phone"] == "***"

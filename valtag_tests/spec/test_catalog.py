"""Names across the files of a catalog: unique, and referring to something."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.spec.constant import read_constant
from valtag_assets.spec.types import parse_type
from valtag_tests import kit
from valtag_tests.kit import category, problems, tag

COUNT = {"fact": "orders", "agg": "count"}
LOOKUP = """\
source: products
title: {zh: 商品, en: Products}
kind: lookup
key: sku
read: {path: products.csv}
fields:
  - {name: sku, type: text}
  - {name: maker, type: text}
"""


def test_a_name_defined_in_two_files_names_both(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        {
            "tags/a.yaml": category("a", tag("x_count", "integer", COUNT)),
            "tags/b.yaml": category("a", tag("x_count", "integer", COUNT)),
            "sources/zz.yaml": kit.ORDERS,
        },
    )
    assert any(
        line.startswith("tags/b.yaml:1: category: category 'a' is defined already at a.yaml:1") for line in found
    ), found
    assert any("tags[x_count]" in line and "tag 'x_count' is defined already at a.yaml:" in line for line in found), (
        found
    )
    assert any("source 'orders' is defined already at orders.yaml:1" in line for line in found), found


def test_a_lookup_that_does_not_exist_or_lacks_the_field(tmp_path: Path) -> None:
    orders = (
        kit.ORDERS
        + "lookups:\n  - {source: product, on: brand, take: [maker]}\n"
        + "  - {source: products, on: brnd, take: [makr]}\n"
    )
    found = problems(tmp_path, {"sources/products.yaml": LOOKUP, "sources/orders.yaml": orders})
    assert found == [
        "sources/orders.yaml:20: lookups[product].source: 'product' is no lookup source; did you mean 'products'?",
        "sources/orders.yaml:21: lookups[products].on: 'brnd' is no field; did you mean 'brand'?",
        "sources/orders.yaml:21: lookups[products].take[1]: 'makr' is no field of products; did you mean 'maker'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "person: member",
            "person: membr",
            "sources/orders.yaml:4: person: 'membr' is no field; did you mean 'member'?",
        ),
        (
            "person: member",
            "person: ratio",
            "sources/orders.yaml:4: person: 'ratio' is a float: a person's key is text or integer",
        ),
        (
            "time: paid_at",
            "time: payd_at",
            "sources/orders.yaml:5: time: 'payd_at' is no field; did you mean 'paid_at'?",
        ),
        ("time: paid_at", "time: amount", "sources/orders.yaml:5: time: 'amount' is a decimal(18,2), no time"),
        ("time: paid_at\n", "", "a fact needs time"),
        ("key: [number]", "key: [nr]", "'nr' is no field"),
        ("name: due", "name: gift", "field 'gift' is defined twice"),
    ],
)
def test_the_roles_of_a_source_are_fields_that_can_carry_them(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    found = problems(tmp_path, {"sources/orders.yaml": kit.ORDERS.replace(old, new)})
    assert any(expected in line for line in found), found


def test_a_master_with_several_rows_per_person_is_refused(tmp_path: Path) -> None:
    members = kit.MEMBERS + "deduplicate: {key: [member, city]}\n"
    (line,) = problems(tmp_path, {"sources/members.yaml": members})
    assert line.startswith("sources/members.yaml:13: deduplicate.key: a master has one row per person")


def test_persons_come_from_masters_or_facts_that_exist(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, {"project.yaml": kit.PROJECT.replace("[members]", "[member]")})
    assert line == "project.yaml:4: persons.sources[1]: 'member' is no master or fact; did you mean 'members'?"


def test_a_catalog_without_sources_has_no_persons(tmp_path: Path) -> None:
    files = {"project.yaml": kit.PROJECT.replace("persons: {sources: [members]}\n", "")}
    assert problems(tmp_path, {**files, "sources/members.yaml": None, "sources/orders.yaml": None})


def step(code: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "title": {"zh": code, "en": code}, **more}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], "band needs steps"),
        ([step("a", **{"from": 2}), step("b", **{"from": 1})], "the steps' from must ascend: [2.0, 1.0]"),
        ([step("a"), step("b", **{"from": 1}), step("a", **{"from": 2})], "two steps are called 'a'"),
        ([step("a"), step("b")], "every step but the first needs from"),
        ([step("a", **{"from": float("inf")})], "must ascend"),
    ],
)
def test_a_band_has_ascending_steps_with_names_of_their_own(tmp_path: Path, steps: Any, expected: str) -> None:
    band = {**tag("tier", "text", None), "band": {"of": "x_count", "steps": steps}}
    del band["value"]
    found = problems(tmp_path, {"tags/t.yaml": category("t", tag("x_count", "integer", COUNT), band)})
    assert any("tags[tier].band: " in line and expected in line for line in found), found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"bins": 1}, "bins is 1; 2 to 9"),
        ({"bins": 4}, "the built-in tiers are for 5 bins"),
        ({"cuts": {"recency": [1, 2]}}, "cuts.recency needs 4 ascending edges for 5 bins"),
        ({"cuts": {"recency": [1, 2, 2, 3]}}, "cuts.recency needs 4 ascending edges"),
        ({"cuts": {"recenci": [1, 2, 3, 4]}}, "recenci"),
        ({"quadrant_threshold": {"recency": 1}}, "quadrant_threshold needs recency, frequency and monetary"),
        ({"tiers": [step("a", r=[1])]}, "tiers leave cells without a name, the first is R2 F1 M1"),
        ({"tiers": [step("a", r=[6]), step("b")]}, "tier 'a' takes score 6, and scores are 1 to 5"),
        ({"tiers": [step("a"), step("a")]}, "two tiers are called 'a'"),
        ({"tiers": [step("a"), step("b", r=[1])]}, "no cell is left for tier 'b'"),
    ],
)
def test_an_rfm_model_names_every_cell_once(tmp_path: Path, options: Any, expected: str) -> None:
    rfm = {
        "score": "rfm",
        "title": {"zh": "R", "en": "R"},
        "recency": "x_count",
        "frequency": "x_count",
        "monetary": "x_count",
    }
    tags = category("t", tag("x_count", "integer", COUNT))
    found = problems(tmp_path, {"tags/t.yaml": tags, "scores/rfm.yaml": {**rfm, **options}})
    assert any(line.startswith("scores/rfm.yaml:") and expected in line for line in found), found


@pytest.mark.parametrize("rule", [{}, {"all": []}, {"all": ["a"], "any": ["b"]}, {"al": ["a"]}, 5])
def test_a_rule_is_a_condition_or_one_branch(tmp_path: Path, rule: Any) -> None:
    segments = {"segments": [{"code": "a", "title": {"zh": "a", "en": "a"}, "rule": rule}]}
    found = problems(tmp_path, {"segments/s.yaml": segments})
    assert found and all(line.startswith("segments/s.yaml:") and "segments[a].rule" in line for line in found)


# --- constants --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "kind", "expected"),
    [
        ("x", "text", "x"),
        (5, "text", "5"),
        (5, "integer", 5),
        (5, "decimal(3,1)", Decimal("5")),
        (0.1, "decimal(3,1)", Decimal("0.1")),
        (5, "float", 5.0),
        (False, "boolean", False),
        ("2024-02-29", "date", date(2024, 2, 29)),
        (date(2024, 2, 29), "timestamp", datetime(2024, 2, 29)),
        ("2024-02-29 08:00", "timestamp", datetime(2024, 2, 29, 8)),
        ((), "list(text)", []),
        (("a", 1), "list(text)", ["a", "1"]),
    ],
)
def test_a_constant_is_read_as_its_type(written: Any, kind: str, expected: Any) -> None:
    found = read_constant(written, parse_type(kind))
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("x", "integer"),
        (True, "integer"),
        (2**63, "integer"),
        (0.5, "integer"),
        (0.15, "decimal(3,1)"),
        (100, "decimal(3,1)"),
        (float("nan"), "decimal(3,1)"),
        (float("inf"), "float"),
        (0, "boolean"),
        ("2023-02-29", "date"),
        (datetime(2024, 1, 1), "date"),
        ("2024-01-01T00:00:00+08:00", "timestamp"),
        ("a", "list(text)"),
        (("a",), "list(integer)"),
    ],
)
def test_a_constant_that_does_not_fit_is_refused(written: Any, kind: str) -> None:
    with pytest.raises(ValueError, match="is no "):
        read_constant(written, parse_type(kind))


def test_a_type_cut_at_its_comma_says_to_quote_it() -> None:
    with pytest.raises(ValueError, match=r'in quotes: type: "decimal\(18,2\)"'):
        parse_type("decimal(18")

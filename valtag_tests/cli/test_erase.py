"""valtag erase: who may, who is found, what is said."""

import json
from pathlib import Path

from valtag_tests.cli.conftest import Shop, Valtag


def keeper(shop: Shop) -> None:
    (shop.catalog / "access.yaml").write_text("roles: {analyst: internal, keeper: pii}\n", encoding="utf-8")


def somebody(valtag: Valtag, shop: Shop) -> str:
    rows = valtag("show", "identity/persons", "--limit", "1", *shop.options, "--role", "keeper", "--json").json
    person: str = rows["rows"][0]["person_id"]
    return person


def done_so_far(valtag: Valtag, shop: Shop) -> list[str]:
    """The steps of erasures in the audit log, without what was refused."""
    said = valtag("audit", *shop.options, "--json").json
    return [item["action"] for item in said if item["action"].startswith("erase") and item["refused"] is None]


def test_a_person_is_erased_with_a_certificate_and_not_found_again(valtag: Valtag, ran: Shop) -> None:
    keeper(ran)
    person = somebody(valtag, ran)
    refused = valtag("erase", person, "--yes", *ran.options)
    assert refused.code == 1 and "may not read personal data" in refused.err and person not in refused.err
    asked = valtag("erase", person, "--role", "keeper", *ran.options)
    assert asked.code != 0 and done_so_far(valtag, ran) == []
    done = valtag("erase", person, "--role", "keeper", "--yes", "--reason", "a letter", *ran.options, "--json")
    assert done.code == 0 and done.json["complete"], done.err
    certificate = json.loads(Path(done.json["certificate"]).read_text(encoding="utf-8"))
    assert certificate["reason"] == "a letter" and certificate["scan"]["found"] == 0
    again = valtag("erase", person, "--role", "keeper", "--yes", *ran.options)
    assert again.code == 1 and "number 1" in again.err and person not in again.err
    assert valtag("erase", "--resume", "--role", "keeper", *ran.options).code == 1
    assert done_so_far(valtag, ran) == ["erase", "erased"]

"""valtag audit: what was done, and whether its record is whole."""

from datetime import UTC, datetime

from valtag_assets.warehouse.audit import AuditLog
from valtag_tests.cli.conftest import Shop, Valtag


def recorded(shop: Shop) -> AuditLog:
    log = AuditLog(shop.data / "warehouse/shop", lambda: datetime(2026, 1, 2, 4, tzinfo=UTC))
    log.record("select", actor="ann", what="segments/loyal", rows=12, tags=["city"], purpose="care")
    log.record("show", actor="bob", what="clean/members", refused="role guest reads no personal data")
    log.record("show", actor="ann", what="tags/attribute", rows=1, person="C001")
    return log


def test_the_log_is_shown_and_filtered(valtag: Valtag, shop: Shop) -> None:
    assert "nothing is recorded" in valtag("audit", *shop.options).out
    recorded(shop)
    said = valtag("audit", *shop.options).out
    assert "segments/loyal" in said and "guest reads no personal data" in said
    for options, wanted in (
        (["--actor", "ann"], [1, 3]),
        (["--action", "show"], [2, 3]),
        (["--refused"], [2]),
        (["--person", "C001"], [3]),
        (["--limit", "1"], [3]),
    ):
        assert [entry["seq"] for entry in valtag("audit", *options, *shop.options, "--json").json] == wanted


def test_verifying_tells_the_line(valtag: Valtag, shop: Shop) -> None:
    log = recorded(shop)
    good = valtag("audit", "verify", *shop.options, "--json")
    assert good.code == 0 and good.json["entries"] == 3
    assert valtag("audit", "verify", "--known", good.json["hash"], *shop.options).code == 0
    log.file.write_bytes(log.file.read_bytes().replace(b'"rows":12', b'"rows":13'))
    bad = valtag("audit", "verify", *shop.options)
    assert bad.code == 2 and "line 1: entry 1 was changed" in bad.out

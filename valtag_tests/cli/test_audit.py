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
        (["--actor", "ann"], [2, 4]),
        (["--action", "show"], [3, 4]),
        (["--refused"], [3]),
        (["--person", "C001"], [4]),
    ):
        assert [entry["seq"] for entry in valtag("audit", *options, *shop.options, "--json").json] == wanted
    # Who looks into the log is in it, too.
    (last,) = valtag("audit", "--limit", "1", "--user", "eve", *shop.options, "--json").json
    assert (last["action"], last["what"], last["rows"]) == ("report", "the audit log", 1)
    (last,) = valtag("audit", "--limit", "1", *shop.options, "--json").json
    assert (last["actor"], last["rows"]) == ("eve", 1)


def test_names_and_persons_may_be_anything_a_text_can_be(valtag: Valtag, shop: Shop) -> None:
    for text in ("x' OR 1=1 --", '"; DROP TABLE x', "tab\tand\nline\x1b[31m", "欧阳" * 500_000, "${jndi:x}", "%s{x}"):
        for options in (["--user", text], ["--person", text], ["--actor", text]):
            said = valtag("audit", *options, "-n", "1", *shop.options, "--json")
            assert said.code == 0, said.err
        assert "\x1b" not in valtag("audit", "-n", "9", *shop.options).out
    assert valtag("audit", "verify", *shop.options).code == 0
    assert valtag("audit", "--person", "a\0b", *shop.options).code == 1


def test_verifying_tells_the_line(valtag: Valtag, shop: Shop) -> None:
    log = recorded(shop)
    good = valtag("audit", "verify", *shop.options, "--json")
    assert good.code == 0 and good.json["entries"] == 3
    assert valtag("audit", "verify", "--known", good.json["hash"], *shop.options).code == 0
    log.file.write_bytes(log.file.read_bytes().replace(b'"rows":12', b'"rows":13'))
    bad = valtag("audit", "verify", *shop.options)
    assert bad.code == 2 and "line 1: entry 1 was changed" in bad.out

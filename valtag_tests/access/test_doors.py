"""Every door for every role: who names the door goes through, nobody else, and both are on record."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.console.door_list import COMMANDS
from valtag_assets.engine.access import Need
from valtag_assets.engine.reader import Denied, reader_of
from valtag_assets.serving.keys import read_keys
from valtag_assets.spec.access import DOORS, Asking
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.snapshot import TableRef
from valtag_tests.access.house import ALL, House
from valtag_tests.cli.conftest import Valtag

# A command line for every command that has a door; the server's door is that of its keys.
LINES: Mapping[str, list[str]] = {
    "show": ["show", "tags/attribute"],
    "show --csv, --json": ["show", "tags/attribute", "--csv"],
    "broken": ["broken", "clean/customers"],
    "segment preview": ["segment", "preview", "city = '上海'"],
    "segment why": ["segment", "why", "C001", "women"],
    "segment portrait": ["segment", "portrait", "women"],
    "explain": ["explain", "C001", "city"],
    "trigger log": ["trigger", "log", "C001"],
    "report": ["report"],
    "insight": ["insight"],
    "effect": ["effect"],
    "trigger list": ["trigger", "list"],
    "trigger show": ["trigger", "show", "care"],
    "trigger dry-run": ["trigger", "dry-run", "care", "--as-of", "2024-03-10"],
    "snapshots": ["snapshots", "tags/attribute"],
    "status": ["status"],
    "ui": ["ui"],
    "parity": ["parity"],
    "deliver": ["deliver", "spenders_to_desk", "--dry-run"],
    "outbox": ["outbox"],
    "trigger send": ["trigger", "send"],
    "identity show": ["identity", "show", "C001"],
    "identity report": ["identity", "report"],
    "audit": ["audit"],
    "identity suggestions": ["identity", "suggestions"],
    "new tag": ["new", "tag", "orders.amount", "--agg", "avg", "--dry-run"],
    "erase": ["erase", "C001", "--yes"],
}
QUICK = [name for name in LINES if name not in ("ui", "parity", "report", "erase")]
SHUT = "may not go through this door"


def one_door(door: str) -> dict[str, Any]:
    return {**ALL, "may": [door]}


def all_but(door: str) -> dict[str, Any]:
    return {**ALL, "may": [name for name in DOORS if name != door]}


def test_there_is_a_command_line_for_every_door() -> None:
    assert {*LINES, "serve"} == {name for name, way in COMMANDS.items() if way.door is not None}


@pytest.mark.parametrize("name", LINES)
def test_a_role_that_does_not_name_the_door_stays_outside(house: House, valtag: Valtag, name: str) -> None:
    door = COMMANDS[name].door
    house.rules({"roles": {"most": all_but(str(door)), "sender": ALL}, "default_role": "most"})
    said = valtag(*LINES[name], *house.options)
    assert said.code == 1 and said.out == ""
    assert said.err.startswith(f"{door}: role most {SHUT}") and "ask team:data" in said.err
    last = list(house.setting.audit.entries())[-1]
    assert (last.action, last.role, last.rows) == (door, None, None) and SHUT in str(last.refused)


@pytest.mark.parametrize("name", QUICK)
def test_a_role_that_names_the_door_alone_goes_through(house: House, valtag: Valtag, name: str) -> None:
    door = COMMANDS[name].door
    house.rules({"roles": {"one": one_door(str(door)), "sender": ALL}, "default_role": "one"})
    said = valtag(*LINES[name], *house.options)
    assert SHUT not in said.err
    assert said.out or "no trigger says what it is judged by" in said.err or "no identity.yaml" in said.err


def test_who_went_through_is_on_record(house: House, valtag: Valtag) -> None:
    purposes = {"service": {"title": {"zh": "服务", "en": "Service"}}}
    house.rules({"roles": {"keeper": ALL, "sender": ALL}, "default_role": "keeper", "purposes": purposes})
    asked = ("--user", "li", "--purpose", "service")
    assert valtag("show", "tags/contact", *house.options, *asked, "-n", 7, "--csv").code == 0
    assert valtag("explain", "C001", "city", *house.options, *asked).code == 0
    shown, explained = list(house.setting.audit.entries())[-2:]
    assert (shown.action, shown.actor, shown.role, shown.purpose) == ("export", "li", "keeper", "service")
    assert (shown.what, shown.rows, shown.tags) == ("tags/contact", 7, ("person_id", "phone"))
    assert explained.person is not None and "C001" not in explained.line()


def test_what_a_run_sends_is_on_record_in_the_name_of_the_destination_s_role(built: House) -> None:
    (sent,) = [entry for entry in built.setting.audit.entries() if entry.what == "deliveries/spenders_to_desk"]
    members = built.setting.warehouse.latest(TableRef("segments", "spenders"))
    assert members is not None
    assert (sent.action, sent.role, sent.rows, sent.tags) == ("deliver", "sender", members.rows, ("city",))
    assert sent.details == {"to": "desk"} and sent.actor.startswith("run ")


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE x; --\x1b[2J\t\"\n${x} %s {y} ../../etc", "欧阳" * 200_000], ids=["signs", "long"]
)
def test_a_person_may_be_called_anything_and_is_nobody(house: House, valtag: Valtag, text: str) -> None:
    for line in (
        ["explain", text, "city"],
        ["segment", "why", text, "women"],
        ["trigger", "log", text],
        ["show", "tags/contact", "--person", text],
        ["erase", text, "--yes"],
        ["broken", "clean/customers", "--user", text],
        ["show", text],
    ):
        said = valtag(*line, *house.options)
        assert said.code in (0, 1) and "internal fault" not in said.err, (line[:2], said.err[:300])
        assert "\x1b" not in said.out + said.err
    assert house.setting.audit.verify().sound


def test_nothing_leaves_that_can_t_be_recorded(house: House, valtag: Valtag) -> None:
    folder = house.root / "data" / "warehouse" / "shop" / "audit"
    shutil.rmtree(folder)
    folder.write_text("in the way", encoding="utf-8")
    for line in ("show", "segment preview", "explain", "segment why", "deliver"):
        said = valtag(*LINES[line], *house.options)
        assert said.code == 3 and said.out == "", line


@pytest.fixture
def resolved(house: House) -> Any:
    roles = {door: one_door(door) for door in DOORS}
    users = {"li": {"role": "show"}, "wang": {"roles": ["serve", "show"]}}
    house.rules({"roles": {**roles, "sender": ALL}, "default_role": "show", "users": users})
    return house.setting.resolved


def test_every_door_lets_in_the_roles_that_name_it(house: House) -> None:
    roles = {door: one_door(door) for door in DOORS} | {"none": {"level": "pii"}, "sender": "public"}
    resolved = house.rules({"roles": roles, "default_role": "none"}).setting.resolved
    for door in DOORS:
        inside = set()
        for role in roles:
            with suppress(Denied):
                inside.add(reader_of(resolved, door, Asking(role), {}).role)
        assert inside == {door, "sender"}


def test_an_unknown_user_is_refused_and_a_known_one_has_his_roles(resolved: Any) -> None:
    assert reader_of(resolved, "show", Asking(user="li"), {}).role == "show"
    assert reader_of(resolved, "show", Asking("show", "wang"), {}).user == "wang"
    with pytest.raises(Denied, match="show: 'zhao' is no user of access"):
        reader_of(resolved, "show", Asking(user="zhao"), {})
    with pytest.raises(Denied, match="li has not the role serve, but show"):
        reader_of(resolved, "serve", Asking("serve", "li"), {})
    with pytest.raises(Mistake, match="--open would let everybody in"):
        read_keys(resolved, {}, is_open=True)


def test_a_role_reads_the_tags_and_sources_it_names_up_to_its_level(house: House) -> None:
    rights = {
        "level": "internal",
        "may": ["show"],
        "categories": ["attribute"],
        "tags": {"allow": ["total_spend", "phone"], "deny": ["gender"]},
        "sources": ["orders"],
    }
    access = {"roles": {"narrow": rights, "sender": ALL}, "default_role": "narrow", "ask": "privacy@example.com"}
    reader = reader_of(house.rules(access).setting.resolved, "show", Asking(), {})
    named = {code: reader.may(Need("internal", frozenset({code}))) for code in ("city", "gender", "total_spend")}
    assert named == {"city": True, "gender": False, "total_spend": True}
    assert not reader.may(Need("internal", frozenset({"order_count"})))
    assert not reader.may(Need("internal", sources=frozenset({"customers"})))
    with pytest.raises(Denied, match="show: role narrow may not read phone: it takes the level pii, and this role"):
        reader.require(Need("pii", frozenset({"phone"})), "phone")
    with pytest.raises(Denied, match="names no right to it; ask privacy@example"):
        reader.require(Need("internal", frozenset({"gender"})), "gender")


def test_an_audience_takes_the_rights_to_all_that_decides_it(house: House, valtag: Valtag) -> None:
    roles = {"clerk": {**ALL, "level": "internal"}, "cityfolk": {**ALL, "categories": ["attribute"]}, "sender": ALL}
    house.rules({"roles": roles, "default_role": "clerk"})
    found = valtag("show", "segments/callable", *house.options, "--csv", "-n", 3).out
    assert set(found.splitlines()[1:]) == {"***,***"}
    assert "***" not in valtag("show", "segments/women", *house.options, "--csv", "-n", 3).out
    said = valtag("show", "segments/spenders", *house.options, "--role", "cityfolk")
    assert said.code == 1 and "role cityfolk may not read segments/spenders" in said.err and said.out == ""
    said = valtag("segment", "why", "C001", "spenders", *house.options, "--role", "cityfolk")
    assert said.code == 1 and "select: role cityfolk may not read who is in spenders" in said.err
    said = valtag("segment", "preview", "total_spend > 100", *house.options, "--role", "cityfolk")
    assert said.code == 1 and "all that the rule reads" in said.err


def test_a_purpose_has_to_be_said_and_limits_the_level(house: House, valtag: Valtag) -> None:
    title = {"zh": "用途", "en": "Purpose"}
    purposes = {name: {"title": title} for name in ("service", "other")}
    purposes |= {"sales": {"title": title, "level": "internal"}}
    agent = {**ALL, "purposes": ["service", "sales"]}
    house.rules({"roles": {"agent": agent, "sender": ALL}, "default_role": "agent", "purposes": purposes})
    show = ("show", "tags/contact", *house.options, "--csv", "-n", 1)
    assert "has to say what for (--purpose; it has sales, service)" in valtag(*show).err
    assert "has not the purpose other" in valtag(*show, "--purpose", "other").err
    assert "'servce' is no purpose of access.yaml; did you mean" in valtag(*show, "--purpose", "servce").err
    assert "1380000" in valtag(*show, "--purpose", "service").out
    assert "***" in valtag(*show, "--purpose", "sales").out


def test_reports_are_written_for_the_role_that_asks(house: House, valtag: Valtag, tmp_path: Path) -> None:
    roles = {"reader": {**ALL, "categories": ["attribute"]}, "keeper": ALL, "sender": ALL}
    house.rules({"roles": roles, "default_role": "reader"})
    pages = [tmp_path / "reader.html", tmp_path / "keeper.html"]
    assert valtag("report", *house.options, "--into", pages[0]).code == 0
    assert valtag("report", *house.options, "--into", pages[1], "--role", "keeper").code == 0
    hidden = [page.read_text(encoding="utf-8").count("Values are above the default role") for page in pages]
    assert hidden[0] > hidden[1]

"""A destination that could leak, or could not work, is refused before anything is sent."""

from pathlib import Path
from typing import Any

import pytest

from valtag_assets.spec.destination import Destination
from valtag_tests.kit import category, problems, tag

TITLE = {"zh": "那里", "en": "There"}
HTTP = {"kind": "http", "url": "https://crm.example.com/tags", "body": {"id": "{person_id}"}}


def made(**said: Any) -> Destination:
    return Destination.model_validate({"destination": "there", "title": TITLE, **HTTP, **said})


REFUSED = [
    ({"url": "http://crm.example.com/"}, "must be https"),
    ({"url": "https://user:word@crm.example.com/"}, "names of environment variables"),
    ({"url": "https://10.1.2.3/"}, "private network"),
    ({"url": "https://169.254.169.254/latest"}, "private network"),
    ({"url": "ftp://crm.example.com/"}, "is not https"),
    ({"allow": ["other.example.com"]}, "not among allow"),
    ({"headers": {"Authorization": "Bearer abc"}}, "write auth"),
    ({"headers": {"X-A": "a\r\nX-B: b"}}, "can't be sent"),
    ({"auth": {"bearer": "the secret itself"}}, "no name of an environment variable"),
    ({"auth": {"user": "NAME"}}, "user and password"),
    ({"batch": 5}, "needs envelope"),
    ({"batch": 5, "envelope": {"rows": "{rows}"}}, "needs its own key"),
    ({"envelope": {"rows": "{person_id}"}}, "{rows} where the messages go"),
    ({"table": "x"}, "not for a destination of kind http"),
    ({"method": "PUT", "idempotent": False}, "needs POST"),
    ({"answer": {"code": "errcode"}}, "both or neither"),
    ({"fields": {"message_key": "city"}}, "travels anyway"),
    ({"kind": "redis", "url": None, "body": None}, "needs url_env, prefix"),
]


@pytest.mark.parametrize(("said", "says"), REFUSED, ids=[case[1] for case in REFUSED])
def test_what_could_leak_or_not_work_is_refused(said: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        made(**said)


def test_this_machine_may_be_asked_without_tls_and_a_private_network_if_the_catalog_says_so() -> None:
    assert made(url="http://127.0.0.1:8080/").hosts == ("127.0.0.1",)
    assert made(url="https://10.1.2.3/", private=True).hosts == ("10.1.2.3",)


@pytest.mark.parametrize("path", ["../../etc/cron.d", "lists/../../x", "..\\x"])
def test_a_path_that_leads_out_of_the_folder_of_deliveries_is_refused(path: str) -> None:
    spec = {"destination": "there", "title": TITLE, "kind": "file", "format": "csv"}
    assert Destination.model_validate({**spec, "path": "lists/a..b"}).path == "lists/a..b"
    with pytest.raises(ValueError, match="leads out"):
        Destination.model_validate({**spec, "path": path})


def test_fields_are_written_short_or_in_full() -> None:
    short, named = made(fields=["city"]), made(fields={"town": "city"})
    full = made(fields={"token": {"of": "phone", "mask": {"hmac": "KEY"}}}, auth={"bearer": "TOKEN"})
    assert (short.fields["city"].of, named.fields["town"].of) == ("city", "city")
    assert set(full.variables) == {"TOKEN", "KEY"}


CATALOG = {
    "tags/attribute.yaml": category("attribute", tag("city", "text", {"master": "members", "of": "city"})),
    "segments/all.yaml": {"segments": [{"code": "north", "title": TITLE, "rule": "city = '北京'"}]},
    "destinations/there.yaml": {"destination": "there", "title": TITLE, **HTTP, "fields": ["city"]},
}


def delivery(**said: Any) -> dict[str, Any]:
    return {"deliveries": [{"code": "sync", "title": TITLE, "segment": "north", "to": "there", **said}]}


def test_a_sound_catalog_has_no_mistake(tmp_path: Path) -> None:
    assert problems(tmp_path, {**CATALOG, "deliveries/all.yaml": delivery()}) == []


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"segment": "nort"}, "'nort' is no segment; did you mean 'north'?"),
        ({"to": "theer"}, "'theer' is no destination; did you mean 'there'?"),
        ({"fields": ["citi"]}, "'citi' is no tag, score or segment; did you mean 'city'?"),
        ({"jump": 0.5}, "a factor above 1"),
    ],
)
def test_a_delivery_that_means_nothing_is_told_where_and_why(tmp_path: Path, said: dict[str, Any], says: str) -> None:
    found = problems(tmp_path, {**CATALOG, "deliveries/all.yaml": delivery(**said)})
    assert len(found) == 1 and found[0].startswith("deliveries/all.yaml:") and says in found[0]


def test_a_template_that_names_what_does_not_travel_is_refused(tmp_path: Path) -> None:
    there = {**CATALOG["destinations/there.yaml"], "body": {"id": "{person_id}", "town": "{town}"}}
    files = {**CATALOG, "destinations/there.yaml": there, "deliveries/all.yaml": delivery()}
    assert "names {town}, and no such field travels" in problems(tmp_path, files)[0]
    assert problems(tmp_path, {**files, "deliveries/all.yaml": delivery(fields={"town": "city"})}) == []


def test_a_file_that_cannot_be_read_is_not_blamed_on_those_that_name_it(tmp_path: Path) -> None:
    files = {
        **CATALOG,
        "destinations/there.yaml": "destination: there\nkind: htpp\n",
        "deliveries/all.yaml": delivery(),
    }
    assert all(problem.startswith("destinations/there.yaml") for problem in problems(tmp_path, files))

"""Whatever is asked, the service answers as its OpenAPI document says, and never with a fault of its own."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case

from valtag_assets.serving.app import create_app
from valtag_assets.serving.keys import read_keys
from valtag_tests.serving.desk import ACCESS, PERSONS, SECRETS, Desk

KEY = {"Authorization": f"Bearer {SECRETS['DESK_KEY']}", "Host": "127.0.0.1"}
FEW = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


@pytest.fixture(scope="module")
def documented(served: Desk) -> Any:
    """The document of the service, and the service behind it."""
    keyed = Desk.at(served.root / "keyed", {"access.yaml": ACCESS})
    keyed.publish_all()
    app = create_app(keyed.service(), read_keys(keyed.resolved, SECRETS, is_open=False), watch=False)
    return schemathesis.openapi.from_asgi("/openapi.json", app)


document = schemathesis.pytest.from_fixture("documented")


@document.parametrize()
@FEW
def test_every_answer_is_as_documented(case: Case) -> None:
    case.call_and_validate(headers=KEY)


@document.parametrize()
@FEW
def test_every_answer_about_a_real_person_is_as_documented(case: Case) -> None:
    if "person_id" in case.path_parameters:
        case.path_parameters["person_id"] = PERSONS[3]
    for name, known in (("code", "vips"), ("placement", "banner")):
        if name in case.path_parameters:
            case.path_parameters[name] = known
    if case.path == "/persons" and isinstance(case.body, dict) and isinstance(case.body.get("persons"), list):
        case.body["persons"] = [*case.body["persons"][:5], *PERSONS[:3]]
    answer = case.call(headers=KEY)
    assert answer.status_code < 500
    case.validate_response(answer)

"""Whatever is asked, the service answers as its OpenAPI document says, and never with a fault of its own."""

from collections.abc import Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode

from valtag_assets.serving.app import create_app
from valtag_assets.serving.keys import read_keys
from valtag_tests.chance import MORE
from valtag_tests.serving.desk import ACCESS, PERSONS, SECRETS, Desk

KEY = {"Authorization": f"Bearer {SECRETS['DESK_KEY']}", "Host": "127.0.0.1"}
REAL = {"person_id": PERSONS[3], "code": "vips", "placement": "banner"}
OPERATIONS = (
    "GET /persons/{person_id}",
    "POST /persons",
    "GET /persons/{person_id}/segments",
    "GET /segments/{code}/persons/{person_id}",
    "GET /persons/{person_id}/variant/{placement}",
    "GET /tags",
    "GET /health",
    "POST /receipts",
)
Operations = Mapping[str, APIOperation[Any, Any, Any, Any]]


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> Operations:
    """What the document of a keyed service says can be asked, and the service behind it."""
    desk = Desk.at(tmp_path_factory.mktemp("keyed"), {"access.yaml": ACCESS})
    desk.publish_all()
    app = create_app(desk.service(), read_keys(desk.resolved, SECRETS, is_open=False), watch=False)
    found = [result.ok() for result in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations()]
    return {f"{item.method.upper()} {item.path}": item for item in found}


def test_every_operation_is_fuzzed(operations: Operations) -> None:
    assert set(operations) == set(OPERATIONS)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.name)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_is_as_documented(operations: Operations, name: str, mode: GenerationMode) -> None:
    if mode is GenerationMode.NEGATIVE and name in ("GET /tags", "GET /health"):
        pytest.skip("nothing is given that could be wrong")
    real = mode is GenerationMode.POSITIVE

    @settings(max_examples=20 * MORE, suppress_health_check=list(HealthCheck))
    @given(case=operations[name].as_strategy(generation_mode=mode), known=st.booleans())
    def ask(case: Case, known: bool) -> None:
        if real and known:
            with_real_names(case)
        case.call_and_validate(headers=KEY)

    ask()


def with_real_names(case: Case) -> None:
    """Ask about a person, a segment and a placement that there are."""
    for name in case.path_parameters or {}:
        case.path_parameters[name] = REAL[name]
    if isinstance(case.body, dict) and isinstance(case.body.get("persons"), list):
        case.body["persons"] = [*case.body["persons"][:5], *PERSONS[:3]]

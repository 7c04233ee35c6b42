"""Receipts told over HTTP: kept whole or not at all, by keys that may."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from valtag_tests.serving.desk import OUTSIDE, SECRETS, Desk

AT = "2024-03-11T12:00:00+08:00"
GATEWAY = "gateway-secret-of-24-letters"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    root = tmp_path_factory.mktemp("receipts")
    digest = hashlib.sha256(GATEWAY.encode()).hexdigest()
    access = {
        "roles": {"front": "public", "desk": "pii"},
        "default_role": "front",
        "keys": {
            "gateway": {"role": "front", "sha256": digest, "receipts": True},
            "shop": {"role": "desk", "env": "SHOP_KEY"},
        },
    }
    made = Desk.at(root, {"access.yaml": access})
    made.publish_all()
    return made


def test_a_key_that_may_leaves_a_file_once(desk: Desk) -> None:
    told = {"receipts": [{"key": "k1", "state": "delivered", "at": AT}, {"key": "k2", "state": "clicked", "at": AT}]}
    with desk.client() as ask:
        for _ in range(2):
            answer = ask.post("/receipts", json=told, headers={"Authorization": f"Bearer {GATEWAY}"})
            assert (answer.status_code, answer.json()) == (200, {"kept": 2})
    (file,) = (desk.root / "receipts").iterdir()
    assert [json.loads(line)["key"] for line in file.read_text().splitlines()] == ["k1", "k2"]


@pytest.mark.parametrize(
    ("secret", "body", "status"),
    [
        (SECRETS["SHOP_KEY"], {"receipts": [{"key": "k", "state": "opened", "at": AT}]}, 403),
        (OUTSIDE, {"receipts": [{"key": "k", "state": "opened", "at": AT}]}, 401),
        (
            GATEWAY,
            {"receipts": [{"key": "a", "state": "opened", "at": AT}, {"key": "k", "state": "?", "at": AT}]},
            422,
        ),
        (GATEWAY, {"receipts": []}, 422),
        (GATEWAY, {"receipts": [{"key": "k", "state": "opened", "at": AT, "phone": "1"}]}, 422),
    ],
)
def test_anything_else_is_refused_and_nothing_is_kept(secret: str, body: Any, status: int, desk: Desk) -> None:
    folder = Path(desk.root / "receipts")
    before = sorted(folder.glob("*"))
    with desk.client() as ask:
        answer = ask.post("/receipts", json=body, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == status
    assert sorted(folder.glob("*")) == before

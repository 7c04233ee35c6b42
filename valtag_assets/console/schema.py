"""JSON Schema of catalog files, for editors.

pydantic's own schema says how the models look inside; people write short forms (``from``, one unit instead of
a list, an expression as the value of a tag), which the models' validators accept. They are put in here.
"""

import copy
import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from valtag_assets.spec.access import AccessRules
from valtag_assets.spec.allocation import Allocation
from valtag_assets.spec.delivery import DeliveryFile
from valtag_assets.spec.destination import Destination
from valtag_assets.spec.identity import Identity
from valtag_assets.spec.ltv import Ltv
from valtag_assets.spec.placement import Placement
from valtag_assets.spec.project import Project
from valtag_assets.spec.report import ReportFile
from valtag_assets.spec.score import Rfm
from valtag_assets.spec.segment import SegmentFile
from valtag_assets.spec.source import Source
from valtag_assets.spec.tag import Category
from valtag_assets.spec.trigger import Trigger

# Which files each schema is for, as editors match them.
FILES: dict[str, tuple[Any, str]] = {
    "project": (Project, "project.yaml"),
    "access": (AccessRules, "access.yaml"),
    "identity": (Identity, "identity.yaml"),
    "source": (Source, "sources/*.yaml"),
    "tags": (Category, "tags/*.yaml"),
    "score": (Rfm | Ltv, "scores/*.yaml"),
    "segments": (SegmentFile, "segments/*.yaml"),
    "reports": (ReportFile, "reports/*.yaml"),
    "placement": (Placement, "placements/*.yaml"),
    "allocation": (Allocation, "allocations/*.yaml"),
    "trigger": (Trigger, "triggers/*.yaml"),
    "destination": (Destination, "destinations/*.yaml"),
    "deliveries": (DeliveryFile, "deliveries/*.yaml"),
}
_SCALAR = ["string", "number", "boolean", "null"]
_TEXTS = {"type": "array", "items": {"type": _SCALAR}}
_CODE_TABLE = {"type": "object", "additionalProperties": {"anyOf": [{"type": _SCALAR}, _TEXTS]}}


def catalog_schemas() -> dict[str, dict[str, Any]]:
    """The schema of each kind of file, by its name in FILES."""
    return {name: _written(TypeAdapter(model).json_schema()) for name, (model, _) in FILES.items()}


def write_schemas(into: Path) -> list[Path]:
    """One ``<kind>.schema.json`` per kind of file."""
    into.mkdir(parents=True, exist_ok=True)
    found = []
    for name, schema in catalog_schemas().items():
        path = into / f"{name}.schema.json"
        path.write_text(json.dumps(schema, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        found.append(path)
    return found


def _written(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of what people write."""
    made = copy.deepcopy(schema)
    blocks = {**made.get("$defs", {}), made.get("title", ""): made}
    for title, block in blocks.items():
        change = _SHORT_FORMS.get(title)
        if change is not None:
            change(block["properties"], block)
    return made


def _field(keys: dict[str, Any], block: dict[str, Any]) -> None:
    keys["from"] = keys.pop("source_name")
    block["required"] = [name for name in block.get("required", []) if name != "source_name"]
    for many in ("unit", "replace"):
        keys[many] = {"anyOf": [keys[many], keys[many]["items"]]}
    keys["values"] = {"anyOf": [_CODE_TABLE, {"type": "null"}]}
    keys["missing"] = _TEXTS


def _starting(keys: dict[str, Any], block: dict[str, Any]) -> None:
    keys["from"] = keys.pop("lowest")


def _tag(keys: dict[str, Any], block: dict[str, Any]) -> None:
    keys["value"] = {"anyOf": [*keys["value"]["anyOf"], {"type": "string"}]}
    del keys["expression"]


def _domain(keys: dict[str, Any], block: dict[str, Any]) -> None:
    keys["values"] = {"anyOf": [*keys["values"]["anyOf"], _TEXTS]}


def _source(keys: dict[str, Any], block: dict[str, Any]) -> None:
    keys["key"] = {"anyOf": [keys["key"], {"type": "string"}]}


def _segment(keys: dict[str, Any], block: dict[str, Any]) -> None:
    keys["order"] = {"anyOf": [keys["order"], {"type": "string"}]}


def _fields(keys: dict[str, Any], block: dict[str, Any]) -> None:
    names = {"type": "array", "items": {"type": "string"}}
    item = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Travelling"}]}
    keys["fields"] = {"anyOf": [names, {"type": "object", "additionalProperties": item}, {"type": "null"}]}


def _answer(keys: dict[str, Any], block: dict[str, Any]) -> None:
    for many in ("ok", "retry", "pause", "halt"):
        keys[many] = {"anyOf": [{"type": _SCALAR}, _TEXTS]}


def _event(keys: dict[str, Any], block: dict[str, Any]) -> None:
    if "same" in keys:
        keys["same"] = {"anyOf": [keys["same"], {"type": "string"}]}
    _period(keys, block)
    _or_text(keys, block)


def _period(keys: dict[str, Any], block: dict[str, Any]) -> None:
    if "between" in keys:
        keys["between"] = {"anyOf": [*keys["between"]["anyOf"], {"type": "string"}]}


def _rule(keys: dict[str, Any], block: dict[str, Any]) -> None:
    _or_text({name: value for name, value in keys.items() if name != "condition"}, block)


def _or_text(keys: dict[str, Any], block: dict[str, Any]) -> None:
    """The block with these keys, or a text in its place."""
    tree = {name: value for name, value in block.items() if name not in ("title", "description")}
    tree["properties"], title = dict(keys), block["title"]
    block.clear()
    block |= {"title": title, "anyOf": [{"type": "string"}, tree]}


def _or_switch(keys: dict[str, Any], block: dict[str, Any]) -> None:
    """The block, or true or false in its place."""
    tree = {name: value for name, value in block.items() if name not in ("title", "description")}
    title = block["title"]
    block.clear()
    block |= {"title": title, "anyOf": [{"type": "boolean"}, tree]}


def _project(keys: dict[str, Any], block: dict[str, Any]) -> None:
    keys["missing"] = _TEXTS
    keys["code_tables"] = {"type": "object", "additionalProperties": _CODE_TABLE}


_SHORT_FORMS = {
    "Field": _field,
    "BandStep": _starting,
    "ValueTier": _starting,
    "ChurnLevel": _starting,
    "Tag": _tag,
    "Domain": _domain,
    "Source": _source,
    "Rule": _rule,
    "Segment": _segment,
    "Event": _event,
    "StepEvent": _event,
    "Start": _or_text,
    "EventStart": _or_text,
    "Rehearsal": _or_switch,
    "Sequence": _period,
    "Project": _project,
    "Destination": _fields,
    "Delivery": _fields,
    "Answer": _answer,
}

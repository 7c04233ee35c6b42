"""valtag schema: editors must accept what valtag accepts."""

import json
from pathlib import Path

import jsonschema
import pytest

from valtag_assets.console.schema import FILES, catalog_schemas
from valtag_assets.graph.setting import SHIPPED
from valtag_assets.spec.yaml_text import read_yaml
from valtag_tests.cli.conftest import Valtag

_CASES = [(name, path) for name, (_, files) in FILES.items() for path in sorted(SHIPPED.glob(f"**/{files}"))]


@pytest.mark.parametrize(("name", "path"), _CASES, ids=lambda value: str(value)[-40:])
def test_every_shipped_file_fits_its_schema(name: str, path: Path) -> None:
    written = read_yaml(path.read_text(encoding="utf-8"))
    # Editors check the JSON form: dates are texts there, and keys always are.
    as_json = json.loads(json.dumps(written, default=str))
    jsonschema.validate(as_json, catalog_schemas()[name])


def test_an_unknown_key_does_not_fit() -> None:
    tag = {"code": "age", "title": {"zh": "年龄", "en": "Age"}, "type": "integer", "vlaue": "1"}
    file = {"category": "attribute", "title": {"zh": "属性", "en": "Attribute"}, "tags": [tag]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(file, catalog_schemas()["tags"])


def test_one_file_per_kind_is_written(valtag: Valtag, tmp_path: Path) -> None:
    said = valtag("schema", "--into", tmp_path)
    assert said.code == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.schema.json" for name in FILES}
    assert set(valtag("schema").json) == set(FILES)

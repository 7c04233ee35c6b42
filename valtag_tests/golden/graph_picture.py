"""The asset graph of the mall as a readable picture. Write it anew, and read the difference, with

python -m valtag_tests.golden.graph_picture
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from valtag_assets.definitions import build_definitions
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.graph.setting import SHIPPED, Setting
from valtag_tests.golden.published import AFTER

PICTURE = Path(__file__).with_name("mall_graph.json")


def picture(definitions: dg.Definitions) -> dict[str, Any]:
    """What people see of the graph: per asset its group, inputs, partitions, drivers and number of checks."""
    graph = definitions.resolve_asset_graph()
    assets = {}
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        assets["/".join(key.path)] = {
            "group": node.group_name,
            "deps": sorted("/".join(parent.path) for parent in node.parent_keys),
            "partitions": partitions(node.partitions_def),
            "automation": node.automation_condition is not None,
            "freshness": node.freshness_policy is not None,
            "checks": len(node.check_keys),
        }
    return {
        "assets": assets,
        "jobs": sorted(job.name for job in definitions.jobs or []),
        "schedules": sorted(item.name for item in definitions.schedules or []),
        "sensors": sorted(item.name for item in definitions.sensors or []),
    }


def partitions(found: dg.PartitionsDefinition[Any] | None) -> str | None:
    if isinstance(found, dg.DailyPartitionsDefinition):
        return f"daily from {found.start:%Y-%m-%d}"
    return None if found is None else type(found).__name__


def mall_picture(data: Path) -> dict[str, Any]:
    return picture(build_definitions(Setting(resolve_catalog(SHIPPED / "mall"), data, lambda: AFTER)))


def as_text(found: dict[str, Any]) -> str:
    """One line per asset, so that a difference reads as one."""
    lines = [f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in found["assets"].items()]
    rest = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in found.items() if key != "assets"]
    return '{\n  "assets": {\n' + ",\n".join(lines) + "\n  },\n" + ",\n".join(rest) + "\n}\n"


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        PICTURE.write_text(as_text(mall_picture(Path(folder))), encoding="utf-8")

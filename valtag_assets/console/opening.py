"""The catalog and the data folder a command works on."""

import os
from pathlib import Path

from valtag_assets.graph.setting import DEFAULT_CATALOG, SHIPPED, Setting, catalog_folder, setting_from
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean


def open_setting(catalog: str | None, data: Path | None) -> Setting:
    """The setting of a command. Raises CatalogError, or Mistake where there is no catalog or engine at all."""
    named = catalog or DEFAULT_CATALOG
    folder = catalog_folder(named)
    if not (folder / "project.yaml").is_file():
        shipped = sorted(path.parent.name for path in SHIPPED.glob("*/project.yaml"))
        raise Mistake(
            f"'{named}' is no catalog: it needs a project.yaml (looked in {folder}); "
            f"shipped catalogs are {', '.join(shipped)}{did_you_mean(named, shipped).partition(' there is ')[0]}"
        )
    environment = {**os.environ, "VALTAG_CATALOG": str(folder)}
    if data is not None:
        environment["VALTAG_DATA"] = str(data)
    try:
        setting = setting_from(environment)
        assert setting.warehouse
    except ValueError as error:
        raise Mistake(str(error)) from error
    return setting

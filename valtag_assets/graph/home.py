"""DAGSTER_HOME: where Dagster keeps the runs of one catalog. Dagster reads it once, when it is imported."""

import os
from collections.abc import Mapping, MutableMapping
from importlib import resources
from pathlib import Path

from valtag_assets.graph.setting import Setting

VARIABLE = "DAGSTER_HOME"


def home_folder(setting: Setting, environment: Mapping[str, str] = os.environ) -> Path:
    """Where it is, or would be: as the environment says, else ``<data>/dagster_home/<catalog>``."""
    return Path(environment.get(VARIABLE) or setting.data / "dagster_home" / setting.name).resolve()


def dagster_home(setting: Setting, environment: MutableMapping[str, str] = os.environ) -> Path:
    """The folder, made and configured if need be, and named in ``environment``.

    A dagster.yaml that is there stays as it is.
    """
    home = home_folder(setting, environment)
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shipped = resources.files("valtag_assets.graph") / "dagster.yaml"
        (home / "dagster.yaml").write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")
    environment[VARIABLE] = str(home)
    return home

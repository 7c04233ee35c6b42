"""Who may import whom: spec ← expression ← engine, quality ← serving, delivery ← graph ← definitions, wizard
← console ← cli.

``models`` is mathematics, and knows nothing of the rest.
"""

import re

import pytest

from valtag_tests.soundness.code import PRODUCT, Module

# What each part of the product may import of it, beside itself.
MAY_IMPORT = {
    "spec": set(),
    "models": set(),
    "warehouse": {"spec"},
    "expression": {"spec"},
    "engine": {"spec", "expression", "models", "warehouse"},
    "quality": {"spec", "expression", "warehouse"},
    "serving": {"spec", "expression", "engine", "delivery", "warehouse"},
    "delivery": {"spec", "expression", "engine", "warehouse"},
    "graph": {"spec", "expression", "models", "engine", "quality", "serving", "delivery", "warehouse"},
    "definitions": {"graph"},
    "wizard": {"spec", "expression", "models", "engine", "quality", "warehouse", "graph"},
    "console": {
        *("spec", "expression", "engine", "serving", "delivery", "warehouse", "graph", "definitions", "wizard"),
        "catalogs",  # the generator of starter packs
    },
    "site": {"spec", "expression", "engine", "warehouse", "graph", "console"},
    "commands": {"spec", "delivery", "graph", "wizard", "console", "site"},
    "cli": {"spec", "graph", "console", "commands"},
    "catalogs": {"warehouse"},  # a generator quotes names, too
}
# Where each library may be imported.
HOMES = {
    "dagster": {"graph", "definitions", "cli", "console"},
    "dagster_duckdb": {"graph", "definitions"},
    "great_expectations": {"quality"},
    "duckdb": {"engine", "warehouse", "quality", "delivery", "catalogs"},
    "ibis": {"expression", "engine", "quality", "delivery"},
    "sqlglot": {"expression"},
    "pyspark": {"engine"},
    "sqlite3": {"engine", "serving", "delivery"},
    "aiohttp": {"delivery"},
    "redis": {"delivery"},
    "fastapi": {"serving"},
    "starlette": {"serving"},
    "uvicorn": {"serving"},
    "orjson": {"serving"},
    "openpyxl": {"engine", "catalogs"},
    "matplotlib": {"graph", "site"},
    "scipy": {"engine", "models"},
    "splink": {"engine"},
    "sklearn": {"engine"},
    "jinja2": {"site"},
    "pydantic": {"spec", "graph", "console", "serving"},
    "pypinyin": {"spec"},
    "yaml": {"spec"},
    "rich": {"console", "cli"},
    "typer": {"cli", "commands"},
    "pandas": set(),
}
EXCEPTIONS = {
    ("graph/publishing.py", "duckdb"): "an error of the engine is a fault of the company's tables, told in its words",
    ("engine/spark_sql.py", "sqlglot"): "Ibis's compiler makes its trees, and some are put right there",
    ("graph/identity.py", "ibis"): "only the type of an expression is named",
    ("console/rows.py", "ibis"): "only the type of an expression is named",
}

DATA_SETS = (
    r"complete_?journey",
    r"\bmall\b",
    "household",
    "tmall",
    "jdata",
    "rees46",
    "superstore",
    "olist",
    "cdnow",
)
"""The shipped examples, and public data sets that catalogs were written for."""


def faults(module: Module) -> list[str]:
    found = []
    for name in sorted(set(module.imports())):
        top, _, rest = name.partition(".")
        if top == "valtag_assets":
            part = rest.partition(".")[0]
            allowed = not part or part == module.part or part in MAY_IMPORT[module.part]
        else:
            part, allowed = top, top not in HOMES or module.part in HOMES[top]
        if not allowed and (module.name, part) not in EXCEPTIONS:
            found.append(f"{module.name} imports {name}")
    return found


@pytest.mark.parametrize("part", sorted({module.part for module in PRODUCT} - {"__init__"}))
def test_a_part_imports_only_what_lies_below_it(part: str) -> None:
    modules = [module for module in PRODUCT if module.part == part]
    assert part in MAY_IMPORT, f"say in MAY_IMPORT what {part} may import"
    assert [fault for module in modules for fault in faults(module)] == []


def test_every_exception_is_still_needed() -> None:
    imported = {
        (module.name, top if top != "valtag_assets" else rest.partition(".")[0])
        for module in PRODUCT
        for top, _, rest in (name.partition(".") for name in module.imports())
    }
    assert set(EXCEPTIONS) <= imported


def test_the_parts_form_no_cycle() -> None:
    left = dict(MAY_IMPORT)
    while left:
        lowest = [part for part, below in left.items() if not below & set(left)]
        assert lowest, f"a cycle among {sorted(left)}"
        for part in lowest:
            del left[part]


# What reaches into Dagster, whose version is pinned, and why.
INSIDE_DAGSTER = {"graph/event_log.py": "no setting keeps the databases of its event log open"}


def test_dagster_is_imported_by_one_name_only() -> None:
    others = [
        (module.name, name)
        for module in PRODUCT
        if module.name not in INSIDE_DAGSTER
        for name in module.imports()
        if name.startswith("dagster.") or (name == "dagster" and "import dagster as dg\n" not in module.text)
    ]
    assert others == []


def test_modules_with_assets_keep_their_annotations() -> None:
    # Dagster reads the annotation of ``context``; as a text it would not be one.
    assert [module.name for module in PRODUCT if "from __future__ import annotations" in module.text] == []


def test_no_code_outside_the_catalogs_knows_a_data_set() -> None:
    known = re.compile("|".join(DATA_SETS), re.IGNORECASE)
    found = {
        module.name: count
        for module in PRODUCT
        if module.part != "catalogs" and (count := sum(bool(known.search(text)) for _, text in module.strings()))
    }
    # The default catalog and the text that says so; an example in a help text.
    assert found == {"graph/setting.py": 2, "cli.py": 1}


def test_packages_are_empty_and_named_after_what_they_hold() -> None:
    vague = {"utils", "helpers", "manager", "misc", "common"}
    assert [
        m.name for m in PRODUCT if m.path.name == "__init__.py" and m.text.strip() and m.name != "__init__.py"
    ] == []
    assert [m.name for m in PRODUCT if m.path.stem in vague or m.path.parent.name in vague] == []

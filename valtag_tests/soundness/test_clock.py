"""Nothing reads a clock but the one place that may: values depend on their as-of alone."""

import ast
import re

from valtag_tests.soundness.code import PACKAGE, PRODUCT, Module

CLOCK = "graph/setting.py"
"""Its ``wall_clock`` is the one clock."""
OF_DATES = ("now", "today", "utcnow")
OF_TIME = ("time", "time_ns", "localtime", "gmtime", "ctime")
NAMES = {*OF_DATES, *OF_TIME}
READS = re.compile(
    rf"(datetime|date|Timestamp|pendulum|ibis|dg)\.({'|'.join(OF_DATES)})$|^time\.({'|'.join(OF_TIME)})$"
)
IN_TEXT = re.compile(
    r"\bcurrent_(date|time|timestamp)\b|\blocaltime(stamp)?\b"
    r"|\b(now|today|get_current_timestamp|transaction_timestamp)\s*\(\s*\)",
    re.IGNORECASE,
)
TEXT_EXCEPTIONS = {
    ("expression/functions.py", "current_date"): "what to write instead of it",
}


def clocks(module: Module) -> list[str]:
    """The functions a module calls or hands on that read a clock, as they are written."""
    attributes = (node for node in ast.walk(module.tree) if isinstance(node, ast.Attribute) and node.attr in NAMES)
    return [name for name in map(ast.unparse, attributes) if READS.search(name)]


def test_the_one_clock_is_where_it_is_said_to_be() -> None:
    (clock,) = [module for module in PRODUCT if module.name == CLOCK]
    assert clocks(clock) == ["datetime.now"]
    (function,) = [n for n in ast.walk(clock.tree) if isinstance(n, ast.FunctionDef) and n.name == "wall_clock"]
    assert "datetime.now" in ast.unparse(function)


def test_no_other_module_reads_a_clock() -> None:
    others = [module for module in PRODUCT if module.name != CLOCK]
    assert [(module.name, name) for module in others for name in clocks(module)] == []
    # ``from time import time`` would hide the call.
    hidden = {"time.time", "time.time_ns", "time.localtime", "time.gmtime"}
    assert [module.name for module in PRODUCT if hidden & set(module.imports())] == []


def test_no_text_asks_a_database_for_the_time() -> None:
    found = {(module.name, text) for module in PRODUCT for _, text in module.strings() if IN_TEXT.search(text)}
    assert found == set(TEXT_EXCEPTIONS)
    files = [path for path in (PACKAGE / "catalogs").rglob("*") if path.suffix in (".sql", ".yaml")]
    assert len(files) > 40
    assert [path.name for path in files if IN_TEXT.search(path.read_text(encoding="utf-8"))] == []


def test_the_search_finds_what_it_looks_for() -> None:
    for text in ("select current_date", "SELECT now()", "x < CURRENT_TIMESTAMP", "today()"):
        assert IN_TEXT.search(text), text
    for text in ("datetime.now", "date.today", "time.time", "pd.Timestamp.now", "datetime.datetime.utcnow"):
        assert READS.search(text), text
    for text in ("time.monotonic", "self.today", "event.at.time", "setting.clock"):
        assert not READS.search(text), text

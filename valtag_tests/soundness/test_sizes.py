"""Files and functions small enough to be read."""

import ast

from valtag_tests.soundness.code import PACKAGE, PRODUCT, TESTS, Module, modules_in

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
LONGEST_TEST_FILE = 420
"""A list of cases is read as a table; still, a file of tests is one topic."""


def test_files_and_functions_of_the_product_are_short() -> None:
    assert long_files(PRODUCT, LONGEST_FILE) == {}
    assert long_functions(PRODUCT) == {}


def test_files_and_functions_of_the_tests_are_short() -> None:
    modules = modules_in(TESTS)
    assert long_files(modules, LONGEST_TEST_FILE) == {}
    assert long_functions(modules) == {}


def test_files_of_catalogs_are_short() -> None:
    files = [path for path in (PACKAGE / "catalogs").rglob("*") if path.suffix in (".sql", ".yaml")]
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def long_files(modules: list[Module], longest: int) -> dict[str, int]:
    lengths = {module.name: len(module.text.splitlines()) for module in modules}
    return {name: lines for name, lines in lengths.items() if lines > longest}


def long_functions(modules: list[Module]) -> dict[str, int]:
    found = {}
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    found[f"{module.name}: {node.name}"] = lines
    return found

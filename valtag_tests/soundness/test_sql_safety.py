"""No name and no value of a company's becomes SQL text but through ``quote``; values are bound, but for comments,
which take no parameters: ``literal`` quotes them.

Every f-string, ``%``, ``+`` and ``format`` that reads like SQL is looked at. What it puts in must be a call of
``quote``, a constant of the module, or stand in ``PIECES`` with the reason why it is safe.
"""

import ast
import re
from typing import Any, TypeGuard

import duckdb
import pytest

from valtag_assets.warehouse.quoting import literal
from valtag_tests.soundness.code import PRODUCT, Module

LIKE_SQL = re.compile(
    r"^\s*\(?(select|create|drop|copy|set|insert|with|update|delete|attach|install|load|pragma|alter|describe)\b"
    r"|^comment on\b"
    r"|\bselect\b.*\bfrom\b|\bfrom\b.*\bwhere\b|\bcast\(|\bas varchar\b|\bread_(csv|json|parquet)\b"
    r"|\bover \(|\blist_(transform|sort)\(|\bcase when\b",
    re.IGNORECASE | re.DOTALL,
)
# Pieces of SQL that the module made itself, of quoted names, fixed words and bound parameters.
PIECES = {
    "catalogs/mall/generate.py": {
        "query": "_copy: written in this module",
        "form": "_copy: a constant of this module",
    },
    "delivery/database.py": {
        "every": "_listed: quoted names",
        "key": "_listed: quoted names",
        "_listed(shape.key)": "quoted names",
        "_listed(rows.column_names)": "quoted names",
        "news": "quoted names",
        "then": "UPDATE SET of quoted names, or NOTHING",
        "source": "the quoted name of a constant",
        "rows": "written in this function",
        "table": "quoted by TableReceiver, part by part",
        "columns": "quoted names with types",
        "kind": "a type name of this module, or decimal(p,s) of whole numbers",
        "marks": "question marks",
    },
    "delivery/statements.py": {
        "where": "_where: conditions of this module; values are bound, or literals",
        "columns": "a constant of this module",
    },
    "engine/duckdb.py": {
        "sql": "compiled by Ibis, or DuckDB's own text of a relation",
        "packed": "_copy: constants of this function",
    },
    "engine/erasure/duckdb_file.py": {
        "how": "(READ_ONLY), or nothing",
        "name": "a name of this module",
        "table": "tables_of: quoted names",
        "theirs": "the quoted name of a constant; persons are rows of a table",
    },
    "engine/erasure/scan.py": {
        "gone": "conditions: quoted names and functions; marks are variables",
        "named": "conditions: quoted names and functions; marks are variables",
        "table": "a name of this module, or quoted by tables_of",
    },
    "engine/erasure/sqlite.py": {
        "column": "_cells: a quoted name",
        "table": "_cells: a quoted name",
        "test": "_cells: the name of a function of this module",
    },
    "engine/reading/database.py": {
        "found.address": "schema and table, quoted by Found",
        "', '.join([*texts, '1'])": "quoted names, built above",
        "''.join((quote(name) + ', ' for name in columns))": "quoted",
        "'order by ' + order if order else ''": "quoted names, built above",
        "select": "columns c0, c1, …",
        "scanned.source": "a name the module made",
    },
    "engine/reading/delimited.py": {
        "selected([f'c{i}' for i in at], columns)": "quotes both names",
        "source": "written in this module; paths are bound",
        "line_end": "a parameter, or nothing",
    },
    "engine/reading/parquet.py": {
        "outer": "_outer: quoted names",
        "select": "quoted names",
        "value": "a quoted name and what is around it",
        "kind": "a type name that DuckDB itself gave",
        "nulls": "type names that DuckDB itself gave",
        "number": "a whole number in the name of a parameter",
    },
    "engine/reading/postgres.py": {
        "found.address": "schema and table, quoted by Found",
        "setting": "three settings written in this module",
        "listed": "quoted names, built above",
    },
    "engine/reading/tables.py": {"query": "copy_to: SQL of the readers; paths are bound"},
    "quality/audit.py": {"queries.STAGED": "a constant"},
    "quality/queries.py": {
        "source": "a constant, or Great Expectations' own placeholder",
        "described": "a constant of this module or nothing",
        "names": "quoted names",
        "sql": "compiled by Ibis",
    },
    "warehouse/comparison.py": {
        "ones": "quoted names",
        "others": "quoted names",
        "both": "written in this function",
        "sums": "quoted names",
        "one": "a quoted name",
        "other": "a quoted name",
    },
    "warehouse/in_memory.py": {"name": "session_1, session_2, …", "how": "(READ_ONLY), or nothing"},
    "warehouse/content_hash.py": {
        "pieces": "quoted names, built below",
        "value": "a quoted name and what is around it",
        "item": "a variable called x1, x2, …",
        "pair": "as item",
        "inner": "as value",
        "entries": "as value",
        "', '.join(fields)": "as value",
        "_nested(value, dtype, depth)": "as value",
    },
    "warehouse/rewriting.py": {
        "MASK": "a constant",
        "name": "a variable: a word and a number",
        "' OR '.join(tests) or 'false'": "functions of value; marks are variables",
        "without": "functions of value; marks are variables",
        "columns": "_masked: quoted names and functions",
        "gone": "conditions: quoted names and functions; marks are variables",
        "named": "conditions: quoted names and functions; marks are variables",
        "value": "a quoted name, or item",
    },
    "warehouse/views.py": {
        "view": "two quoted names",
        "_HERE": "a constant",
        "relation(con, item.snapshot).sql_query()": "DuckDB's own text of a relation",
    },
}
NO_SQL = {
    ("console/tagsql.py", "from "): "a sentence for people",
    ("expression/rules.py", "from "): "a sentence for people",
}


def text_of(node: ast.JoinedStr) -> str:
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)


def constants(module: Module) -> set[str]:
    """Names in capitals to which the module gives a text, once."""
    given: dict[str, int] = {}
    for node in module.tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id.isupper():
                    given[target.id] = given.get(target.id, 0) + 1
    return {name for name, times in given.items() if times == 1}


def interpolated(module: Module) -> list[tuple[int, str, str]]:
    """(line, text, expression) of every value put into a text that reads like SQL."""
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.JoinedStr) and LIKE_SQL.search(text_of(node)):
            found += [
                (node.lineno, text_of(node), ast.unparse(part.value))
                for part in node.values
                if isinstance(part, ast.FormattedValue)
            ]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
            if is_sql(node.left):
                found.append((node.lineno, ast.unparse(node.left), ast.unparse(node.right)))
        elif is_call_of_format(node):
            found.append((node.lineno, ast.unparse(node.func.value), ast.unparse(node)))
    return found


def is_call_of_format(node: ast.AST) -> TypeGuard[Any]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("format", "format_map", "replace")
        and is_sql(node.func.value)
    )


def is_sql(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(LIKE_SQL.search(node.value))


def unsafe(module: Module) -> list[tuple[str, int, str]]:
    pieces = PIECES.get(module.name, {})
    safe = constants(module)
    return [
        (module.name, line, expression)
        for line, text, expression in interpolated(module)
        if not re.fullmatch(r"(quote|literal)\([\w.]+\)", expression)
        and expression not in safe
        and expression not in pieces
        and (module.name, text.partition("\0")[0]) not in NO_SQL
    ]


def test_only_quoted_names_are_put_into_sql() -> None:
    assert [fault for module in PRODUCT for fault in unsafe(module)] == []


def test_every_exception_is_still_needed() -> None:
    used = {(module.name, expression) for module in PRODUCT for _, _, expression in interpolated(module)}
    listed = {(name, expression) for name, pieces in PIECES.items() for expression in pieces}
    assert listed <= used


@pytest.mark.parametrize(
    "code",
    [
        'con.execute(f"SELECT * FROM {table}")',
        'con.execute("DROP VIEW IF EXISTS %s" % name)',
        'con.execute("SELECT 1 FROM " + table)',
        'con.sql("CREATE SCHEMA {}".format(stage))',
        'query = f"select {value} from t"',
        'connection.execute(f"""\n  COPY ({rows}) TO \'{path}\'""")',
    ],
)
def test_a_name_put_into_sql_is_found(code: str) -> None:
    module = Module(PRODUCT[0].path, "made/up.py")
    module.__dict__["text"] = code
    assert unsafe(module) != []


def test_a_quoted_name_is_let_through() -> None:
    module = Module(PRODUCT[0].path, "made/up.py")
    module.__dict__["text"] = 'con.execute(f"DROP VIEW IF EXISTS {quote(table.name)}")'
    assert len(interpolated(module)) == 1
    assert unsafe(module) == []


def test_there_is_one_function_that_quotes() -> None:
    quoting = [
        module.name
        for module in PRODUCT
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and node.value == '""'
    ]
    assert quoting == ["warehouse/quoting.py"]


def test_a_literal_cannot_end_before_its_end() -> None:
    said = "x'; DROP VIEW a; --\\' \0 上海\n''"
    with duckdb.connect() as con:
        con.execute("CREATE VIEW a AS SELECT 1 AS b")
        con.execute(f"COMMENT ON VIEW a IS {literal(said)}")
        assert con.sql("SELECT comment FROM duckdb_views() WHERE NOT internal").fetchall() == [
            (said.replace("\0", ""),)
        ]

"""Tokens are made of texts, and opened, on Spark as they are embedded: one key, one token."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.session import unbound
from valtag_assets.engine.spark import SparkEngine
from valtag_assets.engine.vault import KEY, VAULT, token, values_of
from valtag_assets.warehouse.tokens import KEY_VARIABLE, Tokens

TEXTS = ("13800000001", "", "姓名 'x'", "aé\n")


def test_tokens_are_made_and_opened_alike(duck: DuckDBEngine, spark: SparkEngine, tmp_path: Path) -> None:
    tokens = Tokens(tmp_path, {KEY_VARIABLE: "the same key everywhere"})
    lists = [[tokens.of(TEXTS[0]), "no token", tokens.of(TEXTS[1])], [], None, [tokens.of("unknown")], [None]]
    vault = {"file": [None] * len(TEXTS), "token": [tokens.of(text) for text in TEXTS], "value": list(TEXTS)}
    tables = {
        "texts": pa.table({"n": range(5), "text": pa.array([*TEXTS, None])}),
        "lists": pa.table({"n": range(5), "list": pa.array(lists, pa.list_(pa.string()))}),
        VAULT: pa.table({name: pa.array(column, pa.string()) for name, column in vault.items()}),
    }
    inputs = {name: [tmp_path / f"{name}.parquet"] for name in tables} | {KEY: [tokens.table(tmp_path)]}
    for name, table in tables.items():
        pq.write_table(table, inputs[name][0])
    texts = unbound("texts", {"n": "int64", "text": "string"})
    sealed = texts.select("n", sealed=token(texts["text"]))
    asked = [
        sealed.order_by("n"),
        values_of(sealed, ["sealed"]).order_by("n"),
        values_of(unbound("lists", {"n": "int64", "list": "array<string>"}), ["list"], "n").order_by("n"),
    ]
    made, opened, opened_lists = (duck.fetch(table, inputs).to_pylist() for table in asked)
    assert [row["sealed"] for row in made] == [*vault["token"], None]
    assert [row["sealed"] for row in opened] == [*TEXTS, None]
    assert [row["list"] for row in opened_lists][:4] == [[TEXTS[0], "no token", ""], [], None, ["***"]]
    assert [spark.fetch(table, inputs).to_pylist() for table in asked] == [made, opened, opened_lists]

"""project.yaml: engine. What computes the tables."""

import re
from typing import Any, Literal, get_args

from pydantic import field_validator, model_validator

from valtag_assets.spec.block import Block

_MASTER = re.compile(r"local(\[(\*|\d+)\])?|(spark|sc)://\S+|yarn|k8s://\S+")
_STAGES = "clean|keyed|identity|tags|scores|segments|reports|allocations|triggers|effects|insight"
_TABLE = re.compile(rf"({_STAGES})/(\*|[a-z][a-z0-9_]*)")

Engine = Literal["duckdb", "spark"]


class Engines(Block):
    """What computes the tables. Written as one word (``engine: spark``) it is ``default``.

    ``tables`` name the engine of some tables, by key (``clean/orders``) or stage (``clean/*``); snapshots are
    the same files whoever writes them. ``master`` is where Spark runs: ``local[*]``, ``spark://host:7077``, or
    Spark Connect, ``sc://host:15002``. ``settings`` are Spark's own (``spark.executor.memory``).
    """

    default: Engine = "duckdb"
    tables: dict[str, Engine] = {}
    master: str = "local[*]"
    settings: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _one_word(cls, data: Any) -> Any:
        return {"default": data} if isinstance(data, str) else data

    @field_validator("master")
    @classmethod
    def _master(cls, master: str) -> str:
        return check_master(master)

    @field_validator("tables")
    @classmethod
    def _tables(cls, tables: dict[str, Engine]) -> dict[str, Engine]:
        for table in tables:
            if not _TABLE.fullmatch(table):
                raise ValueError(f"'{table}' is no table; write one as clean/orders, or a whole stage as clean/*")
        return tables

    @field_validator("settings", mode="before")
    @classmethod
    def _texts(cls, settings: Any) -> Any:
        if not isinstance(settings, dict):
            return settings
        # YAML's true is Spark's "true".
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in settings.items()
        }

    @property
    def used(self) -> frozenset[Engine]:
        """The engines some table is computed on."""
        return frozenset({self.default, *self.tables.values()})

    def of(self, table: str) -> Engine:
        """The engine that computes ``table``: by its own key, else its stage, else the default."""
        stage = f"{table.partition('/')[0]}/*"
        return self.tables.get(table, self.tables.get(stage, self.default))

    def instead(self, word: str | None) -> "Engines":
        """With ``word`` for all tables: an engine, or where Spark runs; None leaves it. ValueError: it is neither."""
        if not word:
            return self
        if word in get_args(Engine):
            return self.model_copy(update={"default": word, "tables": {}})
        return self.model_copy(update={"default": "spark", "tables": {}, "master": check_master(word)})


def check_master(master: str) -> str:
    """Where Spark runs, as Spark writes it."""
    if not _MASTER.fullmatch(master):
        raise ValueError(
            f"'{master}' is no place for Spark; write local[*], local[4], spark://host:7077 or sc://host:15002"
        )
    return master

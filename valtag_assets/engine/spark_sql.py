"""Ibis's compiler for Spark SQL, corrected where what it writes would give other cells than on DuckDB."""

import ibis
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from ibis.config import Config


class _Options(Config):
    """What Ibis's compiler asks; Ibis sets it up only where its own connection layer is installed."""

    treat_nan_as_null: bool = False


class SparkCompiler(PySparkCompiler):
    """Each method says what Ibis writes by itself, and how that differs."""

    __slots__ = ()

    def to_sqlglot(self, *arguments, **settings):
        ibis.options.pyspark = _Options()
        return super().to_sqlglot(*arguments, **settings)

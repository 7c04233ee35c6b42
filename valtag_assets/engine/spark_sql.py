"""Ibis's compiler for Spark SQL, corrected where what it writes would give other cells than on DuckDB."""

import re
from typing import Any, ClassVar

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import NULL
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from ibis.backends.sql.dialects import PySpark
from ibis.config import Config

# Characters whose upper case Java takes to be several (ß is SS, ﬁ is FI), and those of them that have one.
_UPPER_IS_LONG = "[ßŉǰΐΰևẖ-ẚὐὒὔὖᾀ-ᾯᾲ-ᾴᾶᾷᾼῂ-ῄῆῇῌ\u1fd2\u1fd3ῖῗῢ-ῤῦῧῲ-ῴῶῷῼﬀ-ﬆﬓ-ﬗ]"
_UPPER_OF_ITS_OWN = ("ßᾀᾁᾂᾃᾄᾅᾆᾇᾐᾑᾒᾓᾔᾕᾖᾗᾠᾡᾢᾣᾤᾥᾦᾧᾳῃῳ", "ẞᾈᾉᾊᾋᾌᾍᾎᾏᾘᾙᾚᾛᾜᾝᾞᾟᾨᾩᾪᾫᾬᾭᾮᾯᾼῌῼ")
# Lower cases that Java writes with two characters, or by the place in the word.
_LOWER_OF_ITS_OWN = ("İΣ", "iσ")
_GROUP = re.compile(r"\\(\d)|([$\\])")


class _Options(Config):
    """What Ibis's compiler asks; Ibis sets it up only where its own connection layer is installed."""

    treat_nan_as_null: bool = False


class SparkText(PySpark):
    """Spark's text literals: of a backslash and a letter that it does not know, the letter stays."""

    UNESCAPED_SEQUENCES: ClassVar[dict[str, str]] = {"\\a": "a", "\\f": "f", "\\v": "v"}


class SparkCompiler(PySparkCompiler):
    """Each method says what Ibis writes by itself, and how that differs."""

    __slots__ = ()

    dialect = SparkText

    def to_sqlglot(self, *arguments: Any, **settings: Any) -> Any:
        ibis.options.pyspark = _Options()
        return super().to_sqlglot(*arguments, **settings)

    def visit_CountStar(self, op: ops.CountStar, *, arg: Any, where: Any) -> Any:
        # A sum, which of no rows is null and not 0.
        return super().visit_CountStar(op, arg=arg, where=None) if where is None else self.f.count_if(where)

    def visit_BitOr(self, op: ops.BitOr, *, arg: Any, where: Any) -> Any:
        # Nothing: Ibis does not know that Spark has it.
        return self.agg.bit_or(arg, where=where)

    def visit_Hash(self, op: ops.Hash, *, arg: Any) -> Any:
        # 32 bits, which many texts share; these are 64, if other ones than DuckDB's.
        return self.f.anon.xxhash64(arg)

    def visit_RegexReplace(self, op: ops.RegexReplace, *, arg: Any, pattern: Any, replacement: Any) -> Any:
        # The replacement as it is, but Java writes a group as $1.
        assert isinstance(op.replacement, ops.Literal)
        java = _GROUP.sub(lambda found: f"${found[1]}" if found[1] else f"\\{found[2]}", op.replacement.value)
        return self.f.regexp_replace(arg, pattern, sge.convert(java))

    def visit_Lowercase(self, op: ops.Lowercase, *, arg: Any) -> Any:
        # Java's, by the rules of whole words; here each character has a lower case of its own.
        return self.f.lower(self.f.translate(arg, *_LOWER_OF_ITS_OWN))

    def visit_Uppercase(self, op: ops.Uppercase, *, arg: Any) -> Any:
        # Java's, in which a text may become longer; here each character stays one.
        one = sge.to_identifier("one")
        own = self.if_(
            self.f.anon.rlike(one, _UPPER_IS_LONG), self.f.translate(one, *_UPPER_OF_ITS_OWN), self.f.upper(one)
        )
        each = self.f.anon.transform(
            self.f.anon.regexp_extract_all(arg, "(?s).", 0), sge.Lambda(this=own, expressions=[one])
        )
        return self.if_(self.f.anon.rlike(arg, _UPPER_IS_LONG), self.f.array_join(each, ""), self.f.upper(arg))

    def visit_Cast(self, op: ops.Cast, *, arg: Any, to: dt.DataType) -> Any:
        # As Java writes a number (1.0E-5, and now and then a digit too many) or an instant (without its zone).
        source = op.arg.dtype
        if to.is_string() and source.is_floating():
            return self._written_float(arg)
        if to.is_string() and source.is_timestamp() and source.timezone is not None:
            return self.f.concat(self.cast(arg, to), "+00")
        return super().visit_Cast(op, arg=arg, to=to)

    def _written_float(self, number: Any) -> Any:
        """The fewest digits that mean the number: 0.00025, 1e-05, 1.5e+16; a whole one has .0."""
        digits = [self.f.format_string(f"%.{count}e", number) for count in (14, 15, 16)]
        fitting = [(self.cast(text, dt.float64).eq(number), text) for text in digits[:2]]
        written = self._cases(fitting, digits[2])
        exponent = self.cast(self.f.anon.substring_index(written, "e", -1), dt.int32)
        plain = self.cast(self.cast(written, dt.Decimal(38, 20)), dt.string)
        special = [
            (self.f.isnan(number), sge.convert("nan")),
            (number.eq(self.POS_INF), sge.convert("inf")),
            (number.eq(self.NEG_INF), sge.convert("-inf")),
            (number.eq(sge.convert(0)), self.cast(number, dt.string)),
            (exponent.between(-4, 15), self.f.regexp_replace(plain, r"(\.\d+?)0*\z", "$1")),
        ]
        short = self.f.regexp_replace(written, r"\.?0*e", "e")
        return self.if_(number.is_(NULL), NULL, self._cases(special, short))

    def _cases(self, branches: list[tuple[Any, Any]], otherwise: Any) -> Any:
        return sge.Case(ifs=[self.if_(condition, value) for condition, value in branches], default=otherwise)

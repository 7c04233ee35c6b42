"""Numbers and booleans: from text by a stated grammar, from typed columns without loss.

Text that is a number: an optional sign, digits with an optional fraction after a point, an optional currency
sign (￥ ¥ $ € £) before or after, thousands separated by commas or spaces in groups of three. Decimals and
floats may have an exponent; a whole number may not (``1.23E+11`` is what a spreadsheet leaves of an id) but
may end in ``.0``. Everything else is refused: ``1,5`` (a decimal comma or a slip?), ``(12.50)``, ``12%``,
``nan``, ``1_000``. More decimals than the type has are rounded half away from zero.
"""

import sys
from collections.abc import Iterable
from contextlib import suppress
from decimal import Context, Decimal, InvalidOperation

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
from ibis.expr.types import BooleanValue, NumericValue, StringValue, Value

from valtag_assets.engine.cleaning.text import whole
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.spec.types import DataType

TRUE = ("true", "t", "yes", "y", "1", "是")
FALSE = ("false", "f", "no", "n", "0", "否")

NARROW, WIDEST = 18, 38  # digits of decimals in 64 and 128 bits

_WIDE = Context(prec=400)
_PLAIN_WHOLE = r"^-?\d+\z"
_PLAIN = r"^-?\d+(?:\.\d+)?\z"
_CURRENCY = "[￥¥$€£]"
_SIGN = "[-+−]"
_BEFORE = rf"^(?:{_SIGN}? ?{_CURRENCY}?|{_CURRENCY} ?{_SIGN}?) ?"
_AFTER = rf" ?{_CURRENCY}?\z"
_GROUPED = r"[1-9]\d{0,2}(?:(?:[,，]\d{3})+|(?:[ \x{a0}\x{202f}]\d{3})+)"
_AMOUNT = rf"{_BEFORE}(?:(?:{_GROUPED}|\d+)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{{1,3}})?{_AFTER}"
_WHOLE = rf"{_BEFORE}(?:{_GROUPED}|\d+)(?:\.0*)?{_AFTER}"


def parse_number(text: StringValue, data_type: DataType) -> NumericValue:
    """The number a text says, as ``data_type``; null when it says none or it does not fit."""
    integer = data_type.kind == "integer"
    plain, amount = (_PLAIN_WHOLE, _WHOLE) if integer else (_PLAIN, _AMOUNT)
    bare = text.re_replace("−", "-").re_replace(r"[^0-9eE.+-]", "")
    if integer:
        bare = bare.re_replace(r"\.0*\z", "")
    target = to_ibis_type(data_type)
    return ibis.cases(
        (text.re_search(plain), _cast_text(text, target)),
        (text.re_search(amount), _cast_amount(bare, target)),
        else_=ibis.null(target),
    )


def _cast_text(text: StringValue, target: dt.DataType) -> NumericValue:
    """The number a text says; null when it does not fit. Decimals that fit 64 bits are read as such: 100× faster."""
    if not target.is_decimal() or target.precision <= NARROW or target.scale >= NARROW:
        return text.try_cast(target)
    narrow = text.try_cast(dt.Decimal(NARROW, target.scale))
    return ibis.coalesce(narrow.cast(target), text.try_cast(target))


def _cast_amount(text: StringValue, target: dt.DataType) -> NumericValue:
    """As ``_cast_text``, of a text that may have an exponent."""
    if not target.is_decimal():
        return _cast_text(text, target)
    # Into fewer digits DuckDB reads an exponent without asking whether there is room: 1.36e3 as decimal(4,1).
    roomy = dt.Decimal(max(target.precision, NARROW), target.scale)
    number = ops.TryCast(_cast_text(text, roomy), target).to_expr()
    # DuckDB rounds away from zero what lies wholly below the last decimal: 9e-10 would be 0.01.
    nothing = text.re_search("[eE]-") & (text.try_cast("float64").abs() < float(Decimal("0.5").scaleb(-target.scale)))
    return nothing.ifelse(number_literal(Decimal(0), target), number)


def rescaled(number: NumericValue, scale: int, target: dt.DataType) -> NumericValue:
    """``number``, a decimal of this scale in the engine, rounded to ``target``; null when it does not fit.

    Decimals of 128 bits divide slowly, so those that fit 64 bits are brought there first.
    """

    def fitted(exact: Value, digits: int) -> NumericValue:
        # Casts by hand, since Ibis drops one to the type that it (but not the engine) thinks a product has.
        if target.is_integer():
            exact = ops.TryCast(exact, dt.Decimal(digits, 0)).to_expr()
        return ops.TryCast(exact, target).to_expr()

    if scale >= NARROW:
        return fitted(number, WIDEST)
    narrow = ops.TryCast(number, dt.Decimal(NARROW, scale)).to_expr()
    return ibis.coalesce(fitted(narrow, NARROW), fitted(number, WIDEST))


def parse_boolean(text: StringValue) -> BooleanValue:
    lower = text.lower()
    return ibis.cases(
        (lower.isin(TRUE), ibis.literal(True)),
        (lower.isin(FALSE), ibis.literal(False)),
        else_=ibis.null("boolean"),
    )


def convert_number(number: NumericValue, data_type: DataType) -> NumericValue:
    """A typed number as ``data_type``; null when it does not fit, or is no whole number but has to be.

    Floats become decimals through their text, so that 1.005 rounds as people read it.
    """
    source, target = number.type(), to_ibis_type(data_type)
    if data_type.kind == "float":
        return number.cast(target)
    if source.is_floating():
        if data_type.kind == "integer":
            return whole(number).ifelse(number.try_cast(target), ibis.null(target))
        return parse_number(number.cast("string"), data_type)
    if source.is_decimal() and data_type.kind == "integer":
        rounded = number.try_cast(dt.Decimal(source.precision, 0))
        return (rounded == number).ifelse(rounded.try_cast(target), ibis.null(target))
    return number if source == target else number.try_cast(target)


def without_missing_numbers(number: NumericValue, spellings: Iterable[str]) -> NumericValue:
    """Null where a typed number is NaN or equals a missing spelling that is a number (as -1)."""
    floating = number.type().is_floating()
    is_missing = [number.isnan()] if floating else []
    for value in _numbers_among(spellings):
        with suppress(ValueError):  # more decimals than the column has: it equals none of its values
            is_missing.append(number == number_literal(value, number.type()))
    if not is_missing:
        return number
    return ibis.or_(*is_missing).ifelse(ibis.null(number.type()), number)


def _numbers_among(spellings: Iterable[str]) -> list[Decimal]:
    found = []
    for spelling in spellings:
        try:
            value = Decimal(spelling)
        except InvalidOperation:
            continue
        if value.is_finite():
            found.append(value)
    return found


def finite(number: NumericValue) -> NumericValue:
    """A float, null where it is infinite (``1e999``)."""
    # Compared, since Ibis's isinf finds nothing on Spark.
    return (number.abs() <= sys.float_info.max).ifelse(number, ibis.null("float64"))


def number_literal(value: Decimal, like: dt.DataType) -> Value:
    """``value`` as a literal that compares with a column of type ``like``, which has all its decimals.

    Ibis alone would cut a Decimal to three places, and compares decimals of one scale only.
    """
    if like.is_floating():
        return ibis.literal(float(value))
    scale = like.scale if like.is_decimal() else 0
    exact = value.quantize(Decimal(1).scaleb(-scale), context=_WIDE)
    if exact != value:
        raise ValueError(f"{value} has more decimals than {like}")
    if abs(exact) >= 2**63 and not like.is_decimal():
        raise ValueError(f"{value} is no 64-bit integer")
    if not like.is_decimal():
        return ibis.literal(int(exact))
    return ibis.literal(exact, type=dt.Decimal(max(like.precision, len(exact.as_tuple().digits), 1), scale))

"""How a field's value becomes a key: two spellings of one identifier are one key."""

import ibis
import ibis.expr.types as ir

from valtag_assets.spec.identity import IdentifierKind, Normalise

# Mobile numbers of mainland China, written with or without the country's code; numbers of other countries by E.164.
_MOBILE = r"^(0086|86)?1[3-9][0-9]{9}\z"
_PLAIN = r"^1[3-9][0-9]{9}\z"
_ABROAD = r"^[1-9][0-9]{6,14}\z"
_NOT_DIALLED = r"[^0-9+()\-. /]"
_EMAIL = r"^[^@ ]+@[^@ ]+[.][^@ ]+\z"
_MOBILE_DIGITS = 11


def normalised(value: ir.Value, how: Normalise) -> ir.StringValue:
    """The key a value stands for; null where it stands for none (spec.identity: normalise)."""
    text = _stripped(value.cast("string"))
    if how == "phone":
        return _phone(text)
    if how == "email":
        return text.re_search(_EMAIL).ifelse(text.lower(), ibis.null("string"))
    return {"upper": text.upper, "lower": text.lower}[how]() if how in ("upper", "lower") else text


def usable(value: ir.Value, kind: IdentifierKind) -> ir.StringValue:
    """The key a value stands for; null also where it is blocked."""
    key = normalised(value, kind.normalise)
    if not kind.block:
        return key
    blocked = [normalised(ibis.literal(text), kind.normalise) for text in kind.block]
    return ibis.or_(*((key == one).fill_null(False) for one in blocked)).ifelse(ibis.null("string"), key)


def _stripped(text: ir.StringValue) -> ir.StringValue:
    """The text without blanks around it, null for nothing else. Most have none, and to look is cheaper by far: blanks
    come before all that is printed."""
    bare = (text >= "!") & (text.right(1) >= "!")
    return bare.ifelse(text, text.strip().nullif(""))


def _phone(text: ir.StringValue) -> ir.StringValue:
    digits = text.re_replace(r"[^0-9]", "")
    dialled = ~text.re_search(_NOT_DIALLED)
    international = text.startswith("+").ifelse(digits, digits.startswith("00").ifelse(digits.substr(2), ""))
    abroad = international.re_search(_ABROAD) & ~international.startswith("86")
    return ibis.cases(
        # Nearly all are written so, and need no more than this look.
        (text.re_search(_PLAIN), text),
        (dialled & abroad, ibis.literal("+") + international),
        (dialled & digits.re_search(_MOBILE), digits.right(_MOBILE_DIGITS)),
        else_=ibis.null("string"),
    )

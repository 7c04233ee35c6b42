"""From the text as people type it to plain ASCII-quoted text and tokens.

Literals are taken out first and replaced by their number, so what stands inside them can neither be changed
by the clean-up nor be read as syntax. Outside of them the text is NFKC-normalised (full-width ＞＝（），),
zero-width characters are dropped, and ≥ ≤ ≠ are spelt out. Every character keeps the place it came from.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from sqlglot import expressions as sge
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import TokenError
from sqlglot.parser import Parser as SqlglotParser
from sqlglot.tokens import Token, TokenType
from sqlglot.tokens import Tokenizer as SqlglotTokenizer

from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.scope import Scope

# sqlglot needs about 20 Python frames for a level; 30 levels leave a third of Python's stack to the caller.
MAX_NESTING = 30
# A list of a few thousand values is read in a second; what is longer belongs into a table.
MAX_LENGTH = 50_000

_STRAIGHT = "'\""
_CLOSERS = {
    "'": "'",
    '"': '"',
    "“": "”“＂",
    "”": "”“＂",
    "„": "”“",
    "＂": "＂”“",
    "‘": "’‘＇",
    "’": "’‘＇",
    "＇": "＇’‘",
    "「": "」",
    "『": "』",
}
_SPELT_OUT = {"≥": ">=", "≦": "<=", "≤": "<=", "≧": ">=", "≠": "!="}
_COMMENTS = ("--", "/*", "*/")
# Characters that stand for themselves: printable ASCII without quotes of any kind.
_PLAIN_RUN = re.compile("[^\\x00-\\x1f\"'`\\x7f-\U0010ffff]+")

KEYWORDS = {
    "AND": TokenType.AND,
    "OR": TokenType.OR,
    "NOT": TokenType.NOT,
    "BETWEEN": TokenType.BETWEEN,
    "IN": TokenType.IN,
    "IS": TokenType.IS,
    "NULL": TokenType.NULL,
    "LIKE": TokenType.LIKE,
    "CASE": TokenType.CASE,
    "WHEN": TokenType.WHEN,
    "THEN": TokenType.THEN,
    "ELSE": TokenType.ELSE,
    "END": TokenType.END,
    "TRUE": TokenType.TRUE,
    "FALSE": TokenType.FALSE,
    "==": TokenType.EQ,
    "!=": TokenType.NEQ,
    "<>": TokenType.NEQ,
    ">=": TokenType.GTE,
    "<=": TokenType.LTE,
    "//": TokenType.DIV,
    "&&": TokenType.DAMP,
    "||": TokenType.DPIPE,
    "::": TokenType.DCOLON,
}


class ExpressionDialect(Dialect):
    """sqlglot reduced to operators, CASE and anonymous function calls; every other word is a name."""

    class Tokenizer(SqlglotTokenizer):
        QUOTES = ["'"]  # noqa: RUF012 (sqlglot declares it so)
        COMMENTS = []  # noqa: RUF012
        KEYWORDS = KEYWORDS

    class Parser(SqlglotParser):
        FUNCTIONS = {}  # noqa: RUF012
        FUNCTION_PARSERS = {}  # noqa: RUF012
        NO_PAREN_FUNCTIONS = {}  # noqa: RUF012
        NO_PAREN_FUNCTION_PARSERS = {"CASE": lambda self: self._parse_case()}  # noqa: RUF012
        # sqlglot reads % as weakly as +; here it binds like * and /.
        TERM = {TokenType.DASH: sge.Sub, TokenType.PLUS: sge.Add}  # noqa: RUF012
        FACTOR = {  # noqa: RUF012
            TokenType.STAR: sge.Mul,
            TokenType.SLASH: sge.Div,
            TokenType.DIV: sge.IntDiv,
            TokenType.MOD: sge.Mod,
        }


@cache
def dialect() -> ExpressionDialect:
    """The one dialect of all expressions; tokenizers and parsers of it are made for each text."""
    return ExpressionDialect()


_ALLOWED = frozenset(
    {
        *ExpressionDialect.Tokenizer.KEYWORDS.values(),
        *(TokenType.L_PAREN, TokenType.R_PAREN, TokenType.COMMA, TokenType.DASH, TokenType.PLUS),
        *(TokenType.STAR, TokenType.SLASH, TokenType.MOD, TokenType.GT, TokenType.LT),
        *(TokenType.VAR, TokenType.NUMBER, TokenType.STRING),
    }
    - {TokenType.DAMP, TokenType.DPIPE, TokenType.DCOLON}
)

_REFUSED_TOKENS = {
    "&&": "&& is not used here: write and",
    "||": "|| is not used here: write or; to join texts write concat(a, b)",
    "!": "! is not used here: write not",
    "&": "& is not used here: write and",
    "|": "| is not used here: write or",
    "::": "there are no casts; use round, floor, ceil or date, or declare the type in the catalog",
    ".": "names have no dots: write the bare code; a number below one starts with 0, as in 0.5",
    ";": "one expression only: ; has no meaning here",
    "[": "[ ] are not used here: write has(list, value) to look into a list, ( ) to group",
    "]": "[ ] are not used here: write has(list, value) to look into a list, ( ) to group",
    "?": "there are no placeholders: write the value",
    "@": "there are no parameters: write the value",
    ":": "there are no parameters: write the value",
    "#": "comments are not allowed in an expression: put them in the catalog file",
}

_REFUSED_WORDS = {
    "select": "subqueries are not allowed: define a tag for the inner question and use its code",
    "from": "subqueries are not allowed: define a tag for the inner question and use its code",
    "over": "window functions are not allowed: use an aggregation (agg:) in the catalog",
    "cast": "there are no casts; use round, floor, ceil or date, or declare the type in the catalog",
    "try_cast": "there are no casts; use round, floor, ceil or date, or declare the type in the catalog",
    "interval": "intervals are not written here: use days_between or days_since",
    "distinct": "distinct is not used here: != is null-safe already; to count, agg: count_distinct",
    "ilike": "ilike is not used here: write lower(text) like '…'",
    "rlike": "regular expressions are not used here: like, contains, starts_with or ends_with",
    "escape": r"like has one escape, the backslash: write \% or \_",
    "exists": "subqueries are not allowed: use a segment rule with did / did_not",
    "as": "an expression has no alias: its name is the code of the tag or field",
}


@dataclass(frozen=True)
class Reading:
    """A text taken apart: tokens, the literals they number, and where each character came from."""

    tokens: list[Token]
    literals: tuple[str, ...]
    origin: tuple[int, ...]

    def place(self, offset: int) -> int:
        """The offset in the text as written of an offset in the cleaned text."""
        return self.origin[min(offset, len(self.origin) - 1)]


def read(text: str, scope: Scope) -> Reading:
    """Tokens of ``text``; ExpressionError for anything that is no part of the language at token level."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"the expression has {len(text):,} characters; more than {MAX_LENGTH:,} are not read: split it into tags "
            "that build on each other, or bring a long list in as a lookup"
        )
    cleaned, literals, origin = take_out_literals(text)
    if not cleaned.strip():
        raise ExpressionError("the expression is empty")
    try:
        tokens = dialect().tokenize(cleaned)
    except TokenError as error:
        raise ExpressionError(f"'{text}' cannot be read: {error}") from error
    reading = Reading(tokens, tuple(literals), (*origin, len(text)))
    _check_tokens(reading, scope)
    _check_nesting(reading)
    return reading


def take_out_literals(text: str) -> tuple[str, list[str], list[int]]:
    """The cleaned text with each literal replaced by its quoted number, the literals, and for each character of
    the cleaned text its offset in ``text``. ExpressionError for what belongs to no expression."""
    pieces: list[str] = []
    origin: list[int] = []
    literals: list[str] = []
    at = 0
    while at < len(text):
        start, character = at, text[at]
        if run := _PLAIN_RUN.match(text, at):
            at = run.end()
            pieces.append(run.group())
            origin.extend(range(start, at))
            continue
        if character in _CLOSERS:
            value, at = _literal(text, at)
            piece = f" '{len(literals)}' "
            literals.append(value)
        else:
            piece = _clean(text, at)
            at += 1
        pieces.append(piece)
        origin.extend([start] * len(piece))
    cleaned = "".join(pieces)
    for mark in _COMMENTS:
        if mark in cleaned:
            where = origin[cleaned.index(mark)]
            hint = "; for a minus before a negative number leave a space" if mark == "--" else ""
            raise ExpressionError(
                f"comments ({mark}) are not allowed in an expression: put them in the catalog file{hint}",
                where,
            )
    return cleaned, literals, origin


def _literal(text: str, start: int) -> tuple[str, int]:
    """The literal that opens at ``start`` and the offset behind it. A doubled straight quote is one quote."""
    closers = _CLOSERS[text[start]]
    value: list[str] = []
    at = start + 1
    while at < len(text):
        if text[at] == "\0" or "\ud800" <= text[at] <= "\udfff":
            raise ExpressionError(f"the character U+{ord(text[at]):04X} is in no text", at)
        if text[at] not in closers:
            value.append(text[at])
            at += 1
        elif closers in _STRAIGHT and text[at + 1 : at + 2] == closers:
            value.append(closers)
            at += 2
        else:
            return "".join(value), at + 1
    raise ExpressionError(f"the text that opens with {text[start]} is not closed: {text[start:][:40]}", start)


def _clean(text: str, at: int) -> str:
    character = text[at]
    if character.isspace():
        return " "
    if unicodedata.category(character) == "Cf":  # zero-width and direction marks
        return ""
    if character == "`":
        raise ExpressionError("names are written without quotes", at)
    plain = "".join(_SPELT_OUT.get(part, part) for part in unicodedata.normalize("NFKC", character))
    if unicodedata.category(character) == "Cc" or any(quote in plain for quote in _STRAIGHT):
        raise ExpressionError(f"the character U+{ord(character):04X} has no meaning here", at)
    return plain


def _check_tokens(reading: Reading, scope: Scope) -> None:
    before: Token | None = None
    for token in reading.tokens:
        where = reading.place(token.start)
        word = token.text.lower()
        if token.text in _REFUSED_TOKENS:
            raise ExpressionError(_REFUSED_TOKENS[token.text], where)
        if token.token_type not in _ALLOWED:
            raise ExpressionError(f"'{token.text}' has no meaning here", where)
        if token.token_type == TokenType.STAR and (before is None or before.text in ("(", ",")):
            raise ExpressionError("* only multiplies: name the field or tag that is meant", where)
        if token.token_type == TokenType.VAR and word in _REFUSED_WORDS and scope.get(word) is None:
            raise ExpressionError(_REFUSED_WORDS[word], where)
        before = token


def _check_nesting(reading: Reading) -> None:
    depth = 0
    prefixes = 0
    for token in reading.tokens:
        prefix = token.token_type in (TokenType.NOT, TokenType.DASH, TokenType.PLUS)
        prefixes = prefixes + 1 if prefix else 0
        if token.token_type in (TokenType.L_PAREN, TokenType.CASE):
            depth += 1
        elif token.token_type == TokenType.R_PAREN or (token.token_type == TokenType.END and depth > 0):
            depth -= 1
        where = reading.place(token.start)
        if depth < 0:
            raise ExpressionError("this ) closes nothing", where)
        if depth + prefixes > MAX_NESTING:
            raise ExpressionError(
                f"nested more than {MAX_NESTING} deep: split it into tags that build on each other", where
            )
    if depth > 0:
        raise ExpressionError("a ( or case is not closed: ) or end is missing", reading.place(len(reading.origin)))

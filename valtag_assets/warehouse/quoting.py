"""Names in SQL text: the one place where an identifier becomes text, and a text that can't be bound a literal."""


def quote(name: str) -> str:
    """``name`` as a quoted SQL identifier; any character is safe."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """``text`` as a quoted SQL text; any character is safe. Only for statements that take no parameters."""
    return "'" + text.replace("\0", "").replace("'", "''") + "'"

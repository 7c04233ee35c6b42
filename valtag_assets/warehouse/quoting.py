"""Names in SQL text: the one place where an identifier becomes text."""


def quote(name: str) -> str:
    """``name`` as a quoted SQL identifier; any character is safe."""
    return '"' + name.replace('"', '""') + '"'

"""The one exception of the expression language."""


class ExpressionError(ValueError):
    """A text that is no valid expression.

    ``message`` says what is wrong and quotes the piece at fault; ``position`` is its 0-based offset in the
    text as written (None where no single place is at fault); ``suggestion`` is what was probably meant.
    ``str()`` gives all of it as one line for people.
    """

    def __init__(self, message: str, position: int | None = None, suggestion: str | None = None) -> None:
        whole = message
        if suggestion is not None:
            whole += f"; did you mean '{suggestion}'?"
        if position is not None:
            whole += f" (at character {position + 1})"
        super().__init__(whole)
        self.message = message
        self.position = position
        self.suggestion = suggestion

    def located(self, position: int | None) -> "ExpressionError":
        """The same error with a position, unless it already has a more exact one."""
        return self if self.position is not None else ExpressionError(self.message, position, self.suggestion)

"""What a service says when it does not answer."""


class Refusal(Exception):
    """A request that gets no answer: the HTTP status and one sentence that says why and what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

"""The one exception for what the user can put right."""


class Mistake(Exception):
    """Something the user asked for that can't be done; the message says what is wrong and what to do."""

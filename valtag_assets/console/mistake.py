"""How a command ends: its exit code, and the one exception for what the user can put right."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    WRONG = 1  # the catalog, the input or the command line
    HELD = 2  # a gate held something
    FAULT = 3  # a fault of valtag or of the machine
    STOPPED = 130  # Ctrl-C, as shells count it


class Mistake(Exception):
    """Something the user asked for that can't be done; the message says what is wrong and what to do."""

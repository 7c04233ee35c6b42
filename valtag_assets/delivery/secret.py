"""Secrets: taken from the environment when they are used, and kept nowhere."""

from collections.abc import Mapping

from valtag_assets.spec.mistake import Mistake


def secret(variable: str, environment: Mapping[str, str], where: str) -> str:
    """The value of an environment variable. Mistake names the variable that is not set, and who needs it."""
    value = environment.get(variable)
    if not value:
        raise Mistake(f"{where}: the environment variable {variable} is not set")
    if not value.isprintable():
        raise Mistake(f"{where}: the environment variable {variable} holds a line break, or what can't be printed")
    return value

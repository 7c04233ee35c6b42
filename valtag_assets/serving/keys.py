"""Who asks: bearer keys and the roles they stand for. A secret is kept as its digest only and never told."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from valtag_assets.engine.reader import Reader, reader_of
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.access import Asking, Key
from valtag_assets.spec.mistake import Mistake

SHORTEST = 16
_SCHEME = "bearer "


@dataclass(frozen=True)
class Caller:
    """Whoever asks: the name of the key (for people), what it may read, and whether it may tell receipts."""

    key: str
    reader: Reader
    receipts: bool = False


class Keys:
    """The keys of a service, or the one caller that everybody is where it is open."""

    def __init__(self, digests: Sequence[tuple[bytes, Caller]], everybody: Caller | None = None) -> None:
        self._digests = tuple(digests)
        self.everybody = everybody

    def caller(self, authorization: str | None) -> Caller | None:
        """Who sent this Authorization header; None for nobody we know.

        Digests are compared, all of them, in constant time: how long it takes says nothing about a secret.
        """
        if self.everybody is not None:
            return self.everybody
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            return None
        secret = authorization[len(_SCHEME) :].strip().encode("utf-8", "surrogatepass")
        digest, found = hashlib.sha256(secret).digest(), None
        for known, caller in self._digests:
            if hmac.compare_digest(known, digest):
                found = caller
        return found

    def __str__(self) -> str:
        if self.everybody is not None:
            return f"open to everybody on this machine, as role {self.everybody.reader.role}"
        return "keys " + ", ".join(f"{caller.key} ({caller.reader.role})" for _, caller in self._digests)


def read_keys(resolved: Resolved, environment: Mapping[str, str], *, is_open: bool) -> Keys:
    """The keys of access.yaml with their secrets from the environment. Mistake where they protect nothing."""
    access = resolved.catalog.access
    if is_open and access.keys:
        raise Mistake("access.yaml names keys, and --open would let everybody in without one: leave one of them out")
    if is_open:
        if access.users:
            raise Mistake("access.yaml names users, and --open would let everybody in: name keys for those who ask")
        asking = Asking(access.default_role, "everybody on this machine")
        return Keys((), Caller("", reader_of(resolved, "serve", asking, environment, by_key=True)))
    if not access.keys:
        raise Mistake(
            "access.yaml names no keys, so nobody could be told apart: add keys: {name: {role: …, env: VARIABLE}},"
            f" or let everybody on this machine in as role {access.default_role} with --open"
        )
    found: dict[bytes, Caller] = {}
    for name, key in access.keys.items():
        written = None if key.sha256 is None else bytes.fromhex(key.sha256)
        digest = written or _from_environment(name, key.env, environment)
        if digest in found:
            raise Mistake(f"access.yaml: keys {found[digest].key} and {name} have the same secret: give each its own")
        found[digest] = Caller(name, _reader(resolved, name, key, environment), key.receipts)
    return Keys(tuple(found.items()))


def _reader(resolved: Resolved, name: str, key: Key, environment: Mapping[str, str]) -> Reader:
    asking = Asking(key.role, f"key {name}", key.purpose)
    return reader_of(resolved, "serve", asking, environment, key.brands, by_key=True)


def _from_environment(name: str, variable: str | None, environment: Mapping[str, str]) -> bytes:
    secret = environment.get(variable or "", "")
    if not secret:
        raise Mistake(f"access.yaml: key {name} has its secret in the variable {variable}, which is not set")
    if len(secret) < SHORTEST:
        raise Mistake(f"access.yaml: the secret of key {name} ({variable}) is shorter than {SHORTEST} characters")
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()

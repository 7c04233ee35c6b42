"""A certificate that nobody vouches for; the session's servers."""

import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from valtag_tests.servers import postgres_url, redis_url

__all__ = ["postgres_url", "redis_url"]


@pytest.fixture
def self_signed(tmp_path: Path) -> Callable[[], ssl.SSLContext]:
    """Makes a server's TLS settings with a self-signed certificate for 127.0.0.1."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("this machine has no openssl to make a certificate with")

    def make() -> ssl.SSLContext:
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-days", "2"]
        command += ["-out", str(certificate), "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(command, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    return make

"""Ed25519 keys. The private one never lies in a migration: whoever may write there must not be able to sign."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PLACE = "WORKBENCH_KEYS"
"""Environment variable: the folder that holds your key; by default the one your system has for settings."""

FILE = "ledger-key.pem"


class SigningKeyError(Exception):
    """A key that is missing, unreadable or none at all, in sentences."""


def key_id(public: str) -> str:
    """sha256 of the raw public key (base64)."""
    return hashlib.sha256(base64.b64decode(public)).hexdigest()


@dataclass(frozen=True)
class Key:
    """Your key pair. public: raw, base64."""

    private: Ed25519PrivateKey
    public: str

    @property
    def id(self) -> str:
        return key_id(self.public)

    def sign(self, message: bytes) -> str:
        return base64.b64encode(self.private.sign(message)).decode()


def my_key() -> Key:
    """The key of this user on this machine, made at its first use. Raises SigningKeyError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = place() / FILE
    try:
        if not path.exists():
            _make(path, Ed25519PrivateKey.generate())
        return _opened(path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(path, error) from error


@dataclass(frozen=True)
class CurveKey:
    """A P-256 key pair. pem: the public half."""

    private: EllipticCurvePrivateKey
    pem: bytes

    def sign(self, message: bytes) -> str:
        """ECDSA over SHA-256, base64."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        return base64.b64encode(self.private.sign(message, ec.ECDSA(hashes.SHA256()))).decode()


def curve_key(name: str) -> CurveKey:
    """A key beside yours, made at its first use, for formats that cannot use Ed25519. Raises SigningKeyError."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    path = place() / name
    try:
        if not path.exists():
            _make(path, ec.generate_private_key(ec.SECP256R1()))
        private = form.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError("it is no elliptic-curve key")
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(path, error) from error
    pem = private.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    return CurveKey(private, pem)


def _unusable(path: Path, error: Exception) -> SigningKeyError:
    return SigningKeyError(
        f"The key in {path} could not be used ({error}). Name a folder of your own that only you can read: "
        f"{PLACE}=FOLDER. Losing a key forges nothing, but its successor must be accepted: workbench key --help"
    )


def place() -> Path:
    if given := os.environ.get(PLACE):
        return Path(given)
    from platformdirs import user_config_path

    return user_config_path("migration-workbench", appauthor=False)


def holds(public: str, signature: str, message: bytes) -> bool:
    """Whether the key signed the message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_public(given: str) -> str:
    """A public key as raw base64, from that text itself, or from a file that holds it. Raises SigningKeyError."""
    path = Path(given)
    try:
        text = path.read_text().strip() if path.is_file() else given.strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SigningKeyError(f"{given} could not be read as a public key ({error}).") from error
    try:
        if len(base64.b64decode(text, validate=True)) == 32:
            return text
    except ValueError:
        pass
    raise SigningKeyError(
        f"{given!r} is no public key: 44 characters in base64, as `workbench key` prints it, or a file with that line."
    )


def _make(path: Path, key: Ed25519PrivateKey | EllipticCurvePrivateKey) -> None:
    from cryptography.hazmat.primitives import serialization as form

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Of two processes that begin at once, one key stays: a link never replaces what is there.
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)


def _opened(content: bytes) -> Key:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = form.load_pem_private_key(content, None)
    if not isinstance(private, Ed25519PrivateKey):
        raise ValueError("it is no Ed25519 key")
    raw = private.public_key().public_bytes(form.Encoding.Raw, form.PublicFormat.Raw)
    return Key(private, base64.b64encode(raw).decode())

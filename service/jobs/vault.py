"""The server's secret key, and what is derived from it: encryption of stored secrets, signatures of links."""

import base64
import fcntl
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.errors import SettingsError

MIN_CHARACTERS: Final = 16
KEY_FILE: Final = "secret.key"


class Vault:
    """Encrypts secrets that must be read again. `key`: the server's secret, at least 16 characters."""

    def __init__(self, key: str) -> None:
        if len(key) < MIN_CHARACTERS:
            raise SettingsError(f"CLEANPLATE_SECRET_KEY needs at least {MIN_CHARACTERS} characters")
        self._key = key.encode()
        self._fernet = Fernet(base64.urlsafe_b64encode(self.derive("signing secrets")))

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose, the same in every process with this secret."""
        return HKDF(hashes.SHA256(), 32, salt=None, info=f"cleanplate {purpose}".encode()).derive(self._key)

    def seal(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> bytes:
        """Decrypt a sealed secret. Raises SettingsError if it was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed.encode())
        except InvalidToken:
            raise SettingsError("a stored secret was encrypted with another CLEANPLATE_SECRET_KEY") from None


def load_or_create_key(folder: Path) -> str:
    """The key stored in a folder, created on first use. Processes that start together get the same one. Raises SettingsError."""
    try:
        with open(folder / KEY_FILE, "a+", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            key = file.read()
            if not key:
                key = secrets.token_urlsafe(32)
                file.write(key)
    except (OSError, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", None) or "not plain text").lower()
        raise SettingsError(f"CLEANPLATE_DATA_DIR: its {KEY_FILE} cannot be used: {reason}") from None
    return key

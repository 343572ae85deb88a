"""Keyed pseudonyms: the same patient has the same key in every sweep of a site, and only there."""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from mammosweep.config import ArchiveConfig
from mammosweep.errors import ConfigError

__all__ = ["KEY_FILE_VARIABLE", "Pseudonym", "load_pseudonym"]

KEY_FILE_VARIABLE = "MAMMOSWEEP_PSEUDONYM_KEY_FILE"
KEY_BYTES = 32  # the block that HMAC-SHA256 gains from at most; PS3.15 E.1.1 asks for keyed replacement
SHOWN_DIGITS = 16  # 64 bits: a million patients collide with a chance below 1e-7


class Pseudonym:
    """Gives patients their key."""

    __slots__ = ("_keyed", "key")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self._keyed = hmac.new(key, digestmod="sha256")

    def __call__(self, patient_id: str) -> str:
        """First 16 hex digits of HMAC-SHA256 of the identifier (RFC 2104)."""
        digest = self._keyed.copy()  # OpenSSL takes longer to begin with a key than to digest a name
        digest.update(patient_id.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:SHOWN_DIGITS]


def load_pseudonym(config: ArchiveConfig) -> Pseudonym:
    """Read the site's key; make one, readable by its owner alone, where there is none.

    It lies in ``archive.pseudonym_key_file``, else in the file that MAMMOSWEEP_PSEUDONYM_KEY_FILE names, else
    in ``mammosweep/pseudonym.key`` below the user's configuration folder.

    Raises:
        ConfigError: the key can be neither read nor made, or is no key.
    """
    path = _key_file(config)
    try:
        if not path.exists():
            _make_key(path)
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(
            f"pseudonym key file {path}: {said}; set archive.pseudonym_key_file or {KEY_FILE_VARIABLE} "
            "to a file that can be read and written"
        ) from None
    return Pseudonym(_key_of(text, path))


def _key_file(config: ArchiveConfig) -> Path:
    named = config.pseudonym_key_file or os.environ.get(KEY_FILE_VARIABLE, "")
    if named:
        return Path(named).expanduser()
    folder = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(folder).expanduser() / "mammosweep" / "pseudonym.key"


def _make_key(path: Path) -> None:
    """Write the key whole under another name, then link it: of two sweeps that start at once, one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def _key_of(text: str, path: Path) -> bytes:
    with suppress(ValueError):
        key = bytes.fromhex(text)
        if len(key) >= KEY_BYTES:
            return key
    raise ConfigError(
        f"pseudonym key file {path} holds no key; expected {2 * KEY_BYTES} or more hexadecimal digits"
    )

"""Which files of a cache this user has made: an atlas may come from a stranger, with a cache that was made to do harm.

A file's checksum lies beside it, sealed (HMAC-SHA256, RFC 2104) with a secret in the user's own state directory, where
no giver of an atlas can write. Where none can be kept, each process has its own, and what it caches holds for it alone.
In the same directory stands which programs the user trusts: an atlas can name a model that is one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from contextlib import suppress
from pathlib import Path

import platformdirs

from explorer.layout import replacing, write_atomic
from explorer.verify import checksum, stamp

_APPLICATION = "latent-explorer"
_BYTES = 32
_PASSING = secrets.token_bytes(_BYTES)
_VOUCHED: set[str] = set()


def seal(path: Path, digest: str | None = None) -> None:
    """Say beside a file that this user made it; `digest` is its sha256, where it is known."""
    digest, known = digest or checksum(path), stamp(path)
    told = {"sha256": digest, "stamp": known, "seal": _sealed(path, digest, known)}
    write_atomic(path.with_suffix(".json"), json.dumps(told).encode())


def is_ours(path: Path) -> bool:
    """Whether a file was sealed by this user and is as it was then.

    It is not read where inode, size and time of change are those that were sealed.
    """
    try:
        told = json.loads(path.with_suffix(".json").read_bytes())
        digest, known = told["sha256"], told["stamp"]
        if not hmac.compare_digest(str(told["seal"]), _sealed(path, digest, known)):
            return False
        if known != stamp(path):
            if digest != checksum(path):
                return False
            with suppress(OSError):  # a memory that cannot be kept costs time, not truth
                seal(path, digest)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def vouch(digest: str) -> None:
    """Remember that this user trusts a program with this sha256, hex; for this process alone where nothing is kept."""
    _VOUCHED.add(digest)
    with suppress(OSError):
        write_atomic(_voucher(digest), hmac.digest(_secret(), digest.encode(), hashlib.sha256))


def is_vouched(digest: str) -> bool:
    """Whether this user trusts a program."""
    if digest in _VOUCHED:
        return True
    with suppress(OSError):
        return hmac.compare_digest(
            _voucher(digest).read_bytes(), hmac.digest(_secret(), digest.encode(), hashlib.sha256)
        )
    return False


def _voucher(digest: str) -> Path:
    return platformdirs.user_state_path(_APPLICATION) / "trusted" / digest


def _sealed(path: Path, digest: str, known: list[int]) -> str:
    """The seal, of the file's name too: one file must not pass for another."""
    return hmac.digest(_secret(), json.dumps([path.name, digest, known]).encode(), hashlib.sha256).hex()


def _secret() -> bytes:
    path = platformdirs.user_state_path(_APPLICATION) / "seal"
    try:
        if not path.exists() or path.stat().st_size != _BYTES:
            with replacing(path) as handle:
                Path(handle.name).chmod(0o600)
                handle.write(secrets.token_bytes(_BYTES))
        return path.read_bytes()
    except OSError:
        return _PASSING

"""Maildirs and the ways in which others deliver into them."""

import os
from pathlib import Path


def make(path: Path) -> str:
    """An empty Maildir."""
    for part in ("tmp", "new", "cur"):
        (path / part).mkdir(parents=True)
    return str(path)


def _written(box: str, name: str, content: bytes) -> tuple[Path, Path]:
    path = Path(box, "tmp", name)
    path.write_bytes(content)
    return path, Path(box, "new", name)


def by_link(box: str, name: str, content: bytes = b"mail") -> Path:
    """As Postfix does."""
    written, delivered = _written(box, name, content)
    os.link(written, delivered)
    written.unlink()
    return delivered


def by_rename(box: str, name: str, content: bytes = b"mail") -> Path:
    """As OpenSMTPD and Dovecot do."""
    written, delivered = _written(box, name, content)
    return written.rename(delivered)


def by_writing(box: str, name: str, content: bytes = b"mail") -> Path:
    """As scripts do that never heard of Maildir."""
    delivered = Path(box, "new", name)
    delivered.write_bytes(content)
    return delivered

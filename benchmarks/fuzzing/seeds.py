"""Where a fuzz of messages begins: the messages of the tests and the demo, and those that other benchmarks make up."""

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Shorter literals in tests are words, no messages.
SHORTEST = 20


def seeds() -> list[bytes]:
    """All of them, each once."""
    files = (path.read_bytes() for folder in ("tests", "docs") for path in sorted(ROOT.glob(f"{folder}/**/*.eml")))
    return list(dict.fromkeys((*files, *_literals())))


def hostile(*, most: int) -> dict[str, bytes]:
    """What benchmarks call HOSTILE, name to message, cut at `most` bytes."""
    folder = ROOT / "benchmarks"
    sys.path.insert(0, str(folder))
    modules = (import_module(path.stem) for path in sorted((folder / "parse.py", *folder.glob("hostile_*.py"))))
    made = (pair for module in modules for pair in getattr(module, "HOSTILE", {}).items())
    return {name: _as_bytes(make() if callable(make) else make)[:most] for name, make in made}


def _as_bytes(made: object) -> bytes:
    return made if isinstance(made, bytes) else str(made).encode("utf-8", "replace")


def _literals() -> Iterator[bytes]:
    """The bytes and the pages that stand in the tests of mail."""
    for path in sorted((*ROOT.glob("tests/mail/*.py"), *ROOT.glob("tests/model/*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Constant):
                continue
            if isinstance(node.value, bytes) and len(node.value) >= SHORTEST:
                yield node.value
            elif isinstance(node.value, str) and "<" in node.value and len(node.value) >= SHORTEST:
                yield b"Content-Type: text/html; charset=utf-8\n\n" + node.value.encode("utf-8", "replace")

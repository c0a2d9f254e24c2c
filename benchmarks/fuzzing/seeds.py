"""The initial corpus of fuzzing: messages of the tests and the demo, and hostile messages of other benchmarks."""

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
# Shorter literals in tests are words, not messages.
SHORTEST = 20


def seeds() -> list[bytes]:
    """Return the messages of tests and demo, without duplicates."""
    files = (path.read_bytes() for folder in ("tests", "docs") for path in sorted(ROOT.glob(f"{folder}/**/*.eml")))
    return list(dict.fromkeys((*files, *_literals())))


def hostile(size: int) -> dict[str, bytes]:
    """Return the hostile messages of other benchmarks by name, each of at most `size` bytes."""
    folder = ROOT / "benchmarks"
    sys.path.insert(0, str(folder))
    modules = (import_module(path.stem) for path in sorted((folder / "parse.py", *folder.glob("hostile_*.py"))))
    makers = (pair for module in modules for table in _tables(module) for pair in table.items())
    return {name: (make(size) if signature(make).parameters else make())[:size] for name, make in makers}


def _tables(module: ModuleType) -> Iterator[Mapping[str, Callable[..., bytes]]]:
    """Yield the tables of a module: by name, functions that make a message, with or without a size."""
    yield from (getattr(module, name) for name in ("HOSTILE", "PAGES", "MESSAGES") if hasattr(module, name))
    yield from (family() for family in getattr(module, "FAMILIES", {}).values())


def _literals() -> Iterator[bytes]:
    """Yield the bytes literals, and HTML literals as messages, of the tests."""
    for path in sorted((*ROOT.glob("tests/fixtures/*.py"), *ROOT.glob("tests/model/*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Constant):
                continue
            if isinstance(node.value, bytes) and len(node.value) >= SHORTEST:
                yield node.value
            elif isinstance(node.value, str) and "<" in node.value and len(node.value) >= SHORTEST:
                yield b"Content-Type: text/html; charset=utf-8\n\n" + node.value.encode("utf-8", "replace")

"""No regular expression that is used on mail takes time that grows faster than the mail."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from hostile_text import slow_on

import spamlstm

# The packages that use patterns on mail, or on text made of it.
ROOMS = ("message", "features", "maildir", "corpus", "model", "evaluation", "learning")
MAIL = tuple(f"spamlstm.{room}." for room in ROOMS)
FUNCTIONS = {"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}


def patterns():
    """Return each pattern of a module by (module, name, ...): alone, in a table, or in an object of spamlstm."""
    found = {}
    for module in pkgutil.walk_packages(spamlstm.__path__, "spamlstm."):
        if module.name.startswith(MAIL):
            for name, value in vars(importlib.import_module(module.name)).items():
                found.update({(module.name, *path): one for path, one in _within(value, (name,))})
    # An imported pattern is found in the module that assigns it.
    return {path: one for path, one in found.items() if path[1] in _assigned(path[0])}


def _within(value, path, depth=3):
    if isinstance(value, re.Pattern):
        yield path, value
    elif depth and isinstance(value, (tuple, list, set, frozenset)):
        for number, one in enumerate(value):
            yield from _within(one, (*path, str(number)), depth - 1)
    elif depth and isinstance(value, dict):
        for key, one in value.items():
            yield from _within(one, (*path, str(key)), depth - 1)
    elif depth and type(value).__module__.startswith("spamlstm"):
        for key, one in getattr(value, "__dict__", {}).items():
            yield from _within(one, (*path, key), depth - 1)


def _tree(module):
    return ast.parse(Path(importlib.import_module(module).__file__).read_text("utf-8"))


def _assigned(module):
    return {
        node.id for node in ast.walk(_tree(module)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _uses():
    """Return the methods of patterns that are called on each name or attribute, anywhere in the package."""
    uses = {}
    for module in pkgutil.walk_packages(spamlstm.__path__, "spamlstm."):
        for node in ast.walk(_tree(module.name)):
            if isinstance(node, ast.Attribute) and node.attr in FUNCTIONS:
                owner = node.value
                name = (
                    owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
                )
                uses.setdefault(name, set()).add(node.attr)
    return uses


USES = _uses()
PATTERNS = patterns()


@pytest.mark.parametrize("path", PATTERNS, ids=".".join)
def test_time_grows_with_the_length(path):
    """1 MB of the worst text for a pattern takes less than a second of processor time."""
    used = USES.get(path[-1], FUNCTIONS)

    assert slow_on(PATTERNS[path], anchored=used <= {"match", "fullmatch"}) is None


@pytest.mark.parametrize(
    ("pattern", "anchored"),
    [
        (r"\s*[A-Za-z0-9+/=]{48,}+\s*", False),
        (r"(?:https?://|www\.)([a-z0-9.-]+\.[a-z]{2,})", False),
        (r'("(?:[^"\\]|\\.)*")', False),
        (r"\d+[-.x]\d+[-.x]\d+", False),
        (r"⟦[^⟧:]+:[^⟧]*⟧", False),
        (rb"[!-9;-~]+[ \t]*:", False),
        (rb"From .*\d:\d\d.*\n?\Z", True),
        (rb"From [^\n]{0,300}?\d:\d\d[^\n]{0,100}\d{4}[^\n]{0,40}(?=\n)", False),
        (r"(?:a+)+b", True),
    ],
)
def test_slow_patterns_are_found(pattern, anchored):
    """Patterns that take the square of the length, or more, are found; some were once in use here."""
    assert slow_on(re.compile(pattern), anchored=anchored) is not None


def test_each_pattern_has_a_name():
    """No pattern in these packages is without a name, as the test would not find it."""
    unnamed = [
        f"{module.name}:{node.lineno}"
        for module in pkgutil.walk_packages(spamlstm.__path__, "spamlstm.")
        if module.name.startswith(MAIL[:-2])
        for node in ast.walk(_tree(module.name))
        if isinstance(node, ast.Attribute)
        and node.attr in FUNCTIONS
        and isinstance(node.value, ast.Name)
        and node.value.id == "re"
    ]

    assert len(PATTERNS) > 80
    assert unnamed == []

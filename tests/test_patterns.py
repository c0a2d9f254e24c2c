"""No regular expression that is used on mail takes time that grows faster than the mail, or is misread by a Python."""

import ast
import importlib
import pkgutil
import re
from functools import cache
from pathlib import Path

# The parser of `re` has no public name.
from re import _constants as codes
from re import _parser as parser

import pytest
from hostile_text import slow_on

import spamlstm

# The packages that use patterns on mail, or on text made of it.
ROOMS = ("message", "features", "maildir", "corpus", "model", "evaluation", "learning")
MAIL = tuple(f"spamlstm.{room}." for room in ROOMS)
ROOT = Path(__file__).parent.parent
FUNCTIONS = {"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}


def patterns(packages):
    """Return each pattern of a module by (module, name, ...): alone, in a table, or in an object of spamlstm."""
    found = {}
    for module in pkgutil.walk_packages(spamlstm.__path__, "spamlstm."):
        if module.name.startswith(packages):
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


@cache
def _tree(module):
    return ast.parse(Path(importlib.import_module(module).__file__).read_text("utf-8"))


@cache
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
PATTERNS = patterns(MAIL)


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
    """Patterns that take the square of the length, or more, are found; some were once in use here.

    They are found within half the time that patterns in use may take, because some take less on a fast machine.
    """
    assert slow_on(re.compile(pattern), anchored=anchored, seconds=0.5) is not None


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


# What a possessive quantifier repeats correctly in each Python: one character, or an atomic group.
REPEATED = {codes.ANY, codes.IN, codes.LITERAL, codes.NOT_LITERAL, codes.ATOMIC_GROUP}


def _misread(pattern, flags=0):
    """Return the possessive repetitions in `pattern` that a Python may misread.

    Before Python 3.11.5, the text that a group has read before it fails may count as matched (gh-106052). If the group
    is atomic, `(?>...)*+`, it does not. Before 3.12.8, a group that captures may have a wrong span (gh-101955).
    """
    return [
        repeated
        for code, value in _nodes(parser.parse(pattern, flags))
        if code is codes.POSSESSIVE_REPEAT
        for repeated in [value[2]]
        if [one for one, _ in repeated if one not in REPEATED] or len(repeated) != 1 or _captures(repeated)
    ]


def _captures(tree):
    return [value for code, value in _nodes(tree) if code is codes.SUBPATTERN and value[0] is not None]


def _nodes(value):
    """Yield each (code, value) of a parsed pattern."""
    if isinstance(value, parser.SubPattern):
        for node in value:
            yield node
            yield from _nodes(node[1])
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _nodes(one)


def _written():
    """Return the patterns that are written as one text in a call of `re`, by place, in the package and the trainer."""
    return {
        f"{path.relative_to(ROOT)}:{node.lineno}": node.args[0].value
        for folder in ("spamlstm", "training")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {f"re.{name}" for name in (*FUNCTIONS, "compile")}
        and isinstance(node.args[0], ast.Constant)
    }


def test_each_python_reads_them_alike():
    """A possessive quantifier repeats one character or an atomic group without captures, in all packages."""
    compiled = patterns("spamlstm.")
    written = _written()

    assert [path for path, one in compiled.items() if _misread(one.pattern, one.flags)] == []
    assert [place for place, one in written.items() if _misread(one)] == []
    assert len(compiled) > 150
    assert len(written) > 150


@pytest.mark.parametrize(
    "pattern", [r"(?:ab?c)*+", r"x(?:(?:ab)++c)?+", r"(a|b){2,}+", rb"(?>(a)|b)*+", r"(?=(?:a[^b]*+b)*+)", r"(a)++"]
)
def test_misread_patterns_are_found(pattern):
    """Patterns that are read in another way by a Python before 3.11.5 or 3.12.8 are found."""
    assert _misread(pattern)


@pytest.mark.parametrize(
    "pattern", [r"a*+(?:b)*+[ab]++", r"(?>ab?c)*+", r"((?>a|bc)*+)", rb"(?>\n[ \t]*+(?>a|b){2}+)?+"]
)
def test_other_patterns_are_not_reported(pattern):
    """Patterns that each Python reads alike are not reported."""
    assert _misread(pattern) == []

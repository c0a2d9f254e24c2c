"""Redirectors: hosts whose links say where they lead. The hosts are in data/redirectors.txt."""

import re
from functools import cache, lru_cache
from typing import NamedTuple

from spamlstm.features.domains import data_lines, organisational_domain, suffixes
from spamlstm.features.urls import without_breaks

_PATH = re.compile(r"(?:[a-z]+:)?[/\\]*[^/\\?#]*[/\\]?(.*)", re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"(?:https?|ftp):", re.IGNORECASE)
_PAIR_END = re.compile("[&;]")
_AFTER_SCHEME = re.compile(r"(?:https?|ftp)(?::|%3a).*", re.IGNORECASE | re.DOTALL)


class _Rule(NamedTuple):
    """One line of data/redirectors.txt: a form of links of a redirector. The head of that file explains the fields."""

    start: str
    kind: str
    way: str
    parameters: tuple[str, ...]


class Redirect(NamedTuple):
    """The kind of a redirector (open, service, gateway) and the URL to which its link leads."""

    kind: str
    target: str


@cache
def _rules() -> dict[str, list[_Rule]]:
    rules: dict[str, list[_Rule]] = {}
    for line in data_lines("redirectors"):
        place, kind, way, *parameters = line.split()
        host, _, start = place.partition("/")
        rules.setdefault(host, []).append(_Rule(start, kind, way, tuple(parameters)))
    return rules


@lru_cache(maxsize=4096)
def _rules_of(host: str) -> tuple[_Rule, ...]:
    rules = _rules()
    names = (*suffixes(host), organisational_domain(host).partition(".")[0] + ".*")
    return tuple(rule for name in names for rule in rules.get(name, ()))


def path_of(url: str) -> str:
    """Return the path and the query of `url`, without the first slash."""
    match = _PATH.match(without_breaks(url.strip()))
    return match[1] if match else ""


def redirect(host: str, url: str) -> Redirect | None:
    """Return the target of the link `url` if `host` is a redirector. None if the link does not name its target."""
    if not (rules := _rules_of(host)):
        return None
    path = path_of(url)
    low = path[:100].lower()
    for rule in rules:
        if low.startswith(rule.start) and (target := _target(rule, path)):
            return Redirect(rule.kind, target)
    return None


def _target(rule: _Rule, path: str) -> str:
    from urllib.parse import unquote  # the import takes 4 ms, which messages without redirectors avoid

    if rule.way == "path":
        start = path.find(rule.parameters[0]) if rule.parameters else 0
        match = _AFTER_SCHEME.search(path, max(start, 0))
        return unquote(match[0]) if match else ""
    if rule.way == "host":
        return "http://" + unquote(path[len(rule.start) :].lstrip("/")) if path[len(rule.start) :].strip("/") else ""
    if rule.way == "defense3":
        return _absolute(path.partition("__")[2].partition("__")[0])
    query = path.partition("?")[2].partition("#")[0]
    if not rule.parameters:
        return _absolute(unquote(query))
    values = {
        name.lower(): value for name, _, value in (pair.partition("=") for pair in reversed(_PAIR_END.split(query)))
    }
    value = next((values[name] for name in rule.parameters[:2] if values.get(name)), "")
    if rule.way == "defense2":
        return _absolute(unquote(value.replace("-", "%").replace("_", "/")))
    if rule.way == "base64":
        return _absolute(_base64(unquote(value)[int(rule.parameters[1]) :]))
    return _absolute(unquote(value.replace("+", " ")))


def _absolute(target: str) -> str:
    """Return a target with a scheme, or '' if it is a path or another kind of text."""
    target = target.strip()
    if _SCHEME.match(target) or target.startswith("//"):
        return target
    return f"http://{target}" if "." in target.partition("/")[0] else ""


def _base64(text: str) -> str:
    from base64 import urlsafe_b64decode

    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("utf-8", "replace")
    except ValueError:
        return ""

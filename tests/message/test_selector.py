"""Selectors are read as CSS defines them, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.message.selector import has_attribute, last_class_or_id, read_selector, specificity


def sources(selector):
    """Return the text of the parts of a selector, group by group, or None if it cannot be read."""
    groups = read_selector(selector, {})
    return groups and [[part.source for part in group] for group in groups]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (".x", [[".x"]]),
        ("div .x", [[".x"], ["div"]]),
        ("div > .x", [[".x", "div"]]),
        (".a .b > .c", [[".c", ".b"], [".a"]]),
        ("p[title='a b']", [["p[title='a b']"]]),
        (" ".join("abcdef"), [[name] for name in "fedcba"]),
        (" ".join("abcdefg"), None),
        (".x + .y", None),
        (".x:hover", None),
        ("", None),
        ("[a=']", None),
    ],
)
def test_the_groups_of_a_selector(selector, expected):
    """Parts are read from right to left. Children share a group. Siblings, states and seven parts are not read."""
    assert sources(selector) == expected


@pytest.mark.parametrize(
    ("kind", "wanted", "values"),
    [
        ("", "", ["de", "de-AT", "den", "fr de", "aden", "", None]),
        ("", "de", ["de"]),
        ("~", "de", ["de", "fr de"]),
        ("|", "de", ["de", "de-AT"]),
        ("^", "de", ["de", "de-AT", "den"]),
        ("$", "de", ["de", "fr de"]),
        ("*", "de", ["de", "de-AT", "den", "fr de", "aden"]),
        ("~", "", []),
    ],
)
def test_the_operators_of_an_attribute(kind, wanted, values):
    """Each operator matches the values that CSS defines, and no element without the attribute."""
    tried = ["de", "de-AT", "den", "fr de", "aden", "", None]
    assert [value for value in tried if has_attribute({"lang": value}, "lang", kind, wanted)] == [
        value for value in tried if value in values
    ]
    assert not has_attribute({"title": "de"}, "lang", kind, wanted)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [("*", (0, 0, 0)), ("p", (0, 0, 1)), ("p.x[a]", (0, 2, 1)), ("#k .x p", (1, 1, 1)), ("#k#l", (2, 0, 0))],
)
def test_specificity(selector, expected):
    """Ids count most, then classes and attributes, then tags; '*' does not count."""
    assert specificity(read_selector(selector, {})) == expected


def test_the_last_class_or_id_of_any_selector():
    """What remains of a selector that cannot be read is its last class or id."""
    assert last_class_or_id("a:hover + div.x:not(p)") == read_selector(".x", {})
    assert last_class_or_id("a:hover + div") is None


@given(st.text(alphabet="ab.#*>+ [=]'\"~|:-", max_size=30))
def test_any_text_is_a_selector_or_none(text):
    """Any text is read, or refused without an error; what was known of a style sheet changes nothing."""
    known = {}
    first = read_selector(text, known)
    assert read_selector(text, known) == first
    assert first is None or sum(specificity(first)) >= 0

"""Finding keys: the line of each key is the one where a reader would look for it."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.config.lines import find_lines

TEXT = '''\
top = 1 # policy = 2
[policy]
allow = [
    "a]b", # ] "
    'c',

    ["d"], { e = 1 },
]
text = """
deny = 1
[daemon]
""\\""""""
literal = \'\'\'
# \'\'\'
"quoted \\"key\\"" . 'x.y'.z = 1979-05-27 07:32:00
costs = { unsure = 1, deep.er = [ 2 ] }
[a . "b.c"]
d = 1
[[maildir]]
path = 1
[maildir.sub]
x = 1
[[ maildir ]]
path = 2
'''

LINES = {
    ("top",): 1,
    ("policy",): 2,
    ("policy", "allow"): 3,
    ("policy", "allow", 0): 4,
    ("policy", "allow", 1): 5,
    ("policy", "allow", 2): 7,
    ("policy", "allow", 2, 0): 7,
    ("policy", "allow", 3): 7,
    ("policy", "allow", 3, "e"): 7,
    ("policy", "text"): 9,
    ("policy", "literal"): 13,
    ("policy", 'quoted "key"'): 15,
    ("policy", 'quoted "key"', "x.y"): 15,
    ("policy", 'quoted "key"', "x.y", "z"): 15,
    ("policy", "costs"): 16,
    ("policy", "costs", "unsure"): 16,
    ("policy", "costs", "deep"): 16,
    ("policy", "costs", "deep", "er"): 16,
    ("policy", "costs", "deep", "er", 0): 16,
    ("a",): 17,
    ("a", "b.c"): 17,
    ("a", "b.c", "d"): 18,
    ("maildir",): 19,
    ("maildir", 0): 19,
    ("maildir", 0, "path"): 20,
    ("maildir", 0, "sub"): 21,
    ("maildir", 0, "sub", "x"): 22,
    ("maildir", 1): 23,
    ("maildir", 1, "path"): 24,
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_place_has_its_line(end):
    """Tables, dotted and quoted keys, entries of lists; nothing inside strings and comments."""
    tomllib.loads(TEXT)
    assert find_lines(TEXT.replace("\n", end)) == LINES


KEY = st.text(max_size=3).filter(lambda key: not any("\ud800" <= c <= "\udfff" for c in key))
VALUE = st.recursive(
    st.one_of(st.integers(-9, 9), st.booleans(), KEY),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEY, inner, max_size=3)),
    max_leaves=8,
)


def quoted(text):
    return '"' + "".join(f"\\U{ord(c):08x}" if not c.isalnum() else c for c in text) + '"'


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + "\n".join(f"{toml(one)}," for one in value) + "]"
    return quoted(value) if isinstance(value, str) else str(value).lower()


def below(value, place=()):
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in pairs:
        yield (*place, key)
        yield from below(one, (*place, key))


@given(st.dictionaries(KEY, VALUE, max_size=4))
def test_exactly_the_places_that_are_there(table):
    """The scan and tomllib see the same document."""
    text = "\n".join(f"{quoted(key)} = {toml(value)}" for key, value in table.items())
    assert set(find_lines(text)) == set(below(tomllib.loads(text)))

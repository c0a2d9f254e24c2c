"""A vocabulary of the kind that our training writes is read, and no other is."""

import json

import pytest

from spamlstm.model import tokenizer
from spamlstm.model.bundle import TOKENIZER

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
SLOW = {"Regex": "(x+x+)+y"}


def split_by(pattern):
    return {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}


def in_turn(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


@pytest.fixture
def changed(tiny):
    """The vocabulary of the tiny bundle, with some of its parts replaced."""
    whole = json.loads((tiny / TOKENIZER).read_text())

    def change(*, model=None, **parts):
        return json.dumps({**whole, "model": {**whole["model"], **(model or {})}, **parts}, ensure_ascii=False).encode()

    return change


def test_ours_is_read(changed):
    """However its JSON is laid out."""
    assert tokenizer.read_tokenizer(changed()).get_vocab_size() > 256


@pytest.mark.parametrize("pattern", tokenizer.PATTERNS)
def test_both_patterns_of_ours_are_read(changed, pattern):
    """The first models were trained with another form of the pattern."""
    tokenizer.read_tokenizer(changed(pre_tokenizer=in_turn(split_by({"Regex": pattern}), BYTES)))


@pytest.mark.parametrize(
    "changes",
    [
        {"pre_tokenizer": split_by(SLOW)},
        {"pre_tokenizer": in_turn(split_by(SLOW), BYTES)},
        {"pre_tokenizer": in_turn(split_by({"String": " "}), BYTES)},
        {"pre_tokenizer": BYTES},
        {"pre_tokenizer": None},
        {"normalizer": {"type": "Replace", "pattern": SLOW, "content": ""}},
        {"normalizer": {"type": "Lowercase"}},
        {"decoder": {"type": "Replace", "pattern": SLOW, "content": ""}},
        {"post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
        {"truncation": {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}},
    ],
)
def test_patterns_and_changes_of_others_are_refused(changed, changes):
    """A pattern may take exponential time; and whatever else is there, our training never wrote it."""
    with pytest.raises(ValueError, match=r"^(splits|changes)"):
        tokenizer.read_tokenizer(changed(**changes))


@pytest.mark.parametrize(("key", "value"), [("dropout", 0.5), ("ignore_merges", True), ("unk_token", "!")])
def test_pairs_of_another_kind_are_refused(changed, key, value):
    """A random or otherwise changed encoding is not what the network was trained on."""
    with pytest.raises(ValueError, match="encodes pairs"):
        tokenizer.read_tokenizer(changed(model={key: value}))


@pytest.mark.parametrize(("key", "value"), [("content", "word"), ("lstrip", True), ("special", False)])
def test_marks_of_another_kind_are_refused(changed, tiny, key, value):
    """Marks are ours alone: of text, none is one."""
    marks = json.loads((tiny / TOKENIZER).read_text())["added_tokens"]
    with pytest.raises(ValueError, match="has marks"):
        tokenizer.read_tokenizer(changed(added_tokens=[*marks[:-1], {**marks[-1], key: value}]))


@pytest.mark.parametrize("spelling", [rb"\u0052egex", rb"Reg\u0065x"])
def test_a_pattern_cannot_hide(changed, spelling):
    """JSON has several spellings for one key; the library would find this one."""
    raw = changed(decoder={"type": "Replace", "pattern": SLOW, "content": ""})
    with pytest.raises(ValueError, match="spelt as numbers"):
        tokenizer.read_tokenizer(raw.replace(b'"Regex": "(x', b'"%s": "(x' % spelling))


def test_the_word_regex_is_a_word(changed, tiny):
    """A vocabulary may know it."""
    words = json.loads((tiny / TOKENIZER).read_text())["model"]["vocab"]
    assert tokenizer.read_tokenizer(changed(model={"vocab": {**words, "Regex": len(words)}})).token_to_id(
        "Regex"
    ) == len(words)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[" * 1_000_000, b"\xff" * 100, b'{"Regex":"' + b"x" * 1_000_000])
def test_what_is_no_vocabulary(raw):
    with pytest.raises(ValueError, match=r"^(cannot be read|splits text)"):
        tokenizer.read_tokenizer(raw)

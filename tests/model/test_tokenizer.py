"""The tokenizer: a vocabulary of the kind that our training writes is read, and any other is refused."""

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
    """Return the vocabulary of the tiny bundle with some of its parts replaced."""
    whole = json.loads((tiny / TOKENIZER).read_text())

    def change(*, model=None, **parts):
        return json.dumps({**whole, "model": {**whole["model"], **(model or {})}, **parts}, ensure_ascii=False).encode()

    return change


def test_ours_is_read(changed):
    """A vocabulary of ours is read, in any JSON layout."""
    assert tokenizer.read_tokenizer(changed()).get_vocab_size() > 256


@pytest.mark.parametrize("pattern", tokenizer.PATTERNS)
def test_both_patterns_of_ours_are_read(changed, pattern):
    """The pattern of the first models is read too."""
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
    """Foreign patterns, which may take exponential time, and other parts that our training never writes are refused."""
    with pytest.raises(ValueError, match=r"^(splits text|has a normalizer)"):
        tokenizer.read_tokenizer(changed(**changes))


@pytest.mark.parametrize(("key", "value"), [("dropout", 0.5), ("ignore_merges", True), ("unk_token", "!")])
def test_pairs_of_another_kind_are_refused(changed, key, value):
    """Options that change the encoding from what the network was trained on are refused."""
    with pytest.raises(ValueError, match="unknown options for merges"):
        tokenizer.read_tokenizer(changed(model={key: value}))


@pytest.mark.parametrize(("key", "value"), [("content", "word"), ("lstrip", True), ("special", False)])
def test_marks_of_another_kind_are_refused(changed, tiny, key, value):
    """Added tokens are marks in our form only, so that no text is taken for one."""
    marks = json.loads((tiny / TOKENIZER).read_text())["added_tokens"]
    with pytest.raises(ValueError, match="has unknown marks"):
        tokenizer.read_tokenizer(changed(added_tokens=[*marks[:-1], {**marks[-1], key: value}]))


@pytest.mark.parametrize("spelling", [rb"\u0052egex", rb"Reg\u0065x"])
def test_a_pattern_cannot_hide(changed, spelling):
    """A key with escaped letters, which the library would read, is found too."""
    raw = changed(decoder={"type": "Replace", "pattern": SLOW, "content": ""})
    with pytest.raises(ValueError, match="escaped letters"):
        tokenizer.read_tokenizer(raw.replace(b'"Regex": "(x', b'"%s": "(x' % spelling))


def test_the_word_regex_is_a_word(changed, tiny):
    """A vocabulary may contain the word Regex."""
    words = json.loads((tiny / TOKENIZER).read_text())["model"]["vocab"]
    assert tokenizer.read_tokenizer(changed(model={"vocab": {**words, "Regex": len(words)}})).token_to_id(
        "Regex"
    ) == len(words)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[" * 1_000_000, b"\xff" * 100, b'{"Regex":"' + b"x" * 1_000_000])
def test_what_is_no_vocabulary(raw):
    """A file that is no vocabulary is refused."""
    with pytest.raises(ValueError, match=r"^(cannot be read|splits text)"):
        tokenizer.read_tokenizer(raw)

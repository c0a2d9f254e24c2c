"""The encoder: a tokenizer of the kind that our training writes is read, any other is refused, and words are cached."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from spamlstm.model import encoder
from spamlstm.model.bundle import TOKENIZER
from spamlstm.model.encoder import MOST_WORDS, PIECE, Vocabulary

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
    """A vocabulary that our training wrote is read, in any JSON layout."""
    assert encoder.read_tokenizer(changed()).get_vocab_size() > 256


@pytest.mark.parametrize("pattern", encoder.PATTERNS)
def test_both_patterns_of_ours_are_read(changed, pattern):
    """The pattern of the first models is read too."""
    encoder.read_tokenizer(changed(pre_tokenizer=in_turn(split_by({"Regex": pattern}), BYTES)))


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
        encoder.read_tokenizer(changed(**changes))


@pytest.mark.parametrize(("key", "value"), [("dropout", 0.5), ("ignore_merges", True), ("unk_token", "!")])
def test_pairs_of_another_kind_are_refused(changed, key, value):
    """Options that change the encoding from what the network was trained on are refused."""
    with pytest.raises(ValueError, match="unknown options for merges"):
        encoder.read_tokenizer(changed(model={key: value}))


@pytest.mark.parametrize(("key", "value"), [("content", "word"), ("lstrip", True), ("special", False)])
def test_marks_of_another_kind_are_refused(changed, tiny, key, value):
    """Added tokens are marks in our form only, so that no text is taken for one."""
    marks = json.loads((tiny / TOKENIZER).read_text())["added_tokens"]
    with pytest.raises(ValueError, match="has unknown marks"):
        encoder.read_tokenizer(changed(added_tokens=[*marks[:-1], {**marks[-1], key: value}]))


@pytest.mark.parametrize("spelling", [rb"\u0052egex", rb"Reg\u0065x"])
def test_a_pattern_cannot_hide(changed, spelling):
    """A key with escaped letters, which the library would read, is found too."""
    raw = changed(decoder={"type": "Replace", "pattern": SLOW, "content": ""})
    with pytest.raises(ValueError, match="escaped letters"):
        encoder.read_tokenizer(raw.replace(b'"Regex": "(x', b'"%s": "(x' % spelling))


def test_the_word_regex_is_a_word(changed, tiny):
    """A vocabulary may contain the word Regex."""
    words = json.loads((tiny / TOKENIZER).read_text())["model"]["vocab"]
    assert encoder.read_tokenizer(changed(model={"vocab": {**words, "Regex": len(words)}})).token_to_id("Regex") == len(
        words
    )


@pytest.mark.parametrize("raw", [b"", b"{}", b"[" * 1_000_000, b"\xff" * 100, b'{"Regex":"' + b"x" * 1_000_000])
def test_what_is_no_vocabulary(raw):
    """A file that is no vocabulary is refused."""
    with pytest.raises(ValueError, match=r"^(cannot be read|splits text)"):
        encoder.read_tokenizer(raw)


@pytest.fixture(scope="module")
def vocabulary(tiny):
    return Vocabulary.load(tiny / TOKENIZER)


@given(text=st.text(max_size=200), most_words=st.sampled_from([1, 3, MOST_WORDS]))
@example(text="a a\x00 a\x7fb é ééé a-- \x01\x01", most_words=2)
def test_the_cache_changes_nothing(tiny, text, most_words):
    """A word has the same ids the first and the second time, which are those of the library."""
    library = Tokenizer.from_file(str(tiny / TOKENIZER))
    vocabulary = Vocabulary(library, most_words=most_words)
    expected = [i for piece in PIECE.findall(text) for i in library.encode(piece, add_special_tokens=False).ids]
    assert list(vocabulary.ids(text)) == expected
    assert list(vocabulary.ids(text)) == expected


def test_a_long_body_keeps_both_ends(vocabulary):
    """A body that is too long loses its middle, because the end of a window may be the end of the message."""
    body = vocabulary.ids("cheap " * 500 + "pills")
    header, kept = vocabulary.split_ids("⟦subject⟧ hello ⟦body⟧" + "cheap " * 500 + "pills", header=50, body=64)
    assert kept == body[:32] + body[-32:]
    assert header[-1] == vocabulary.ids("⟦body⟧")[0]


def test_a_long_header_still_ends_with_its_mark(vocabulary):
    """A cut header still ends with the mark where the body begins."""
    header, _ = vocabulary.split_ids("⟦subject⟧ " + "meeting " * 500 + "⟦body⟧ more", header=40, body=64)
    assert len(header) == 40
    assert header[-1] == vocabulary.ids("⟦body⟧")[0]

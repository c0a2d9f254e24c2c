"""The keywords of a folder are read from the list that Dovecot writes, whatever the list contains."""

import on_disk
import pytest

from spamlstm.maildir.keywords import HAM_WORDS, SPAM_WORDS, keyword_letter, keyword_mapping, keyword_names


@pytest.fixture
def inbox_and_junk(tmp_path):
    """An inbox and a junk folder that have different letters for their keywords."""
    inbox, junk = tmp_path / "inbox", tmp_path / "junk"
    for folder, text in ((inbox, "0 $Junk\n1 work\n2 NonJunk\n"), (junk, "0 work\n3 junk\n")):
        folder.mkdir()
        (folder / "dovecot-keywords").write_text(text)
    return on_disk.opened(inbox), on_disk.opened(junk)


def test_keyword_names(inbox_and_junk):
    """Each number in the list is a letter, from a on."""
    assert keyword_names(inbox_and_junk[0]) == {"a": "$Junk", "b": "work", "c": "NonJunk"}


def test_a_folder_without_a_list_of_keywords(tmp_path):
    """A folder without a list has no keywords. This is not an error."""
    assert keyword_names(on_disk.opened(tmp_path)) == {}


@pytest.mark.parametrize("text", [b"", b"x y", b"26 z", b"-1 z", b"0", b"\xb2 z", b"0" * 99 + b" z"])
def test_invalid_lines_in_a_list_of_keywords(tmp_path, text):
    """A line of another form is ignored."""
    (tmp_path / "dovecot-keywords").write_bytes(text)
    assert keyword_names(on_disk.opened(tmp_path)) == {}


def test_keyword_letter(inbox_and_junk):
    """The letter of the first keyword that the folder has, in upper or lower case; None if it has none."""
    inbox, junk = inbox_and_junk
    assert keyword_letter(inbox, SPAM_WORDS) == "a"
    assert keyword_letter(junk, SPAM_WORDS) == "d"
    assert keyword_letter(junk, HAM_WORDS) is None


def test_keyword_mapping(inbox_and_junk):
    """Only keywords that both folders have are mapped."""
    assert keyword_mapping(*inbox_and_junk) == {"b": "a"}

"""The keywords of a folder and their letters are read from Dovecot's list."""

import on_disk
import pytest

from spamlstm.maildir import keywords


@pytest.fixture
def folders(tmp_path):
    """An inbox and a junk folder that have different letters for their keywords."""
    inbox, junk = tmp_path / "inbox", tmp_path / "junk"
    for folder, text in ((inbox, "0 $Junk\n1 work\n2 NonJunk\n"), (junk, "0 work\n3 junk\n")):
        folder.mkdir()
        (folder / "dovecot-keywords").write_text(text)
    return on_disk.opened(inbox), on_disk.opened(junk)


def test_keyword_names(folders):
    """Each number in the list is a letter, from a on."""
    assert keywords.keyword_names(folders[0]) == {"a": "$Junk", "b": "work", "c": "NonJunk"}


def test_a_folder_without_a_list(tmp_path):
    """It has no keywords, which is no error."""
    assert keywords.keyword_names(on_disk.opened(tmp_path)) == {}


@pytest.mark.parametrize("text", [b"", b"x y", b"26 z", b"-1 z", b"0", b"\xb2 z", b"0" * 99 + b" z"])
def test_invalid_lines(tmp_path, text):
    """Any other line is ignored and no error."""
    (tmp_path / "dovecot-keywords").write_bytes(text)
    assert keywords.keyword_names(on_disk.opened(tmp_path)) == {}


def test_letter(folders):
    """The letter of the first keyword that the folder has, in upper or lower case; None if it has none."""
    inbox, junk = folders
    assert keywords.letter(inbox, keywords.SPAM_WORDS) == "a"
    assert keywords.letter(junk, keywords.SPAM_WORDS) == "d"
    assert keywords.letter(junk, keywords.HAM_WORDS) is None


def test_mapping(folders):
    """Only keywords that both folders have are mapped."""
    assert keywords.mapping(*folders) == {"b": "a"}

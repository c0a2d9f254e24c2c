"""The manual pages: they describe the current commands and settings, and mandoc accepts them."""

import dataclasses
import datetime as dt
import re
import subprocess

import man_pages
import mdoc
import pytest
from command_line import read_command_line
from hypothesis import example, given, settings
from hypothesis import strategies as st
from settings_text import Setting, read_tables

from spamlstm.config import Config, ListenerConfig

MONDAY, TUESDAY = dt.date(2026, 11, 30), dt.date(2026, 12, 1)


def mandoc(*arguments, text=None):
    """Return the output of mandoc."""
    done = subprocess.run(["mandoc", *map(str, arguments)], input=text, capture_output=True, text=True, check=False)
    return done.stdout


def test_the_pages_are_current():
    """The pages in the repository are those of the present command line and settings.

    If this fails, run `python packaging/man_pages.py`.
    """
    generated = man_pages.render_pages()
    written = {path.name: path.read_text() for path in man_pages.MAN.glob("man*/*")}
    assert set(written) == {*generated, "spamlstm.7"}
    assert {name: man_pages.without_date(written[name]) for name in generated} == generated


def test_each_setting_has_an_entry():
    """spamlstm.conf(5) describes every setting of every table, and nothing else."""
    page = man_pages.render_pages()["spamlstm.conf.5"]
    found = {
        (table, name)
        for table, text in re.findall(r"(?ms)^\.Ss The \[+(\w+)\]+ \w+\n(.*?)^\.El", page)
        for name in re.findall(r"(?m)^\.It Ic (\w+)", text)
    }
    tables = {one.name: one.default_factory for one in dataclasses.fields(Config)}
    sections = {name: kind for name, kind in tables.items() if dataclasses.is_dataclass(kind)}
    expected = {(name, one.name) for name, kind in sections.items() for one in dataclasses.fields(kind)}
    # The file shows the settings that all listeners have only where somebody needs them.
    assert {name for _, name in expected - found} <= {one.name for one in dataclasses.fields(ListenerConfig)}
    assert {name for table, name in found if table not in sections} >= {"path", "junk", "spam", "unsure", "ham"}


def test_settings_in_comments():
    """A section in comments is read like any other, with what is said before, beside and below each setting."""
    text = """# The file.

# The accounts.
# Each needs a section.
# [[account]]
#   host = "a.example"
#   port = 993                  # the port
                                # of the server
[daemon]
# What it is.
# How often it looks.
# scan_seconds = 45             # seconds
"""
    account, daemon = read_tables(text)
    assert (account.header, account.text) == ("[[account]]", "The accounts. Each needs a section.")
    assert account.settings == [
        Setting("host", '"a.example"', "", ""),
        Setting("port", "993", "the port of the server", ""),
    ]
    assert (daemon.text, daemon.settings) == (
        "What it is. How often it looks.",
        [Setting("scan_seconds", "45", "seconds", "45")],
    )
    with pytest.raises(ValueError, match="unknown form: spam"):
        read_tables("[daemon]\nspam\n")


def test_a_page_keeps_its_date_until_its_text_changes(tmp_path):
    """Writing the pages again changes only those with another text, and removes those of former commands."""
    assert len(man_pages.write_pages(tmp_path, today=MONDAY)) == len(man_pages.render_pages())
    changed, former = tmp_path / "man1/spamlstm-run.1", tmp_path / "man1/spamlstm-former.1"
    changed.write_text(changed.read_text().replace("watch", "WATCH"))
    former.write_text(changed.read_text())
    by_hand = tmp_path / "man1/other.1"
    by_hand.write_text("text")

    assert man_pages.write_pages(tmp_path, today=TUESDAY) == [changed, former]

    assert ".Dd December 1, 2026\n" in changed.read_text()
    assert ".Dd November 30, 2026\n" in (tmp_path / "man1/spamlstm.1").read_text()
    assert (former.exists(), by_hand.exists()) == (False, True)


@pytest.mark.peers
def test_mandoc_finds_no_mistake():
    """`mandoc -T lint` is silent about all pages, in its strictest mode; each page that is referenced exists."""
    pages = sorted(man_pages.MAN.glob("man*/*"))
    assert mandoc("-T", "lint", "-W", "style", "-M", man_pages.MAN, *pages) == ""


@pytest.mark.peers
@pytest.mark.parametrize("command", list(read_command_line().walk()), ids=lambda one: one.page)
def test_a_page_shows_every_option_and_example(command):
    """A reader sees each option, argument and example of the command, with its value."""
    page = mandoc("-T", "ascii", "-O", "width=200", man_pages.MAN / "man1" / f"{command.page}.1")
    text = re.sub(r".\x08", "", page)
    for one in command.parameters:
        if not one.is_common and one.is_option and command.path:
            assert " ".join((", ".join(one.names), one.metavar)).strip() in text
        assert one.is_option or one.metavar.split("|")[0] in text
    assert [line for line in command.examples if line not in text] == []


WORDS = st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=1), min_size=1)


@pytest.mark.peers
@settings(max_examples=60)
@given(WORDS.map(" ".join).filter(lambda text: not {"`", "'"} & set(text)))
@example("Op Fl `Nm` 'Ar' `Xr x` No")
@example(r".Sh \fB \(dq \e -x --opt=\n .' a. B. C")
def test_any_text_is_shown_as_it_is(text):
    """No character of a help text is taken as markup."""
    page = ".Dd January 1, 2026\n.Dt X 1\n.Os\n.Sh NAME\n.Nm x\n.Nd y\n.Sh DESCRIPTION"
    shown = mandoc("-T", "ascii", "-O", "width=200", text="\n".join((page, *mdoc.paragraph(text), "")))
    body = re.sub(r".\x08", "", shown).partition("DESCRIPTION\n")[2].rpartition("\n\n")[0]
    assert body.replace("`", "'").split() == text.replace("`", "'").split()

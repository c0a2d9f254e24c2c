"""A kill -9 before any system call of a look at what users did loses no label, and says none twice."""

from pathlib import Path

import pytest
from inbox import OPENED, make, raw
from killing import calls_of, can_trace, killed_before
from learning_house import LearningHouse

from spamlstm.learning.label_store import LabelStore

# Other tests may have left threads, which the copies of the process that are killed here do without.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

TRIES = 12


def prepared(path):
    """A missed spam and a mistaken filing, both put right by their user and not looked at yet."""
    house = LearningHouse(make(path / "Maildir"), path / "state")
    for name in (".Archive", ".Junk"):
        house.folder(name)
    house.watch()
    house.look()
    house.deliver("ham")
    house.deliver("spam")
    house.run()
    house.look()
    house.move(raw("ham", 1), house.junk, how="link")
    house.move(raw("spam", 2), house.root, how="copy")
    close(house)
    return house


def close(house):
    house.label_stores.close()
    house.mailbox_state.close()
    while OPENED:
        OPENED.pop().close()


def looking(house):
    """In a process of its own, with connections of its own."""

    def work(start):
        mine = LearningHouse.__new__(LearningHouse)
        mine.__dict__.update({key: value for key, value in house.__dict__.items() if key != "mailbox_state"})
        mine.open_quietly()
        start()
        mine.look()

    return work


@pytest.mark.parametrize("share", [number / TRIES for number in range(TRIES)])
def test_kill(tmp_path, share):
    """Whatever was said and noted by then, after the next look it is all there, once, and mail lies as it lay."""
    if not can_trace():
        pytest.skip("this machine forbids ptrace, which stops a process at a system call")
    (tmp_path / "counted").mkdir()
    calls = calls_of(looking(prepared(tmp_path / "counted")))
    house = prepared(Path(tmp_path))
    assert killed_before(round(share * calls), looking(house))
    house.__dict__.pop("mailbox_state")
    house.open()
    house.look()
    assert (house.label_of(raw("ham", 1)), house.label_of(raw("spam", 2))) == ("spam", "ham")
    before = [said.time for said in said_last(house)]
    house.again()
    house.look()
    assert [said.time for said in said_last(house)] == before
    assert [entry.folder for entry in house.where(raw("ham", 1))] == [house.junk]
    assert house.label_stores.layer(house.root).labels == 2
    close(house)


def said_last(house):
    labels = LabelStore.open(house.state)
    said = list(labels.last())
    labels.close()
    assert len(said) == 2
    return said

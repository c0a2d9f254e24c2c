"""What users do with their mail becomes labels, and nothing else does."""

# ruff: noqa: PTH104, PTH108, PTH118  as in maildir

import os
import shutil
import sqlite3

import on_disk
import pytest
from inbox import make, raw
from learning_house import LearningHouse

from spamlstm.config import LabelScope
from spamlstm.config.locations import personal_dir
from spamlstm.filtering.outcome import Status
from spamlstm.filtering.recovery import Recovery
from spamlstm.filtering.undo import undo_acts
from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir import names, opened
from spamlstm.tracking import listing, tracker

HOW = pytest.mark.parametrize("how", ["rename", "link", "copy"])


@pytest.fixture
def house(tmp_path):
    """Watched and looked at once, with an archive; nothing in it."""
    opened = []

    def build(*, looked=True, junk=True, **section):
        one = LearningHouse(make(tmp_path / "Maildir"), tmp_path / "state", section)
        opened.append(one)
        one.archive = one.folder(".Archive")
        if junk:
            one.folder(".Junk")
        if looked:
            one.watch()
            one.look()
        return one

    yield build
    for one in opened:
        one.label_stores.close()
        one.mailbox_state.close()


def delivered(house, body, *, read=True):
    """Delivered and dealt with, then read: its bytes as they were delivered."""
    house.deliver(body)
    content = raw(body, house.count)
    house.run()
    if read and body != "spam":
        house.flag(content, "S")
    house.look()
    return content


@HOW
def test_into_the_junk_folder_is_spam(house, how):
    house = house()
    missed = delivered(house, "ham")
    house.move(missed, house.junk, how=how)
    house.look()
    assert house.label_of(missed) == "spam"


@HOW
@pytest.mark.parametrize("mailbox", ["", ".Archive"])
def test_out_of_the_junk_folder_is_ham(house, how, mailbox):
    """What we filed and its user takes back, to the inbox or elsewhere, read or not; and it stays there."""
    house = house()
    wrong = delivered(house, "spam")
    assert [entry.folder for entry in house.where(wrong)] == [house.junk]
    assert house.labels() == {}
    target = os.path.join(house.root, mailbox)
    house.move(wrong, target, how=how, flags="")
    house.look()
    assert house.label_of(wrong) == "ham"
    assert {outcome.status for outcome in house.run()} <= {Status.KNOWN}
    assert [entry.folder.rstrip("/") for entry in house.where(wrong)] == [target.rstrip("/")]


def test_our_own_moves_say_nothing(house):
    """Nor do those of undo, also where nobody has looked in between."""
    house = house()
    for _ in range(3):
        house.deliver("spam")
    house.run()
    house.look()
    recovery = Recovery(house.journal, counters=house.counters, clock=house.clock)
    list(undo_acts(house.journal, recovery, since=0, dry=False, clock=house.clock))
    house.look()
    assert len(house.names(house.root)) == 3
    assert house.labels() == {}
    again = raw("spam", 1)
    house.move(again, house.junk)
    house.look()
    assert house.labels() == dict.fromkeys(house.labels(), "spam")
    assert len(house.labels()) == 1


@HOW
def test_what_others_put_into_junk_and_its_user_takes_out(house, how):
    """Sieve filed it, nobody judged it; taken out it is ham, and is not judged and filed again."""
    house = house()
    content = raw("spam", 77)
    house.put(content, house.junk, part="new")
    house.look()
    assert house.label_of(content) == "spam"
    house.move(content, house.root, how=how)
    assert [outcome.status for outcome in house.run()] == [Status.KNOWN]
    house.look()
    assert house.label_of(content) == "ham"
    house.again()
    assert house.run() == []
    assert [entry.folder for entry in house.where(content)] == [house.root]


def test_taken_out_before_anybody_looked(house):
    """Between two looks we file, and its user takes it back: still that is his word."""
    house = house()
    house.deliver("spam")
    content = raw("spam", 1)
    house.run()
    house.move(content, house.root, how="link")
    house.look()
    assert house.label_of(content) == "ham"


def test_back_and_forth(house):
    """The last word counts, however often; and looking again changes nothing."""
    house = house()
    content = delivered(house, "ham")
    for target, label in [(house.junk, "spam"), (house.root, "ham"), (house.junk, "spam"), (house.archive, "ham")]:
        house.move(content, target, how="link")
        house.look()
        assert house.label_of(content) == label
        house.look()
        house.again()
        house.look()
        assert house.label_of(content) == label
    assert len(house.labels()) == 1


def test_there_and_back_between_two_looks(house):
    """What nobody saw did not happen."""
    house = house()
    content = delivered(house, "ham")
    house.move(content, house.junk, how="link")
    house.move(content, house.root, how="link")
    house.look()
    assert house.labels() == {}


def test_filed_by_hand_is_ham_once_it_is_read(house):
    """Rules of mail programs file what nobody has read; that says nothing until somebody has."""
    house = house()
    first, second = delivered(house, "ham"), delivered(house, "unsure", read=False)
    house.move(first, house.archive)
    house.move(second, house.archive, flags="")
    house.look()
    assert (house.label_of(first), house.label_of(second)) == ("ham", None)
    house.flag(second, "S")
    house.look()
    assert house.label_of(second) == "ham"


def test_answered_unread_is_ham(house):
    """Also what its user filed before anybody had judged or seen it in the inbox."""
    house = house()
    content = raw("spam", 89)
    house.put(content, house.root, part="new")
    house.move(content, house.archive, flags="")
    house.look()
    house.flag(content, "R")
    house.look()
    assert house.label_of(content) == "ham"


def test_answered_is_ham(house):
    """In the inbox or where it was filed at its delivery; in the junk folder it says nothing."""
    house = house()
    content, junked = delivered(house, "ham"), delivered(house, "spam")
    listed = raw("ham", 88)
    house.put(listed, house.archive, part="new")
    house.look()
    assert house.labels() == {}
    for one in (content, junked):
        house.flag(one, "RS")
    house.flag(listed, "RS")
    house.look()
    assert (house.label_of(content), house.label_of(listed), house.label_of(junked)) == ("ham", "ham", None)


def test_what_was_said_comes_before_filing_and_answering(house):
    """Only a move into or out of the junk folder takes a word back."""
    house = house()
    content = delivered(house, "ham")
    house.label_stores.add_label(house.root, content, "spam")
    house.flag(content, "RS")
    house.look()
    house.move(content, house.archive)
    house.look()
    assert house.label_of(content) == "spam"


@pytest.mark.parametrize("name", [".Trash", ".Sent", ".Drafts", ".Papierkorb", ".Junk.old"])
def test_some_folders_say_nothing(house, name):
    """What is thrown away is neither ham nor spam, read or not; and from there to the inbox it is not news either."""
    house = house()
    target = house.folder(name)
    content, wrong = delivered(house, "ham"), delivered(house, "spam")
    for one in (content, wrong):
        house.move(one, target, flags="S")
    house.look()
    assert house.labels() == {}
    house.move(content, house.root)
    house.look()
    assert house.labels() == {}
    house.move(wrong, house.root)
    house.look()
    assert house.label_of(wrong) == "ham"


def test_unread_mail_and_mail_that_is_only_read(house):
    """That mail lies in the inbox is no evidence."""
    house = house()
    delivered(house, "ham", read=False)
    content = delivered(house, "ham")
    house.flag(content, "FS")
    house.look()
    assert house.labels() == {}


def test_what_was_there_before_we_came(house):
    """The first look is where it begins; from then on that mail speaks by moving too."""
    house = house(looked=False)
    old, kept, junked = raw("ham", 901), raw("ham", 902), raw("spam", 903)
    house.put(old, house.root, flags="RS")
    house.put(kept, house.archive, flags="RS")
    house.put(junked, house.junk)
    house.watch()
    house.look()
    assert house.labels() == {}
    house.move(old, house.junk, how="link")
    house.move(kept, house.junk, how="copy")
    house.move(junked, house.root, how="link")
    house.run()
    house.look()
    assert [house.label_of(one) for one in (old, kept, junked)] == ["spam", "spam", "ham"]


def test_copies(house):
    """Of a message that lies in two folders the last one tells, and when that is gone the other."""
    house = house()
    content = delivered(house, "ham")
    (entry,) = house.where(content)
    copy = os.path.join(house.junk, "cur", f"{names.unique()}:2,S")
    shutil.copy2(entry.path, copy)
    house.look()
    assert house.label_of(content) == "spam"
    os.unlink(copy)
    house.look()
    assert house.label_of(content) == "ham"


def test_a_copy_and_a_mark_is_a_move(house):
    """Clients that know no MOVE copy, mark the first as deleted, and remove it some day; so do undo's of such."""
    house = house()
    content = delivered(house, "ham")
    (entry,) = house.where(content)
    os.link(entry.path, os.path.join(house.junk, "cur", f"{names.unique()}:2,S"))
    base = entry.name.partition(":")[0]
    os.rename(entry.path, os.path.join(house.root, "cur", f"{base}:2,ST"))
    house.look()
    assert house.label_of(content) == "spam"
    (junked,) = [one for one in house.where(content) if one.folder == house.junk]
    os.unlink(junked.path)
    house.look()
    assert house.label_of(content) == "spam"
    os.rename(os.path.join(house.root, "cur", f"{base}:2,ST"), os.path.join(house.root, "cur", f"{base}:2,S"))
    house.look()
    assert house.label_of(content) == "ham"


def test_folders_that_are_renamed(house):
    """Nobody has moved the messages in it; not even where it becomes, or ceases to be, the junk folder."""
    house = house()
    kept, junked = delivered(house, "ham"), delivered(house, "spam")
    house.move(kept, house.archive)
    house.look()
    assert house.label_of(kept) == "ham"
    for old, new in [(".Archive", ".Old"), (".Old", ".Spam"), (".Junk", ".Lists"), (".Spam", ".Old")]:
        os.rename(os.path.join(house.root, old), os.path.join(house.root, new))
        house.look()
        assert (house.label_of(kept), house.label_of(junked)) == ("ham", None)


def test_a_folder_that_is_deleted(house):
    """What lay in it is forgotten as what is deleted is; what we have learned stays."""
    house = house()
    missed = delivered(house, "ham")
    house.move(missed, house.junk)
    house.look()
    shutil.rmtree(house.junk)
    house.look()
    assert house.label_of(missed) == "spam"


def test_the_first_spam_of_all_in_a_junk_folder_made_for_it(house):
    """A client makes the folder with the first message that is moved to it."""
    house = house(junk=False)
    missed = delivered(house, "ham")
    house.folder(".Junk")
    house.move(missed, house.junk)
    house.look()
    assert house.label_of(missed) == "spam"


def test_another_junk_folder_by_configuration(house):
    """What lies in the folder that now is the junk folder was moved by nobody; what comes then was."""
    house = house(junk=False)
    ads = house.folder(".Ads")
    first, second = delivered(house, "ham"), delivered(house, "ham")
    house.move(first, ads)
    house.look()
    assert house.label_of(first) == "ham"
    house.section["junk"] = "Ads"
    house.again()
    house.look()
    assert house.label_of(first) == "ham"
    house.move(second, ads)
    house.look()
    assert (house.label_of(first), house.label_of(second)) == ("ham", "spam")


def test_what_is_brought_in_bulk_says_nothing(house):
    """A backup or a first sync of hundreds of messages into the junk folder is the past, which is for `adopt`."""
    house = house()
    for number in range(150):
        house.put(raw("spam", 5000 + number), house.junk)
    house.look()
    assert house.labels() == {}
    content = raw("spam", 5007)
    house.move(content, house.root)
    house.look()
    assert house.label_of(content) == "ham"


def test_a_rule_that_goes_by_our_headers_is_no_user(house):
    """Where spam is only tagged, whoever moves it to the junk folder may be a program that believes us."""
    house = house(spam=("tag",))
    content = delivered(house, "spam")
    house.move(content, house.junk)
    house.look()
    assert house.labels() == {}
    for target, label in [(house.root, "ham"), (house.junk, "spam")]:
        house.move(content, target)
        house.look()
        assert house.label_of(content) == label


def test_what_is_learned_is_the_mail_as_it_was_delivered(house):
    """Without the headers that we have written."""
    house = house()
    content = delivered(house, "spam")
    assert b"X-Spam-Flag: YES" in on_disk.content(house.where(content)[0].path)
    house.move(content, house.root)
    house.look()
    labels = LabelStore.open(house.state)
    (lesson,) = labels.examples(after=0, most_bytes=10_000)
    labels.close()
    assert lesson.raw == content
    assert lesson.prior == 0.5


def test_a_label_store_that_fails_is_tried_again(house, caplog):
    """It stops nothing, is told, and what was owed is said when it works again; also after a restart."""
    house = house()
    missed = delivered(house, "ham")
    labels = LabelStore.open(house.state)
    labels._connection.execute("ALTER TABLE labels RENAME TO hidden")
    house.move(missed, house.junk)
    house.look()
    assert house.label_stores.status.failed == 1
    assert "not-learned" in caplog.text
    house.again()
    labels._connection.execute("ALTER TABLE hidden RENAME TO labels")
    labels.close()
    house.look()
    assert house.label_of(missed) == "spam"
    assert house.label_stores.status.moved == {"spam": 1}


def test_what_is_owed_for_what_is_gone(house):
    """Removed by its user before it could be said: then there is nothing more to say, now or ever."""
    house = house()
    missed = delivered(house, "ham")
    labels = LabelStore.open(house.state)
    labels._connection.execute("ALTER TABLE labels RENAME TO hidden")
    target = house.move(missed, house.junk)
    house.look()
    labels._connection.execute("ALTER TABLE hidden RENAME TO labels")
    labels.close()
    os.unlink(target)
    house.clock.now += 1000
    house.look()
    assert house.labels() == {}
    assert house.mailbox_state.pending(house.root) == []


def test_a_damaged_store_of_places_is_begun_anew(house):
    """What is in it can be had again: filtering starts."""
    house = house()
    house.mailbox_state.close()
    (house.state / "places.sqlite").write_bytes(b"no database at all" * 1000)
    house.again()
    house.look()
    missed = delivered(house, "ham")
    house.move(missed, house.junk)
    house.look()
    assert house.label_of(missed) == "spam"


def test_a_look_at_rest_asks_nothing(house):
    """No listing and no question to the database where nothing has changed."""
    house = house()
    delivered(house, "ham")
    house.later = 10.0
    house.look()
    house.look()
    house.mailbox_state.close()
    house.look()
    assert house.label_stores.status.failed == 0
    house.mailbox_state._connection = sqlite3.connect(":memory:")


def test_the_maildirs_of_two_people(house, tmp_path):
    """With a layer each, what one says is nobody else's: in a folder of its own, readable by nobody else."""
    LearningHouse.layer, before = LabelScope.PER_MAILDIR, LearningHouse.layer
    try:
        house = house()
        missed = delivered(house, "ham")
        house.move(missed, house.junk)
        house.look()
    finally:
        LearningHouse.layer = before
    folder = personal_dir(house.state, house.root)
    assert not (house.state / "labels.sqlite").exists()
    assert [(path.stat().st_mode & 0o777) for path in (folder, folder.parent)] == [0o700, 0o700]
    assert folder.joinpath("labels.sqlite").stat().st_mode & 0o777 == 0o600
    assert house.label_stores.layer(house.root).labels == 1
    assert house.label_stores.layer(str(tmp_path / "other")) is None


def test_old_names_are_forgotten(house):
    """What lies nowhere is remembered as long as the journal remembers, and no longer."""
    house = house()
    missed = delivered(house, "ham")
    os.unlink(house.move(missed, house.junk))
    content = raw("spam", 66)
    target = house.put(content, house.junk)
    house.look()
    os.unlink(target)
    house.look()
    count = "SELECT count(*) FROM messages"
    assert house.mailbox_state._connection.execute(count).fetchone()[0] == 1
    house.later = 100 * 86_400
    house.put(raw("ham", 67), house.root)
    house.look()
    assert house.mailbox_state._connection.execute(count).fetchone()[0] == 0


@pytest.mark.parametrize("looked", [True, False])
def test_a_step_reads_few_bytes(house, monkeypatch, looked):
    """Mail that comes in waits for one step: however large what a user moves, it ends soon after so many bytes."""
    house = house(looked=looked)
    steps = []

    def counting(folder, one):
        content = listing.read_listed(folder, one)
        steps[-1] += len(content)
        return content

    monkeypatch.setattr(tracker, "STEP_BYTES", 30_000)
    monkeypatch.setattr(tracker, "read_listed", counting)
    for number in range(40):
        house.put(raw("x" * 10_000, number), house.junk)
    looks = house.moves.round([house.root])
    while True:
        steps.append(0)
        if next(looks, looks) is looks:
            break
    assert 400_000 < sum(steps) < 420_000
    assert max(steps) < 45_000


def test_a_folder_with_too_many_names(house, monkeypatch):
    """It is passed over; what its user says in the others is heard."""
    house = house()
    missed = delivered(house, "ham")
    monkeypatch.setattr(opened, "MOST_LISTED", 5)
    for number in range(6):
        house.put(raw("ham", 100 + number), house.archive)
    house.move(missed, house.junk)
    house.look()
    assert house.label_of(missed) == "spam"

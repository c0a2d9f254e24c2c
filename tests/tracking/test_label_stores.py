"""Label stores: layers have all labels, few are in memory, and no error of a store stops mail."""

import contextlib
import itertools
import logging
import sqlite3

import pytest
from inbox import Clock, raw
from tracked_maildir import Base

from spamlstm.config import LabelScope
from spamlstm.config.locations import LABELS, PERSONAL, _dir_named, personal_dir
from spamlstm.filtering.backoff import FIRST_DELAY
from spamlstm.learning import label_rows, trainer
from spamlstm.learning.label import Label, LabelRequest, Origin
from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir.content_id import content_id
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.tracking.label_stores import LabelStores, StoreUnavailableError


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def label_stores(tmp_path, clock):
    """Build label stores for a state folder that does not exist yet."""
    made = []

    def build(scope=LabelScope.SHARED, **more):
        made.append(LabelStores(tmp_path / "state", base=Base(), scope=scope, clock=clock, monotonic=clock, **more))
        return made[-1]

    yield build
    for one in made:
        one.close()


def add(label_stores, maildir, number, label=Label.SPAM):
    return label_stores.add_label(maildir, raw("words", number), label)


def linked(folder):
    """The paths of a Maildir and of a link to it."""
    (folder / "ann").mkdir()
    (folder / "link").symlink_to("ann")
    return str(folder / "ann"), str(folder / "link")


def labelled(label_stores, maildir, number):
    return label_stores.label(maildir, content_id(raw("words", number)), raw("words", number))


def test_without_labels(label_stores, tmp_path):
    """Nothing is created on disk, and there is no layer."""
    one = label_stores()
    assert one.layer("/mail/ann") is None
    assert one.label("/mail/ann", content_id(raw("words", 1)), raw("words", 1)) is None
    one.tally()
    assert not (tmp_path / "state").exists()


def test_labels_that_replace_others_are_learned_together(label_stores, tmp_path, monkeypatch):
    """A user who moves a hundred labelled messages back does not wait for a hundred times as many lessons."""
    lessons = []
    learn = PersonalLayer.learn
    monkeypatch.setattr(PersonalLayer, "learn", lambda *given, **more: [lessons.append(1), learn(*given, **more)])
    one = label_stores()
    for label in (Label.HAM, Label.SPAM):
        for number in range(100):
            add(one, "/mail/ann", number, label)
    layer = one.layer("/mail/ann")
    assert len(lessons) == 200
    assert layer.dump() == trainer.learned_layer(tmp_path / "state").dump()


@pytest.mark.parametrize("opened", [False, True])
def test_another_base(label_stores, tmp_path, opened):
    """A new model rescores the labels, whether the store is open or not."""
    one = label_stores()
    add(one, "/mail/ann", 1)
    if not opened:
        one.close()
    one.reconfigure(scope=LabelScope.SHARED, base=Base("words 2", score=-3.0))

    assert one.layer("/mail/ann").labels == 1
    store = LabelStore.find(tmp_path / "state")
    assert [(one.prior, one.model) for one in store.last()] == [(-3.0, "words 2")]
    store.close()


def test_scoring_with_another_base_is_shown(label_stores, caplog):
    """Mail waits while labels are scored with a new model, so the status shows the progress, and the log the end."""
    caplog.set_level(logging.INFO)
    progress = []
    one = label_stores(beat=lambda: progress.append(one.status.rescored))
    add(one, "/mail/ann", 1)
    add(one, "/mail/ann", 2)
    assert "rescored" not in caplog.text

    one.reconfigure(scope=LabelScope.SHARED, base=Base("words 2", score=-3.0))
    one.layer("/mail/ann")
    assert progress == [1, 2]
    assert one.status.rescored == 0
    assert 'labels=2 model="words 2"' in caplog.text


def test_one_layer_for_all(label_stores):
    """With a shared store, labels from one Maildir count in the others."""
    one = label_stores()
    assert add(one, "/mail/ann", 1)
    assert not add(one, "/mail/ann", 1)
    assert one.layer("/mail/bob") is one.layer("/mail/ann")
    assert one.label("/mail/bob", content_id(raw("words", 1)), raw("words", 1)) is Label.SPAM
    one.tally()
    assert (one.status.labels, one.status.moved) == ({"ham": 0, "spam": 1}, {"spam": 1})
    assert one.status.last is not None


def test_the_status_has_the_time_of_the_newest_label(label_stores, tmp_path):
    """The last label of the status is the newest, also if interleaved bulk labels were learned after it."""
    with contextlib.closing(LabelStore.open(tmp_path / "state", clock=itertools.count(1000.0).__next__)) as store:
        for number, label in enumerate([Label.HAM, Label.SPAM, Label.SPAM, Label.HAM]):
            content = raw("words", number)
            request = LabelRequest(content_id(content), content, "", None, "", Origin.BULK)
            store.add(request, label)
        store.interleave_bulk()
        newest = max(one.time for one in store.last())
        assert next(store.last()).time != newest
    one = label_stores()
    one.tally()
    assert one.status.last == newest


def test_a_layer_each(label_stores, tmp_path):
    """With a store for each Maildir, labels of one do not count in another."""
    one = label_stores(LabelScope.PER_MAILDIR)
    add(one, "/mail/ann", 1)
    add(one, "/mail/bob", 1, Label.HAM)
    assert [
        one.label(box, content_id(raw("words", 1)), raw("words", 1)) for box in ("/mail/ann", "/mail/bob", "/mail/carl")
    ] == [
        Label.SPAM,
        Label.HAM,
        None,
    ]
    assert (personal_dir(tmp_path / "state", "/mail/ann") / LABELS).is_file()
    assert not (tmp_path / "state" / LABELS).exists()


def test_a_maildir_with_two_paths_has_one_store(label_stores, tmp_path):
    """A link and the folder to which it leads have the same labels, whichever is used first."""
    ann, link = linked(tmp_path)
    one = label_stores(LabelScope.PER_MAILDIR)
    add(one, link, 1)
    add(one, ann, 2)
    for path in (ann, link):
        assert [labelled(one, path, number) for number in (1, 2)] == [Label.SPAM, Label.SPAM]
    assert len(list((tmp_path / "state" / PERSONAL).iterdir())) == 1


def test_labels_by_the_path_of_a_link_are_not_lost(label_stores, tmp_path):
    """Labels that an earlier version stored by the path of a link count for this path."""
    ann, link = linked(tmp_path)
    add(label_stores(LabelScope.PER_MAILDIR), ann, 1)
    personal_dir(tmp_path / "state", ann).rename(_dir_named(tmp_path / "state", link))
    assert labelled(label_stores(LabelScope.PER_MAILDIR), link, 1) is Label.SPAM


def test_few_are_in_memory(label_stores):
    """The layers used last stay in memory; the others are loaded again when needed."""
    one = label_stores(LabelScope.PER_MAILDIR, most=2)
    for number in range(5):
        add(one, f"/mail/{number}", number)
    assert len(one._stores) == 2
    for number in range(5):
        assert one.layer(f"/mail/{number}").labels == 1
        assert len(one._stores) == 2


def test_labels_of_other_processes_count(label_stores, tmp_path):
    """A label that another process adds, forgets or purges counts, or not, for the next message."""
    one = label_stores()
    add(one, "/mail/ann", 1)
    other = LabelStore.open(tmp_path / "state")
    content = content_id(raw("words", 2))
    other.add(LabelRequest(content, raw("words", 2), "x", 0.0, "m"), Label.HAM)
    assert one.layer("/mail/ann").labels == 2
    other.forget(content)
    assert one.layer("/mail/ann").labels == 1
    other.purge()
    assert one.layer("/mail/ann").labels == 0
    other.close()


def test_a_store_that_is_removed_or_replaced(label_stores, tmp_path):
    """The file that exists now is used."""
    one = label_stores()
    add(one, "/mail/ann", 1)
    state = tmp_path / "state"
    for path in state.glob(f"{LABELS}*"):
        path.rename(path.with_name("old-" + path.name))
    assert one.layer("/mail/ann") is None
    add(one, "/mail/ann", 2)
    add(one, "/mail/ann", 3)
    assert one.layer("/mail/ann").labels == 2


def test_a_store_that_cannot_be_used(label_stores, clock, tmp_path, caplog):
    """The layer stays in use, one line is logged for each try, and tries become rarer."""
    one = label_stores()
    add(one, "/mail/ann", 1)
    breaking = sqlite3.connect(tmp_path / "state" / LABELS)
    breaking.execute("ALTER TABLE epoch RENAME TO hidden")
    with caplog.at_level(logging.WARNING):
        assert one.layer("/mail/ann").labels == 1
        assert one.layer("/mail/ann").labels == 1
    assert caplog.text.count("not-learned") == 1
    with pytest.raises(StoreUnavailableError):
        add(one, "/mail/ann", 2)
    clock.now += FIRST_DELAY + 1
    one.layer("/mail/ann")
    breaking.execute("ALTER TABLE hidden RENAME TO epoch")
    breaking.close()
    clock.now += FIRST_DELAY + 1
    with pytest.raises(StoreUnavailableError):
        add(one, "/mail/ann", 2)
    clock.now += FIRST_DELAY
    assert add(one, "/mail/ann", 2)
    assert one.status.failed == 2


def test_a_file_that_is_no_store(label_stores, clock, tmp_path):
    """Mail is judged by the model alone."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / LABELS).write_bytes(b"none of ours" * 1000)
    one = label_stores()
    assert one.layer("/mail/ann") is None
    with pytest.raises(StoreUnavailableError):
        add(one, "/mail/ann", 1)
    one.tally()
    assert one.status.failed == 1


def test_another_configuration(label_stores):
    """Changing the scope and changing it back neither loses nor mixes labels."""
    one = label_stores()
    add(one, "/mail/ann", 1)
    one.reconfigure(scope=LabelScope.PER_MAILDIR, base=Base())
    assert one.layer("/mail/ann") is None
    one.reconfigure(scope=LabelScope.SHARED, base=Base())
    assert one.layer("/mail/ann").labels == 1


DAMAGE = [
    ("labels", "mail = x'789c00'"),
    ("labels", "mail = x'ff'"),
    ("labels", "label = 'maybe'"),
    ("labels", "label = CAST(x'ff' AS TEXT)"),
    ("labels", "tokens = x'01'"),
    ("labels", "prior = 'x'"),
    ("labels", "prior = 9e999"),
    ("labels", "origin = 'z'"),
    ("epoch", "number = 'x'"),
    ("epoch", "written = 'x'"),
]


def damage(folder, table, change):
    """Write a value into a store that this program never writes."""
    with contextlib.closing(sqlite3.connect(folder / LABELS)) as database:
        database.execute("DELETE FROM learned")
        database.execute(f"UPDATE {table} SET {change}")  # noqa: S608  ours
        database.commit()


@pytest.mark.parametrize(("table", "change"), DAMAGE)
def test_a_damaged_store_is_paused_and_the_others_go_on(label_stores, tmp_path, caplog, table, change):
    """One line names the file and what to do, the model alone judges that Maildir's mail, and status names it."""
    one = label_stores(LabelScope.PER_MAILDIR)
    for maildir in ("/mail/ann", "/mail/bob"):
        add(one, maildir, 1)
    one.close()
    folder = personal_dir(tmp_path / "state", "/mail/ann")
    damage(folder, table, change)

    for _ in range(3):
        assert one.layer("/mail/ann") is None
        assert one.layer("/mail/bob").labels == 1
    with pytest.raises(StoreUnavailableError):
        add(one, "/mail/ann", 2)
    assert add(one, "/mail/bob", 2)
    assert caplog.text.count("not-learned") == 1
    assert "maildir=/mail/ann" in caplog.text
    (paused,) = one.status.snapshot()["paused"]
    assert (paused["maildir"], paused["state"], paused["delay"]) == ("/mail/ann", str(folder), FIRST_DELAY)
    assert str(folder / LABELS) in paused["why"]
    assert "move it away to begin anew" in paused["why"]
    assert "bug" not in caplog.text


def test_a_store_that_is_damaged_while_it_is_open(label_stores, tmp_path, clock):
    """The layer learned so far stays in use; once the store is mended all labels count and the pause ends."""
    one = label_stores()
    add(one, "/mail/ann", 1)
    add(one, "/mail/ann", 2)
    damage(tmp_path / "state", "labels", "label = 'maybe' WHERE id = 2")
    assert one.layer("/mail/ann").labels == 2  # row 2 is learned already
    damage(tmp_path / "state", "epoch", "written = 'x'")
    assert one.layer("/mail/ann").labels == 2
    (paused,) = one.status.snapshot()["paused"]
    assert paused["maildir"] is None
    assert one.status.snapshot()["paused_stores"] == 1
    damage(tmp_path / "state", "epoch", "written = 9")
    clock.now += FIRST_DELAY + 1
    one.layer("/mail/ann")
    assert one.status.snapshot()["paused"] == []
    assert one.status.snapshot()["paused_stores"] == 0


def test_an_unexpected_error_is_one_store_s_own(label_stores, tmp_path, monkeypatch, caplog):
    """An unexpected error is logged as a bug without text of a message, and the other stores are used."""
    one = label_stores(LabelScope.PER_MAILDIR)
    for maildir in ("/mail/ann", "/mail/bob"):
        add(one, maildir, 1)
    ann = one._stores[personal_dir(tmp_path / "state", "/mail/ann")]

    def fails():
        raise ZeroDivisionError("Dear Ann")

    monkeypatch.setattr(ann.trainer, "catch_up", fails)
    assert one.layer("/mail/ann").labels == 1
    assert one.layer("/mail/bob").labels == 1
    assert "ZeroDivisionError" in caplog.text
    assert "Dear Ann" not in [record.getMessage() for record in caplog.records]
    assert "Dear" not in str(one.status.snapshot())


def test_a_suspended_layer(label_stores, clock):
    """After a failure the model alone judges for a while; then the layer is loaded again."""
    one = label_stores(LabelScope.PER_MAILDIR)
    for maildir in ("/mail/ann", "/mail/bob"):
        add(one, maildir, 1)
    one.suspend("/mail/ann", ZeroDivisionError())
    assert one.layer("/mail/ann") is None
    assert one.layer("/mail/bob").labels == 1
    clock.now += FIRST_DELAY + 1
    assert one.layer("/mail/ann").labels == 1
    assert one.status.paused == ()


@pytest.mark.parametrize("years", [4, -4])
def test_a_pause_is_no_longer_under_a_wrong_clock(tmp_path, clock, years):
    """The monotonic clock alone decides when a store is tried again."""
    monotonic = Clock(0.0)
    one = LabelStores(tmp_path / "state", base=Base(), scope=LabelScope.SHARED, clock=clock, monotonic=monotonic)
    add(one, "/mail/ann", 1)
    damage(tmp_path / "state", "epoch", "number = 'x'")
    one.layer("/mail/ann")
    clock.now += years * 365 * 86_400
    monotonic.now += FIRST_DELAY - 1
    damage(tmp_path / "state", "epoch", "number = 1")
    with pytest.raises(StoreUnavailableError):
        add(one, "/mail/ann", 2)
    monotonic.now += 2
    assert add(one, "/mail/ann", 2)
    one.close()


def test_moves_do_not_fill_the_store(label_stores, monkeypatch, caplog):
    """Labels from moves are bounded as those of commands: the oldest are forgotten, with a line in the log."""
    monkeypatch.setattr(label_rows, "MOST_LABELS", 8)
    monkeypatch.setattr(trainer, "SAVE_EVERY", 4)
    one = label_stores()
    for number in range(20):
        add(one, "/mail/ann", number)
        assert one.layer("/mail/ann").labels <= 12
    assert "label-store" in caplog.text
    assert "labels removed because of age or number" in caplog.text
    assert one.label("/mail/ann", content_id(raw("words", 19)), raw("words", 19)) is Label.SPAM
    assert one.label("/mail/ann", content_id(raw("words", 0)), raw("words", 0)) is None

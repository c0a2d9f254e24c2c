"""Adoption: the result depends on the mailbox alone, however often it is adopted or interrupted."""

import contextlib

import pytest
from test_survey import NOW, OLD, look, put

from spamlstm.features.sender_identity import KEY_BYTES
from spamlstm.learning import adoption
from spamlstm.learning.label import Label, Origin
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.survey import UnusedReason
from spamlstm.learning.trainer import Trainer, learned_layer
from spamlstm.maildir.content_id import content_id
from spamlstm.model.personal_features import runs
from spamlstm.verdict import Verdict

SIGNATURES = (
    "With kind regards from all of us at the library, where the lights are on until eight o'clock each evening",
    "You receive this as you asked for our offers, which you will not find for so low a price on any other site",
)


def letter(number: int, *, spam: bool) -> bytes:
    """Return mail that the base cannot judge, with senders that show its label."""
    sender = "crook@evil.example" if spam else "friend@good.example"
    text = f"Some words of letter number {number}.\n{SIGNATURES[spam]}\n"
    return f"From: {sender}\nTo: me@x.org\nSubject: letter {number}\n\n{text}".encode()


@pytest.fixture
def root(tmp_path):
    """A mailbox of forty ham and forty spam letters, alternating."""
    maildir = tmp_path / "Maildir"
    for number in range(80):
        spam = bool(number % 2)
        put(maildir, ".Junk" if spam else "", letter(number, spam=spam), when=OLD + number)
    return maildir


def adopted(root, labels, classifier, *, progress=lambda _: None):
    found = look(root, labelled=labels.labelled_by_user(), adopted=labels.adopted_sources.labels_of_others([str(root)]))
    taken = adoption.adopt_labels(Trainer(labels), classifier, found.samples, source=str(root), progress=progress)
    return taken, adoption.learn_adopted(Trainer(labels), classifier, progress=lambda _: None)


def all_of(labels) -> list[tuple]:
    return [(stored.content, stored.label, stored.prior, stored.origin) for stored in labels.last()]


def scores(state) -> list[float]:
    layer = learned_layer(state)
    return [layer.score(runs(letter(number, spam=bool(number % 2))), 0.0) if layer else 0.0 for number in range(90)]


def test_the_filter_knows_its_user_s_mail(root, tmp_path, classifier):
    """Before an adoption such mail is unsure; afterwards new mail of these senders is judged correctly."""
    raws = [letter(100, spam=False), letter(101, spam=True)]
    assert [classifier.classify(one).verdict for one in raws] == [Verdict.UNSURE] * 2
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        taken, conclusion = adopted(root, labels, classifier)
    assert (taken.new, taken.known, taken.failed) == (80, 0, [])
    layer = learned_layer(tmp_path)
    ham, spam = (classifier.classify(one, layer=layer) for one in raws)
    assert ham.verdict is Verdict.HAM
    # The threshold is the model's: forty letters do not show that a lower one is safe.
    assert spam.score > 1
    assert conclusion.spam_threshold == pytest.approx(classifier.bundle.thresholds.spam)
    assert 0 < conclusion.ham < 40
    rehearsed = conclusion.rehearsal
    assert [sum(rehearsed[label].values()) for label in Label] == [40, 40]
    assert rehearsed[Label.HAM][Verdict.SPAM] == 0
    # The first could not be known, and most of the later ones were.
    assert 1 <= rehearsed[Label.HAM][Verdict.UNSURE] < 20


def test_twice_is_once(root, tmp_path, classifier):
    """A second adoption changes no row, no threshold and no score."""
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        _, first = adopted(root, labels, classifier)
        before = all_of(labels), labels.epoch, scores(tmp_path)
        taken, second = adopted(root, labels, classifier)
        assert (taken.new, taken.known) == (0, 80)
        assert (all_of(labels), labels.epoch, scores(tmp_path)) == before
    assert first == second


@pytest.mark.parametrize("groups", [0, 1, 5, 9])
def test_cut_short_it_goes_on(root, tmp_path, classifier, monkeypatch, groups):
    """After Ctrl-C behind any batch, what was done is kept, and the end result is the same."""
    monkeypatch.setattr(adoption, "BATCH", 8)
    with contextlib.closing(LabelStore.open(tmp_path / "straight")) as labels:
        adopted(root, labels, classifier)
        wanted = all_of(labels)

    def interrupt(done):
        if done > 8 * groups:
            raise KeyboardInterrupt

    with contextlib.closing(LabelStore.open(tmp_path / "state")) as labels:
        with pytest.raises(KeyboardInterrupt):
            adopted(root, labels, classifier, progress=interrupt)
        assert labels.adopted() == 8 * (groups + 1)
        adopted(root, labels, classifier)
        assert all_of(labels) == wanted
    assert scores(tmp_path / "state") == scores(tmp_path / "straight")


def test_undo_leaves_the_user_s_labels(root, tmp_path, classifier):
    """An undo leaves the user's own labels, given before or after, and no trace of the adoption in any score."""
    before, agreed, against, after = (letter(number, spam=True) for number in (1, 3, 5, 201))
    with contextlib.closing(LabelStore.open(tmp_path / "straight")) as labels:
        trainer = Trainer(labels)
        for raw, label in ((before, Label.HAM), (agreed, Label.SPAM), (against, Label.HAM), (after, Label.SPAM)):
            trainer.add_label(raw, label, prior=0.0, model="tiny-1")
    state = tmp_path / "state"
    with contextlib.closing(LabelStore.open(state)) as labels:
        trainer = Trainer(labels)
        trainer.add_label(before, Label.HAM, prior=0.0, model="tiny-1")
        adopted(root, labels, classifier)
        assert labels.origin(content_id(before)) == (Label.HAM, Origin.COMMAND)
        for raw, label in ((agreed, Label.SPAM), (against, Label.HAM), (after, Label.SPAM)):
            trainer.add_label(raw, label, prior=0.0, model="tiny-1")
        taken, _ = adopted(root, labels, classifier)
        assert taken.new == 0
        undone = adoption.forget_adopted(trainer, source=str(root))
        assert undone == 77
    assert scores(state) == scores(tmp_path / "straight")


def test_undo_of_one_of_two(root, tmp_path, classifier):
    """Labels from another Maildir stay, and scores are found with them alone."""
    other = tmp_path / "Other"
    for number in range(300, 320):
        put(other, ".Spam" if number % 2 else "", letter(number, spam=bool(number % 2)), when=OLD + number)
    with contextlib.closing(LabelStore.open(tmp_path / "alone")) as labels:
        adopted(other, labels, classifier)
        wanted = all_of(labels)
    with contextlib.closing(LabelStore.open(tmp_path / "state")) as labels:
        adopted(root, labels, classifier)
        adopted(other, labels, classifier)
        assert labels.adopted() == 100
        trainer = Trainer(labels)
        assert adoption.forget_adopted(trainer, source=str(root)) == 80
        assert all_of(labels) == wanted
    assert scores(tmp_path / "state") == scores(tmp_path / "alone")


def test_what_moved_since_is_adopted_anew(root, tmp_path, classifier):
    """A message that the user takes out of the junk folder is ham at the next adoption."""
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        adopted(root, labels, classifier)
        (path,) = [path for path in (root / ".Junk" / "cur").iterdir() if path.read_bytes() == letter(1, spam=True)]
        path.rename(root / "cur" / path.name)
        taken, _ = adopted(root, labels, classifier)
        assert taken.new == 1
        assert labels.label(content_id(letter(1, spam=True))) is Label.HAM


def test_with_another_base_all_is_scored_anew(root, tmp_path, classifier):
    """Scores of two base models are not comparable: all labels get scores, of the base in use."""
    with contextlib.closing(LabelStore.open(tmp_path / "straight")) as straight:
        adopted(root, straight, classifier)
        wanted = all_of(straight)
    with contextlib.closing(LabelStore.open(tmp_path / "state")) as labels:
        adopted(root, labels, classifier)
        labels.rescore({stored.id: (7.0, b"") for stored in labels.last()}, model="tiny-0")
        next((root / ".Junk" / "cur").iterdir()).unlink()
        taken, _ = adopted(root, labels, classifier)
        assert (taken.new, taken.known) == (0, 79)
        assert all_of(labels) == wanted
    assert scores(tmp_path / "state") == scores(tmp_path / "straight")


def test_what_is_no_mail_is_reported(root, tmp_path, classifier):
    """A picture in the inbox is reported and not learned, and all other mail is."""
    path = put(root, "", b"\x89PNG\r\n\x1a\n" + bytes(range(32)) * 50)
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        taken, _ = adopted(root, labels, classifier)
    assert taken.new == 80
    assert taken.failed == [(str(path), "this is not mail but data of another kind")]


def test_now_is_after_what_is_old():
    """The dates of these tests mean 'kept for a month'."""
    assert NOW - OLD > 30 * 86_400


def test_two_mailboxes_that_disagree(root, tmp_path, classifier):
    """A label adopted from one mailbox stays if another mailbox says the opposite, and undoing either is exact."""
    other = tmp_path / "other"
    for number in range(80, 100):
        put(other, ".Junk" if number % 2 else "", letter(number, spam=bool(number % 2)), when=OLD + number)
    for number in range(8):  # the opposite of what the first mailbox says
        spam = not number % 2
        put(other, ".Junk" if spam else "", letter(number, spam=bool(number % 2)), when=OLD + number)
    with contextlib.closing(LabelStore.open(tmp_path / "state")) as labels:
        adopted(root, labels, classifier)
        before = all_of(labels), scores(tmp_path / "state")
        found = look(other, adopted=labels.adopted_sources.labels_of_others([str(other)]))
        assert (len(found.samples), found.unused[UnusedReason.ADOPTED_OTHERWISE]) == (20, 8)
        taken, _ = adopted(other, labels, classifier)
        assert (taken.new, taken.known) == (20, 0)
        assert set(before[0]) < set(all_of(labels))
        assert labels.adopted_sources.names() == sorted(map(str, (root, other)))
        assert adoption.forget_adopted(Trainer(labels), source=str(other)) == 20
        assert (all_of(labels), scores(tmp_path / "state")) == before
        assert labels.adopted_sources.names() == [str(root)]


def test_a_mailbox_that_changes_its_mind(root, tmp_path, classifier):
    """Adopting a mailbox again replaces the labels that it gave itself, if the user has moved the mail since."""
    with contextlib.closing(LabelStore.open(tmp_path / "state")) as labels:
        adopted(root, labels, classifier)
        raw = letter(1, spam=True)
        junk = next(path for path in (root / ".Junk" / "cur").iterdir() if path.read_bytes() == raw)
        junk.rename(root / "cur" / junk.name)
        taken, _ = adopted(root, labels, classifier)
        assert (taken.new, taken.known) == (1, 79)
        assert labels.origin(content_id(raw)) == (Label.HAM, Origin.ADOPTED)


def test_a_race_of_two_adoptions(root, tmp_path, classifier):
    """The store itself keeps the label of the first mailbox, if the second one was surveyed before it was stored."""
    other = tmp_path / "other"
    for number in range(80):
        put(other, "" if number % 2 else ".Junk", letter(number, spam=bool(number % 2)), when=OLD + number)
    samples = look(other).samples
    with contextlib.closing(LabelStore.open(tmp_path / "state")) as labels:
        adopted(root, labels, classifier)
        before = all_of(labels)
        taken = adoption.adopt_labels(Trainer(labels), classifier, samples, source=str(other), progress=lambda _: None)
        assert (taken.new, all_of(labels)) == (0, before)


def test_a_source_gets_another_name(root, tmp_path, classifier):
    """Renaming a source changes no score, leaves other sources alone, and joins what two names had."""
    other = tmp_path / "other"
    for number in range(80, 90):
        put(other, ".Junk" if number % 2 else "", letter(number, spam=bool(number % 2)), when=OLD + number)
    with contextlib.closing(LabelStore.open(tmp_path / "state")) as labels:
        adopted(root, labels, classifier)
        adopted(other, labels, classifier)
        for source, time in (("/link", 5.0), ("/other", 3.0)):
            adoption.adopt_correspondents(Trainer(labels), {bytes(KEY_BYTES): time}, source=source)
        before = all_of(labels), labels.written_names.all(), labels.epoch
        sources = labels.adopted_sources
        sources.rename(["/link", str(root), "/other"], "/other")
        assert sources.names() == sorted(["/other", str(other)])
        assert labels.written_names.latest_time("/other") == 5.0
        assert (all_of(labels), labels.written_names.all(), labels.epoch) == before
        assert adoption.forget_adopted(Trainer(labels), source="/other") == 80
        assert not labels.written_names.all()

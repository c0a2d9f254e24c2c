"""Known senders from labels and sent mail: the verdict, its reason and explanation, and their exact undo."""

import contextlib
import os

import pytest
from test_adoption import letter
from test_survey import OLD, look, put
from tiny_bundle import SPAM, UNSURE

from spamlstm.config import Config, PolicyConfig
from spamlstm.features.sender_identity import name_key
from spamlstm.learning import adoption, label_rows, sent_mail
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.mailbox_mail import FolderNames, MaildirMail
from spamlstm.learning.sent_mail import recipients
from spamlstm.learning.trainer import Trainer
from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.model.classifier import Classifier
from spamlstm.model.explain import CauseKind, explain
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Verdict

RECEIVED = b"Received: from a (a.x.org [198.51.100.7]) by mx.example.org (Postfix); today\r\n"
RESULTS = b"Authentication-Results: mx.example.org; dkim=%s header.d=x.org\r\n"
PROVEN, FORGED = RECEIVED + RESULTS % b"pass", RECEIVED + RESULTS % b"fail"


def good(number: int) -> bytes:
    """Return proven ham of one sender."""
    return PROVEN.replace(b"x.org", b"good.example") + letter(number, spam=False)


@pytest.fixture
def layer(classifier):
    """A layer that knows the sender of proven mail, with three ham messages, one of them answered."""
    layer = PersonalLayer()
    other = classifier.assess(letter(1, spam=True))
    layer.learn(other.personal_features, prior=0.0, spam=True)
    for number in range(3):
        layer.correspondents.learn(classifier.assess(PROVEN + UNSURE).sender, spam=False, answered=not number)
    return layer


def test_mail_of_a_known_sender_is_ham(classifier, layer):
    """The verdict of mail that the model is unsure about follows from the sender, and the reason says so."""
    assert classifier.classify(PROVEN + UNSURE).verdict is Verdict.UNSURE
    judged = classifier.classify(PROVEN + UNSURE, layer=layer)
    assert (judged.verdict, judged.reason) == (Verdict.HAM, "known-sender")
    sender, *_ = explain(classifier, PROVEN + UNSURE, layer=layer)
    assert (sender.kind, sender.text) == (CauseKind.SENDER, "x.org sent 3 ham before, you answered 1")
    assert sender.contribution == pytest.approx(-4, abs=0.1)


@pytest.mark.parametrize("headers", [b"", RECEIVED, FORGED])
def test_an_unproven_sender_is_not_known(classifier, layer, headers):
    """A From header of a known sender changes nothing without the proof."""
    judged = classifier.classify(headers + UNSURE, layer=layer)
    assert judged.verdict is Verdict.UNSURE
    assert all(cause.kind is not CauseKind.SENDER for cause in explain(classifier, headers + UNSURE, layer=layer))


def test_a_known_sender_does_not_make_certain_spam_ham(classifier, layer):
    """The account of a friend may be taken over. The lists of the configuration are stronger too."""
    judged = classifier.classify(PROVEN + SPAM, layer=layer)
    assert (judged.verdict, judged.reason) == (Verdict.SPAM, "score")


def test_the_lists_of_the_user_are_stronger(tiny, layer):
    """A denied address stays denied, however much ham it sent."""
    strict = Classifier.open(tiny, config=Config(policy=PolicyConfig(deny=("@x.org",))), personal_features=True)
    assert strict.classify(PROVEN + UNSURE, layer=layer).reason == "deny"


# --- the label store --------------------------------------------------------------------------------------------------


@pytest.fixture
def labels(tmp_path):
    with contextlib.closing(LabelStore.open(tmp_path / "state")) as labels:
        yield labels


def test_undo_is_exact(tmp_path, labels):
    """A sender is known until its labels are forgotten, to the last bit."""
    mail = [good(number) for number in range(4)]
    with contextlib.closing(LabelStore.open(tmp_path / "straight")) as others:
        trainer, straight = Trainer(labels), Trainer(others)
        for number, raw in enumerate(mail):
            trainer.add_label(raw, Label.HAM, prior=0.0, model="m", answered=number == 1)
            if number != 1:
                straight.add_label(raw, Label.HAM, prior=0.0, model="m")
        sender = label_rows.sender_of(mail[0])
        assert trainer.layer.correspondents.evidence(sender)[:3] == (4, 0, 1)
        assert [example.answered for example in labels.examples(after=0, most_bytes=9)] == [False, True, False, False]
        again = PersonalLayer()
        again.load(trainer.layer.dump())
        assert again.correspondents.evidence(sender) == trainer.layer.correspondents.evidence(sender)
        assert trainer.forget(mail[1])
        assert trainer.layer.dump() == straight.layer.dump()
        trainer.add_label(mail[0], Label.SPAM, prior=0.0, model="m")
        assert trainer.layer.correspondents.evidence(sender) is None  # they disagree


# --- sent mail --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        ("To: a@x.org", {"x.org"}),
        ("To: Ann <a@mail.x.org>, b@y.org\nCc: c@z.co.uk\nBcc: d@w.org", {"x.org", "y.org", "z.co.uk", "w.org"}),
        ("To: A@Gmail.com, me@example.org", {"a@gmail.com"}),
        ("To: friends: a@x.org, b@x.org;", {"x.org"}),
        ('To: "b@y.org" <a@x.org>', {"x.org", "y.org"}),
        ("To: unsubscribe-17@news.test", set()),
        ("To: leave@news.test\nSubject: Unsubscribe", set()),
        ("To: a@x.org\nAuto-Submitted: auto-replied", set()),
        ("To: " + ", ".join(f"{number}@x.org" for number in range(21)), set()),
        ("To: undisclosed-recipients:;", set()),
        ("", set()),
    ],
)
def test_recipients(headers, names):
    """The correspondents are those that the user chose: no circulars, automatic answers or unsubscriptions."""
    assert recipients(f"From: me@example.org\n{headers}\n\nSee a@not-this.org\n".encode()) == names


def test_adoption_of_sent_mail(tmp_path, classifier, labels, monkeypatch):
    """The newest sent mail of all Sent folders is read. The correspondents are undone with the adoption."""
    root, trainer = tmp_path / "Maildir", Trainer(labels)
    for number in range(6):
        put(root, "", good(number), when=OLD)
        put(root, ".Junk", letter(10 + number, spam=True), when=OLD)
    for folder, name in ((".Sent", "one"), (".Gesendet", "two"), (".Trash", "three"), (".Sent", "old")):
        sent = put(root, folder, f"From: me@example.org\nTo: a@{name}.example\nSubject: {name}\n\n".encode(), when=OLD)
        if name == "old":
            os.utime(sent, (1e9, 1e9))
    monkeypatch.setattr(sent_mail, "MOST_MESSAGES", 2)
    adoption.adopt_labels(trainer, classifier, look(root).samples, source=str(root), progress=lambda _: None)
    with OpenMaildir.open(str(root)) as mailbox:
        for _ in range(2):
            assert (
                adoption.adopt_correspondents(
                    trainer, MaildirMail(mailbox, FolderNames()).correspondents(), source=str(root)
                )
                == 2
            )
    adoption.learn_adopted(trainer, classifier, progress=lambda _: None)
    trainer.catch_up()
    assert trainer.layer.correspondents.written == {name_key(f"{name}.example") for name in ("one", "two")}
    one = PROVEN.replace(b"x.org", b"one.example") + UNSURE.replace(b"ann@x.org", b"ann@one.example")
    known = trainer.layer.correspondents.evidence(classifier.assess(one).sender)
    assert known[:4] == (0, 0, 0, True)
    adoption.forget_adopted(trainer, source=str(root))
    assert trainer.layer.correspondents.written == labels.written_names.all() == frozenset()
    assert trainer.layer.dump() == PersonalLayer().dump()


def test_the_stored_sender_is_that_of_the_message(classifier):
    """A label is learned for the sender for whom the message is judged."""
    for raw in (
        PROVEN + UNSURE,
        FORGED + UNSURE,
        RECEIVED + UNSURE,
        b"From a Mon\n" + PROVEN + UNSURE,
        UNSURE,
        b"",
        b"\n",
    ):
        assert label_rows.sender_of(raw) == classifier.assess(raw).sender, raw


def test_content_ids_are_used(labels):
    """A label for the same message replaces its row, so a sender is counted once for each message."""
    raw, trainer = good(1), Trainer(labels)
    for _ in range(3):
        trainer.add_label(raw, Label.HAM, prior=0.0, model="m")
    assert labels.label(content_id(raw)) is Label.HAM
    assert trainer.layer.correspondents.evidence(label_rows.sender_of(raw)).ham == 1

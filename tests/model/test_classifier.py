"""The classifier: any bytes get a judgement, in order, and one bad message never stops the next."""

import pickle
import random
import signal
import tracemalloc
import unicodedata
from base64 import encodebytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from letters_of_languages import LATIN, SENTENCES
from tiny_bundle import HAM, SPAM, UNSURE, mail

from spamlstm.config import Config, PolicyConfig
from spamlstm.corpus.paths import FileMessage, GivenMessage
from spamlstm.model.classifier import Classifier
from spamlstm.model.explain import CauseKind, explain
from spamlstm.model.policy import Reason
from spamlstm.model.reading import GTUBE, MessageReader, not_mail
from spamlstm.model.workers import AHEAD, MOST_TICKS, ReaderPool
from spamlstm.verdict import Verdict


@pytest.mark.parametrize(
    ("raw", "verdict", "reason"),
    [
        (SPAM, Verdict.SPAM, Reason.SCORE),
        (HAM, Verdict.HAM, Reason.SCORE),
        (UNSURE, Verdict.UNSURE, Reason.SCORE),
        (b"", Verdict.UNSURE, Reason.NO_TEXT),
        (encodebytes(random.Random(0).randbytes(9_010)), Verdict.UNSURE, Reason.NO_TEXT),
        (mail("", subject=""), Verdict.UNSURE, Reason.NO_TEXT),
        (mail("这是一个测试" * 20, subject="测试"), Verdict.UNSURE, Reason.UNKNOWN_TEXT),
        (mail(GTUBE), Verdict.SPAM, Reason.GTUBE),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(range(256)) * 9, Verdict.UNSURE, Reason.NOT_MAIL),
        (bytes(100_000), Verdict.UNSURE, Reason.NOT_MAIL),
    ],
)
def test_kinds_of_mail(classifier, raw, verdict, reason):
    """Each kind of mail gets its verdict and its reason."""
    judged = classifier.classify(raw)
    assert (judged.verdict, judged.reason, judged.model) == (verdict, reason, "tiny-1")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("language", SENTENCES)
def test_an_unknown_language_is_unsure_whatever_its_score(classifier, language, form):
    """Legitimate mail in letters that the model does not know is neither filed nor passed as ham by its other words."""
    text = unicodedata.normalize(form, SENTENCES[language] + "\n") * 9
    for subject, side in (("buy cheap pills", 1), ("a meeting at noon", -1)):
        raw = mail(text, subject=subject)
        assessed, judged = classifier.assess(raw), classifier.classify(raw)
        assert side * judged.score > 5
        assert assessed.evidence.unknown_text is (language not in LATIN)
        assert (judged.reason is Reason.UNKNOWN_TEXT) is assessed.evidence.unknown_text
        assert (judged.verdict is Verdict.UNSURE) is assessed.evidence.unknown_text


@pytest.mark.parametrize("marks", ["\u0323", "\u0331", "\u0323\u0301", "\u0489", "\u034f\u0335"])
@pytest.mark.parametrize("which", [1, 2, 3])
def test_spam_in_decorated_letters_is_spam(classifier, marks, which):
    """Marks behind each letter, or behind each second or third, do not keep spam out of the junk folder."""
    words = "zum grob flink quer jagd vex wolk pfad tisch kranz " * 9
    text = "".join(letter + marks * (at % which == 0 and letter.isalpha()) for at, letter in enumerate(words))
    assert classifier.classify(mail(text, subject="buy cheap pills")).verdict is Verdict.SPAM
    # Such text is never ham.
    raw = mail(text, subject="a meeting at noon")
    is_unsure = classifier.classify(raw).verdict is Verdict.UNSURE
    assert is_unsure is classifier.assess(raw).evidence.unknown_text


def test_score_and_probability(classifier):
    """Two spammy words of weight 6 are a log-odds of 12."""
    judged = classifier.classify(SPAM)
    assert judged.score == pytest.approx(12.0, abs=1e-4)
    assert judged.probability == pytest.approx(1 / (1 + 2.718281828**-12), abs=1e-6)


def test_spam_behind_innocent_text_is_seen(classifier):
    """Contract 6: the most spam-like window decides, here the last of many."""
    raw = mail("an innocent line of text\n" * 2000 + "buy cheap pills and more pills")
    assert classifier.classify(raw).verdict is Verdict.SPAM


def test_lists_of_the_configuration(tiny):
    """`open` applies the configured policy."""
    config = Config(PolicyConfig(allow=("@x.org",)))
    judged = Classifier.open(tiny, config=config).classify(SPAM)
    assert (judged.verdict, judged.reason) == (Verdict.HAM, Reason.ALLOW)


@given(st.binary(max_size=300))
def test_any_bytes(classifier, raw):
    """Contract 3: no message makes it raise."""
    assert classifier.classify(raw).verdict in Verdict


@pytest.mark.parametrize("readers", [0, 2])
def test_many_keep_their_order(classifier, readers, tmp_path):
    """With and without reader processes, each message gets its own judgement, in order, and a bad one its failure."""
    kinds = [(SPAM, Verdict.SPAM), (HAM, Verdict.HAM), (UNSURE, Verdict.UNSURE)]
    mails = [(number, GivenMessage("-", kinds[number % 3][0])) for number in range(700)]
    mails[500] = (500, FileMessage("gone", str(tmp_path / "gone")))
    mails[13] = (13, FileMessage("gone", str(tmp_path / "gone")))
    judged = list(classifier.classify_many(mails, readers=readers))
    assert [one.key for one in judged] == list(range(700))
    for one in judged:
        if one.key in (13, 500):
            assert (one.judgement, one.failure) == (None, "no such file or directory")
        else:
            assert one.judgement.verdict is kinds[one.key % 3][1]


def test_many_is_lazy(classifier):
    """An endless stream is judged lazily, one result for each request."""

    def endless():
        while True:
            yield None, SPAM

    stream = classifier.classify_many(endless(), readers=1)
    assert [next(stream).judgement.verdict for _ in range(400)] == [Verdict.SPAM] * 400


def test_a_reader_that_dies_costs_nothing(classifier):
    """If a reader dies, this process reads its chunks: the one that it had, and those that come later."""
    with ReaderPool(1) as pool:
        had = pool.give(classifier.reader, [SPAM, HAM])
        pool._all[0]._process.kill()
        pool._all[0]._process.wait()
        for task in (had, pool.give(classifier.reader, [SPAM, HAM])):
            assert [one.failure for one in task.readings()] == ["", ""]


def test_a_reader_that_is_stuck_is_ended(classifier, monkeypatch):
    """Waiting for a reader that is stuck has an end, and only during the waiting the watchdog gets beats."""
    monkeypatch.setattr("spamlstm.model.workers.TICK", 0.001)
    beats = []
    with ReaderPool(1) as pool:
        pool._all[0]._process.send_signal(signal.SIGSTOP)
        tasks = [pool.give(classifier.reader, [SPAM, HAM], beat=lambda: beats.append(None)) for _ in range(2)]
        assert [one.failure for task in tasks for one in task.readings()] == [""] * 4
        assert pool._all[0]._process.wait() == -signal.SIGKILL
    assert len(beats) == MOST_TICKS + 2 + 1 + 2


@pytest.mark.parametrize("readers", [0, 1])
def test_the_heart_beats_with_each_message(classifier, readers):
    """A chunk of 64 messages may take minutes; the watchdog gets a beat for each message, or each second of waiting."""
    beats = []
    list(classifier.classify_many(((None, SPAM) for _ in range(100)), readers=readers, beat=lambda: beats.append(None)))
    assert len(beats) >= 100


@pytest.mark.parametrize("readers", [0, 2])
@pytest.mark.parametrize("megabytes", [1, 6])
def test_many_large_messages_are_not_in_memory_together(classifier, readers, megabytes):
    """The chunks that are being read hold 16 MiB at most, and messages larger than a chunk are read one by one."""
    size = megabytes << 20

    def mails():
        for _ in range(48 // megabytes):
            yield None, bytes(size)

    def peak():
        tracemalloc.start()
        try:
            with ReaderPool(readers) as pool:
                for judged in classifier.classify_many(mails(), readers=pool):
                    assert judged.judgement.reason is Reason.NOT_MAIL
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # A chunk that is sent is pickled, which is one copy more.
    assert peak() < (30 << 20 if readers else 13 << 20)


def test_chunks_larger_than_any_buffer(classifier):
    """Many large chunks and answers can be on their way at once without a deadlock."""
    with ReaderPool(1) as pool:
        raw = mail("a line of text, and another one\n" * 2000)
        tasks = [pool.give(classifier.reader, [raw] * 64) for _ in range(8)]
        assert [len(task.readings()) for task in tasks] == [64] * 8


def test_who_has_enough_to_do_gets_no_more(classifier):
    """A chunk that no reader has room for is read at once."""
    with ReaderPool(1) as pool:
        tasks = []
        while pool.has_room():
            tasks.append(pool.give(classifier.reader, [HAM]))
        here = pool.give(classifier.reader, [SPAM])
        assert here.is_done()
        assert [len(task.readings()) for task in (*tasks, here)] == [1] * (AHEAD + 1)


def test_one_bad_reading_does_not_stop_the_next(tiny):
    """Contract 9: a message that breaks the network gets a failure, those around it their judgement."""
    broken = Classifier.open(tiny)
    encode = broken.encoder.encode

    class Encoder:
        is_unknown, pieces = broken.encoder.is_unknown, broken.encoder.pieces

        def encode(self, windows):
            if any("dynamite" in window for window in windows):
                raise ValueError("boom")
            return encode(windows)

    broken.encoder = Encoder()
    bad = mail("a line with dynamite in it")
    spam, failed, ham = broken.classify_many((None, raw) for raw in (SPAM, bad, HAM))
    assert (spam.judgement.verdict, failed.judgement, ham.judgement.verdict) == (Verdict.SPAM, None, Verdict.HAM)
    assert "bug in spamlstm (ValueError: boom)" in failed.failure
    judged = broken.classify(bad)
    assert (judged.verdict, judged.reason, judged.defects) == (Verdict.UNSURE, Reason.UNREADABLE, (failed.failure,))


def test_a_message_without_labels_takes_no_features_and_has_the_same_judgement(tiny):
    """Features for personal layers are computed only if a layer may use them. The judgement is equal in every bit."""
    personal = Classifier.open(tiny, personal_features=True)
    mails = [(number, raw) for number, raw in enumerate((SPAM, HAM, UNSURE, b"", mail("x")))]
    without, with_them = (
        [one.judgement for one in personal.classify_many(mails, **how)] for how in ({}, {"layer_of": _none})
    )
    assert without == with_them
    assert all(one.personal_features is None for one in personal.assess_many(mails, personal_features=False))
    assert all(one.personal_features is not None for one in personal.assess_many(mails) if not one.failure)


def _none(_key):
    return None


def test_a_reader_travels():
    """A reader and its readings can be sent between processes."""
    reading = MessageReader(400, 4, style=True).read(SPAM)
    assert pickle.loads(pickle.dumps(reading)) == reading  # noqa: S301  our own bytes


def test_text_without_a_header_is_mail():
    """Only binary data is refused: text, UTF-16 and an empty file are not."""
    assert not any(map(not_mail, [b"hello there\n", "Grüße aus Köln".encode("utf-16"), b"", SPAM, b"\xe9\xe8" * 50]))


def test_explain(classifier):
    """The two words that the network knows are what pulled, each its own way, with what they weigh in all."""
    causes = explain(classifier, mail("pills pills at the meeting"))
    assert [(cause.kind, cause.text, cause.contribution) for cause in causes] == [
        (CauseKind.WORD, "pills", pytest.approx(12.0, abs=1e-3)),
        (CauseKind.WORD, "meeting", pytest.approx(-6.0, abs=1e-3)),
    ]
    assert explain(classifier, b"") == []


def test_explain_names_hosts(classifier):
    """A host to which a link leads is called a host, and other words stay words."""
    raw = b"Subject: a\nContent-Type: text/html\n\n<p>meeting <a href='http://www.pills.example/x'>here</a> all of us\n"
    causes = {cause.text: cause.kind for cause in explain(classifier, raw)}
    assert causes == {"pills.example": CauseKind.HOST, "meeting": CauseKind.WORD}

"""The TREC protocol: which labels are learned when, judging before learning, and the figures."""

import json

import pytest

from spamlstm.cli import translate
from spamlstm.corpus.labelled_mail import Labelled
from spamlstm.errors import DataError, UserError
from spamlstm.evaluation.evaluate import keyed
from spamlstm.evaluation.trec_protocol import Feedback, FeedbackKind, Follower, Teacher, picture
from spamlstm.verdict import Verdict


def stream(number: int = 60) -> list[Labelled]:
    """Return mail that the base cannot judge, with senders that show its label."""
    return [
        Labelled(
            str(at),
            "spam" if at % 2 else "ham",
            "made-up",
            "",
            f"From: {'crook@evil.example' if at % 2 else 'friend@good.example'}\nSubject: letter {at}\n\n"
            f"Some words of letter number {at} that mean nothing.\n".encode(),
        )
        for at in range(number)
    ]


def followed(classifier, feedback: str, mail: list[Labelled]):
    follower = Follower(classifier, Feedback.parse(feedback))
    for assessed in classifier.assess_many(keyed(mail), readers=0):
        follower.take(assessed)
    return follower.end()


def test_immediate_feedback_learns(classifier):
    """Nothing is known of the first message, and in the end each spam scores above each ham."""
    done = followed(classifier, "immediate", stream())
    outcomes = done.evaluation.outcomes
    assert done.labelled == 60
    assert outcomes.score[0] == 0  # judged before it is learned
    assert outcomes.score[41::2].min() > outcomes.score[40::2].max()


def test_the_first_are_not_counted(classifier):
    """If only the beginning is labelled, the figures are of the rest."""
    assert followed(classifier, "first:20", stream()).evaluation.all.n == 40
    done = followed(classifier, "each:5", stream())
    assert (done.labelled, done.evaluation.all.n) == (10, 50)
    with pytest.raises(DataError, match=r"labels all mail \(60 messages\)"):
        followed(classifier, "first:60", stream())


def test_which_labels_are_learned():
    """Delayed labels come late and in order; an active learner asks where it is unsure, within its budget; `mistakes`
    are ham judged spam and spam not judged spam; `errors` include unsure mail.
    """
    delayed = Teacher[int](Feedback(FeedbackKind.DELAYED, 2))
    labelled = [list(delayed.after(at, spam=True, verdict=Verdict.SPAM, score=9.0)) for at in range(4)]
    assert labelled == [[], [], [0], [1]]
    active = Teacher[int](Feedback(FeedbackKind.ACTIVE, 1))
    asked = [list(active.after(at, spam=True, verdict=Verdict.UNSURE, score=s)) for at, s in enumerate((5.0, 1.0, 0.0))]
    assert asked == [[], [1], []]
    mistakes = Teacher[int](Feedback(FeedbackKind.MISTAKES))
    cases = [(True, Verdict.SPAM), (True, Verdict.UNSURE), (False, Verdict.UNSURE), (False, Verdict.SPAM)]
    corrected = [bool(list(mistakes.after(0, spam=spam, verdict=verdict, score=0.0))) for spam, verdict in cases]
    assert corrected == [False, True, False, True]
    errors = Teacher[int](Feedback(FeedbackKind.ERRORS, 2))
    corrected = [bool(list(errors.after(0, spam=spam, verdict=verdict, score=0.0))) for spam, verdict in cases]
    assert corrected == [False, True, True, False]
    started = Teacher[int](Feedback(FeedbackKind.EACH_THEN_MISTAKES, 1))
    corrected = [bool(list(started.after(0, spam=spam, verdict=verdict, score=0.0))) for spam, verdict in cases * 2]
    assert corrected == [True, True, True, True, False, True, False, True]


@pytest.mark.parametrize("text", ["", "later", "first", "first:", "immediate:3", "delayed:-1", "first:x"])
def test_what_is_no_feedback(text):
    """The error names all forms."""
    with pytest.raises(UserError, match="first:N"):
        Feedback.parse(text)


@pytest.mark.parametrize(
    "text",
    ["immediate", "mistakes", "errors:9", "first:10", "each:100", "delayed:5", "active:7", "each-then-mistakes:9"],
)
def test_feedback_is_written_as_it_is_read(text):
    """`str` and `parse` are inverse."""
    assert str(Feedback.parse(text)) == text


def test_the_picture_is_a_file_of_its_own(classifier):
    """The SVG is a complete file with points of the curve."""
    svg = picture(followed(classifier, "immediate", stream(120)))
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert svg.count("<circle") > 1


def test_the_command(tiny, tmp_path, capfd):
    """Figures are on standard output, JSON and the picture in files if asked for."""
    for one in stream():
        path = tmp_path / "corpus" / one.label / f"{int(one.id):03}.eml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.raw)
    options = ["evaluate", "--online", "--feedback", "immediate", "--model", tiny, tmp_path / "corpus"]
    files = ["--json", tmp_path / "figures.json", "--plot", tmp_path / "curve.svg"]
    assert translate.run([str(word) for word in options + files]) == 0
    assert "one_minus_roca_pct" in capfd.readouterr().out
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["feedback"], figures["labelled"], figures["all"]["n"]) == ("immediate", 60, 60)
    assert (tmp_path / "curve.svg").read_text().startswith("<svg")
    assert translate.run(["evaluate", "--feedback", "first:3", str(tmp_path / "corpus")]) == 64

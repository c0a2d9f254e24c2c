"""An evaluation: the outcome of each message as figures, JSON, a table and a page."""

import io
import json
import math
import tarfile
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from spamlstm import progress
from spamlstm.corpus import labelled_mail
from spamlstm.corpus.labelled_mail import Labelled
from spamlstm.errors import DataError, NoInputError, OutputError
from spamlstm.evaluation import evaluate, report
from spamlstm.evaluation.evaluate import Evaluation, Key
from spamlstm.model.classifier import Judged
from spamlstm.verdict import Judgement, Verdict

KEYS = set(
    "one_minus_roca_pct hm_pct sm_pct lam_pct unsure_pct sm_at_hm_0_1_pct sm_at_hm_1_pct calibration_error"
    " messages_per_second".split()
)


class Oracle:
    """Judges by the score written in the message: above 1 spam, below -1 ham. Reads everything ahead."""

    def classify_many(self, mails: Iterable[tuple[Key, bytes]], /) -> Iterator[Judged[Key]]:
        for key, raw in list(mails):
            yield Judged(key, self._judge(raw.decode()))

    @staticmethod
    def _judge(raw: str) -> Judgement | None:
        if raw == "broken":
            return None
        if raw == "empty":
            return Judgement(Verdict.UNSURE, None, None, "no text", "oracle")
        score = float(raw)
        verdict = Verdict.SPAM if score > 1 else Verdict.HAM if score < -1 else Verdict.UNSURE
        return Judgement(verdict, 1 / (1 + math.exp(-score)), score, "model", "oracle")


def stream(*rows: tuple[str, str, str]) -> list[Labelled]:
    return [Labelled(f"{n:03}", label, source, "", raw.encode()) for n, (label, source, raw) in enumerate(rows)]


MIXED = stream(
    ("ham", "one/a", "-3"),
    ("ham", "one/b", "4"),
    ("spam", "one/a", "3"),
    ("spam", "two", "-2"),
    ("spam", "two", "2"),
    ("spam", "two", "empty"),
    ("spam", "two", "broken"),
)


@pytest.fixture
def mixed() -> Evaluation:
    return evaluate.judge(MIXED, Oracle(), names=["x/mixed.tar.xz"])


def test_hm_and_sm_leave_unsure_apart(mixed: Evaluation) -> None:
    """The rate hm is the share of ham judged spam, sm that of spam judged ham; unsure mail is in neither."""
    figures = mixed.all.figures
    values = {name: figure and figure.value for name, figure in figures.items()}
    assert values["hm_pct"] == 50
    assert values["sm_pct"] == 20
    assert values["unsure_pct"] == pytest.approx(100 * 2 / 7)


def test_mail_without_a_score_ranks_as_even_odds(mixed: Evaluation) -> None:
    """A message without a score is ranked at 0, and is in no calibration bin."""
    assert mixed.outcomes.score.tolist() == [-3, 4, 3, -2, 2, 0, 0]
    right = [1, 1, 1, 1, 1] + [0] * 5  # each spam against the ham at -3, then against the ham at 4
    assert mixed.all.figures["one_minus_roca_pct"].value == pytest.approx(100 - 100 * sum(right) / 10)
    assert math.isnan(mixed.outcomes.probability[-1])


def test_sources_are_the_first_path_component(mixed: Evaluation) -> None:
    """one/a and one/b are the source 'one'."""
    assert {name: (one.n, one.n_ham, one.n_spam) for name, one in mixed.sources.items()} == {
        "one": (3, 2, 1),
        "two": (4, 0, 4),
    }


def test_json_has_exactly_its_keys(mixed: Evaluation, tmp_path: Path) -> None:
    """Scripts rely on these keys, with numbers or null, and an interval for each figure."""
    report.write_json(mixed, tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text())
    assert set(written) == {"all", "sources"}
    assert set(written["sources"]) == {"one", "two"}
    for part in (written["all"], *written["sources"].values()):
        assert set(part) == KEYS | {"n", "n_ham", "n_spam", "intervals"}
        assert set(part["intervals"]) == KEYS
    assert written["all"]["sm_pct"] == 20
    low, high = written["all"]["intervals"]["sm_pct"]
    assert 0 < low < 20 < high < 100


def test_figures_of_one_class_are_null(mixed: Evaluation) -> None:
    """Without ham there is no hm, no ranking and no lam."""
    two = mixed.sources["two"].as_json()
    nulls = {key for key in KEYS if two[key] is None}
    assert nulls == {"one_minus_roca_pct", "hm_pct", "lam_pct", "sm_at_hm_0_1_pct", "sm_at_hm_1_pct"}


def test_empty_stream_is_an_error() -> None:
    """An empty corpus is an error and not a perfect score."""
    with pytest.raises(DataError, match="no mail"):
        evaluate.judge([], Oracle(), names=["there"])


def test_missing_corpus_shows_before_the_model(tmp_path: Path) -> None:
    """A wrong path is reported before the model is loaded."""
    with pytest.raises(NoInputError, match="nowhere"):
        evaluate.evaluate_model([tmp_path / "nowhere"], model=tmp_path / "no model")


def test_cut_archive_ends_the_evaluation(tmp_path: Path) -> None:
    """A cut archive gives no figures, as they would be of other mail."""
    with tarfile.open(tmp_path / "cut.tar", "w") as tar:
        info = tarfile.TarInfo("index.tsv")
        lines = b"id\tlabel\tsource\tdate\na\tham\ts\t\n"
        info.size = len(lines)
        tar.addfile(info, io.BytesIO(lines))
    with pytest.raises(DataError, match="incomplete"):
        evaluate.judge(labelled_mail.read_labelled(tmp_path / "cut.tar"), Oracle())


def test_speed_counts_every_message() -> None:
    """All messages count in the speed; for one lap alone the interval is unknown, and is left out."""
    many = evaluate.judge(stream(*[("ham", "s", "-2")] * 600), Oracle()).all.figures["messages_per_second"]
    assert many is not None
    assert 0 <= many.low <= many.value <= many.high < math.inf
    few = evaluate.judge(stream(("ham", "s", "-2")), Oracle())
    assert few.all.as_json()["intervals"]["messages_per_second"] is None
    report.print_table(few, Console(file=(lines := io.StringIO())))
    (line,) = [line for line in lines.getvalue().splitlines() if "messages_per_second" in line]
    assert line.split("\t")[3:] == ["-", "-"]
    report.print_table(few, Console(file=(out := io.StringIO()), force_terminal=True, width=80, no_color=True))
    (row,) = [line for line in out.getvalue().splitlines() if "messages/s" in line]
    assert row[-1].isdigit()


def test_progress_is_called_for_each_message() -> None:
    """The counter ends at the number of messages."""
    labelled: list[int] = []
    evaluate.judge(MIXED, Oracle(), progress=labelled.append)
    assert labelled == [1, 2, 3, 4, 5, 6, 7]


def test_progress_in_a_log_is_lines_and_on_a_terminal_a_bar() -> None:
    """The log of a short run stays empty; a bar on a terminal is removed at the end."""
    log, screen = io.StringIO(), io.StringIO()
    with progress.show_progress(Console(file=log, force_terminal=False), "judging", 7) as tell:
        tell(1)
    assert not log.getvalue()
    with progress.show_progress(Console(file=screen, force_terminal=True), "judging", 7) as tell:
        tell(64)
    assert "judging" in screen.getvalue()


def test_plain_lines_are_for_awk(mixed: Evaluation) -> None:
    """Without a terminal there are five tab-separated columns, with '-' for a missing figure."""
    out = io.StringIO()
    report.print_table(mixed, Console(file=out, force_terminal=False, width=40))
    rows = [line.split("\t") for line in out.getvalue().splitlines()]
    assert {len(row) for row in rows} == {5}
    assert ["all", "n_ham", "2", "-", "-"] in rows
    assert ["two", "hm_pct", "-", "-", "-"] in rows
    assert next(row for row in rows if row[:2] == ["all", "sm_pct"])[2] == "20"


@pytest.mark.parametrize("width", [30, 80, 200])
def test_table_fits_the_terminal(mixed: Evaluation, width: int) -> None:
    """Sources that do not fit side by side follow below; none is left out."""
    out = io.StringIO()
    report.print_table(mixed, Console(file=out, force_terminal=True, width=width, no_color=True))
    assert all(name in out.getvalue() for name in ("all", "one", "two", "(1-ROCA) %"))


class _Links(HTMLParser):
    """A parser that collects the resources a page would load, and checks that all elements are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "data")]
        if tag not in ("meta", "line", "circle", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_report_is_one_page_that_loads_nothing(mixed: Evaluation, tmp_path: Path) -> None:
    """The page has inline plots and mistakes by file id, and no URL."""
    report.write_report(mixed, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    links = _Links()
    links.feed(page)
    assert links.loads == []
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<svg") == 2 + 3
    assert "<td>001</td>" in page
    assert "<td>003</td>" in page


def test_report_escapes_what_mail_brings(tmp_path: Path) -> None:
    """A file name with markup is shown as text."""
    name = "<script>alert(1)</script>&$model"
    evil = evaluate.judge([Labelled(name, "ham", name, "", b"5")], Oracle(), names=[name])
    report.write_report(evil, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("label", ["ham", "spam"])
def test_report_of_one_class(tmp_path: Path, label: str) -> None:
    """Without one class there is no ROC curve, and the page says why."""
    report.write_report(evaluate.judge(stream((label, "s", "0")), Oracle()), tmp_path / "r.html")
    assert "needs both ham and spam" in (tmp_path / "r.html").read_text()


def test_report_of_mail_that_never_got_a_score(tmp_path: Path) -> None:
    """Without any probability there is still a page."""
    report.write_report(evaluate.judge(stream(("ham", "s", "empty"), ("spam", "s", "empty")), Oracle()), tmp_path / "r")
    assert "<svg" in (tmp_path / "r").read_text()


def test_file_is_whole_or_not_there(mixed: Evaluation, tmp_path: Path) -> None:
    """The old file stays until the new one is complete, and no other file is left."""
    report.write_json(mixed, tmp_path / "out.json")
    with pytest.raises(UnicodeEncodeError):
        report.write_whole(tmp_path / "out.json", "half \udc80 of it")
    assert json.loads((tmp_path / "out.json").read_text())["all"]["n"] == 7
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]
    with pytest.raises(OutputError, match="cannot be written"):
        report.write_json(mixed, tmp_path / "no" / "out.json")

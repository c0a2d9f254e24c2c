"""The answers of the own protocol and of spamd's: scores, users, labels, bounds, and any bytes."""

import re
import zlib
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from listener_clients import CHECK_SPAM, filter_request
from listening import exchange, listening
from maildirs import make as make_maildir
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm.config import Config, LabelScope, LearningConfig, MaildirConfig, SpamdConfig
from spamlstm.maildir.headers import points, tag


def mails():
    """Fifty messages with scores between those of the three verdicts."""
    words = ("pills", "meeting", "neither", "pills and pills", "meeting meeting")
    return [SPAM.replace(b"buy cheap pills", f"{number} {words[number % 5]}".encode()) for number in range(50)]


def test_every_way_in_gives_the_same_score(classifier, spamd, own):
    """The own protocol, spamd's protocol and the classifier give the same verdict and points to 50 messages."""
    for mail in mails():
        judgement = classifier.classify(mail)
        threshold = classifier.policy.thresholds.spam
        shown = f"{points(judgement, spam_threshold=threshold):.1f}".encode()
        tagged = exchange(own, filter_request(mail)).partition(b"\n")[2]
        request = b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s" % (len(mail), mail)
        assert re.search(rb"Spam: \w+ ; ([0-9.]+) /", exchange(spamd, request))[1] == shown
        assert re.search(rb"(?m)^X-Spam-Status: .*score=([0-9.]+) ", tagged)[1] == shown


def test_the_spamd_protocol_compresses(spamd):
    """A compressed message is classified as the message itself."""
    data = zlib.compress(SPAM)
    request = b"CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %d\r\n\r\n%s" % (len(data), data)
    assert exchange(spamd, request) == exchange(spamd, CHECK_SPAM)


@pytest.mark.parametrize("cut", [0, 1, 9, 60])
def test_compressed_mail_that_is_cut_is_refused(spamd, cut):
    """An incomplete or empty stream gets an error."""
    data = zlib.compress(SPAM)[:-cut] if cut else b""
    request = b"CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %d\r\n\r\n%s" % (len(data), data)
    assert b"zlib: failed to find end of zlib stream" in exchange(spamd, request)


@pytest.mark.parametrize(
    "request_",
    [b"FILTER\n", b"FILTER x headers -\n", b"FILTER 3 headers -\nab", b"FILTER 1 headers -\nab", b"\n", b"x"],
)
def test_the_own_protocol_says_what_is_no_request(own, request_):
    """A wrong request gets an error in the protocol's own form."""
    assert exchange(own, request_) == b"ERROR this is not a request of spamlstm filter\n"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"FILTER 99999999999 headers -\n", b"ERROR the message is too large\n"),
        (b"x" * 5000, b"ERROR a line is too long\n"),
    ],
)
def test_the_own_protocol_has_bounds(own, request_, answer):
    """A request beyond the bounds is refused before its message is received."""
    assert exchange(own, request_) == answer


@pytest.mark.parametrize(
    ("head", "phrase"),
    [
        (b"CHECK SPAMC/1.5\r\nContent-length: 99999999999\r\n\r\n", b"(Content-Length is above 67108864 bytes)"),
        (b"x" * 9000, b"(a line is too long)"),
        (b"CHECK SPAMC/1.5\r\n" + b"A: b\r\n" * 300, b"(too many headers)"),
        (b"CHECK SPAMC/1.5\r\nUser: ann", b"(EOF during headers)"),
    ],
)
def test_the_spamd_protocol_has_bounds(spamd, head, phrase):
    """A request beyond the bounds is refused in the form of spamd."""
    assert exchange(spamd, head) == b"SPAMD/1.0 76 Bad header line: " + phrase + b"\r\n"


def test_labels_belong_to_their_user(tmp_path, classifier):
    """With labels per Maildir, a label changes the mail of its user only, in whatever case a client writes the name.

    Users without a Maildir cannot label.
    """
    for name in ("ann", "bob"):
        make_maildir(tmp_path / "vmail" / name)
    learning = LearningConfig(labels=LabelScope.PER_MAILDIR, user_maildir=f"{tmp_path}/vmail/{{user}}")
    config = Config(
        maildirs=(MaildirConfig(f"{tmp_path}/vmail/*"),),
        learning=learning,
        spamd=SpamdConfig(listen=f"unix:{tmp_path}/s", allow_tell=True),
    )
    body = b"Content-length: %d\r\n\r\n%s" % (len(UNSURE), UNSURE)
    with listening(tmp_path / "state", classifier, config):

        def tell(user):
            return exchange(
                f"{tmp_path}/s", b"TELL SPAMC/1.5\r\nMessage-class: spam\r\nSet: local\r\nUser: %s\r\n%s" % (user, body)
            )

        assert tell(b"ann") == b"SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n"
        for user in (b"eve", b"../vmail/ann", b"", b"ann/../bob", b"{user}", b"~ann", b".", "é".encode() * 200):
            assert tell(user) == (
                b"SPAMD/1.0 69 Service Unavailable: no Maildir of the configuration belongs to this user\r\n"
            )
        answers = [
            exchange(f"{tmp_path}/s", b"CHECK SPAMC/1.5\r\nUser: %s\r\n%s" % (user, body))
            for user in (b"ann", b"Ann", b"bob")
        ]
    assert [b"Spam: True" in one for one in answers] == [True, True, False]
    assert [path.name for path in (tmp_path / "state" / "maildirs").iterdir()] != []
    assert len(list((tmp_path / "state" / "maildirs").iterdir())) == 1


def test_labelling_needs_permission(tmp_path, classifier, config):
    """Without allow_tell, TELL is refused and nothing is stored."""
    closed = replace(config, spamd=replace(config.spamd, allow_tell=False))
    with listening(tmp_path / "state", classifier, closed):
        request = CHECK_SPAM.replace(b"CHECK", b"TELL").replace(
            b"\r\n", b"\r\nMessage-class: spam\r\nSet: local\r\n", 1
        )
        answer = exchange(f"{tmp_path}/spamd.sock", request)
    assert answer.startswith(b"SPAMD/1.0 69 Service Unavailable: TELL commands are not enabled")
    assert not (tmp_path / "state" / "labels.sqlite").exists()


@pytest.mark.parametrize("data", [b"", b"\n \r\n", b"\x00\xff" * 500])
def test_data_that_are_no_mail_are_not_labelled(running, spamd, data):
    """Empty, blank and binary data get an error, as from `spamlstm label`, and nothing is stored.

    To remove the label of such data, which an earlier version stored, is no error.
    """
    body = b"Content-length: %d\r\n\r\n%s" % (len(data), data)
    answer = exchange(spamd, b"TELL SPAMC/1.5\r\nMessage-class: spam\r\nSet: local\r\n" + body)
    assert answer == b"SPAMD/1.0 69 Service Unavailable: this is not mail and was not labelled\r\n"
    assert not (running.state / "labels.sqlite").exists()
    assert exchange(spamd, b"TELL SPAMC/1.5\r\nRemove: local\r\n" + body) == b"SPAMD/1.1 0 EX_OK\r\n\r\n\r\n"


def test_a_damaged_label_store_does_not_stop_judging(running, spamd):
    """Mail is classified by the model alone, and learning says that it failed."""
    (running.state / "labels.sqlite").write_bytes(b"no database" * 1000)
    assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK\r\nSpam: True ;")
    request = CHECK_SPAM.replace(b"CHECK", b"TELL").replace(b"\r\n", b"\r\nMessage-class: spam\r\nSet: local\r\n", 1)
    assert exchange(spamd, request) == b"SPAMD/1.0 69 Service Unavailable: the labels cannot be stored now\r\n"


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory, classifier):
    """Listeners for many requests."""
    folder = tmp_path_factory.mktemp("fuzz")
    config = Config(spamd=SpamdConfig(listen=f"unix:{folder}/spamd.sock", allow_tell=True))
    with listening(folder / "state", classifier, config) as one:
        yield one, {"spamd": f"{folder}/spamd.sock", "own": str(folder / "state" / "filter.sock")}


WORDS = (
    rb"CHECK PROCESS TELL HEADERS REPORT SYMBOLS PING SKIP FILTER headers bogosity - 7 0 -1 : %zz SPAMC/1.5 SPAMC/1.0"
)


LINES = b"Content-length:|User: ann|Compress: zlib|Message-class: spam|Set: local|Remove: local| |\n|\r\n|\r\n\r\n"


PIECES = st.sampled_from([*WORDS.split(), *LINES.split(b"|"), zlib.compress(SPAM), SPAM, HAM, b"\x00\xff"])


@pytest.mark.parametrize("name", ["spamd", "own"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request_=st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=12).map(b"".join)))
@example(request_=b"PROCESS SPAMC/1.5\r\n\r\n")
@example(request_=b"CHECK SPAMC/1.5\r\nCompress: zlib\r\n\r\n")
def test_any_bytes_get_an_answer_and_no_exception(fuzzed, name, request_):
    """Whatever a client sends, it gets an answer in the form of the protocol, and the connection is closed."""
    one, addresses = fuzzed
    answer = exchange(addresses[name], request_)
    if name == "own":
        assert answer.startswith((b"OK ", b"ERROR "))
    else:
        assert answer.startswith(b"SPAMD/1.") or (request_.startswith(b"SKIP SPAMC/") and not answer)
    assert one.listeners.snapshot()[name]["errors"] == 0


def test_the_counts(running, spamd, own, wait):
    """The status shows what each listener did."""
    exchange(spamd, CHECK_SPAM)
    exchange(spamd, b"FROB\r\n")
    exchange(own, filter_request(HAM))
    wait(lambda: not any(one["open"] for one in running.listeners.snapshot().values()))
    counts = running.listeners.snapshot()
    assert counts["own"]["judged"] == {"ham": 1}
    assert {key: value for key, value in counts["spamd"].items() if key != "address"} == {
        "connections": 2,
        "open": 0,
        "judged": {"spam": 1},
        "labelled": 0,
        "refused": 1,
        "dropped": 0,
        "errors": 0,
    }


def test_tagging_is_that_of_maildirs(classifier, own):
    """The own protocol answers with the bytes that the daemon writes into a Maildir."""
    judgement, threshold = classifier.classify(SPAM), classifier.policy.thresholds.spam
    from spamlstm import __version__

    expected = tag(SPAM, judgement, version=__version__, spam_threshold=threshold)
    assert exchange(own, filter_request(SPAM)) == b"OK spam %d\n" % len(expected) + expected

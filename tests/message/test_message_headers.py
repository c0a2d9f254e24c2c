"""Header blocks of any size give the same content ids and tags as small ones, in pieces and with little memory."""

import hashlib
import re
import tracemalloc

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from spamlstm.maildir import content_id, headers
from spamlstm.message import headers as message_headers
from spamlstm.verdict import Judgement, Verdict

QUARTER = 1 << 18
JUDGEMENT = Judgement(Verdict.SPAM, 0.99, 5.0, "score", "m 1")

# The first implementation of content ids and tags: one pattern over the whole header block. Users' journals and label
# stores contain the ids, so the ids must not change.
_LEFT_OUT = re.compile(
    rb"^(?:x-spam(?:d|bayes|probe)?(?:-[!-9;-~]*+)?|x-rspamd-[!-9;-~]*+|x-bogosity|x-(?:dspam|crm114)-[!-9;-~]*+"
    rb"|(?:x-)?status|x-(?:keywords|uid|imap|imapbase)|content-length|lines|x-mozilla-(?:status2?|keys)|x-label|x-tuid"
    rb"|x-offlineimap|x-gmail-labels)[ \t]*+:[^\n]*+(?>\n[ \t][^\n]*+)*+\n?",
    re.IGNORECASE | re.MULTILINE,
)
_OURS = re.compile(
    rb"^x-spam(?:-(?:flag|unsure|status|level|checker-version))?[ \t]*+:[^\n]*+(?>\n[ \t][^\n]*+)*+\n?",
    re.IGNORECASE | re.MULTILINE,
)
_ABOVE = re.compile(rb"(?:>?From [^\n]*+\n)?(?>[ \t][^\n]*+(?:\n|\Z))*+")


def first_lasting(raw):
    text = raw.replace(b"\r\n", b"\n")
    separator = re.match(rb">?From [^\n]*+\n", text)
    start = separator.end() if separator else 0
    blank = re.compile(rb"^\n", re.MULTILINE).search(text, start)
    end = blank.start() if blank else len(text)
    return _LEFT_OUT.sub(b"", text[start:end]), text[end:]


def first_content_id(raw):
    header, body = first_lasting(raw)
    return hashlib.blake2b(header + body.rstrip(b"\n"), digest_size=16).hexdigest()


def first_untag(raw):
    blank = re.search(rb"(?m)^\r?\n", raw)
    end = blank.start() if blank else len(raw)
    return _OURS.sub(b"", raw[:end]) + raw[end:]


def first_tag(raw):
    raw = first_untag(raw)
    place = _ABOVE.match(raw).end()
    if raw[:place] and not raw[:place].endswith(b"\n"):
        return raw
    end = b"\r\n" if raw[: raw.find(b"\n") + 1].endswith(b"\r\n") else b"\n"
    lines = headers.headers(JUDGEMENT, version="1", spam_threshold=0.9)
    return raw[:place] + b"".join(f"{name}: {value}".encode() + end for name, value in lines) + raw[place:]


def tag(raw):
    return headers.tag(raw, JUDGEMENT, version="1", spam_threshold=0.9)


pieces = st.sampled_from(
    [
        *(b"\n", b"\n", b"\n", b"\r\n", b"\r", b" ", b"\t", b"From ", b">From "),
        *(b"a", b":", b"x-", b"-", b"\xff", b"\0"),
        *(b"X-Spam", b"x-spam:", b"X-Spam-Flag: YES", b"x-SPAM-status : No,\n a\n\tb", b"x-spamd-", b"x-rspamd-a"),
        *(b"Status: RO", b"lines:", b"Content-Length:1", b"X-Mozilla-Status2: 1", b"X-IMAPbase: 1", b"Subject: x"),
    ]
)
raws = st.lists(pieces | st.binary(max_size=2), max_size=30).map(b"".join)
blocks = st.sampled_from([1, 2, 3, 5, 8, 16, 64, message_headers.BLOCK])


@given(raws, blocks)
@example(b"A: b\nX-Spam: c", 2)
@example(b"X-Spam: c\nX-Spam: d\n e\nA: b\r\n\r\n\r\n", 3)
@settings(max_examples=400)
def test_as_by_one_pattern(raw, block):
    """Content ids and tags are those of one pattern over the whole block, wherever the pieces end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_headers, "BLOCK", block)
        patch.setattr(content_id, "BLOCK", block)
        assert content_id.lasting(raw) == first_lasting(raw)
        assert content_id.former_content_ids(raw)[-1] == first_content_id(raw)
        assert headers.untag(raw) == first_untag(raw)
        assert tag(raw) == first_tag(raw)


LARGE = {
    "many headers": lambda: b"A: b\n" * (QUARTER // 5) + b"X-Spam: YES\n" + b"A: b\n" * (3 * QUARTER // 5),
    "many forged headers": lambda: b"X-Spam-Flag: YES\n" * (4 * QUARTER // 17),
    "one in two forged": lambda: b"a:\nx-spam:\n" * (4 * QUARTER // 11),
    "one header of many lines": lambda: b"Subject: x\n" + b" \n" * (2 * QUARTER),
    "one forged header of many lines": lambda: b"A: b\nX-Spam: x\n" + b" \n" * (2 * QUARTER),
    "one long line": lambda: b"Subject: " + b"x" * (4 * QUARTER),
    "one long name": lambda: b"x-spam-" + b"x" * (4 * QUARTER) + b": a",
    "only folded lines": lambda: b" \n" * (2 * QUARTER),
    "line ends": lambda: b"A: b\r\n\r\n" + b"\r\n" * (2 * QUARTER),
    "carriage returns": lambda: b"\r" * (4 * QUARTER),
    "a large body": lambda: b"A: b\r\n\r\n" + b"text\r\n" * (4 * QUARTER // 6) + b"\n" * QUARTER,
}


@pytest.mark.parametrize("name", LARGE)
def test_large_mail(name):
    """Mail of 1 MB keeps its content id, loses forged headers and gets tags; memory is bounded."""
    raw = LARGE[name]()

    assert content_id.content_id(raw) == content_id.content_id(tag(raw))
    assert content_id.former_content_ids(raw)[-1] == first_content_id(raw)
    assert headers.untag(tag(raw)) == headers.untag(raw) == first_untag(raw)
    assert tag(raw) == first_tag(raw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_headers, "BLOCK", 16 << 10)
        patch.setattr(content_id, "BLOCK", 16 << 10)
        tracemalloc.start()
        content_id.former_content_ids(raw)[-1]
        assert tracemalloc.get_traced_memory()[1] < QUARTER
        # A text of at most 1 MiB is decoded as a whole.
        content_id.content_id(raw)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
        tracemalloc.reset_peak()
        result = tag(raw)
        # A growing buffer allocates an eighth more than it uses.
        assert tracemalloc.get_traced_memory()[1] < len(result) * 9 / 8 + QUARTER
        tracemalloc.stop()

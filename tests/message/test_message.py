"""Any bytes are a message: the parser never raises, and reads what mail programs show."""

from email import message_from_bytes
from email.message import EmailMessage

import pytest
from hostile_text import limit
from hypothesis import given, settings
from hypothesis import strategies as st

from spamlstm.features.render import render
from spamlstm.message import headers, mime
from spamlstm.message.message import Message, address, addresses, display_name, parse_message

TOP = b"From: Ann <ann@example.org>\nSubject: beans\nMIME-Version: 1.0\n"
LETTER = (
    TOP
    + b'Content-Type: multipart/mixed; boundary="out"\n\npreamble\n--out\n'
    + b'Content-Type: multipart/alternative; boundary="in"\n\n--in\n'
    + b"Content-Type: text/plain; charset=utf-8; format=flowed\n"
    + b"Content-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe, \nAnn\n--in\nContent-Type: text/html\n\n"
    + b"<a href='http://example.org/'>page</a><p style='display:none'>x</p>\n--in--\n--out\n"
    + b"Content-Type: application/pdf; name*0*=utf-8''b%C3; name*1*=%B6.pdf\n"
    + b"Content-Transfer-Encoding: base64\n\nQUJD\n--out--\n"
)


def read(headers: str, body: bytes = b"text") -> Message:
    return parse_message(headers.encode() + b"\n\n" + body)


class TestPromises:
    """parse_message and render never raise, and their time and size are bounded."""

    @given(st.binary(max_size=2000))
    def test_any_bytes(self, raw):
        """Any bytes give a Message, and its text can be encoded as UTF-8."""
        render(parse_message(raw)).encode()

    @given(st.data())
    @settings(max_examples=200)
    def test_damaged_mail(self, data):
        """Mail with bytes removed or changed still gives a Message."""
        raw = bytearray(LETTER)
        for _ in range(data.draw(st.integers(1, 8))):
            at = data.draw(st.integers(0, len(raw)))
            raw[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=12))
        render(parse_message(bytes(raw))).encode()

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    b"From,To,Subject,Date,Received,Message-ID,Content-Type,Content-Disposition,"
                    b"Content-Transfer-Encoding,"
                    b"List-Unsubscribe,DKIM-Signature,Authentication-Results,Reply-To,Return-Path,X".split(b",")
                ),
                st.one_of(
                    st.binary(max_size=60),
                    st.sampled_from(
                        [
                            b"multipart/mixed; boundary=q",
                            b"multipart/alternative; boundary=r",
                            b"message/rfc822",
                            b"text/html; charset=utf-16",
                            b"text/plain; charset=x; format=flowed",
                            b"base64",
                            b"quoted-printable",
                            b"=?utf-8?q?=e4=b8?= =?utf-8?q?=ad?=",
                            b"=?x?b?====?=",
                            b'attachment; filename*="a"; filename="b',
                            b"Mon, 99 Foo 99999 99:99:99 +9999",
                            b"from a (b [1.2.3.4]) by c; Mon, 1 Jan 0000",
                        ]
                    ),
                ),
            ),
            max_size=8,
        ),
        st.lists(
            st.sampled_from(
                [b"--q", b"--r", b"--q--", b"--r--", b"", b"text", b"<p>x", b"Content-Type: text/html", b"QQ=="]
            )
        ),
    )
    @settings(max_examples=300)
    def test_structured_mail(self, headers, lines):
        """Headers and boundaries in any order and with any values give a Message."""
        raw = b"".join(name + b": " + value + b"\n" for name, value in headers) + b"\n" + b"\n".join(lines)
        render(parse_message(raw)).encode()

    @pytest.mark.parametrize("depth", [10, 200, 400, 3000, 100_000])
    @pytest.mark.parametrize("kind", ["multipart", "message"])
    def test_depth(self, kind, depth):
        """The innermost part of any nesting is read; the standard library raises RecursionError."""
        if kind == "message":
            raw = (TOP + b"Content-Type: message/rfc822\n\n") * depth
        else:
            raw = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(depth))
        message = parse_message(raw + b"\nbottom\n")
        assert message.plain.rstrip().endswith("bottom") or "text cut" in message.defects
        assert ("too many parts" in message.defects) == (depth > mime.MAX_PARTS)

    @pytest.mark.parametrize(
        "raw",
        {
            "one line": TOP + b"\n" + b"x" * 50_000_000,
            "attachment": TOP
            + b"Content-Type: application/x; name=a\nContent-Transfer-Encoding: base64\n\n"
            + b"QUJD\n" * 10_000_000,
            "base64 text": TOP + b"Content-Transfer-Encoding: base64\n\n" + b"QUJD\n" * 10_000_000,
            "padding": TOP + b"Content-Transfer-Encoding: base64\n\n=" + b"\n" * 1_000_000,
            "bare CR": b"\r" * 50_000_000,
            "NUL": b"\0" * 50_000_000,
            "headers": b"X: y\n" * 1_000_000,
            "boundaries": TOP + b"Content-Type: multipart/mixed; boundary=q\n\n" + b"--q\n\nx\n" * 1_000_000,
            "dashes": TOP + b"Content-Type: multipart/mixed; boundary=q\n\n--q\n" + b"\n--x" * 10_000_000,
            "lost boundaries": TOP
            + b"Content-Type: multipart/mixed; boundary=q\n\n"
            + b"--q\nContent-Type: multipart/mixed; boundary=z\n\n" * 100_000,
            "endless headers": TOP + b"Content-Type: multipart/mixed; boundary=q\n\n" + b"--q\nA: b\n" * 1_000_000,
            "parameters": TOP + b"Content-Type: text/plain" + b';a="\\' * 60_000 + b"\n\nx",
            "long address": b"From: " + b"a" * 200_000 + b"\n\nx",
            "encoded words": b"Subject: " + b"=?x?q?=e9?= " * 20_000 + b"\n\nx",
        }.items(),
        ids=lambda item: item[0],
    )
    def test_hostile(self, raw):
        """The worst known mail takes less than five seconds of processor time."""
        with limit(5):
            message = parse_message(raw[1])
        assert len(message.plain) < 3_000_000
        assert len(message.headers) <= headers.MAX_HEADERS


class TestHeaders:
    """Headers are read as mail programs read them."""

    def test_encoded_words_share_a_character(self):
        """A character split between two encoded words is joined."""
        assert read("Subject: =?utf-8?b?5Lg=?=\n =?utf-8?B?reaWhw==?=").subject == "中文"

    def test_unlabelled(self):
        """8-bit headers are read as UTF-8 or in the charset of the body, and are a defect."""
        assert parse_message("Subject: größe\n\n".encode()).subject == "größe"
        raw = "Subject: Добрый день\nContent-Type: text/plain; charset=koi8-r\n\n".encode("koi8-r")
        assert parse_message(raw).subject == "Добрый день"
        assert parse_message(raw).defects == ("8-bit header",)

    def test_mbox_line_and_blank_top(self):
        """An mbox separator and blank lines above the headers are skipped."""
        for top in (b"From ann@example.org Mon Jan  1 00:00:00 2024\n", b"\r\n\n", b"   \n"):
            assert parse_message(top + LETTER).sender == "ann@example.org"

    def test_no_header(self):
        """Text without headers is all body."""
        message = parse_message(b"hello there, friend\n\nsecond")
        assert (message.plain, message.defects) == ("hello there, friend\n\nsecond", ("no headers",))

    def test_line_ends(self):
        """CRLF, LF and bare CR give the same text."""
        texts = {parse_message(LETTER.replace(b"\n", end)).page.visible for end in (b"\n", b"\r\n", b"\r")}
        assert texts == {"page"}

    def test_boundary_without_blank_line(self):
        """A boundary without a blank line above it ends the headers."""
        message = parse_message(
            TOP + b"Content-Type: multipart/mixed; boundary=q\n--q\nContent-Type: text/html\n\n<p>x\n--q--\n"
        )
        assert (message.structure, message.page.visible) == ("mixed html", "x")

    def test_first_type_counts(self):
        """Of two Content-Type headers the upper one counts."""
        assert read("Content-Type: text/html\nContent-Type: text/plain", b"<b>x</b>").page.visible == "x"

    @pytest.mark.parametrize(
        ("value", "found", "name"),
        [
            ("Ann <ANN@Example.org>", "ann@example.org", "Ann"),
            ('"ceo@bank.example" <x@evil.example>', "x@evil.example", "ceo@bank.example"),
            ("x@example.org (Ann B)", "x@example.org", "Ann B"),
            ("=?utf-8?q?J=C3=B6rg?= <j@example.org>", "j@example.org", "Jörg"),
            ('"ceo@bank.example"@evil.example', "ceo_bank.example@evil.example", ""),
            ("ann(b)@(c)example.org", "ann@example.org", "b"),
            ("nobody", "", ""),
            ("", "", ""),
        ],
    )
    def test_address(self, value, found, name):
        """The address in angle brackets wins over one in the name."""
        assert (address(value), display_name(value)) == (found, name)


class TestBody:
    """Each part is decoded by its content and not only by its labels."""

    def test_tree(self):
        """Parts come in order, with their types and their names of RFC 2231."""
        message = parse_message(LETTER)
        assert message.structure == "mixed alternative plain html attached"
        assert [part.name for part in message.parts] == ["", "", "bö.pdf"]
        assert (message.plain.strip(), message.text, message.defects) == ("Grüße, Ann", "page", ())

    def test_type_parameter(self):
        """The parameter `type` of multipart/related is not its type."""
        message = parse_message(
            TOP
            + b'Content-Type: multipart/related; type="text/html"; boundary=q\n\n'
            + b"--q\nContent-Type: text/html\n\n<p>x\n--q--\n"
        )
        assert message.structure == "related html"

    def test_rfc2231_order(self):
        """The pieces of a name are joined by their numbers."""
        assert read("Content-Type: a/b; name*1=b; name*0=a; name*10=d; name*2=c").parts[0].name == "abcd"

    @pytest.mark.parametrize(
        ("charset", "text"),
        [
            ("utf-16", "Grüße aus Köln"),
            ("gb18030", "代开发票"),
            ("koi8-r", "Привет"),
            ("shift_jis", "こんにちは"),
            ("iso-2022-jp", "こんにちは"),
            ("windows-1252", "„Grüße“"),
            ("big5", "中文信"),
            ("euc-kr", "안녕하세요"),
        ],
    )
    def test_charset(self, charset, text):
        """Text in a labelled charset is read."""
        message = read(f"Content-Type: text/plain; charset={charset}", text.encode(charset))
        assert (message.plain, message.defects) == (text, ())

    def test_wrong_charset(self):
        """Text with a wrong label is read, and the label is a defect."""
        message = read("Content-Type: text/plain; charset=us-ascii", "größer".encode("cp1252"))
        assert (message.plain, message.defects) == ("größer", ("wrong charset",))

    def test_cut_keeps_characters(self):
        """A cut within a character, or within base64, leaves no damaged character in the head or the tail."""
        import base64

        text = "äöü日本" * 400_000
        for encode, transfer in ((base64.encodebytes, "base64"), (bytes, "8bit")):
            message = read(
                f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {transfer}", encode(text.encode())
            )
            assert message.defects == ("text cut",)
            assert message.plain.count("\ufffd") == 0
            assert set(message.plain) == set("äöü日本\n")

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (b"aGVsbG8", "hello"),
            (b"aGVs*bG8=", "hello"),
            (b"aGVsbG8=\n-- \nlist footer", "hello\n-- \nlist footer"),
            (b"!", ""),
            (b"aGVsbG8gdGhlcmU=\n" + b"d29y" * 20 + b"\n" + b"bGQ=\n", "hello there\n" + "wor" * 20 + "ld"),
        ],
    )
    def test_base64(self, body, text):
        """The valid parts of broken base64 are decoded, and a plain footer after it is kept."""
        assert read("Content-Transfer-Encoding: base64", body).plain == text

    def test_quoted_printable(self):
        """Broken quoted-printable stays as it is."""
        assert read("Content-Transfer-Encoding: quoted-printable", b"a=ZZ=\nb=3D=").plain == "a=ZZb="

    @pytest.mark.parametrize(("delsp", "text"), [("", "one two\n-- \nme"), ("; delsp=yes", "onetwo\n-- \nme")])
    def test_flowed(self, delsp, text):
        """format=flowed lines are joined, with DelSp without the space, and the signature stays apart."""
        assert read(f"Content-Type: text/plain; format=flowed{delsp}", b"one \ntwo\n-- \nme").plain == text

    def test_wrong_boundary(self):
        """Parts that use another boundary than the declared one are found."""
        body = b"--real1\nContent-Type: text/plain\n\nhello\n--real1--\n"
        message = read("Content-Type: multipart/mixed; boundary=said", body)
        assert (message.plain, message.defects) == ("hello", ("wrong boundary",))

    @pytest.mark.parametrize("headers", ["Content-Type: multipart/mixed", "Content-Type: multipart/mixed; boundary=q"])
    def test_multipart_without_parts(self, headers):
        """A multipart without its boundary is read as text."""
        assert read(headers, b"inline --q here").plain == "inline --q here"

    def test_forwarded(self):
        """A forwarded message yields its subject and its text."""
        assert read("Content-Type: message/rfc822", b"Subject: inner\n\nhello").plain == "inner\nhello"

    def test_page_in_file(self):
        """An attached page is read, as phishing sends its forms so."""
        message = read(
            "Content-Type: application/octet-stream; name=login.HTML", b"<form action=http://example.org/>Pin</form>"
        )
        assert (message.page.visible, message.page.forms, message.parts[0].attached) == ("Pin", 1, True)

    def test_nul(self):
        """NULs are removed and are a defect."""
        assert (read("A: b", b"a\0b").plain, read("A: b", b"a\0b").defects) == ("ab", ("NUL in text",))

    @given(
        st.text(
            st.characters(codec="utf-8", exclude_characters="\r\n\0", exclude_categories=["Cs", "Cc", "Zl", "Zp"]),
            max_size=200,
        )
    )
    def test_as_the_standard_library_writes(self, text):
        """Mail that the standard library writes is read as the standard library reads it."""
        mail = EmailMessage()
        mail["Subject"] = "x"
        mail.set_content(f"x{text}\n")
        mail.add_attachment(b"data", maintype="application", subtype="pdf", filename="a b.pdf")
        raw = mail.as_bytes()
        first = message_from_bytes(raw).get_payload()[0]
        assert parse_message(raw).plain.strip("\n") == first.get_payload(decode=True).decode().strip("\n")
        assert [part.name for part in parse_message(raw).attachments] == ["a b.pdf"]


def test_spaces_around_the_at():
    """Spaces and tabs around the @ of an address in angle brackets are allowed, and an @ in a name is no address."""
    for spaced in ("jo @ example.net", "jo@\texample.net", "jo\t@example.net", "jo \t@\t example.net"):
        assert addresses(f"Jo <{spaced}>") == ("jo@example.net",)
        assert address(f"Jo <{spaced}>") == "jo@example.net"
    assert addresses("Jo @ Work <jo@example.net>") == ("jo@example.net",)

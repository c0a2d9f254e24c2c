"""The text of a message is the same before and after local delivery, in a pipe, over IMAP, and fetched to a laptop."""

import itertools
import re

import pytest

from spamlstm.features.render import render
from spamlstm.features.route import Route
from spamlstm.message.message import parse_message
from training.synthetic import generate

# What programs of the receiving organisation add on top. `{own}` is the organisation of the receiving server.
DELIVERY = {
    "nothing": (),
    "Postfix": ("Return-Path: <b@bounces.example>", "X-Original-To: alias@{own}", "Delivered-To: user@{own}"),
    "Postfix, forwarded inside": (
        "Return-Path: <SRS0=x=y@{own}>",
        "Delivered-To: other@store.{own}",
        "Received: by mx.{own} (Postfix, from userid 1000) id 4F0; {date}",
        "Delivered-To: user@{own}",
    ),
    "Postfix behind a content filter": (
        "Received: from localhost (localhost [127.0.0.1]) by mx.{own} (Postfix) with ESMTP id 4F1; {date}",
        "Received: from mx.{own} ([127.0.0.1]) by localhost (mx.{own} [127.0.0.1]) (amavisd-new) with LMTP; {date}",
    ),
    "Dovecot LMTP": (
        "Return-Path: <b@bounces.example>",
        "Delivered-To: <user@{own}>",
        "Received: from mx.{own} by imap.{own} with LMTP id 4F2 (envelope-from <b@bounces.example>); {date}",
    ),
    "Dovecot LMTP with an address": (
        "Received: from mx.{own} ([203.0.113.80]) by imap.{own} with LMTP id 4F3 for <user@{own}>; {date}",
    ),
    "a store in the same organisation": (
        "Received: from mx.{own} (mx.{own} [203.0.113.80]) by store.{own} (Postfix) with ESMTPS id 4F4; {date}",
        "Received: from mx.{own} (mx.lan [10.1.2.3]) by mx.{own} (Postfix) with ESMTP id 4F5; {date}",
    ),
    "Exim": (
        "Return-path: <b@bounces.example>",
        "Envelope-to: user@{own}",
        "Delivery-date: {date}",
        "Received: from exim by mx.{own} with local-bsmtp (Exim 4.97) id 1r-2; {date}",
        "Received: from localhost ([127.0.0.1] helo=mx.{own}) by mx.{own} with esmtp (Exim 4.97) id 1r-1; {date}",
    ),
    "procmail": ("From b@bounces.example Sat Nov 28 02:39:58 2026", "X-Original-To: user@{own}", "Status: RO"),
    "fetchmail": (
        "Return-Path: <b@bounces.example>",
        "Received: from pop.{own} [203.0.113.81] by laptop with POP3 (fetchmail-6.4.37) for <me@localhost>; {date}",
    ),
    "fetchmail over IMAP and Postfix": (
        "Received: from localhost (localhost [::1]) by laptop (Postfix) with ESMTP id 4F6; {date}",
        "Received: from imap.{own} [203.0.113.81] by localhost with IMAP (fetchmail-6.4.37); {date}",
    ),
    "getmail": (
        "Return-Path: <b@bounces.example>",
        "Delivered-To: user@{own}",
        "Received: from imap.{own} by laptop with IMAP4-SSL getmail6 msgid:INBOX/7; 01 Dec 2026 09:00:00 -0000",
    ),
    "OpenSMTPD": (
        "Return-Path: <b@bounces.example>",
        "Delivered-To: user@{own}",
        "Received: from localhost (mx.{own} [local]) by mx.{own} (OpenSMTPD) with ESMTPA id 4f7; {date}",
    ),
    "a Gmail export": (
        "X-GM-THRID: 17",
        "X-Gmail-Labels: Inbox,Unread",
        "Delivered-To: user@{own}",
        "Received: by 2002:a05:6a10:8e8b:0:0:0:0 with SMTP id i11; {date}",
        "X-Received: by 2002:a17:90b:4b4f:: with SMTP id 15; {date}",
        "ARC-Seal: i=1; a=rsa-sha256; t=1; cv=none; d=google.com; s=arc; b=x",
        "ARC-Authentication-Results: i=1; mx.{own}; dkim=pass header.d=other.example; spf=pass; dmarc=pass",
        "Return-Path: <b@bounces.example>",
    ),
}
DATE = "Tue, 01 Dec 2026 09:00:00 +0100"
# What the receiving server itself adds, and this test adds in another way.
ADDED = (b"return-path", b"delivered-to", b"x-original-to", b"envelope-to", b"delivery-date", b"x-received", b"arc-")


def bare(raw: bytes) -> bytes:
    """Return a message without the headers of local delivery."""
    head, end, body = raw.partition(b"\n\n")
    kept = [header for header in re.split(rb"\n(?![ \t])", head) if not header.lower().startswith(ADDED)]
    return b"\n".join(kept) + end + body


def delivered(raw: bytes, *ways: str, own: str) -> bytes:
    """Return a message after delivery in each of the ways, the last on top."""
    for way in ways:
        added = "".join(f"{line}\n" for line in DELIVERY[way]).replace("{own}", own).replace("{date}", DATE)
        raw = added.encode() + raw
    return raw


# The messages, each with the organisation of the server that received it.
RAW = [raw.replace(b"\r\n", b"\n") for _, raw, _ in generate(seed=5, count=1000)]
MAIL = [(raw, Route(parse_message(raw)).own or "example.org") for raw in RAW]


def test_generated_mail_after_each_local_delivery():
    """A thousand messages have the same text before local delivery and after each way of it."""
    ways = itertools.cycle(DELIVERY)
    for raw, own in MAIL:
        text = render(parse_message(raw))
        assert render(parse_message(bare(raw))) == text
        for way in itertools.islice(ways, 2):
            assert render(parse_message(delivered(raw, way, own=own))) == text, way


@pytest.mark.parametrize(
    "way", [way for way, lines in DELIVERY.items() if not lines[:1] or "From " not in lines[0][:5]]
)
def test_combinations_of_local_delivery(way):
    """Two ways of local delivery after each other do not change the text either, the second with any mbox line."""
    for (raw, own), other in zip(MAIL[:28], itertools.cycle(DELIVERY), strict=False):
        assert render(parse_message(delivered(raw, way, other, own=own))) == render(parse_message(raw)), other


FORGED = """Received: from bank.example (bank.example [198.51.100.27]) by mx.{own} (Postfix) with ESMTPS id 1; {date}
Received: from mx.{own} (mx.{own} [198.51.100.28]) by store.{own} with ESMTP id 2; {date}
Received-SPF: pass (mx.{own}: domain of bank.example designates 198.51.100.27) receiver=mx.{own}
Authentication-Results: mx.elsewhere.example; dkim=pass header.d=bank.example; dmarc=pass header.from=bank.example
Authentication-Results: dkim=pass header.d=bank.example; dmarc=pass header.from=bank.example
ARC-Authentication-Results: i=1; mx.{own}; dkim=pass header.d=bank.example; dmarc=pass header.from=bank.example
Return-Path: <robin@bank.example>
Delivered-To: robin@bank.example
"""


def test_headers_that_the_sender_wrote():
    """Headers of delivery below those of the receiving server change nothing: anybody can write them.

    The results of Microsoft's servers have no name, so they are not tested here.
    """
    several = 0
    for raw, own in MAIL[:200]:
        if Route(parse_message(raw)).entry and own != "outlook.com":
            several += 1
            head, end, body = raw.partition(b"\n\n")
            forged = FORGED.format(own=own, date=DATE).encode()
            assert render(parse_message(head + b"\n" + forged.rstrip() + end + body)) == render(parse_message(raw))
    assert several > 90


def test_a_host_in_the_name_of_the_receiver():
    """A host that calls itself by a name of the receiving organisation is a relay or a forger and says nothing."""
    relay = (
        b"Received: from mx.example.org (dsl-7.pool.example [203.0.113.80]) by imap.example.org with ESMTP id 7; x\n"
    )
    shop = b"Received: from shop.example (shop.example [198.51.100.27]) by mx.example.org with ESMTPS id 8; x\n"
    text = render(parse_message(relay + shop + b"From: a@shop.example\n\nhello"))
    assert "\u27e6helo:none\u27e7\u27e6reverse:none\u27e7" in text
    assert "tls" not in text


def test_an_authenticated_user():
    """The computer of an authenticated user may be anywhere, so its facts are left out."""
    hop = b"Received: from [192.0.2.7] (dsl-7.pool.example [192.0.2.7]) by mx.example.org with ESMTPSA id 8; x\n"
    assert "\u27e6helo:none\u27e7\u27e6reverse:none\u27e7" in render(
        parse_message(hop + b"From: a@example.org\n\nhello")
    )

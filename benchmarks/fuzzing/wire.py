"""What clients send to the listeners, and its mutations: recorded requests of spamc, and written ones of the others."""

import random
import re
import struct
import zlib
from collections.abc import Callable, Sequence

from mta import ACTIONS, CLIENT, STEPS, packet
from spamd_wire import exchanges

MAIL = b"From: ann@example.org\r\nTo: bob@example.net\r\nSubject: Minutes\r\n\r\n" + b"The minutes are below.\r\n" * 9
_FORGED = b"X-Spam-Flag: NO\r\n" * 3 + b"X-Spam-Level:\r\n ***\r\n" + MAIL
_MAILS = (MAIL, _FORGED, b"", b"x", b"\r\n\r\n", b"Subject: a\n\nb", bytes(range(256)))
_TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"\t", b",", b";", b"-1", b"0", b"9" * 12, b"9" * 400, b"\xff", b"%zz"),
    *(b"\r\n\r\n", b"Content-length: 7\r\n", b"Content-Length: 99999999\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(
        b"User: ann\r\n",
        b"Compress: zlib\r\n",
        b"Set: local\r\n",
        b"Message-class: spam\r\n",
        b"Expect: 100-continue\r\n",
    ),
    *(b"SPAMC/1.5", b"HTTP/1.0", b"FILTER ", b"headers", b"bogosity", b"X-Spam-Flag: NO\r\n", b"{", b"(", b")", b'"'),
)
_NUMBER = re.compile(rb"[0-9]+")


def _spamd_seeds() -> list[bytes]:
    return [one.request for one in exchanges() if one.request and len(one.request) < 20_000]


def _own_seeds() -> list[bytes]:
    forms, users = (b"headers", b"bogosity"), (b"-", b"ann", b"a%40b", b"%ff..%2f")
    return [
        b"FILTER %d %s %s\n" % (len(mail), form, user) + mail for mail in _MAILS for form in forms for user in users
    ]


def _http_seeds() -> list[bytes]:
    """Return requests of rspamc, Haraka and filter-rspamd, chunks, and several requests in one connection."""
    paths = (b"/checkv2", b"/symbols", b"/learnspam", b"/learnham", b"//checkv2")
    heads = (
        b"Connection: close\r\nUser: ann\r\n",
        b"Rcpt: bob@example.net\r\nFrom: ann@example.org\r\nIp: 192.0.2.7\r\nHelo: mx\r\nQueue-Id: 4A\r\n",
        b"Password: secret\r\nDeliver-To: <bob@example.net>\r\nExpect: 100-continue\r\n",
        b"File: /etc/passwd\r\nCompression: zstd\r\n",
    )
    seeds = [
        b"GET /ping HTTP/1.1\r\n\r\n" * 3,
        b"HEAD /stat HTTP/1.0\r\n\r\n",
        b"GET /stat HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    for path in paths:
        for head in heads:
            for mail in _MAILS:
                start = b"POST %s HTTP/1.1\r\n" % path + head
                seeds.append(start + b"Content-Length: %d\r\n\r\n" % len(mail) + mail)
                pieces = [mail[at : at + 50] for at in range(0, len(mail), 50)] + [b""]
                chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
                seeds.append(start + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    return seeds + [one + other for one, other in zip(seeds, reversed(seeds), strict=True)]


def _milter_seeds() -> list[bytes]:
    """Return sessions of Postfix and Sendmail, with one or several messages."""
    seeds = []
    for version, steps in ((2, 0x7F), (4, 0x3FF), (6, STEPS), (6, 0)):
        options = packet(b"O", struct.pack("!III", version, ACTIONS, steps))
        begin = packet(b"D", b"Cj\0mx\0v\0Postfix 3.7\0_\0mx [192.0.2.7]\0") + packet(b"C", CLIENT)
        begin += packet(b"H", b"mail.example.com\0")
        messages = [_milter_message(mail) for mail in _MAILS]
        for one, other in zip(messages, reversed(messages), strict=True):
            seeds.append(options + begin + one + packet(b"Q"))
            seeds.append(options + begin + one + packet(b"A") + other + packet(b"K") + begin + one + packet(b"Q"))
    return seeds


def _milter_message(mail: bytes) -> bytes:
    head, _, body = mail.partition(b"\r\n\r\n")
    pairs = [line.partition(b":") for line in re.sub(rb"\r\n(?=[ \t])", b"\n", head).split(b"\r\n")]
    macros = packet(b"D", b"M{auth_authen}\0bob\0"), packet(b"M", b"<ann@example.org>\0SMTPUTF8\0")
    recipient = packet(b"D", b"Ri\0004A\0"), packet(b"R", b"<bob@example.net>\0")
    headers = [packet(b"L", name + b"\0" + value + b"\0") for name, _, value in pairs]
    bodies = [packet(b"B", body[at : at + 40]) for at in range(0, len(body), 40)]
    return b"".join((*macros, *recipient, packet(b"T"), *headers, packet(b"N"), *bodies, packet(b"E")))


def _imap_seeds() -> list[bytes]:
    """Return untagged answers of IMAP servers, without their tags."""
    return [
        b'1 (UID 7 FLAGS (\\Seen \\Answered $Junk) MODSEQ (12) INTERNALDATE "01-Jan-2026 10:00:00 +0100")',
        b"1 (UID 7 RFC822.SIZE 99 FLAGS (a b))",
        b"12 (UID 4294967295 FLAGS () MODSEQ (9223372036854775807))",
        b'3 (FLAGS (a) BODY[HEADER.FIELDS (FROM)] "From: a" UID 1)',
        b"COPYUID 1 3,7:9 10:13",
        b"INBOX (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 5 UNSEEN 1 HIGHESTMODSEQ 8)",
        b'(\\HasNoChildren \\Junk) "/" "&BCEEPwQwBDw-"',
    ]


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "own": _own_seeds,
    "spamd": _spamd_seeds,
    "milter": _milter_seeds,
    "http": _http_seeds,
    "imap": _imap_seeds,
}


def mutated(seed: bytes, others: Sequence[bytes], chance: random.Random, *, is_packets: bool) -> bytes:
    """Return what a client sends: a seed, or a seed with up to four changes.

    With `is_packets`, most changes are within packets, whose lengths are then right.
    """
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        if is_packets and chance.random() < 0.7:
            seed = _changed_packets(seed, chance)
        elif chance.random() < 0.1:
            other = chance.choice(others)
            seed = seed[: chance.randrange(len(seed) + 1)] + other[chance.randrange(len(other) + 1) :]
        else:
            seed = _changed(seed, chance)
    return seed


def _changed(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + chance.choice((1, 2, 8, 60)))
    match chance.randrange(8):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[end:]
        case 2:
            return data[:at] + data[at:end] * chance.choice((2, 3, 300)) + data[end:]
        case 3:
            return data[:at] + chance.randbytes(chance.choice((1, 4, 16))) + data[end:]
        case 4:
            return data[:at] + zlib.compress(data[at:])
        case 5 if numbers := list(_NUMBER.finditer(data[:300])):
            number = chance.choice(numbers)
            other = chance.choice((b"0", b"1", b"%d" % (int(number[0]) + 1), b"4294967296", b"9" * 30))
            return data[: number.start()] + other + data[number.end() :]
        case _:
            return data[:at] + chance.choice(_TOKENS) + data[at:]


def _changed_packets(data: bytes, chance: random.Random) -> bytes:
    """Change, remove, repeat or move packets of the milter protocol."""
    packets, at = [], 0
    while at + 4 <= len(data):
        (length,) = struct.unpack_from("!I", data, at)
        packets.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    which = chance.randrange(len(packets)) if packets else 0
    match chance.randrange(5):
        case 0 if packets:
            del packets[which]
        case 1 if packets:
            packets.insert(chance.randrange(len(packets)), packets[which])
        case 2 if packets:
            packets[which:which] = [packets[which]] * chance.choice((1, 300))
        case 3:
            packets.insert(which, bytes([chance.choice(b"ABCDEHKLMNOQRTU")]) + chance.choice(_TOKENS))
        case _ if packets:
            packets[which] = packets[which][:1] + _changed(packets[which][1:], chance)
    return b"".join(packet(one[:1], one[1:]) for one in packets)

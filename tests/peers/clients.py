"""What IMAP clients do with messages, which are known by the marks of `watching.message`."""

import re

from spamlstm.maildir.headers import untag

UID = re.compile(rb"UID (\d+)")
WAYS = ("MOVE", "COPY", "APPEND")
"""The ways in which clients move a message; see `moved`."""


def marks(session):
    """Return the mark of each message in the selected folder by UID, read from the headers."""
    _, answer = session.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (X-Mark)])")
    found = {}
    for part in answer:
        if isinstance(part, tuple) and (mark := re.search(rb"X-Mark: (\d+)", part[1])):
            found[int(UID.search(part[0])[1])] = int(mark[1])
    return found


def bodies(answer):
    """Return the literals of an answer; the server may send other things between them."""
    return [part[1] for part in answer if isinstance(part, tuple)]


def moved(session, folder, mark, target, way):
    """Move one message, and leave its folder.

    MOVE is one command. COPY is followed by a flag and EXPUNGE. APPEND stores other header bytes, as between two
    accounts or through a virus scanner, and then deletes the first message.
    """
    session.select(folder)
    (uid,) = [uid for uid, one in marks(session).items() if one == mark]
    if way == "APPEND":
        (raw,) = bodies(session.uid("FETCH", str(uid), "(BODY.PEEK[])")[1])
        assert session.append(target, r"(\Seen)", None, changed(raw))[0] == "OK"
    else:
        assert session.uid(way, str(uid), target)[0] == "OK"
    if way != "MOVE":
        session.uid("STORE", str(uid), "+FLAGS", r"(\Deleted)")
        session.expunge()
    session.select("INBOX")


def changed(raw):
    """Return a message as it comes back from a client that refolds headers, drops trace headers and adds its own."""
    headers, _, body = untag(raw).replace(b"\r\n", b"\n").partition(b"\n\n")
    kept = re.sub(rb"(?m)^Received: .*\n(?:[ \t].*\n)*", b"", headers + b"\n")
    folded = re.sub(rb"(?m)^(Subject|Message-ID|From): ", rb"\1:\n ", kept)
    return (b"X-Antivirus: checked\n" + folded + b"\n" + body).replace(b"\n", b"\r\n")

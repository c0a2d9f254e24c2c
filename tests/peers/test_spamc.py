"""Debian's spamc with our listener, compared with what spamc did with spamd."""

import re
import shutil
import subprocess

import pytest
from listening import listening
from spamd_wire import exchanges, form

from spamlstm.config import Config, SpamdConfig

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("spamc") is None, reason="spamc is not installed"),
]
# spamc hears nothing from spamd in these cases: there is none, or it is another program.
WITHOUT_SPAMD = ("nobody", "hungup", "silent")
# spamd calls a message without headers spam. The verdict is not the form.
OTHER_VERDICT = {"body-only"}


@pytest.fixture(scope="module")
def spamc(classifier, tmp_path_factory):
    """Run spamc with recorded arguments against our listener; `allow_tell` selects one of two listeners."""
    folder = tmp_path_factory.mktemp("spamc")

    def run(arguments, stdin, *, allow_tell):
        socket = f"{folder}/{allow_tell}.sock"
        ours = re.sub(r"-d 127\.0\.0\.1 -p \d+|-U SOCKET", f"-U {socket}", " ".join(arguments[1:])).split()
        done = subprocess.run(["spamc", *ours], input=stdin, capture_output=True, check=False)
        return done.returncode, done.stdout

    configs = [Config(spamd=SpamdConfig(f"unix:{folder}/{tell}.sock", allow_tell=tell)) for tell in (True, False)]
    with (
        listening(folder / "one", classifier, configs[0]),
        listening(folder / "two", classifier, configs[1]),
    ):
        yield run


def shape(output, stdin):
    """Return the form of what spamc printed."""
    output = re.sub(rb"(?m)^-?[0-9]+\.[0-9]/5\.0$", b"SCORE", output)
    if b"X-Spam-Checker-Version" in output:
        return "tagged", None if b"with SpamAssassin" in output else re.sub(
            rb"(?m)^X-Spam.*\n([ \t].*\n)*", b"", output
        )
    if b"Content analysis details" in output:
        return "report", form(b"SPAMD/1.0 0 EX_OK\r\n" + output, command=b"REPORT", mail=stdin)[1:]
    if re.fullmatch(rb"[A-Z0-9_,]+\n?", output):
        return "symbols", None
    return "plain", output


def test_spamc_ends_and_prints_as_with_spamd(spamc):
    """Exit status and form of the output are as recorded, for every recorded command line."""
    different = []
    for one in exchanges():
        if one.arguments is None or one.name.startswith(WITHOUT_SPAMD):
            continue
        status, output = spamc(one.arguments, one.stdin or b"", allow_tell=not one.name.startswith("unix-safe0"))
        ours, theirs = shape(output, one.stdin), shape(one.stdout, one.stdin)
        same = ours[0] == theirs[0] and (ours[1] == theirs[1] or b"with SpamAssassin" in one.stdout)
        if one.name.rpartition("__")[2] not in OTHER_VERDICT and not (same and status == one.status):
            different.append((one.name, one.arguments, status, one.status, output[:300], one.stdout[:300]))
    assert different == []


def test_learning_with_spamc(spamc):
    """The output of spamc says whether a label changed something, and learning without permission is a failure."""
    mail = b"From: ann@example.org\nSubject: pills\n\nCheap pills for you\n"
    learn = ["spamc", "-U", "SOCKET", "-L"]
    answers = [spamc([*learn, word], mail, allow_tell=True) for word in ("spam", "spam", "ham", "forget", "forget")]
    learned, known = (0, b"Message successfully un/learned\n"), (0, b"Message was already un/learned\n")
    assert answers == [learned, known, learned, learned, known]
    assert spamc([*learn, "spam"], mail, allow_tell=False) == (74, b"")

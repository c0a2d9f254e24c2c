"""Debian's rspamc, curl and OpenSMTPD's filter-rspamd with our listener for HTTP."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from listening import listening
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm.config import Config, HttpConfig
from spamlstm.model.classifier import Classifier

FILTER = Path("/usr/libexec/opensmtpd/filter-rspamd")
PORT = 17833
PASSWORD = "correct horse"

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("rspamc") is None, reason="rspamd is not installed"),
]


@pytest.fixture(scope="module")
def address(tiny, tmp_path_factory):
    """A listener on a Unix socket and one on a port, both with a password."""
    folder = tmp_path_factory.mktemp("http")
    password = folder / "password"
    password.touch(0o600)
    password.write_text(f"{PASSWORD}\n")
    classifier = Classifier.open(tiny, personal_features=True)
    configs = [
        Config(http=HttpConfig(listen, password_file=str(password)))
        for listen in (f"unix:{folder}/http.sock", f"127.0.0.1:{PORT}")
    ]
    with listening(folder / "one", classifier, configs[0]), listening(folder / "two", classifier, configs[1]):
        yield f"{folder}/http.sock"


def run(*command, mail=b"", check=True):
    return subprocess.run(command, input=mail, capture_output=True, check=check, timeout=60)


def rspamc(address, *arguments, mail=b"", status=0):
    """Return what rspamc prints, without times and headings."""
    done = run("rspamc", "-h", address, *arguments, mail=mail, check=False)
    assert (done.returncode, done.stderr) == (status, b"")
    return re.sub(r"Results for.*\n", "", done.stdout.decode()).strip()


def test_rspamc_shows_the_verdict(address):
    """The program prints action, score, symbol and Message-ID, over a socket and over TCP."""
    assert rspamc(address, mail=b"Message-ID: <1@b.example>\n" + SPAM).splitlines() == [
        "[Metric: default]",
        "Action: add header",
        "Spam: true",
        "Score: 13.10 / 5.00",
        "Symbol: SPAMLSTM_SCORE (13.10)[spam]",
        "Message-ID: 1@b.example",
    ]
    for mail, verdict in ((HAM, "ham"), (UNSURE, "unsure")):
        assert rspamc(address, mail=mail) == rspamc(f"127.0.0.1:{PORT}", mail=mail)
        assert re.search(rf"Action: no action\nSpam: false\n.*\nSymbol: .*\[{verdict}\]", rspamc(address, mail=mail))


def test_rspamc_with_many_files(address, tmp_path):
    """Several requests at the same time get their own answers."""
    for number in range(30):
        (tmp_path / f"{number:02}.eml").write_bytes((SPAM, HAM)[number % 2])
    output = run("rspamc", "-h", address, "-n", "8", "-j", "--compact", tmp_path).stdout
    answers = [json.loads(line) for line in output.splitlines() if line]
    assert len(answers) == 30
    for one in answers:
        is_spam = int(Path(one["filename"]).stem) % 2 == 0
        assert one["action"] == ("add header" if is_spam else "no action")


def test_rspamc_writes_the_message(address):
    """With --mime, rspamc adds its own headers and leaves the text."""
    output = run("rspamc", "-h", address, "--mime", mail=SPAM).stdout
    assert b"\r\nX-Spam: yes\r\nX-Spam-Action: add header\r\nX-Spam-Score: 13.10 / 5.00\r\n" in output
    assert output.partition(b"\r\n\r\n")[2] == SPAM.partition(b"\r\n\r\n")[2]


def test_rspamc_learns(address):
    """Learning needs the password. A repetition is no failure, and an error says what is wrong."""
    learn = ("-P", PASSWORD, "-d", "ann@example.org")
    assert "success = true;" in rspamc(address, *learn, "learn_spam", mail=UNSURE)
    assert "already learned as spam" in rspamc(address, *learn, "learn_spam", mail=UNSURE)
    assert "Spam: true" in rspamc(address, mail=UNSURE)
    assert "success = true;" in rspamc(address, *learn, "learn_ham", mail=UNSURE)
    assert rspamc(address, "-P", "x", "learn_ham", mail=UNSURE, status=1) == "HTTP error: 401, Unauthorized"
    output = rspamc(address, "stat")
    assert re.search(r"Messages scanned: \d+\nMessages with action add header: ", output)
    assert re.search(r"Messages learned: [1-9]\n", output)


def test_rspamc_reads_the_password_from_a_file(address, tmp_path):
    """A line end in the file would become part of the request. Then an error says so, and nothing is learned."""
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    assert "success = true;" in rspamc(address, "-P", file, "learn_spam", mail=b"Subject: other\n\n" + UNSURE)
    file.write_text(f"{PASSWORD}\n")
    error = "HTTP error: 400, a line ends without CR; is there a line end in a header, such as Password?"
    assert rspamc(address, "-P", file, "learn_ham", mail=UNSURE, status=1) == error


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ("-z", "415, compressed and encrypted requests are not supported"),
        ("--header=Path=/etc/passwd", "403, the headers File, Path and Shm are not honoured, send the message itself"),
    ],
)
def test_rspamc_shows_what_is_not_supported(address, option, error):
    """A request for something else than a verdict on the body is an error, not a verdict."""
    assert rspamc(address, option, mail=SPAM, status=1) == f"HTTP error: {error}"


def curl(*arguments, mail=SPAM, check=True):
    url = f"http://127.0.0.1:{PORT}"
    arguments = [one.replace("URL", url) for one in arguments]
    return run("curl", "-sS", "--max-time", "30", *arguments, mail=mail, check=check)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--data-binary", "@-"),
        ("--data-binary", "@-", "--http1.0"),
        ("--data-binary", "@-", "-H", "Expect: 100-continue"),
        ("-X", "POST", "-T", "-"),  # in chunks
    ],
)
@pytest.mark.usefixtures("address")
def test_a_script_with_curl(arguments):
    """A message is sent with its length, in chunks, or after a wait for permission; a large one too."""
    for mail in (SPAM, SPAM + b"x" * (3 << 20)):
        answer = json.loads(curl("-f", *arguments, "URL/checkv2", mail=mail).stdout)
        assert (answer["action"], answer["symbols"].keys()) == ("add header", {"SPAMLSTM_SCORE"})


@pytest.mark.usefixtures("address")
def test_curl_keeps_the_connection():
    """Two requests use one connection, and an error is a status above 0."""
    done = curl("-w", " %{num_connects}\n", "URL/ping", "URL/ping")
    assert done.stdout == b"pong\r\n 1\npong\r\n 0\n"
    wrong = curl("-f", "-H", "Password: x", "--data-binary", "@-", "URL/learnspam", check=False)
    assert (wrong.returncode, wrong.stdout) == (22, b"")


# --- OpenSMTPD -----------------------------------------------------------------------------------------------------


def filtered(mail, *recipients):
    """Pass a message through filter-rspamd as OpenSMTPD does; return the message behind it, and the decision."""
    events = (
        "link-connect|ID|mx.example.org|pass|203.0.113.1:25|192.0.2.1:25",
        "link-greeting|ID|mx.example.net",
        "link-identify|ID|EHLO|mx.example.org",
        "tx-begin|ID|aabb",
        "tx-mail|ID|aabb|ok|a@b.example",
        *(f"tx-rcpt|ID|aabb|ok|{one}" for one in recipients),
    )
    lines = ["config|ready", *(f"report|0.7|1|smtp-in|{event}" for event in events)]
    lines += [f"filter|0.7|1|smtp-in|data-line|ID|1ef1|{line}" for line in (*mail.decode().splitlines(), ".")]
    command = [FILTER, "-url", f"http://127.0.0.1:{PORT}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write("".join(f"{line}\n" for line in lines))
        process.stdin.flush()
        output = []
        for line in process.stdout:
            if line.startswith("filter-dataline|"):
                output.append(line.rstrip("\n").split("|", 3)[3])
                if output[-1] == ".":
                    break
        process.stdin.write("filter|0.7|1|smtp-in|commit|ID|1ef1|\n")
        process.stdin.flush()
        decision = process.stdout.readline().rstrip("\n").split("|", 3)[3]
        process.stdin.close()
    return output[:-1], decision


@pytest.mark.skipif(not FILTER.exists(), reason="opensmtpd-filter-rspamd is not installed")
@pytest.mark.usefixtures("address")
def test_opensmtpd():
    """Mail passes filter-rspamd with our headers, without forged ones, and is never refused."""
    lines, decision = filtered(b"X-Spam-Flag: NO\r\n" + SPAM, "ann@example.org")
    at = lines.index("")
    assert decision == "proceed"
    assert "X-Spam-Flag: YES" in lines[:at]
    assert "X-Spam-Flag: NO" not in lines[:at]
    assert "X-Spam-Status: Yes, score=13.1 required=5.0 tests=SPAMLSTM_SCORE" in lines[:at]
    assert lines[at:] == ["", *SPAM.decode().partition("\r\n\r\n")[2].splitlines()]
    lines, decision = filtered(HAM, "ann@example.org", "bob@example.org")
    assert decision == "proceed"
    assert [line for line in lines if line.startswith("X-Spam-Status")] == [
        "X-Spam-Status: No, score=0.0 required=5.0 tests=SPAMLSTM_SCORE"
    ]

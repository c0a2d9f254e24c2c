"""`spamlstm classify`: its output and exit status."""

import gzip
import json

import pytest
from tiny_bundle import HAM, SPAM, UNSURE, mail

from spamlstm.model.reading import GTUBE

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(range(256)) * 9


def test_lines(spamlstm, folder):
    """In a pipe, each message is one line with fields separated by tabs."""
    status, out, err = spamlstm("classify", folder)
    lines = [line.split("\t") for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert [line[0] for line in lines] == ["ham", "spam", "unsure"]
    assert lines[1] == ["spam", "1.0000", "+12.00", "score", str(folder / "b-spam.eml")]


def test_a_large_folder(spamlstm, tmp_path):
    """Several processes read: each message appears once, in order, and each complaint once."""
    kinds = [(HAM, "ham"), (SPAM, "spam"), (UNSURE, "unsure")]
    for number in range(300):
        (tmp_path / f"{number:03}.eml").write_bytes(kinds[number % 3][0])
    (tmp_path / "200.eml").unlink()
    (tmp_path / "200.eml").symlink_to("nowhere")
    status, out, err = spamlstm("classify", tmp_path)
    lines = [line.split("\t") for line in out.splitlines()]
    assert (status, len(err.splitlines())) == (66, 1)
    expected = [(kinds[number % 3][1], str(tmp_path / f"{number:03}.eml")) for number in range(300) if number != 200]
    assert [(line[0], line[4]) for line in lines] == expected


def test_json(spamlstm, folder):
    """With --json, each line is one object with the documented keys."""
    status, out, _ = spamlstm("classify", "--json", folder)
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    keys = ["path", "verdict", "probability", "score", "reason", "thresholds", "model", "defects", "ms"]
    assert list(rows[0]) == keys
    assert rows[0]["thresholds"] == {"ham": 0.2, "spam": 0.98, "origin": "model"}
    assert (rows[1]["verdict"], rows[1]["reason"], rows[1]["model"]) == ("spam", "score", "tiny-1")


def test_explain(spamlstm, folder):
    """The decisive word is shown with its contribution."""
    _, out, _ = spamlstm("classify", "--explain", folder / "b-spam.eml")
    assert "\t+12.00\tword\tpills" in out
    _, out, _ = spamlstm("classify", "--explain", "--json", folder / "b-spam.eml")
    assert json.loads(out)["explain"][0] == {
        "kind": "word",
        "text": "pills",
        "contribution": pytest.approx(12, abs=1e-3),
    }


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (["a-ham.eml"], 0),
        (["b-spam.eml"], 1),
        (["c-unsure.eml"], 2),
        (["a-ham.eml", "c-unsure.eml"], 2),
        (["a-ham.eml", "b-spam.eml", "c-unsure.eml"], 1),
        (["b-spam.eml", "none.eml"], 66),
    ],
)
def test_exit_code(spamlstm, folder, names, status):
    """0 ham, 1 spam, 2 unsure, the worst of several; 66 if a file cannot be read."""
    assert spamlstm("classify", "--exit-code", *(folder / name for name in names))[0] == status


def test_without_exit_code(spamlstm, folder):
    """Without --exit-code the status is 0 for any verdict."""
    assert spamlstm("classify", folder / "b-spam.eml")[0] == 0


def test_one_missing_file(spamlstm, folder):
    """A missing file is reported, the others are judged, and the status is 66."""
    status, out, err = spamlstm("classify", folder / "none.eml", folder)
    assert (status, out.count("\n")) == (66, 3)
    assert err == f"spamlstm: {folder / 'none.eml'}: no such file or directory\n"


def test_not_mail(spamlstm, folder):
    """A picture is reported, is unsure, and the status is 65."""
    (folder / "photo.jpg").write_bytes(JPEG)
    status, out, err = spamlstm("classify", folder / "photo.jpg")
    assert (status, out.split("\t")[0]) == (65, "unsure")
    assert "not mail" in err


def test_a_folder_without_mail(spamlstm, tmp_path):
    """A folder without mail is reported, and the status is 66."""
    status, out, err = spamlstm("classify", tmp_path)
    assert (status, out) == (66, "")
    assert "no mail" in err


def test_an_allow_list(spamlstm, folder):
    """The allow list of the configuration decides."""
    (folder / "c.toml").write_text('[policy]\nallow = ["ann@x.org"]')
    _, out, _ = spamlstm("classify", "--config", folder / "c.toml", folder / "b-spam.eml")
    assert out.split("\t")[0::3] == ["ham", "allow"]


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ('allow = ["other@x.org", "*@X.org"]', 'allow entry "*@X.org"'),
        ('deny = ["ann@x.org"]', 'deny entry "ann@x.org"'),
        ('deny = ["@other.org"]', "the text contains the GTUBE test string"),
    ],
)
def test_explain_names_the_rule(spamlstm, on_terminal, folder, policy, text):
    """With --explain, the entry or test string that decided comes first, and only --explain names addresses."""
    (folder / "c.toml").write_text(f"[policy]\n{policy}")
    (folder / "rule.eml").write_bytes(mail(f"pills {GTUBE}"))
    command = ("classify", "--config", folder / "c.toml", folder / "rule.eml")
    assert spamlstm(*command, "--explain")[1].splitlines()[1] == f"\t-\trule\t{text}"
    explained = json.loads(spamlstm(*command, "--explain", "--json")[1])["explain"]
    assert explained[0] == {"kind": "rule", "text": text, "contribution": None}
    assert text in on_terminal(*command, "--explain")[1]
    assert "x.org" not in spamlstm(*command, "--json")[1].lower()


def test_model_show(spamlstm):
    """`model show` prints facts of the manifest and the card."""
    status, out, _ = spamlstm("model", "show")
    assert status == 0
    assert "tiny-1" in out
    assert "Knows two words." in out


def test_names_cannot_move_the_cursor(spamlstm, tmp_path):
    """Control characters in a file name are escaped."""
    (tmp_path / "a\x1b[2J\tb\n.eml").write_bytes(HAM)
    _, out, _ = spamlstm("classify", tmp_path)
    assert out.count("\n") == 1
    assert "\\x1b[2J\\tb\\n" in out


def test_on_a_terminal(on_terminal, folder):
    """On a terminal: a table with a summary."""
    status, shown = on_terminal("classify", folder)
    assert status == 0
    assert "verdict" in shown
    assert "3 messages: 1 ham, 1 unsure, 1 spam" in shown


@pytest.mark.parametrize("command", [("classify",), ("scan", "--dry-run")])
def test_on_a_narrow_terminal(on_terminal, tmp_path, command):
    """A table of messages shows the verdict and the file of each message, however narrow the terminal is."""
    for part in ("new", "cur", "tmp"):
        (tmp_path / "M" / part).mkdir(parents=True)
    (tmp_path / "M" / "new" / "1.a").write_bytes(SPAM)
    status, shown = on_terminal(*command, tmp_path / "M", columns=20)
    letters = "".join(shown.split())
    assert (status, "spam" in letters, "1.a" in letters) == (0, True, True)


def test_the_command_is_light(python):
    """`import spamlstm.cli` loads neither torch nor the modules that only scoring needs."""
    script = "import sys, spamlstm.cli; print(sorted({'torch', 'numpy', 'onnxruntime', 'rich'} & set(sys.modules)))"
    assert python(script) == "[]\n"


def test_one_message_loads_no_more_than_it_needs(python, tiny, folder):
    """A cold start loads neither rich nor processes nor TOML until they are used."""
    script = (
        "import sys; from spamlstm.cli import translate; "
        f"translate.run(['classify', '--model', {str(tiny)!r}, {str(folder / 'a-ham.eml')!r}]); "
        "print(sorted({'torch', 'rich', 'tomllib', 'multiprocessing', 'asyncio'} & set(sys.modules)))"
    )
    assert python(script).splitlines()[-1] == "[]"


def test_hostile_mail_is_judged(spamlstm, tmp_path):
    """The defects of a message are listed in its row."""
    raw = mail("pills pills").replace(b"8bit", b"base64").replace(b"pills pills", b"!!!not base64===")
    (tmp_path / "x.eml").write_bytes(raw)
    status, out, _ = spamlstm("classify", "--json", tmp_path)
    assert status == 0
    assert json.loads(out)["defects"]


def test_compressed_mail(spamlstm, tmp_path):
    """Compressed mail has the score of the plain message; what cannot be read is unsure, and the defect says why."""
    (tmp_path / "plain.eml").write_bytes(SPAM)
    (tmp_path / "stored.eml").write_bytes(gzip.compress(SPAM))
    (tmp_path / "torn.eml").write_bytes(gzip.compress(SPAM * 20)[:-9])
    _, out, _ = spamlstm("classify", "--json", tmp_path)
    plain, stored, torn = map(json.loads, out.splitlines())
    assert {**stored, "path": "", "ms": 0} == {**plain, "path": "", "ms": 0}
    assert (torn["verdict"], torn["reason"]) == ("unsure", "not-mail")
    assert torn["defects"] == ["not mail", "compressed with gzip, but damaged or too large"]
    status, _, err = spamlstm("label", "spam", tmp_path / "torn.eml")
    assert (status, "it is compressed with gzip, but damaged" in err) == (65, True)

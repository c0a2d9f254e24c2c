"""`spamlstm run` and `spamlstm status` as processes: mail, reloads, models and stops."""

import contextlib
import json
import re
import shutil
import signal
import sqlite3

from listening import exchange
from running_daemon import PATIENCE, deliver
from tiny_bundle import HAM, SPAM

from spamlstm.maildir.headers import untag


def test_from_start_to_stop(daemon, spamlstm, maildir):
    """Spam is filed, ham stays, the status counts both, and SIGTERM ends the daemon with 0."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    assert "verdict=spam" in log_until("base=1.spam")
    deliver(maildir, "2.ham", HAM)
    assert "verdict=ham" in log_until("base=2.ham")
    assert [path.name for path in (maildir / "new").iterdir()] == ["2.ham"]
    assert len(list((maildir / ".Junk" / "new").iterdir())) == 1
    answer = json.loads(spamlstm("status", "--json")[1])
    assert answer["mail"]["judged"] == {"spam": 1, "ham": 1}
    assert answer["by_maildir"] == {str(maildir): {"spam": 1, "ham": 1, "moved": 1}}
    status, out, _ = spamlstm("status")
    assert status == 0
    assert f"process {process.pid}" in out
    assert "2 (1 ham, 1 spam)" in out
    assert "ham up to 0.2, spam from 0.98 (from the model)" in out
    process.send_signal(signal.SIGTERM)
    log_until(" stopped ")
    assert process.wait(PATIENCE) == 0
    status, _, err = spamlstm("status")
    assert (status, err.count("\n")) == (69, 1)


def test_a_scan_after_a_dry_run(daemon, spamlstm, maildir):
    """`scan` does what `run --dry-run` reported, once; `scan --dry-run` shows it and leaves no trace.

    Mail that was there before the daemon first watched the Maildir is left alone.
    """
    deliver(maildir, "0.old", SPAM.replace(b"\n\n", b"\n\nold ", 1))
    process, log_until = daemon("--dry-run", maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    assert " dry maildir=" in log_until("base=1.spam")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    for _ in range(2):
        status, out, _ = spamlstm("scan", "--dry-run", maildir)
        assert (status, out.count("\n"), "would tag, file to .Junk" in out) == (0, 1, True)
    assert [path.name for path in (maildir / "new").glob("1.*")] == ["1.spam"]
    assert "\ttag, file to .Junk" in spamlstm("scan", maildir)[1]
    assert [path.name for path in (maildir / "new").iterdir()] == ["0.old"]
    assert spamlstm("scan", maildir) == (0, "", "")


def test_mail_between_two_runs(daemon, maildir):
    """The second run judges what was delivered in between, and no message is judged twice."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    log_until("base=1.spam")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    deliver(maildir, "2.spam", SPAM)
    _, log_until = daemon(maildir)
    assert "1.spam" not in log_until("base=2.spam")


def test_a_message_that_is_written_in_new_itself(daemon, maildir):
    """Some programs write into new itself: such a message is judged when it is complete, and not before."""
    _, log_until = daemon(maildir)
    log_until(" ready ")
    with (maildir / "new" / "1.slow").open("wb") as slow:
        assert "kind=unfinished" in log_until("base=1.slow")
        slow.write(SPAM)
    # On a busy machine the daemon may look again, and log so, before the file is closed.
    assert "base=1.slow" in log_until("verdict=spam")
    (filed,) = (maildir / ".Junk" / "new").iterdir()
    assert untag(filed.read_bytes()) == SPAM


def test_a_stop_in_the_middle_of_a_burst(daemon, maildir):
    """Each message is processed once, by this run or the next; none is lost or doubled."""
    count = 600
    process, log_until = daemon(maildir)
    log_until(" ready ")
    process.send_signal(signal.SIGSTOP)
    for number in range(count):
        deliver(maildir, f"{number}.x", SPAM)
    process.send_signal(signal.SIGCONT)
    first = log_until(" done ")
    process.send_signal(signal.SIGTERM)
    first += log_until(" stopped ")
    assert process.wait(PATIENCE) == 0
    _, log_until = daemon(maildir)
    done = re.findall(r" done .* base=(\S+) ", first)
    while len(done) < count:
        done += re.findall(r" done .* base=(\S+) ", log_until(" done "))
    assert sorted(done) == sorted(f"{number}.x" for number in range(count))
    assert list((maildir / "new").iterdir()) == []
    assert len(list((maildir / ".Junk" / "new").iterdir())) == count


def test_a_reload_uses_the_new_configuration_or_says_why_not(daemon, spamlstm, maildir, tmp_path):
    """SIGHUP with a wrong configuration changes nothing; with a right one it applies to the next message."""
    file = tmp_path / "config.toml"
    file.write_text(f'[[maildir]]\npath = "{maildir}"\n')
    process, log_until = daemon("--config", file)
    log_until(" ready ")
    file.write_text(f'[[maildir]]\npath = "{maildir}"\nspam = ["tagg"]\n')
    process.send_signal(signal.SIGHUP)
    assert "did you mean 'tag'" in log_until("reload-failed")
    assert "did you mean 'tag'?; the previous configuration and model stay in use" in spamlstm("status")[1]
    deliver(maildir, "1.spam", SPAM)
    assert "actions=tag,file" in log_until("base=1.spam")
    file.write_text(f'[[maildir]]\npath = "{maildir}"\nspam = ["tag"]\n')
    process.send_signal(signal.SIGHUP)
    log_until(" ready ")
    assert json.loads(spamlstm("status", "--json")[1])["load_errors"] == {}
    deliver(maildir, "2.spam", SPAM)
    assert "actions=tag " in log_until("base=2.spam")


def test_a_dry_run_changes_no_mail(daemon, maildir):
    """`run --dry-run` changes no mail, even if a section of the configuration has dry_run = false."""
    _, log_until = daemon("--dry-run", maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    assert " dry " in log_until("base=1.spam")
    assert [path.name for path in (maildir / "new").iterdir()] == ["1.spam"]
    assert not (maildir / ".Junk").exists()


def test_an_unreadable_act_in_the_journal_stops_no_mail(daemon, spamlstm, maildir, tmp_path):
    """The act is logged and left alone, and mail is filed."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    log_until("base=1.spam")
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "spamlstm" / "journal.sqlite")) as database:
        database.execute("UPDATE acts SET state = 'open', actions = 'evil'")
        database.commit()
    process, log_until = daemon(maildir)
    assert "act-unreadable" in log_until(" ready ")
    deliver(maildir, "2.spam", SPAM)
    log_until("base=2.spam")
    assert len(list((maildir / ".Junk" / "new").iterdir())) == 2


def test_another_model_is_loaded_when_it_comes_into_use(daemon, maildir, environment, tiny, tmp_path):
    """A new model is used from the next message on; a damaged one is logged, and mail is judged as before."""
    models = tmp_path / "data" / "spamlstm" / "models"
    models.mkdir(parents=True)
    del environment["SPAMLSTM_MODEL"]
    environment["XDG_DATA_HOME"] = str(tmp_path / "data")

    def use(name):
        (models / "next").symlink_to(name)
        (models / "next").rename(models / "current")

    for name in ("one", "two", "broken"):
        shutil.copytree(tiny, models / name)
    manifest = json.loads((tiny / "manifest.json").read_text())
    (models / "two" / "manifest.json").write_text(json.dumps({**manifest, "version": "2"}))
    (models / "broken" / "model.onnx").write_bytes(b"half a mod")
    use("one")
    _, log_until = daemon(maildir)
    assert "model=tiny-1" in log_until(" ready ")
    use("broken")
    deliver(maildir, "1.spam", SPAM)
    log = log_until("model-load-failed")
    deliver(maildir, "2.spam", SPAM)
    log += log_until("base=2.spam")
    assert log.count("model=tiny-1") == 2
    use("two")
    deliver(maildir, "3.spam", SPAM)
    log = log_until("model-loaded")
    assert "load-failed" not in log
    deliver(maildir, "4.spam", SPAM)
    assert "model=tiny-2" in log_until("base=4.spam")


def test_the_log_has_no_text_of_mail(daemon, maildir):
    """The log contains no subject, no address and no words of a body."""
    _, log_until = daemon(maildir)
    log_until(" ready ")
    deliver(maildir, "1.spam", SPAM)
    line = log_until("base=1.spam")
    assert not [word for word in ("plain subject", "ann@x.org", "pills") if word in line]


def test_a_daemon_without_maildirs(daemon, environment, tmp_path, spamlstm):
    """With a listener, the daemon needs no Maildir. SIGHUP moves the listener, and a stop removes its socket."""
    config, first, second = tmp_path / "c.toml", tmp_path / "first", tmp_path / "second"
    config.write_text(f'[spamd]\nlisten = "unix:{first}"\n')
    process, read_until = daemon("--config", config)
    read_until("ready")
    assert exchange(str(first), b"PING SPAMC/1.5\r\n\r\n") == b"SPAMD/1.5 0 PONG\r\n"
    config.write_text(f'[spamd]\nlisten = "unix:{second}"\n')
    process.send_signal(signal.SIGHUP)
    read_until("ready")
    assert exchange(str(second), b"PING SPAMC/1.5\r\n\r\n") == b"SPAMD/1.5 0 PONG\r\n"
    assert f"listener spamd    unix:{second}: 0 classified\n" in spamlstm("status")[1]
    exchange(str(second), b"CHECK SPAMC/1.5\r\n\r\n" + SPAM)
    assert f"listener spamd    unix:{second}: 1 classified (1 spam)\n" in spamlstm("status")[1]
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert not first.exists()
    assert not second.exists()

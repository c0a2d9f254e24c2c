"""The tests do not depend on who runs them."""

import os
import subprocess
import sys
from pathlib import Path

from spamlstm.config.locations import find_config_file, models_dir, state_dir

BROKEN = "this is no TOML ["


def _spoiled(home: Path) -> dict[str, str]:
    """Fill a home folder with a broken configuration, label store and model; return the environment of its user."""
    folders = {"CONFIG": ".config", "STATE": ".local/state", "DATA": ".local/share", "CACHE": ".cache"}
    for folder in folders.values():
        for name in ("config.toml", "labels.sqlite", "journal.sqlite", "models/current/manifest.json"):
            path = home / folder / "spamlstm" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(BROKEN)
    named = {f"XDG_{name}_HOME": str(home / folder) for name, folder in folders.items()}
    spoiled = str(home / ".local/share/spamlstm/models/current")
    return {**os.environ, **named, "HOME": str(home), "SPAMLSTM_MODEL": spoiled, "STATE_DIRECTORY": spoiled}


def test_each_test_has_an_empty_home(tmp_path):
    """No configuration, state or model is there, and what a test writes lies among its temporary files."""
    for path in (Path.home(), state_dir(), models_dir()):
        assert path.is_relative_to(tmp_path.parent)
    assert list(Path.home().iterdir()) == []
    assert find_config_file() is None or find_config_file().is_relative_to("/etc")


def test_a_spoiled_home_changes_no_test(root, tmp_path):
    """Tests of the command line pass for a user whose own configuration, labels and model are broken."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_isolation.py", "-k", "reads"]
    done = subprocess.run(command, cwd=root, env=_spoiled(tmp_path), capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_classify_reads_no_state_of_the_user(root):
    """`spamlstm classify` in a test reads the shipped model, no configuration and no labels."""
    mail = root / "docs/demo/04-personal-reply.eml"
    command = [sys.executable, "-m", "spamlstm", "classify", str(mail)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "ham" in done.stdout

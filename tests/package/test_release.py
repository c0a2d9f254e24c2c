"""The packages of a release: the same bytes each time, complete, and installed as the guide says."""

import os
import re
import shutil
import subprocess
import sys
import venv

import numpy as np
import pytest
import sbom
from python_packages import build_packages

pytestmark = pytest.mark.timeout(300)  # five builds, which take a second each on quiet cores

NAMED = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")


@pytest.fixture(scope="module")
def git():
    """Run git in a folder, as somebody who has no settings."""
    environment = {**os.environ, **dict.fromkeys(NAMED, "ann@example.org"), "GIT_CONFIG_GLOBAL": os.devnull}

    def run(folder, *arguments):
        command = ["git", "-c", "core.autocrlf=false", *arguments]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)

    return run


@pytest.fixture(scope="module")
def checkout(root, git, tmp_path_factory):
    """A repository with one commit, which has the files that the packages need, without the large ones of training."""
    folder = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__", "weights.safetensors", "without-*")
    for name in ("spamlstm", "models", "packaging", "systemd"):
        shutil.copytree(root / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore", ".gitattributes"):
        shutil.copy(root / name, folder)
    git(folder, "init", "-q")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "all")
    return folder


@pytest.fixture(scope="module")
def packages(checkout, tmp_path_factory):
    """Return the built packages by their suffix. The build itself compares two builds."""
    (checkout / "build").mkdir()
    (checkout / "build" / "ignored.py").touch()
    files = build_packages(checkout, tmp_path_factory.mktemp("dist"))
    return {path.suffix: path for path in files}


def test_a_checkout_with_changes_is_refused(checkout, tmp_path):
    """A release is made of a commit, so uncommitted files are reported and nothing is written."""
    new = checkout / "spamlstm" / "new.py"
    new.touch()
    try:
        with pytest.raises(RuntimeError, match=r"spamlstm/new\.py"):
            build_packages(checkout, tmp_path / "dist")
    finally:
        new.unlink()
    assert not (tmp_path / "dist").exists()


def test_the_source_archive_makes_the_same_wheel(packages, tmp_path):
    """A distribution that builds from the source archive gets our wheel, byte for byte."""
    subprocess.run(["tar", "-xf", str(packages[".gz"]), "-C", str(tmp_path)], check=True)
    (source,) = tmp_path.iterdir()
    time = (source / "LICENSE").stat().st_mtime
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(int(time))}
    subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True)
    assert (tmp_path / packages[".whl"].name).read_bytes() == packages[".whl"].read_bytes()


@pytest.fixture(scope="module")
def home(packages, tmp_path_factory):
    """The home folder of a user who has installed the wheel with pip, and has a link to the program on the PATH."""
    folder = tmp_path_factory.mktemp("home")
    environment = folder / ".local/share/tools/spamlstm"
    venv.create(environment)
    pip = [sys.executable, "-m", "pip", "--python", str(environment), "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*pip, str(packages[".whl"])], check=True, capture_output=True)
    # The libraries are those of this interpreter.
    (libraries,) = environment.glob("lib/python3*/site-packages")
    (libraries / "zz_used.pth").write_text(f"{np.__path__[0]}/..\n")
    (folder / ".local/bin").mkdir()
    (folder / ".local/bin/spamlstm").symlink_to(environment / "bin/spamlstm")
    return folder


@pytest.fixture
def shell(home):
    """Run a script in bash as that user."""
    path = f"{home}/.local/bin:{os.environ['PATH']}"
    environment = {"HOME": str(home), "PATH": path, "LC_ALL": "C.UTF-8"}

    def run(script):
        command = ["bash", "-ec", script]
        return subprocess.run(command, cwd=home, env=environment, check=True, capture_output=True, text=True).stdout

    return run


def test_the_bill_of_materials_has_the_libraries_of_all_packages(root):
    """The bill of materials is made of an installation with the extras that the Debian package and the image have."""
    (extras,) = re.findall(r"'\.(\[[^]]+\])'$", (root / "packaging/deb.sh").read_text(), re.MULTILINE)
    assert extras == sbom.EXTRAS


@pytest.mark.model
def test_the_installed_program_classifies(shell):
    """The program of the wheel finds the model in the wheel."""
    message = r"From: a@example.org\n\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n"
    assert shell(f"printf '{message}' | spamlstm classify -").startswith("spam\t")
    assert ".local/share/tools" in shell("spamlstm model show -v 2>&1")


def test_the_guide_links_pages_and_completions(root, shell, home):
    """The commands of the guide put manual pages and completions where man, bash, zsh and fish look for them."""
    section = (root / "docs/guide.md").read_text().partition("### Manual pages and shell completion\n")[2]
    commands = re.sub(r"(?m)^    ", "", re.search(r"(?m)(?:^    .*\n)+", section)[0])
    shell(commands)
    shell(commands)  # again, as after an update
    share = home / ".local/share"
    for name in (
        "man/man1/spamlstm-run.1",
        "man/man5/spamlstm.conf.5",
        "man/man7/spamlstm.7",
        "bash-completion/completions/spamlstm",
        "zsh/site-functions/_spamlstm",
        "fish/vendor_completions.d/spamlstm.fish",
    ):
        assert (share / name).is_symlink(), name
        assert (share / name).is_file(), name


def test_the_guide_changes_the_path_in_the_unit(root, shell, home):
    """With the commands of the guide, the user's unit starts the program that pipx and uv install."""
    section = (root / "docs/guide.md").read_text().partition("### With pipx or uv\n")[2]
    blocks = re.findall(r"(?m)(?:^    .*\n)+", section.partition("\n### ")[0])
    shell(re.sub(r"(?m)^    ", "", blocks[1]))
    unit = (home / ".config/systemd/user/spamlstm.service").read_text()
    assert re.findall(r"(?m)^ExecStart=(\S+)", unit) == ["%h/.local/bin/spamlstm"]

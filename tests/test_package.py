"""The package as a whole: light imports, nothing happens at import, one wheel with everything in it."""

import os
import subprocess
import sys
import zipfile

import pytest

HEAVY = ("torch", "training", "matplotlib", "onnx", "onnxruntime", "selectolax", "tokenizers", "huggingface_hub")


def test_the_command_line_loads_nothing_heavy(python):
    """`spamlstm --help` loads no torch, and nothing that only judging mail needs."""
    loaded = python("import spamlstm.cli, sys; print(*sys.modules)").split()

    assert [name for name in HEAVY if name in loaded] == []


def test_plain_text_mail_loads_no_html_reader(python):
    """A message without HTML is parsed without the modules that read pages by their tree."""
    loaded = python(
        "import sys; from spamlstm.message.message import parse_message; "
        "print(parse_message(b'Subject: s\\n\\ntext').text, *sys.modules)"
    ).split()

    assert loaded[0] == "text"
    assert not {"spamlstm.message.html", "spamlstm.message.html_cost", "selectolax"} & set(loaded)


def test_the_daemon_loads_no_module_for_one_rare_function(python):
    """The daemon starts without numpy.random and email, which take 3 MB of each daemon's memory."""
    loaded = python("import spamlstm.cli.run, spamlstm.model.personal_layer, sys; print(*sys.modules)").split()
    assert {"numpy.random", "email.utils"}.isdisjoint(loaded)


def test_no_module_of_the_package_loads_torch(python):
    """The light package runs where torch is not installed."""
    loaded = python(
        """
import importlib, pkgutil, sys, spamlstm
for module in pkgutil.walk_packages(spamlstm.__path__, "spamlstm."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(*sys.modules)
"""
    ).split()

    assert [name for name in ("torch", "training", "matplotlib", "onnx", "huggingface_hub") if name in loaded] == []


def test_nothing_happens_at_import(python):
    """Importing a module writes no file, opens no database, starts no process or thread and configures no log."""
    happened = python(
        """
import importlib, logging, pkgutil, sys, threading
import numpy, onnxruntime, rich, selectolax.lexbor, tokenizers, typer, watchdog.observers  # not ours

EVENTS = ("sqlite3.connect", "socket.connect", "subprocess.Popen", "os.mkdir", "os.remove", "os.rename", "os.system")
threads, handlers, happened = threading.active_count(), list(logging.root.handlers), []

def hook(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if writes or event in EVENTS:
        happened.append((event, args[0]))

sys.addaudithook(hook)
import spamlstm
for module in pkgutil.walk_packages(spamlstm.__path__, "spamlstm."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
if threading.active_count() != threads:
    happened.append("a thread was started")
if logging.root.handlers != handlers:
    happened.append("a log was set up")
print(*happened, end="")
"""
    )

    assert happened == ""


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """A wheel built here without a network, unpacked as pip unpacks it."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=root, capture_output=True, check=True)
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(out / "unpacked")
    return out / "unpacked"


def _files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.mark.parametrize(("package", "installed"), [("spamlstm", "spamlstm"), ("training", "spamlstm_training")])
def test_the_wheel_holds_both_packages_with_their_data(root, wheel, package, installed):
    """Every file beside the code in a checkout is there after an installation, except messages that are trained on."""
    written = {name for name in _files(root / package) if name.startswith("messages/")}
    assert _files(root / package) - written <= _files(wheel / installed)
    assert not written & _files(wheel / installed)
    assert (wheel / "spamlstm" / "py.typed").is_file()


def test_the_wheel_claims_two_import_names(wheel):
    """An installation adds `spamlstm` and `spamlstm_training`, and never a package called `training`."""
    names = {path.name for path in wheel.iterdir() if path.suffix not in {".dist-info", ".data"}}

    assert names == {"spamlstm", "spamlstm_training"}


@pytest.mark.parametrize("installed", [True, False])
def test_retraining_finds_the_trainer(root, wheel, tmp_path, installed):
    """`spamlstm retrain` starts the trainer of the wheel that it is part of, or of the checkout that it lies in."""
    expected = "spamlstm_training" if installed else "training"
    script = "from spamlstm.learning.retrain import RetrainSettings; print(*RetrainSettings(None).command[-3:])"
    environment = {**os.environ, "PYTHONPATH": str(wheel if installed else root)}

    def python(*arguments):
        command = [sys.executable, "-B", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    assert python("-c", script).split() == ["-m", expected, "finetune"]
    assert f"python -m {expected} finetune" in python("-P", "-m", expected, "finetune", "--help")


@pytest.mark.model
def test_the_wheel_holds_the_shipped_model_and_no_other(root, wheel):
    """`pip install` brings the default model to where the registry looks for it, and no model made for measuring."""
    shipped = {path.name for path in (root / "models/default").iterdir()}

    assert {"manifest.json", "model.onnx"} <= shipped
    assert shipped == _files(wheel / "spamlstm/_models/default")
    assert [path.name for path in (wheel / "spamlstm/_models").iterdir()] == ["default"]


def test_the_wheel_holds_the_reference_mail(wheel):
    """`adopt` finds the reference mail in an installation, and users can read it there."""
    assert (wheel / "spamlstm/learning/reference_mail.txt").is_file()


def test_the_wheel_holds_the_files_of_other_programs(root, wheel):
    """Manual pages, completions and units are installed where man, the shells and the guide look for them."""
    (share,) = wheel.glob("*.data/data/share")
    assert _files(root / "packaging/man") == _files(share / "man")
    assert _files(root / "systemd") == _files(share / "spamlstm/systemd")
    completions = {"bash-completion/completions/spamlstm", "zsh/site-functions/_spamlstm"}
    completions |= {"fish/vendor_completions.d/spamlstm.fish"}
    others = {one for one in _files(share) if not one.startswith(("man/", "spamlstm/"))}
    assert others == completions

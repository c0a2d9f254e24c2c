"""The house keeps its promises: light imports, nothing happens at import, one wheel with everything in it."""

import subprocess
import sys
import zipfile

import pytest

HEAVY = ("torch", "training", "matplotlib", "onnx", "onnxruntime", "selectolax", "tokenizers", "huggingface_hub")


def test_the_command_line_loads_nothing_heavy(python):
    """`spamlstm --help` answers at once: torch is never loaded, the rest only when there is mail to judge."""
    loaded = python("import spamlstm.cli, sys; print(*sys.modules)").split()

    assert [name for name in HEAVY if name in loaded] == []


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
    """No file is written, no database opened, no process, thread or connection started, no log set up."""
    happened = python(
        """
import importlib, logging, pkgutil, sys, threading
import numpy, onnxruntime, rich, selectolax.lexbor, tokenizers, typer, watchdog.observers  # theirs, not ours

EVENTS = ("sqlite3.connect", "socket.connect", "subprocess.Popen", "os.mkdir", "os.remove", "os.rename", "os.system")
threads, handlers, seen = threading.active_count(), list(logging.root.handlers), []

def hook(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if writes or event in EVENTS:
        seen.append((event, args[0]))

sys.addaudithook(hook)
import spamlstm
for module in pkgutil.walk_packages(spamlstm.__path__, "spamlstm."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
if threading.active_count() != threads:
    seen.append("a thread was started")
if logging.root.handlers != handlers:
    seen.append("a log was set up")
print(*seen, end="")
"""
    )

    assert happened == ""


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """The names of the files in a wheel that is built here, with no network."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=root, capture_output=True, check=True)
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_both_packages_with_their_data(root, wheel):
    """Whatever lies beside the code in a checkout is there after an install."""
    here = {
        str(path.relative_to(root))
        for package in ("spamlstm", "training")
        for path in (root / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }

    assert here <= wheel


@pytest.mark.model
def test_the_wheel_holds_the_shipped_model_and_no_other(root, wheel):
    """`pip install` brings the default model, at the place where the registry looks, and no yardstick."""
    shipped = {f"spamlstm/_models/default/{path.name}" for path in (root / "models/default").iterdir()}

    assert {"spamlstm/_models/default/manifest.json", "spamlstm/_models/default/model.onnx"} <= shipped
    assert shipped == {name for name in wheel if "models/" in name}
    assert not [name for name in wheel if name.startswith(("tests/", "docs/", "benchmarks/"))]

"""The packages that retraining needs in addition, and the command that installs them beside spamlstm.

A bare `pip install` can install them into another environment, and the environments of pipx and uv do not have pip.
"""

import contextlib
import importlib.util
import re
import shlex
import sys
from pathlib import Path

from spamlstm.errors import UnavailableError

TRAINING_PACKAGES = ("spamlstm_training", "training")
"""The names of the training package beside spamlstm, in an installation and in a checkout."""
REQUIREMENTS = {"onnx": "onnx>=1.17,<2", "safetensors": "safetensors>=0.5,<1", "torch": "torch>=2.6,<3"}
"""The requirement of each package, as in the `train` extra in pyproject.toml."""


def find_training() -> str | None:
    """Return the name of the training package, or None if this installation does not have it."""
    beside_spamlstm = Path(__file__).resolve().parents[2]
    return next((name for name in TRAINING_PACKAGES if (beside_spamlstm / name).is_dir()), None)


def check_installed() -> None:
    """Check that the training package and the packages that it needs are installed.

    Raises UnavailableError if one of them is missing, or if a package has an unsuitable version.
    """
    if find_training() is None:
        raise UnavailableError(
            "this installation does not have the trainer, as in a container; install spamlstm with pip, retrain there"
            " with a copy of the state folder, and copy the new model back"
        )
    if missing := {name: need for name in REQUIREMENTS if (need := _need(name))}:
        command = install_command([REQUIREMENTS[name] for name in missing], environment=Path(sys.prefix))
        *first, last = missing.values()
        names = f"{', '.join(first)} and {last}" if first else last
        raise UnavailableError(f"retraining needs {names}; to install, run: {command}")


def _need(name: str) -> str:
    """Return a package that is missing or has an unsuitable version, in words, or an empty string."""
    if not is_installed(name):
        return name
    import importlib.metadata  # loads the package email, which the daemon does not need

    # The metadata may be missing or incomplete, after an interrupted installation. Then the version is not known.
    version = None
    with contextlib.suppress(importlib.metadata.PackageNotFoundError, KeyError):
        version = importlib.metadata.version(name)
    requirement = REQUIREMENTS[name]
    lowest, below = map(_numbers, requirement.split(","))
    is_suitable = version is None or lowest <= _numbers(version) < below
    return "" if is_suitable else f"{requirement} ({version} is installed)"


def _numbers(version: str) -> tuple[int, ...]:
    """Return the first two numbers of a version. Versions of one package differ in them if they are incompatible."""
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def is_installed(name: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # the package was blocked, or imported without a specification
        return False


def install_command(requirements: list[str], *, environment: Path, python: str = sys.executable) -> str:
    """Return the shell command that installs `requirements` into the folder `environment`, which `python` runs in.

    The command depends on the tool that made the environment. pipx and uv leave a file in the environment of a program.
    """
    if (environment / "pipx_metadata.json").is_file():
        command = ["pipx", "inject", environment.name]
    elif (environment / "uv-receipt.toml").is_file() or not is_installed("pip"):
        command = ["uv", "pip", "install", "--python", python]
    else:
        command = [python, "-m", "pip", "install"]
    return shlex.join([*command, *requirements])

"""Build the wheel and the source archive of the last commit into dist/, twice, and compare the builds.

    python packaging/python_packages.py

The builds are made of the files of the commit, in two folders with other names, so neither other files nor paths get
into the packages. The times in the packages are that of the commit.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def commit_time(checkout: Path) -> int:
    """Return the time of the last commit, as seconds since 1970."""
    return int(_git(checkout, "log", "-1", "--format=%ct"))


def build_packages(checkout: Path, out: Path) -> list[Path]:
    """Build the packages of the last commit into the folder `out`. Return their files.

    Raises RuntimeError if the checkout has changes that are not committed, or if two builds differ.
    """
    changes = _git(checkout, "status", "--porcelain").decode(errors="replace")
    if changes:
        raise RuntimeError(f"commit or remove these changes first, because a release is made of a commit:\n{changes}")
    with tempfile.TemporaryDirectory() as folder:
        first, second = (_build(checkout, Path(folder) / name) for name in ("first", "another-name"))
        if first != second:
            different = sorted(name for name in {*first, *second} if first.get(name) != second.get(name))
            raise RuntimeError(f"two builds of the same commit differ: {', '.join(different)}")
    out.mkdir(parents=True, exist_ok=True)
    for name, content in first.items():
        (out / name).write_bytes(content)
    return [out / name for name in first]


def _build(checkout: Path, folder: Path) -> dict[str, bytes]:
    """Build the packages in a new folder. Return their contents by file name."""
    source, out = folder / "source", folder / "packages"
    source.mkdir(parents=True)
    archive = folder / "source.tar"
    _git(checkout, "archive", f"--output={archive}", "HEAD")
    # Not by tarfile, which has no safe mode in Debian's Python 3.11.
    subprocess.run(["tar", "-xf", str(archive), "-C", str(source)], check=True)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(commit_time(checkout))}
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"hatchling cannot build the packages:\n{done.stdout}{done.stderr}")
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def _git(checkout: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(checkout), *arguments], stdout=subprocess.PIPE, check=True).stdout


if __name__ == "__main__":
    try:
        for package in build_packages(ROOT, ROOT / "dist"):
            print(package.relative_to(ROOT))
    except (RuntimeError, OSError) as error:
        sys.exit(f"python_packages.py: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"python_packages.py: this command failed: {' '.join(error.cmd)}")

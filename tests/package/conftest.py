"""The Debian package, built once for all tests that install it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Build:
    """`make deb`, which runs while a test prepares other things. `folder` has the folders build and dist."""

    folder: Path
    process: subprocess.Popen[str]

    def package(self) -> Path:
        """Wait for the package and return it. Skips the test if pip cannot download packages here."""
        if self.process.returncode is None:
            output = self.process.communicate()[0]
            if "Temporary failure in name resolution" in output or "Network is unreachable" in output:
                pytest.skip("pip cannot download packages here")
            assert self.process.returncode == 0, output
        (package,) = (self.folder / "dist").glob("*.deb")
        return package


@pytest.fixture(scope="session")
def debian_build(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    command = ["make", "deb", f"BUILD={folder / 'build'}", f"DIST={folder / 'dist'}"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        yield Build(folder, process)
        process.kill()

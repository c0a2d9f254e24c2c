"""Write the software bill of materials of an installation without training, dist/spamlstm-VERSION.cdx.json.

    python packaging/sbom.py

The wheel in dist/ is installed with the pinned versions of constraints.txt in a new environment, with the extras that
the Debian package and the image have. The tool of CycloneDX lists what was installed. The result has the time of the
last commit and no random numbers.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from python_packages import ROOT, commit_time

ENVIRONMENT = ROOT / "build" / "sbom"
EXTRAS = "[compressed,imap]"
"""The extras of packaging/deb.sh."""


def write_sbom(wheel: Path, environment: Path) -> Path:
    """Install a wheel in a new environment, and write the bill of materials beside the wheel. Return its path."""
    venv.create(environment, clear=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(environment)]
    install = [*pip, "install", "-qq", "--no-compile", "-c", str(ROOT / "constraints.txt"), f"{wheel}{EXTRAS}"]
    subprocess.run(install, check=True)
    name, version = wheel.name.split("-")[:2]
    target = wheel.parent / f"{name}-{version}.cdx.json"
    target.write_text(json.dumps(_list_components(environment, version), indent=2, sort_keys=True) + "\n")
    return target


def _list_components(environment: Path, version: str) -> dict[str, Any]:
    tool = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    command = [*tool, "--pyproject", str(ROOT / "pyproject.toml"), str(environment)]
    time = {**os.environ, "SOURCE_DATE_EPOCH": str(commit_time(ROOT))}
    bill: dict[str, Any] = json.loads(subprocess.run(command, env=time, stdout=subprocess.PIPE, check=True).stdout)
    # The tool does not read a version that is in the package.
    bill["metadata"]["component"] |= {"version": version, "purl": f"pkg:pypi/spamlstm@{version}"}
    return bill


if __name__ == "__main__":
    wheels = list((ROOT / "dist").glob("*.whl"))
    if len(wheels) != 1:
        sys.exit("sbom.py: there must be one wheel in dist; run: make release")
    print(write_sbom(wheels[0], ENVIRONMENT).relative_to(ROOT))

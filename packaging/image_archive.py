"""Write a container image with one layer to standard output, as the archive that `podman load` and `docker load` read.

    python3 packaging/image_archive.py LAYER.tar VERSION ARCHITECTURE TIME | gzip -n >spamlstm-VERSION-image.tar.gz

packaging/image.sh makes the layer: this program as its Debian package installs it, Python, and the libraries that both
need. Nothing else is in the archive, so the same layer gives the same archive. buildah adds random names.
"""

import datetime as dt
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any, BinaryIO

SECOND = 10**9  # times in the settings of an image are nanoseconds
CONFIG = {
    "User": "5000:5000",
    "Env": ["PATH=/usr/bin", "LANG=C.UTF-8", "XDG_STATE_HOME=/var/lib", "XDG_DATA_HOME=/var/lib"],
    "Entrypoint": ["spamlstm"],
    "Cmd": ["run", "--config", "/etc/spamlstm/config.toml"],
    "Volumes": {"/var/lib/spamlstm": {}, "/run/spamlstm": {}},
    "Healthcheck": {
        "Test": ["CMD", "spamlstm", "status"],
        "Interval": 30 * SECOND,
        "Timeout": 10 * SECOND,
        "StartPeriod": 60 * SECOND,
    },
}
"""What a container of the image runs, as in the image specification of Docker. OCI's has no health check."""


def write_image(layer: Path, out: BinaryIO, *, version: str, architecture: str, time: int) -> None:
    """Write an image with the files of the tar archive `layer`. `time` is in seconds since 1970."""
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    created = dt.datetime.fromtimestamp(time, dt.UTC).isoformat().replace("+00:00", "Z")
    image = _as_json(
        {
            "architecture": architecture,
            "os": "linux",
            "created": created,
            "config": CONFIG | {"Labels": {"org.opencontainers.image.version": version}},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": created, "created_by": "packaging/image.sh"}],
        }
    )
    name = hashlib.sha256(image).hexdigest()
    manifest = {"Config": f"{name}.json", "RepoTags": [f"spamlstm:{version}"], "Layers": [f"{digest}.tar"]}
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for file_name, content in ((f"{name}.json", image), ("manifest.json", _as_json([manifest]))):
            archive.addfile(_entry(file_name, len(content), time), io.BytesIO(content))
        with layer.open("rb") as file:
            archive.addfile(_entry(f"{digest}.tar", layer.stat().st_size, time), file)


def _as_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _entry(name: str, size: int, time: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = size, time
    return entry


if __name__ == "__main__":
    path, its_version, its_architecture, its_time = sys.argv[1:]
    write_image(Path(path), sys.stdout.buffer, version=its_version, architecture=its_architecture, time=int(its_time))

"""The settings of the container image, without building it; test_container_image.py runs it."""

import hashlib
import io
import json
import tarfile

import image_archive


def image_of(layer):
    """Return the files of the archive that is written for a layer."""
    written = io.BytesIO()
    image_archive.write_image(layer, written, version="1.2.3", architecture="amd64", time=0)
    written.seek(0)
    with tarfile.open(fileobj=written) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}


def test_the_image_has_a_health_check_and_no_root(tmp_path):
    """Docker and Podman find the health check and a user who is not root in the settings that the list names."""
    layer = tmp_path / "layer.tar"
    layer.write_bytes(b"layer")
    files = image_of(layer)
    (listed,) = json.loads(files["manifest.json"])
    config = json.loads(files[listed["Config"]])
    assert config["config"]["Healthcheck"]["Test"] == ["CMD", "spamlstm", "status"]
    assert config["config"]["User"] == "5000:5000"
    assert listed["RepoTags"] == ["spamlstm:1.2.3"]
    assert [files[name] for name in listed["Layers"]] == [b"layer"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(b'layer').hexdigest()}"]
    assert image_of(layer) == files

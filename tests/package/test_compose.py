"""The example of a mail server in containers, without running it; test_container_image.py runs its parts."""

import re


def test_all_containers_start_with_the_machine(root):
    """Each container is started again when Docker starts, as it does with the machine.

    Docker does not do that for a container whose policy is `on-failure`.
    """
    text = (root / "packaging/compose/compose.yaml").read_text()
    services = re.findall(r"(?m)^  \w+:$", text.partition("\nservices:\n")[2].partition("\nvolumes:\n")[0])
    assert re.findall(r"(?m)^    restart: (\S+)$", text) == ["unless-stopped"] * len(services)

"""The training of networks in its own process, which needs torch and runs at low priority with bounded memory."""

import importlib.util
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from spamlstm.errors import TemporaryError, UnavailableError
from spamlstm.model.workers import same_modules

# The most memory that the process may write to. Resident memory stays below it, as benchmarks/retraining.py measures.
MOST_BYTES = 1_500 << 20
CORES = 2
_NEEDED = ("torch", "onnx", "safetensors")
_INSTALLED, _IN_CHECKOUT = "spamlstm_training", "training"


def trainer_command() -> tuple[str, ...]:
    """Return the command that runs the trainer, a package in the same folder as spamlstm.

    The package has another name in a checkout than in an installation. The option -P excludes the current folder from
    the search for modules, so that a file training.py or torch.py there is not executed.
    """
    beside_spamlstm = Path(__file__).resolve().parents[2]
    module = _INSTALLED if (beside_spamlstm / _INSTALLED).is_dir() else _IN_CHECKOUT
    return sys.executable, "-P", "-m", module, "finetune"


def check_installed() -> None:
    """Check that the packages needed for training are installed. Raises UnavailableError if one is missing."""
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise UnavailableError(
            f"retraining needs {' and '.join(missing)}; to install, run in the checkout: pip install '.[train]'"
        )


def run_trainer(command: Sequence[str], *, lock: int) -> None:
    """Run a training command with the lowest priority, on two cores and in bounded memory.

    The process inherits the open file `lock`. The lock is therefore held as long as the process runs, even if this
    process is killed.

    Raises TemporaryError if the command fails.
    """
    # PASSIVE, because threads that spin while waiting make training ten times slower on a busy machine.
    environment = {**same_modules(), "OMP_WAIT_POLICY": "PASSIVE"}
    with subprocess.Popen(command, env=environment, pass_fds=[lock]) as process:  # noqa: S603  our own trainer
        try:
            _limit(process.pid)
            status = process.wait()
        except BaseException:
            process.kill()
            raise
    if status:
        ended = f"by signal {-status}" if status < 0 else f"with status {status}"
        raise TemporaryError(
            f"the training ended {ended}, so the model in use is unchanged; the messages of the training are above"
        )


def _limit(process: int) -> None:
    cores = sorted(os.sched_getaffinity(0))[-CORES:]
    for set_limit in (
        lambda: os.setpriority(os.PRIO_PROCESS, process, 19),
        lambda: resource.prlimit(process, resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES)),
        lambda: os.sched_setaffinity(process, cores),
        lambda: os.sched_setscheduler(process, os.SCHED_BATCH, os.sched_param(0)),
    ):
        # The process may have ended. A sandbox may forbid these calls and have its own limits.
        with suppress(ProcessLookupError, PermissionError):
            set_limit()

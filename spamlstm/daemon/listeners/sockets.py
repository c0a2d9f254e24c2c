"""The sockets of listeners: Unix sockets for a user and a group, and TCP sockets."""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from spamlstm.config import ListenerConfig
from spamlstm.config.addresses import TcpAddress, UnixAddress, parse_address
from spamlstm.config.ownership import group_number
from spamlstm.errors import TemporaryError, UnavailableError, UserError, reason_of
from spamlstm.xdg import FILTER_SOCKET


@contextlib.contextmanager
def own_socket(state: Path) -> Iterator[socket.socket]:
    """Yield a socket that listens in the state folder, to which only this user and root can connect.

    The caller must hold the lock of the state folder, so that an existing socket file is a remainder. The kernel
    accepts at most 107 bytes for a path, and the path of the state folder may be longer. Raises UnavailableError if
    /proc is not mounted, such as in a chroot.
    """
    folder = os.open(state, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        (state / FILTER_SOCKET).unlink(missing_ok=True)
        short = f"/proc/self/fd/{folder}"
        if not os.path.isdir(short):  # noqa: PTH112  Path.is_dir may raise an error
            raise UnavailableError("/proc is not mounted; mount it before the daemon starts")
        yield _bound(f"{short}/{FILTER_SOCKET}", mode=0o600)
    finally:
        os.close(folder)


def opened_socket(config: ListenerConfig, name: str) -> socket.socket:
    """Return a socket that is bound as configured.

    Raises TemporaryError if another program uses the address, or if the machine does not have it yet, and
    UnavailableError if the address cannot be used for another reason.
    """
    address = parse_address(config.listen or "")
    try:
        if isinstance(address, UnixAddress):
            return _unix_socket(address.path, config.group)
        return _tcp_socket(address)
    except (OSError, UserError) as error:
        why = _why(error, address, config) if isinstance(error, OSError) else str(error)
        kind = TemporaryError if _is_temporary(error, address) else UnavailableError
        raise kind(f"[{name}] cannot listen on {config.listen}: {why}") from error


def _is_temporary(error: Exception, address: UnixAddress | TcpAddress) -> bool:
    """Return whether a later start may be able to use the address, so that the units start the daemon again.

    The program that uses the address may be about to end. While the machine starts, an interface may not be up yet.
    """
    if not isinstance(error, OSError) or error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
        return False
    return not (isinstance(address, UnixAddress) and other_file(address.path))


def other_file(path: str) -> str:
    """Return a sentence if a file that is no socket has the path of a socket, otherwise an empty string."""
    try:
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return ""
    return "" if is_socket else f"{path} exists and is not a socket; remove it, or name another path"


def _why(error: OSError, address: UnixAddress | TcpAddress, config: ListenerConfig) -> str:
    if isinstance(error, FileNotFoundError) and isinstance(address, UnixAddress):
        return f"the folder {Path(address.path).parent} does not exist; create it, or name another folder"
    if isinstance(address, UnixAddress) and (other := other_file(address.path)):
        return other
    if config.group and error.filename is not None and isinstance(address, UnixAddress):
        return (
            f"this user cannot give the socket to the group {config.group}; make the user a member of the group, or "
            "for spamlstm.service leave `group` out and install spamlstm-group.conf"
        )
    if isinstance(error, PermissionError) and isinstance(address, TcpAddress) and address.port < 1024:
        return "this user may not use ports below 1024; use a higher port, a Unix socket or spamlstm.socket of systemd"
    if error.errno == errno.EADDRINUSE:
        return f"{reason_of(error)}; stop the program that uses it, or name another address"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have the address; name another address, or wait for the network"
    return reason_of(error)


def _tcp_socket(address: TcpAddress) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address.host, address.port))
    except BaseException:
        opened.close()
        raise
    return opened


def _unix_socket(path: str, group: str | None) -> socket.socket:
    """Return a socket that is bound to `path`, for this user and a group.

    A socket file that another program left is replaced. A file of another type is not.
    """
    number = None if group is None else group_number(group)
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode) and not _is_served(path):
            Path(path).unlink()
    opened = _bound(path, mode=0o600)
    try:
        _permit_group(path, number)
    except BaseException:
        opened.close()
        Path(path).unlink(missing_ok=True)
        raise
    return opened


def _permit_group(path: str, number: int | None) -> None:
    """Let a group connect to a new socket. The owner of its folder may have replaced it by a link to another file."""
    file = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(file).st_mode):
            raise UnavailableError("another file has taken its place")
        if number is not None:
            os.chown(f"/proc/self/fd/{file}", -1, number)
        Path(f"/proc/self/fd/{file}").chmod(0o660)
    finally:
        os.close(file)


def _is_served(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True


def _bound(path: str, *, mode: int) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(opened.fileno(), mode)  # on Linux, bind creates the socket file with this mode
        opened.bind(path)
    except BaseException:
        opened.close()
        raise
    return opened

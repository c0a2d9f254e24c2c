"""`spamlstm filter`: a message on standard input, the same message with our headers on standard output.

The running daemon classifies the message. Without a daemon, this process loads the model itself. A mail server starts
this program for each message, so this module imports nothing that takes milliseconds: `main` of the package
`spamlstm.cli` calls it without loading the other commands.

Whatever fails, the message is written unchanged, a warning is written to standard error, and the exit status is 0. With
a mistake in the options, nothing is written, and the exit status is 64. Options that `plain_options` does not know are
read by the parser of all commands. If it cannot be loaded, nothing is written, and the exit status is 69.
"""

# The module `socket` takes longer to import than the daemon takes to classify a message.
import _socket
import os

from spamlstm.xdg import FILTER_SOCKET, state_path

MOST_BYTES = 64 << 20
"""The largest message that is classified. Larger messages pass with a header that says so."""

SYSTEM_SOCKET = "/run/spamlstm/filter.sock"
"""The socket of the system daemon, if the configuration has `[filter] listen` with this path."""

SECONDS = 30.0
"""Seconds to wait for the daemon before this process classifies the message itself."""

_BLOCK = 1 << 20
_OK, _UNSURE, _ERROR, _USAGE, _IO, _TEMPORARY, _INTERRUPTED, _BROKEN_PIPE = 0, 2, 3, 64, 74, 75, 130, 141
_STATUS = {"ham": 0, "spam": 1, "unsure": 2}
# By the words of `config.users.UserProblem`.
_USER_PROBLEMS = {
    "shared": 'all users share the labels, so --user has no effect; leave it out, or set labels = "per-maildir"',
    "unmapped": "[learning] user_maildir is not set, so --user has no effect and no labels apply; set it",
    "unknown": "no Maildir of the configuration belongs to the user, so no labels apply; check --user and user_maildir",
}
_BOGOFILTER_STATUS = {"spam": 0, "ham": 1, "unsure": 2}


class FilterOptions:
    """The options of `spamlstm filter`."""

    def __init__(self) -> None:
        self.user = ""
        self.socket = ""
        self.state = ""
        self.model = ""
        self.config = ""
        self.exit_code = False
        self.bogofilter = False
        self.tempfail = False
        self.quiet = False

    def contradiction(self) -> str:
        """Return a sentence about options that contradict each other, or an empty string."""
        if self.exit_code and self.bogofilter:
            return "--exit-code and --bogofilter have different exit statuses; use one of them"
        if self.socket and (self.model or self.config):
            return "--socket has no effect with --model or --config, because the daemon may use others"
        return ""

    def sockets(self) -> list[str]:
        """Return the paths of the sockets on which a daemon may answer. Empty if a daemon must not be asked.

        A daemon may use another model or configuration than the user named.
        """
        if self.model or self.config:
            return []
        if self.socket:
            return [self.socket]
        if self.state:
            return [f"{self.state}/{FILTER_SOCKET}"]
        return [f"{state_path()}/{FILTER_SOCKET}", SYSTEM_SOCKET]


class _FailedError(Exception):
    """The message cannot be classified here. The message of the error says why."""


FLAGS = {
    "--exit-code": "exit_code",
    "--bogofilter": "bogofilter",
    "--tempfail": "tempfail",
    "--quiet": "quiet",
    "-q": "quiet",
}
VALUES = {"--user": "user", "--socket": "socket", "--state": "state", "--model": "model", "--config": "config"}


def plain_options(arguments: list[str]) -> FilterOptions | None:
    """Return the options if `arguments` has only known options in their long forms, else None.

    If the result is None, the full command line parser reads the arguments and reports mistakes.
    """
    options, rest = FilterOptions(), iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument in FLAGS:
            setattr(options, FLAGS[argument], True)
        elif name in VALUES:
            if not equals:
                value = next(rest, "")
            if not value or value.startswith("-"):
                return None
            setattr(options, VALUES[name], value)
        else:
            return None
    return None if options.contradiction() else options


HOW_TO_CALL = "the message is read from standard input; run: spamlstm filter < message.eml"


def main_filter(options: FilterOptions) -> int:
    """Filter standard input and return the exit status."""
    try:
        keep_descriptors()
        if os.isatty(0):
            _say(HOW_TO_CALL)
            return _USAGE
        return _filter(options)
    except BrokenPipeError:
        return _BROKEN_PIPE
    except OSError as error:
        _say(f"standard input or output: {error.strerror or error}")
        return _IO
    except KeyboardInterrupt:
        _say("interrupted")
        return _INTERRUPTED


def _filter(options: FilterOptions) -> int:
    raw, is_whole = _read()
    if not raw:
        return _status(options, "unsure")
    if not is_whole:
        return _pass_large(options, raw)
    try:
        verdict, filtered = _filtered(options, raw)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  no error may lose mail
        why = _why(error)
        if options.tempfail:
            _say(f"{why}; try again later")
            return _TEMPORARY
        _warn(options, f"{why}; the message was not classified")
        _write(raw)
        return _ERROR if options.bogofilter else _UNSURE if options.exit_code else _OK
    _write(filtered)
    return _status(options, verdict)


def _why(error: BaseException) -> str:
    """Return what an error says, without the number of an error of the system."""
    if isinstance(error, OSError) and error.strerror:
        return f"{f'{error.filename}: ' if error.filename else ''}{error.strerror.lower()}"
    return str(error) or type(error).__name__


def _status(options: FilterOptions, verdict: str) -> int:
    if options.bogofilter:
        return _BOGOFILTER_STATUS[verdict]
    return _STATUS[verdict] if options.exit_code else _OK


def _filtered(options: FilterOptions, raw: bytes) -> tuple[str, bytes]:
    """Return the verdict and the message with our headers. Raises an error of any type if this is not possible."""
    verdict, filtered, problem = _by_daemon(options, raw) or _by_this_process(options, raw)
    if problem:
        _warn(options, _USER_PROBLEMS.get(problem, f"--user has no effect ({problem})"))
    return verdict, filtered


def _by_daemon(options: FilterOptions, raw: bytes) -> tuple[str, bytes, str] | None:
    """Return the answer of a daemon, or None with a warning if a daemon should have answered."""
    warnings = []
    for path in options.sockets():
        try:
            return _ask(path, options, raw)
        except OSError as error:
            if isinstance(error, PermissionError) and path in (options.socket, SYSTEM_SOCKET):
                warnings.append(_refusal(path))
            # Without --socket, a daemon is used only if there is one.
            elif options.socket:
                why = (error.strerror or str(error)).lower()
                warnings.append(f"no daemon answers on {path} ({why}), so none is used; check --socket")
        except _FailedError as error:
            warnings.append(f"the daemon did not classify the message: {error}")
    for sentence in warnings:
        _warn(options, sentence)
    return None


def _refusal(path: str) -> str:
    """Return what to do if this user may not connect to the socket of a daemon."""
    import grp

    try:
        group = f" ({grp.getgrgid(os.stat(path).st_gid).gr_name})"  # noqa: PTH116  pathlib takes milliseconds to import
    except (OSError, KeyError):  # the folder is closed, or the group has no name
        group = ""
    return (
        f"this user may not connect to {path}, so no daemon is used; make the user a member of the group of the"
        f" socket{group}, or set another `group` in [filter]"
    )


def _by_this_process(options: FilterOptions, raw: bytes) -> tuple[str, bytes, str]:
    """Return what `filter_here` returns."""
    if options.state and not os.path.isdir(options.state):  # noqa: PTH112  pathlib takes milliseconds to import
        _warn(options, f"the state folder {options.state} does not exist, so no labels apply; check --state")
    import gc

    # Imports create many objects and little garbage.
    gc.set_threshold(50_000)
    from spamlstm.cli.filter import filter_here

    return filter_here(options, raw)


def _pass_large(options: FilterOptions, raw: bytes) -> int:
    """Write a message that is too large to be classified. `raw` is its beginning, and the rest is not yet read."""
    from spamlstm import __version__
    from spamlstm.maildir.headers import mark_unjudged

    _write(mark_unjudged(raw, "too-large", version=__version__, bogosity=options.bogofilter))
    while block := os.read(0, _BLOCK):
        _write(block)
    return _status(options, "unsure")


# --- the daemon ----------------------------------------------------------------------------------------------------


def _ask(path: str, options: FilterOptions, raw: bytes) -> tuple[str, bytes, str]:
    """Return the answer of the daemon that listens on `path`: the same as `filter_here`.

    Raises OSError if there is no daemon, and _FailedError if the daemon does not classify the message.
    """
    form = "bogosity" if options.bogofilter else "headers"
    answer = bytearray()
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(SECONDS)
        _connect(connection, path)
        try:
            _send(connection, b"FILTER %d %s %s\n" % (len(raw), form.encode(), _quoted(options.user)), raw)
            while block := connection.recv(_BLOCK):
                answer += block
        except OSError as error:
            # A daemon that refuses a message early has answered before the connection is reset.
            if not (answer and isinstance(error, ConnectionResetError)):
                raise _FailedError((error.strerror or str(error)).lower()) from error
    finally:
        connection.close()
    line, _, message = bytes(answer).partition(b"\n")
    words = line.decode("utf-8", "replace").split(" ")
    if words[0] == "ERROR":
        raise _FailedError(line[6:].decode("utf-8", "replace"))
    if len(words) not in (3, 4) or words[0] != "OK" or words[1] not in _STATUS or words[2] != str(len(message)):
        raise _FailedError("its answer is incomplete")
    return words[1], message, words[3] if len(words) == 4 else ""


def _connect(connection: _socket.socket, path: str) -> None:
    try:
        connection.connect(path)
    except OSError as error:
        if error.errno is not None:
            raise
        # The kernel accepts at most 107 bytes for a path.
        folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120
        try:
            connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")  # noqa: PTH119
        finally:
            os.close(folder)


def _send(connection: _socket.socket, line: bytes, raw: bytes) -> None:
    try:
        connection.sendall(line)
        connection.sendall(raw)
    except (BrokenPipeError, ConnectionResetError):
        pass  # a daemon that refuses the message has answered before the end of the message


def _quoted(user: str) -> bytes:
    """Return a name percent-encoded, or `-` for no name."""
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@+"
    quoted = b"".join(b"%c" % byte if byte in plain else b"%%%02X" % byte for byte in os.fsencode(user))
    return quoted or b"-"


# --- standard streams ----------------------------------------------------------------------------------------------


def keep_descriptors() -> None:
    """Open /dev/null for each closed standard stream, so that no other file, such as a database, gets its descriptor.

    Reading from closed standard input and writing to closed standard output fail with EBADF, as without /dev/null.
    """
    for stream, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_RDWR)):
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest free descriptor, which is `stream`


def _read() -> tuple[bytes, bool]:
    """Return standard input, and whether it was read to its end. At most MOST_BYTES and one block are read."""
    blocks: list[bytes] = []
    size = 0
    while size <= MOST_BYTES:
        block = os.read(0, _BLOCK)
        if not block:
            return b"".join(blocks), True
        blocks.append(block)
        size += len(block)
    return b"".join(blocks), False


def _write(message: bytes) -> None:
    view = memoryview(message)
    while view:
        view = view[os.write(1, view) :]


def _warn(options: FilterOptions, sentence: str) -> None:
    if not options.quiet:
        _say(sentence)


def _say(sentence: str) -> None:
    line = "".join(c if c.isprintable() else "?" for c in f"spamlstm: {sentence}") + "\n"
    try:  # noqa: SIM105  contextlib takes 3 ms to import
        os.write(2, line.encode("utf-8", "replace"))
    except OSError:
        pass  # a warning that cannot be written does not change the result

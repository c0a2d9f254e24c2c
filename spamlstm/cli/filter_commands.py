"""The commands that filter mail: classify, filter, scan, run, status, undo, config."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from spamlstm.cli import options, terminal
from spamlstm.cli.filter_client import HOW_TO_CALL
from spamlstm.cli.options import FILTER, command, commands
from spamlstm.errors import UserError

app = commands()
filtering = partial(command, app, panel=FILTER)
config_app = commands(help="Write, check or show the configuration.", no_args_is_help=True)


@filtering(
    "classify",
    "spamlstm classify message.eml",
    "spamlstm classify --explain ~/Maildir",
    "spamlstm classify --exit-code - < message.eml",
)
def classify_command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATHS...]",
            help="Mail files, folders, Maildirs or mboxes, or - for standard input "
            "[default: standard input, unless it is a terminal]",
        ),
    ] = None,
    *,
    json: options.JsonOption = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show how much each word and property of a message contributes to its score."),
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Set the exit status to 0 for ham, 1 for spam or 2 for unsure.")
    ] = False,
    maildir: options.MaildirOption = None,
    model: options.ModelOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> int:
    """Classify messages as ham, unsure or spam.

    No mail is changed. The result takes your labels into account. With --exit-code and several messages, the exit
    status is 1 if any message is spam, or else 2 if any message is unsure.

    Files that cannot be read or are not mail are reported, and the other files are still classified. If a file cannot
    be read, the exit status is 66. Otherwise, if a file is not mail, the exit status is 65.
    """
    from spamlstm.cli.classify import classify_paths

    return classify_paths(
        paths or [],
        json=json,
        explain=explain,
        exit_code=exit_code,
        maildir=maildir,
        model=model,
        config_file=config,
        state=state,
    )


@filtering(
    "filter",
    "spamlstm filter < message.eml > filtered.eml",
    "spamlstm filter --user ann@example.org",
    "spamlstm filter --bogofilter",
    stray=HOW_TO_CALL,
)
def filter_command(
    *,
    user: Annotated[
        str, typer.Option("--user", metavar="NAME", help="Use the labels of this user ([learning] user_maildir).")
    ] = "",
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Set the exit status to 0 for ham, 1 for spam or 2 for unsure.")
    ] = False,
    bogofilter: Annotated[
        bool,
        typer.Option(
            "--bogofilter",
            help="Also write an X-Bogosity header, and set the exit status to 0 for spam, 1 for ham, 2 for unsure or "
            "3 after a failure.",
        ),
    ] = False,
    tempfail: Annotated[
        bool,
        typer.Option(
            "--tempfail", help="After a failure, write nothing and exit with 75, so that the mail is retried."
        ),
    ] = False,
    socket: Annotated[
        str | None,
        typer.Option(
            "--socket",
            metavar="FILE",
            help="Socket of the daemon [default: your daemon's, else /run/spamlstm/filter.sock]",
        ),
    ] = None,
    model: options.ModelOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> int:
    """Copy a message from input to output and add the verdict.

    The message is read from standard input and written to standard output with X-Spam headers. Its other bytes are
    unchanged, except that earlier headers of the same names are removed. The running daemon classifies the
    message. If no daemon answers, or with --model or --config, this process loads the model itself. If you named a
    daemon with --socket and it does not answer, a warning says so.

    If the message cannot be classified, it is written unchanged with a warning, and the exit status is 0, or 2 with
    --exit-code. Messages above 64 MiB are not classified, and X-Spam-Status says so.
    """
    from spamlstm.cli.filter_client import FilterOptions, main_filter

    given = FilterOptions()
    given.user, given.socket, given.exit_code, given.bogofilter = user, socket or "", exit_code, bogofilter
    given.state, given.model, given.config = (str(one or "") for one in (state, model, config))
    given.tempfail, given.quiet = tempfail, terminal.settings.quiet
    if contradiction := given.contradiction():
        raise UserError(contradiction)
    return main_filter(given)


@filtering("scan", "spamlstm scan --dry-run ~/Maildir", "spamlstm scan ~/Maildir")
def scan_command(
    maildir: Annotated[Path, typer.Argument(metavar="MAILDIR", help="The Maildir whose inbox is filtered.")],
    *,
    dry_run: options.DryRunOption = False,
    json: options.JsonOption = False,
    model: options.ModelOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> int:
    """Filter the new mail of one Maildir once, then exit.

    Messages are tagged and filed as set in the configuration. Messages that were classified before are left unchanged.
    The first scan of a Maildir also classifies the unread mail in the inbox, or all mail in the inbox if the
    configuration sets catch_up = "all", unless the daemon has watched the Maildir before. Mail that
    'spamlstm run --dry-run' only reported counts as new.

    If a message cannot be classified or moved, it is reported and left unchanged, and the exit status is 75. Stop the
    daemon first.
    """
    from spamlstm.cli.scan import scan_maildir

    return scan_maildir(maildir, dry_run=dry_run, json=json, model=model, config_file=config, state=state)


@filtering("run", "spamlstm run --dry-run ~/Maildir", "spamlstm run")
def run_command(
    maildirs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[MAILDIR...]", help="Maildirs to watch [default: the Maildirs in the configuration]"),
    ] = None,
    *,
    dry_run: options.DryRunOption = False,
    model: options.ModelOption = None,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> None:
    """Watch Maildirs and filter new mail when it arrives.

    The command also serves the IMAP accounts and the sockets of the configuration. It stays in the foreground and
    logs to standard error. SIGHUP reloads the configuration and the model. SIGTERM and Ctrl-C stop the command after
    the current message.
    """
    from spamlstm.cli.run import run_daemon
    from spamlstm.cli.terminal import set_log_level

    set_log_level()
    run_daemon(maildirs or [], dry_run=dry_run, model=model, config_file=config, state=state)


@filtering("status", "spamlstm status", "spamlstm status --json | jq .mail.judged")
def status_command(
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    state: options.StateOption = None,
) -> None:
    """Show the status and the statistics of the running daemon.

    The daemon is started by 'spamlstm run'. Without --state, the command contacts your own daemon or, if that is not
    running, the system daemon (state folder /var/lib/spamlstm). The exit status is 69 if no daemon answers.
    """
    from spamlstm.cli.status import show_status

    show_status(json=json, state=state)


@filtering(
    "undo",
    "spamlstm undo --dry-run --since 2h",
    "spamlstm undo ~/Maildir/.Junk/cur/1700000000.1.host:2,S",
    "spamlstm undo '<7.4711@example.org>'",
)
def undo_command(
    message: Annotated[
        str | None,
        typer.Argument(
            metavar="[MESSAGE]",
            help="Undo only the actions on this message: its file, also by its path or name before it was filed, its "
            "Message-ID or its id.",
        ),
    ] = None,
    *,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="WHEN",
            help="Undo only what was done since this time: an age such as 30m, 2h, 1d or 1w, or a time such as "
            "2026-11-20T18:30 [default: 1d; with MESSAGE: no limit]",
        ),
    ] = None,
    dry_run: options.DryRunOption = False,
    json: options.JsonOption = False,
    config: options.ConfigOption = None,
    state: options.StateOption = None,
) -> int:
    """Move filed mail back and remove the headers that were added.

    Keywords that were set are removed too. Mail on the IMAP accounts of the configuration is included. Stop the daemon
    first, except for --dry-run.

    Messages that you moved or removed in the meantime are left unchanged. A message that was moved back is not
    classified again. On a terminal, use --json to see the ids of the messages. The exit status is 75 if a message could
    not be restored.
    """
    from spamlstm.cli.undo import undo_messages

    return undo_messages(message, since=since, dry_run=dry_run, json=json, config_file=config, state=state)


@command(
    config_app,
    "init",
    "spamlstm config init",
    "spamlstm config init --path ./config.toml",
    "spamlstm config init --path /etc/spamlstm/config.toml --group vmail",
    stray="name the file with --path: spamlstm config init --path FILE",
)
def config_init_command(
    path: Annotated[
        Path | None,
        typer.Option("--path", metavar="FILE", help="The file to write [default: ~/.config/spamlstm/config.toml]"),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            metavar="GROUP",
            help="Let this group read the file, for a daemon that another user runs [default: only you can read it]",
        ),
    ] = None,
) -> None:
    """Write a commented configuration file with the defaults.

    The command fails if the file already exists. ~/.config/spamlstm and /etc/spamlstm are created if they are missing,
    and other folders must exist.
    """
    from spamlstm.cli.config import init_config

    init_config(path, group=group)


@command(
    config_app,
    "check",
    "spamlstm config check",
    "spamlstm config check --config ./config.toml",
    stray="name the file with --config: spamlstm config check --config FILE",
)
def config_check_command(config: options.ConfigOption = None) -> int:
    """Check the configuration.

    If there are errors, prints each error on a line with its key. Otherwise prints the watched Maildirs, the listeners
    and the IMAP accounts, and why one of them cannot be used. The exit status is 78 if there is an error or something
    cannot be used. A Maildir that does not exist yet is reported, but is not an error.
    """
    from spamlstm.cli.config import check_config

    return check_config(config)


@command(
    config_app,
    "show",
    "spamlstm config show",
    stray="name the file with --config: spamlstm config show --config FILE",
)
def config_show_command(config: options.ConfigOption = None) -> None:
    """Print the effective configuration, with all defaults, as TOML."""
    from spamlstm.cli.config import show_config

    show_config(config)


app.add_typer(config_app, name="config", rich_help_panel=FILTER)

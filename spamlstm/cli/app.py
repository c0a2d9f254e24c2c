"""The commands and their options; the bodies are in the modules beside this one and are loaded when run."""

from pathlib import Path
from typing import Annotated

import typer

from spamlstm import __version__

# Typer gives no name to the parent of its usage errors, and which module it is in changes with its version.
ClickError: type[typer.BadParameter] = typer.BadParameter.__mro__[2]

# What typer makes of Ctrl-C.
Abort = typer.Abort

app = typer.Typer(
    name="spamlstm",
    help="A spam filter for people who run their own mail.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Rich help would load rich at each start, for 60 ms.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
model_app = typer.Typer(help="The installed models.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(model_app, name="model")
config_app = typer.Typer(help="The configuration file.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(config_app, name="config")

labels_app = typer.Typer(help="What you have said of mail.", invoke_without_command=True, rich_markup_mode=None)
app.add_typer(labels_app, name="labels")

jig_app = typer.Typer(help="Be driven by the TREC spam track's toolkit.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(jig_app, name="jig")

ModelOption = Annotated[
    Path | None, typer.Option("--model", metavar="DIR", help="The folder of the model to use instead of the usual one.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The configuration to use instead of the one in the usual places."),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="The state folder of the daemon, if it is not the usual one."),
]

MaildirOption = Annotated[
    Path | None,
    typer.Option("--maildir", metavar="DIR", help="Whose labels, where the configuration gives each Maildir its own."),
]


def _version(wanted: bool) -> None:  # noqa: FBT001  typer calls it so
    if wanted:
        typer.echo(f"spamlstm {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    pass


@app.command()
def classify(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATHS... | -]", help="Mail files, folders, Maildirs, mboxes; - is standard input."),
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a message.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show which words and facts pulled which way.")] = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 0 for ham, 1 for spam, 2 for unsure (the worst of several)."),
    ] = False,
    maildir: MaildirOption = None,
    model: ModelOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Judge mail: ham, unsure or spam. Where you have labelled mail, what was learned from it counts too.

    Of several messages --exit-code gives 1 if any is spam, else 2 if any is unsure. What cannot be read is reported,
    the rest is judged, and the exit status is 66 (65 for what is not mail).
    """
    from spamlstm.cli.classify import ClassifyOptions, classify_paths
    from spamlstm.config.locations import state_dir

    labels = state or state_dir()
    if maildir is not None:
        from spamlstm.cli.chosen import label_folder  # it looks at Maildirs, for which others need not wait

        labels = label_folder(state, maildir, named=config)
    options = ClassifyOptions(
        paths or [], json=json, explain=explain, exit_code=exit_code, model=model, config=config, labels=labels
    )
    raise typer.Exit(classify_paths(options))


@app.command()
def evaluate(
    corpora: Annotated[
        list[Path],
        typer.Argument(metavar="CORPUS...", help="Corpus archives, or folders with ham/ and spam/ in them."),
    ],
    *,
    model: ModelOption = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures there.")] = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write an HTML report there.")] = None,
    online: Annotated[bool, typer.Option("--online", help="Learn on the way, as the TREC spam track does.")] = False,
    feedback: Annotated[
        str,
        typer.Option(
            "--feedback",
            metavar="WHICH",
            help="With --online: which labels are told (immediate, first:N, each:N, delayed:N, active:N, mistakes, "
            "errors:N, each-then-mistakes:N).",
        ),
    ] = "immediate",
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="With --online: draw the learning curve, as SVG.")
    ] = None,
) -> None:
    """Judge labelled mail and print how well it went, per source and in all."""
    from spamlstm.cli.evaluate import evaluate_corpora, evaluate_online

    if online and report is not None:
        raise typer.BadParameter("--report does not go with --online; say --json or --plot")
    if not online and (plot is not None or feedback != "immediate"):
        raise typer.BadParameter("--feedback and --plot go with --online")
    if online:
        evaluate_online(corpora, feedback=feedback, model=model, json=json, plot=plot)
    else:
        evaluate_corpora(corpora, model=model, json=json, html=report)


@app.command()
def run(
    maildirs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[MAILDIR...]", help="Watch these instead of all that the configuration names."),
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report what would be done.")] = False,
    model: ModelOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Watch Maildirs, and tag and file new mail as it comes.

    It stays in the foreground and logs to standard error. SIGHUP reads configuration and model anew, SIGTERM and
    Ctrl-C end it after the message in hand.
    """
    from spamlstm.cli.run import RunOptions, run_daemon

    run_daemon(RunOptions(maildirs=maildirs or [], dry_run=dry_run, model=model, config=config), state=state)


@app.command()
def status(
    *,
    json: Annotated[bool, typer.Option("--json", help="Print all of it as one JSON object.")] = False,
    state: StateOption = None,
) -> None:
    """Say how the running daemon is (exit status 69 if none runs)."""
    from spamlstm.cli.status import show_status

    show_status(json=json, state=state)


@app.command()
def scan(
    maildir: Annotated[Path, typer.Argument(metavar="MAILDIR", help="The Maildir whose inbox to go through.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a message.")] = False,
    model: ModelOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Judge what is new in one Maildir's inbox, and tag and file it as the configuration says; then end.

    What was judged before, by the daemon or by this, is left alone. Of a Maildir that is seen for the first time all
    that is unread counts as new. What cannot be judged or moved is reported and stays (exit status 75).
    """
    from spamlstm.cli.scan import ScanOptions, scan_maildir

    options = ScanOptions(maildir=maildir, dry_run=dry_run, json=json, model=model, config=config, state=state)
    raise typer.Exit(scan_maildir(options))


@app.command()
def undo(
    *,
    since: Annotated[
        str,
        typer.Option(metavar="WHEN", help="How far back: 30m, 2h, 1d, 1w, or a date and time (2026-11-20T18:30)."),
    ] = "1d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken back.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a message.")] = False,
    state: StateOption = None,
) -> None:
    """Take back what was done to mail: each message to where it was, without our headers.

    What you moved or removed since is left alone. What is taken back is not judged again.
    """
    from spamlstm.cli.undo import undo_since

    raise typer.Exit(undo_since(since, dry_run=dry_run, json=json, state=state))


@app.command()
def label(
    what: Annotated[str, typer.Argument(metavar="spam|ham", help="What it is.")],
    paths: Annotated[
        list[str], typer.Argument(metavar="PATHS...", help="Mail files, folders, Maildirs, mboxes; or -.")
    ],
    *,
    model: ModelOption = None,
    maildir: MaildirOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Say what mail is: from now on it and its like are judged so.

    A message is known by its content, whatever its file is called. The same said twice is said once; of two words the
    last one counts. What cannot be read is reported, the rest is labelled, and the exit status is 66.
    """
    from spamlstm.cli.chosen import label_folder
    from spamlstm.cli.label import label_paths

    raise typer.Exit(label_paths(what, paths, model=model, state=label_folder(state, maildir, named=config)))


@app.command()
def adopt(
    maildir: Annotated[Path, typer.Argument(metavar="MAILDIR", help="A Maildir that has been in use for a while.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be learned.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was adopted from it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    model: ModelOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Learn from a mailbox that is there already, so that the filter knows its user's mail from the first minute.

    Ham is what was answered, flagged, filed in a folder or kept read for a month; spam is what lies in the junk folder,
    unless this filter put it there. The bars are moved so that no more ham is filed than [learning] ham_filed says.
    Mail is only read. What you said yourself comes before; cut short, the same command goes on.
    """
    from spamlstm.cli.adopt import AdoptOptions, adopt_maildir, take_back

    options = AdoptOptions(maildir=maildir, dry_run=dry_run, json=json, model=model, config=config, state=state)
    raise typer.Exit((take_back if undo else adopt_maildir)(options))


@app.command()
def forget(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATHS...", help="Mail files, folders, Maildirs, mboxes; or -.")
    ],
    *,
    maildir: MaildirOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Take back what was said of mail: scores become what they would be if it had never been said."""
    from spamlstm.cli.chosen import label_folder
    from spamlstm.cli.label import forget_paths

    raise typer.Exit(forget_paths(paths, state=label_folder(state, maildir, named=config)))


@labels_app.callback()
def labels(
    context: typer.Context,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a label, all of them.")] = False,
    maildir: MaildirOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """How many labels there are, and the last of them: time, label, the base's score, content id, subject."""
    if context.invoked_subcommand is None:
        from spamlstm.cli.chosen import label_folder
        from spamlstm.cli.label import show_labels

        show_labels(json=json, state=label_folder(state, maildir, named=config))


@labels_app.command("purge")
def labels_purge(*, maildir: MaildirOption = None, config: ConfigOption = None, state: StateOption = None) -> None:
    """Forget all that was ever said, and remove the mail that was kept for it."""
    from spamlstm.cli.chosen import label_folder
    from spamlstm.cli.label import purge_labels

    purge_labels(state=label_folder(state, maildir, named=config))


@app.command()
def retrain(
    *,
    now: Annotated[bool, typer.Option("--now", help="Also if nothing was labelled since the last time.")] = False,
    mail: Annotated[
        list[Path] | None,
        typer.Option(
            "--mail", metavar="MAILDIR", help="Mail without labels, instead of all that the configuration names."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
    maildir: MaildirOption = None,
    model: ModelOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Teach the model what you have labelled; what comes of it is used only if it judges better than the one in use.

    It takes a minute or two, behind all else that the machine does. 'spamlstm model rollback' takes it back.
    """
    from spamlstm.cli.chosen import label_folder
    from spamlstm.cli.retrain import RetrainOptions, retrain_model

    folder = label_folder(state, maildir, named=config)
    retrain_model(RetrainOptions(now=now, mail=mail or [], json=json, model=model, config=config, state=folder))


@model_app.command("list")
def model_list(*, json: Annotated[bool, typer.Option("--json", help="Print one JSON object a model.")] = False) -> None:
    """The installed models: * is in use, - was before; 'default' is the one that ships."""
    from spamlstm.cli.model import list_models

    list_models(json=json)


@model_app.command("show")
def model_show(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="An installed model; else the one in use.")
    ] = None,
    *,
    model: ModelOption = None,
) -> None:
    """Print the card of a model."""
    from spamlstm.cli.model import show_model

    show_model(name, model)


@model_app.command("use")
def model_use(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An installed model, or 'default'.")],
    *,
    state: StateOption = None,
) -> None:
    """Check an installed model and use it from now on; a running daemon takes it up by itself."""
    from spamlstm.cli.model import use_model

    use_model(name, state=state)


@model_app.command("rollback")
def model_rollback(state: StateOption = None) -> None:
    """Use the model that was in use before; again, and it is taken back."""
    from spamlstm.cli.model import roll_back

    roll_back(state=state)


@config_app.command("init")
def config_init(
    path: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there, not to the user's own place.")] = None,
) -> None:
    """Write a commented configuration with the defaults; a file that is there is never overwritten."""
    from spamlstm.cli.config import begin

    begin(path)


@config_app.command("check")
def config_check(config: ConfigOption = None) -> None:
    """Say all that is wrong in the configuration, a problem a line (exit status 78), or else what it watches."""
    from spamlstm.cli.config import check

    raise typer.Exit(check(config))


@config_app.command("show")
def config_show(config: ConfigOption = None) -> None:
    """Print the configuration that holds, with its defaults, and where it comes from."""
    from spamlstm.cli import config as commands

    commands.show(config)


MailArgument = Annotated[Path, typer.Argument(metavar="FILE", help="One message.")]


@jig_app.command("initialize")
def jig_initialize(state: StateOption = None) -> None:
    """Begin with nothing learned, in ./spamlstm-jig."""
    from spamlstm.cli import jig

    jig.initialize(state)


@jig_app.command("classify")
def jig_classify(file: MailArgument, *, model: ModelOption = None, state: StateOption = None) -> None:
    """Print class=ham or class=spam, and score=S."""
    from spamlstm.cli import jig

    jig.classify(file, model=model, state=state)


@jig_app.command("train")
def jig_train(
    what: Annotated[str, typer.Argument(metavar="ham|spam", help="What it is.")],
    file: MailArgument,
    *,
    model: ModelOption = None,
    state: StateOption = None,
) -> None:
    """Learn the label of one message."""
    from spamlstm.cli import jig

    jig.train(what, file, model=model, state=state)


@jig_app.command("finalize")
def jig_finalize(state: StateOption = None) -> None:
    """End the run."""
    from spamlstm.cli import jig

    jig.finalize(state)

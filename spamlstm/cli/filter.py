"""Classify the message of `spamlstm filter` in this process, because no daemon did."""

from collections.abc import Callable
from pathlib import Path

from spamlstm import __version__
from spamlstm.cli.filter_client import FilterOptions
from spamlstm.config import Config, LabelScope, load_found_config
from spamlstm.config.locations import LABELS, labels_dir, state_dir
from spamlstm.config.users import maildir_of, user_problem
from spamlstm.maildir.headers import tag
from spamlstm.model.classifier import Classifier


def _labels(options: FilterOptions, config: Config) -> Path | None:
    """Return the folder of the labels that apply to the mail of the user, or None if no labels apply."""
    state = Path(options.state) if options.state else state_dir()
    scope = config.learning.labels
    if scope is LabelScope.SHARED:
        return state
    maildir = maildir_of(config, options.user)
    return None if maildir is None else labels_dir(state, scope, maildir)


def filter_here(
    options: FilterOptions, raw: bytes, *, open_classifier: Callable[..., Classifier] = Classifier.open
) -> tuple[str, bytes, str]:
    """Return the verdict, the message with our headers, and the `UserProblem` of --user or an empty string.

    Tests pass `open_classifier` to load the model once for many messages. Raises UserError if the configuration, the
    model or the labels cannot be used.
    """
    config = load_found_config(Path(options.config) if options.config else None)
    labels = _labels(options, config)
    layer = None
    if labels is not None and (labels / LABELS).exists():
        from spamlstm.learning.trainer import learned_layer

        layer = learned_layer(labels)
    model = Path(options.model) if options.model else None
    classifier = open_classifier(model, config=config, personal_features=layer is not None)
    judgement = classifier.classify(raw, layer=layer)
    threshold = classifier.policy.thresholds.spam
    tagged = tag(raw, judgement, version=__version__, spam_threshold=threshold, bogosity=options.bogofilter)
    return str(judgement.verdict), tagged, user_problem(config, options.user) or ""

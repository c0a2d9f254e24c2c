"""The model card: what the model is, what it was trained on and under which terms, and how well it classifies."""

import re
import textwrap
from typing import Any

WIDTH = 118

SHARES = ("ham_as_spam_pct", "ham_unsure_pct", "spam_as_ham_pct", "spam_unsure_pct", "calibration_error")

TERMS = {
    "trec07p": "TREC 2007 public spam corpus; TREC's terms: research",
    "spamassassin": "SpamAssassin public corpus 2002–2003; copyright stays with the senders",
    "csdmc2010": "CSDMC2010 spam corpus, training part; public, for research",
    "enron-text": "Enron-Spam 1–6, preprocessed; public",
    "nazario": "Nazario phishing corpus, 2004–2005; public",
    "lists": "public mailing-list archives 2019–2026; weak labels",
    "newsletters2019": "political newsletters of 2019, published by a newsroom",
    "bounces": "delivery-failure notices; BSD-2-Clause",
    "ham-languages": "public list mail in many languages, 2002–2025; no terms stated",
    "ham-notices": "notices from test sets of mail programs; mostly MIT, Apache, AGPL",
    "phishing_pot": "phishing caught by honeypots, 2022–2024; CC BY-NC 4.0",
    "authored": "messages written for this project, each source by one author (`training/messages`)",
    "app": "templates of an open-source application under its licence, dressed as mail by `training/synthetic/modern`",
    "evaded": "disguised copies of mail of these archives: padded, hidden, misspelt; made by `training/evaded.py`",
    "news": "issues of a newsletter from its public repository, dressed as mail by `training/synthetic/modern`",
    "own": "written for this project, dressed as mail by `training/synthetic/modern`",
    "synthetic": "generated for this project by `training/synthetic`",
}


def text(manifest: dict[str, Any]) -> str:
    """Return the README.md of a bundle. It is made from the manifest alone, so that the two cannot differ."""
    return "\n".join((*_what(manifest), *_sources(manifest), *_figures(manifest), *_limits()))


def _what(manifest: dict[str, Any]) -> list[str]:
    network, thresholds = manifest["network"], manifest["thresholds"]
    gap = manifest["parity"]["logit_gap"]
    made = (
        f"{_network(network)} The tables of tokens are int8, the other weights float32. The model reads text version "
        f"{manifest['text_version']}. Made on {manifest['created'][:10]} by `python -m training fit` with torch "
        f"{manifest['trained_with']['torch']} on {manifest['trained_with']['device']}."
    )
    judges = (
        f"A message is ham up to a spam probability of {thresholds['ham']:.3g}, spam from {thresholds['spam']:.5g} on, "
        f"and unsure between. On {manifest['parity']['messages']:,} real messages the logits of the shipped network "
        f"differ from PyTorch's by {gap['int8']['mean']:.3f} on average, {gap['int8']['max']:.2f} at most (before "
        f"int8: {gap['float32']['max']:.1e}); {manifest['parity']['other_verdict_pct']:.2f} % of the verdicts differ."
    )
    title = f"# {manifest['name']} {manifest['version']}"
    return [title, "", textwrap.fill(made, WIDTH), "", textwrap.fill(judges, WIDTH), ""]


def _network(network: dict[str, Any]) -> str:
    """Describe the network in words."""
    deep = (
        f"A {'one-way' if network['one_way'] else 'bidirectional'} {network['cell'].upper()} with {network['hidden']} "
        f"units per direction (vocabulary {network['vocabulary']:,}, embedding {network['embedding']}, "
        f"{network['stride']} tokens per step, attention and max pooling)"
    )
    if not network["buckets"]:
        return f"{deep}."
    return (
        f"{deep}, which corrects the logit of a wide part. The wide part has {network['buckets']:,} weights for tokens "
        "and pairs of tokens."
    )


def _sources(manifest: dict[str, Any]) -> list[str]:
    lines = ["## Trained on", "", "| source | ham | spam | what it is, and its terms |", "|---|---:|---:|---|"]
    for source in manifest["corpora"]:
        # All sources of one kind have the same terms, such as app:WooCommerce and authored-01.
        terms = TERMS.get(re.split(r":|-\d+$", source["name"])[0], "ask its owner")
        lines.append(f"| {source['name']} | {source['ham']:,} | {source['spam']:,} | {terms} |")
    left = ", ".join(manifest["without"])
    return [*lines, "", *([f"Left out of training on purpose: {left}.", ""] if left else [])]


def _figures(manifest: dict[str, Any]) -> list[str]:
    """Return the results for each source, and which network they come from."""
    how = manifest["metrics"]["left_out_note"]
    lines = ["## Results", "", f"{how[:1].upper()}{how[1:]}:", ""]
    lines += ["| source judged | ham | spam | (1-ROCA)% | sm % at hm 1 % |"]
    lines.append("|---|---:|---:|---:|---:|")
    for name, row in manifest["metrics"]["left_out"].items():
        roca, missed = (_number(row[key]) for key in ("one_minus_roca_pct", "sm_at_hm_1_pct"))
        lines.append(f"| {name} | {row['n_ham']:,} | {row['n_spam']:,} | {roca} | {missed} |")
    return [*lines, "", *_verdicts(manifest["metrics"]["left_out"])]


def _verdicts(left_out: dict[str, Any]) -> list[str]:
    """Return the wrong and unsure verdicts for each source. Bundles of older versions have no such figures."""
    if not all(key in row for row in left_out.values() for key in SHARES):
        return []
    lines = [
        "The verdicts of these networks with the thresholds above, in % of the ham or spam. The calibration error is",
        "the mean distance of the probability from the share of spam (0 to 1):",
        "",
        "| source judged | ham: spam | ham: unsure | spam: ham | spam: unsure | calibration error |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [f"| {name} | {' | '.join(_number(row[key]) for key in SHARES)} |" for name, row in left_out.items()]
    return [*lines, ""]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _limits() -> list[str]:
    return [
        "## Limits",
        "",
        "- Public corpora have nearly no modern consumer mail. Generated mail stands in for it; your labels help most.",
        "- The labels of `lists` are weak. Phishing comes from honeypots; what reaches real mailboxes may differ.",
        "- The sources are mail of real people, published for research. This bundle contains none of their messages.",
        "  Some sources forbid commercial use: see the terms above.",
        "",
    ]

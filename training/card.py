"""The model card: what the model is, what it was trained on and under which terms, what to believe of it."""

import textwrap
from typing import Any

WIDTH = 118

TERMS = {
    "trec07p": "TREC 2007 public spam corpus; TREC's terms: research",
    "spamassassin": "SpamAssassin public corpus 2002–2003; the senders keep their copyright",
    "csdmc2010": "CSDMC2010 spam corpus, training part; public, for research",
    "enron-text": "Enron-Spam 1–6, preprocessed; public",
    "nazario": "Nazario phishing corpus, 2004–2005; public",
    "lists": "public mailing-list archives 2019–2026; weak labels",
    "newsletters2019": "political newsletters of 2019, published by a newsroom",
    "bounces": "delivery-failure notices; BSD-2-Clause",
    "ham-languages": "public list mail in many languages, 2002–2025; no terms stated",
    "ham-notices": "notices out of test sets of mail programs; mostly MIT, Apache, AGPL",
    "phishing_pot": "phishing caught by honeypots, 2022–2024; CC BY-NC 4.0",
    "synthetic": "written for this project by its own generator, `training/synthetic`",
}


def text(manifest: dict[str, Any]) -> str:
    """README.md of a bundle, from its manifest alone, so that the two cannot differ."""
    return "\n".join((*_what(manifest), *_sources(manifest), *_figures(manifest), *_limits()))


def _what(manifest: dict[str, Any]) -> list[str]:
    network, thresholds = manifest["network"], manifest["thresholds"]
    gap = manifest["parity"]["logit_gap"]
    made = (
        f"{_network(network)}, over the rendering of text version {manifest['text_version']}, in int8. Made "
        f"{manifest['created'][:10]} by `python -m training fit`, torch {manifest['trained_with']['torch']}, "
        f"{manifest['trained_with']['device']}."
    )
    judges = (
        f"A message is ham up to a probability of {thresholds['ham']:.3g}, spam from {thresholds['spam']:.5g}, "
        "and unsure between. "
        f"On {manifest['parity']['messages']:,} real messages the shipped network's logits differ from PyTorch's by "
        f"{gap['int8']['mean']:.3f} in the mean and {gap['int8']['max']:.2f} at most (before int8: "
        f"{gap['float32']['max']:.1e}); {manifest['parity']['other_verdict_pct']:.2f} % of the verdicts differ."
    )
    title = f"# {manifest['name']} {manifest['version']}"
    return [title, "", textwrap.fill(made, WIDTH), "", textwrap.fill(judges, WIDTH), ""]


def _network(network: dict[str, Any]) -> str:
    """What the network is, in words."""
    deep = (
        f"A {'one-way' if network['one_way'] else 'bidirectional'} {network['cell'].upper()} with {network['hidden']} "
        f"units a way (vocabulary {network['vocabulary']:,}, embedding {network['embedding']}, "
        f"{network['stride']} tokens a step, attention and max pooling)"
    )
    if not network["buckets"]:
        return deep
    return (
        f"{deep}, whose logit counts {network['deep_vote']:g} beside that of {network['buckets']:,} weights for tokens "
        "and pairs of tokens"
    )


def _sources(manifest: dict[str, Any]) -> list[str]:
    lines = ["## Trained on", "", "| source | ham | spam | what it is, and its terms |", "|---|---:|---:|---|"]
    for source in manifest["corpora"]:
        terms = TERMS.get(source["name"], "as its owner says")
        lines.append(f"| {source['name']} | {source['ham']:,} | {source['spam']:,} | {terms} |")
    left = ", ".join(manifest["without"])
    return [*lines, "", *([f"Not trained on, on purpose: {left}.", ""] if left else [])]


def _figures(manifest: dict[str, Any]) -> list[str]:
    """What each source got, and from which network."""
    how = manifest["metrics"]["left_out_note"]
    lines = ["## What to believe", "", f"{how[:1].upper()}{how[1:]}:", ""]
    lines += ["| source judged | ham | spam | (1-ROCA)% | sm % at hm 1 % |"]
    lines.append("|---|---:|---:|---:|---:|")
    for name, row in manifest["metrics"]["left_out"].items():
        roca, missed = (_number(row[key]) for key in ("one_minus_roca_pct", "sm_at_hm_1_pct"))
        lines.append(f"| {name} | {row['n_ham']:,} | {row['n_spam']:,} | {roca} | {missed} |")
    return [*lines, ""]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _limits() -> list[str]:
    return [
        "## Limits",
        "",
        "- Modern mail of consumers is nearly absent from the public corpora. Mail we wrote ourselves stands in for",
        "  it; your own mail is the cure.",
        "- Labels of `lists` are weak; phishing corpora are honeypots', so what reaches people may differ.",
        "- The sources are real people's mail, published for research. No message of theirs is in this bundle.",
        "  Some sources forbid commercial use: mind the terms above.",
        "",
    ]

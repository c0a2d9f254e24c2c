"""Texts dressed as mail of today: repeatable, well-formed, and told apart by relations only."""

import re
import sys
from collections import Counter
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from random import Random

import modern_texts
import numpy as np
import pytest

from spamlstm.errors import DataError, NoInputError, UserError
from spamlstm.features.sender_identity import is_relay
from training.__main__ import run
from training.dataset import joined
from training.generated import Modern
from training.sampling import split
from training.synthetic import __main__ as preview_command
from training.synthetic import preview
from training.synthetic.modern import Dresser, kinds, load_material, modern_mail
from training.synthetic.modern.attachments import as_signed, body_of
from training.synthetic.modern.drafts import Draft
from training.synthetic.modern.evasions import EVASIONS
from training.synthetic.modern.false_routes import dishonest
from training.synthetic.modern.habits import HABITS
from training.synthetic.modern.locales import draw_organisation, draw_person, locale
from training.synthetic.modern.own_texts import draw_own, own_texts
from training.synthetic.modern.pages import Page
from training.synthetic.modern.reports import REPORTS
from training.synthetic.modern.routes import from_person, honest, relay_by_alias, relay_by_marketplace
from training.synthetic.organisations import brands

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import artefacts

MANY_LANGUAGES = (
    "callback sextortion seo desk recruiting opener parcel bank streaming smuggling crypto investment hijack casino "
    "pills dating promotion"
).split()


@pytest.fixture(scope="session")
def texts(tmp_path_factory):
    return modern_texts.write(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="session")
def dresser(texts):
    return Dresser(load_material(texts))


@pytest.fixture(scope="session")
def mail(texts):
    return tuple(modern_mail(texts, seed=5, count=700))


# --- the stream -----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_messages(texts):
    """Two runs with one seed give the same bytes, however many messages are asked for; another seed gives others."""
    first = [one.raw for one in modern_mail(texts, seed=3, count=40)]

    assert first == [one.raw for one in modern_mail(texts, seed=3, count=60)][:40]
    assert first != [one.raw for one in modern_mail(texts, seed=4, count=40)]


def test_a_source_can_be_left_out(texts):
    """A source that is named makes no message: an application, a newsletter, or a kind of own texts in both classes."""
    without = ("app:Shop-One", "news:Town-News", "own:parcel", "own:cron")
    sources = {one.source for one in modern_mail(texts, seed=1, count=500, without=without)}

    assert not sources & set(without)
    assert {"app:Forum-Two", "app:Desk-Three", "news:Garden-Letter", "own:bank"} <= sources


def test_every_message_is_well_formed(mail):
    """The standard library finds From, Date, Subject and readable text; lines of the header are short enough."""
    for one in mail:
        message = message_from_bytes(one.raw, policy=default)
        assert message["From"], one
        assert message["Date"].datetime is not None
        assert message["Subject"] is not None
        assert max(map(len, one.raw.partition(b"\n\n")[0].split(b"\n"))) < 998
        for part in message.walk():
            if part.get_content_type() in ("text/plain", "text/html"):
                assert part.get_content() is not None


def test_no_slot_is_left(mail):
    """No placeholder and no choice of a text is left in a message."""
    for one in mail:
        message = message_from_bytes(one.raw, policy=default)
        bodies = [
            part.get_content() for part in message.walk() if part.get_content_type() in ("text/plain", "text/html")
        ]
        for text in (message["Subject"], *bodies):
            assert "{{" not in text, (one.kind, text)
            assert not re.search(r"\[[^\[\]\n]*\|[^\[\]\n]*\]", text), (one.kind, text)


def test_a_missing_or_damaged_file_is_named(tmp_path):
    """Without one of the files, or with a damaged one, the error says which file it is."""
    with pytest.raises(NoInputError, match=r"templates2026\.jsonl\.xz is missing"):
        load_material(tmp_path)
    folder = modern_texts.write(tmp_path / "texts")
    (folder / "shells2026.jsonl.xz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"shells2026\.jsonl\.xz is damaged"):
        load_material(folder)


def test_a_number_of_messages_needs_their_folder(tmp_path, capsys):
    """A number or a share of dressed messages without the folder of texts is an error, not ignored."""
    for option in (["--modern-count", "5"], ["--modern-share", "0.1"]):
        assert run(["fit", "--corpus", str(tmp_path), "--out", str(tmp_path / "out"), *option]) == 64
        assert "need --modern" in capsys.readouterr().err


def test_the_help_shows_the_defaults_in_brackets(capsys):
    """--help shows words in brackets as they are, such as defaults that the texts of the options name."""
    assert run(["fit", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "--modern [default: 40000]" in shown
    assert "in each class [default: 0.3]" in shown


# --- translations and sources in training ---------------------------------------------------------------------------


def test_translations_are_one_group():
    """Messages of one kin are in one group, and groups that share a kin with them too."""
    group = joined(np.array([0, 1, 1, 3, 4]), ["a", "a", "b", "b", ""])

    assert group.tolist() == [0, 0, 0, 0, 4]


def test_a_text_is_on_one_side_of_every_split(texts, load):
    """All messages of one text, in all languages and both classes, are on one side of a split; so is a whole source."""
    data = load(modern=Modern(texts, 400), synthetic=0)
    part = split(data, leave_out=["app:Shop-One"])
    sides = [{data.rows[index].kin for index in side} for side in (part.train, part.validation, part.held)]

    assert not sides[0] & sides[1]
    assert not (sides[0] | sides[1]) & sides[2]
    assert all(kin.startswith("app:Shop-One/") for kin in sides[2])


# --- relations and fashion ------------------------------------------------------------------------------------------


def test_an_honest_route_belongs_to_its_organisation(texts):
    """The organisation of a brand is the one that sends, signs and is asked to answer, whatever the draw."""
    rng, where = Random(1), locale("de")
    recipient = draw_person(rng, where, "example.org")
    for _ in range(300):
        org = draw_organisation(rng, where, "bank", real=1.0)
        route = honest(rng, org, recipient, where)
        assert route.case == "relayed" or route.domain.endswith((org.domain, *org.mail_domains))
        assert not route.reply_to or route.reply_to.endswith(org.domain)


@pytest.mark.parametrize("relay", [relay_by_alias, relay_by_marketplace])
def test_relays_are_those_that_the_filter_knows(relay):
    """A generated relay delivers the letter of a person with the proof that the filter asks for, whatever the draw."""
    rng, where = Random(1), locale("en")
    writer, recipient = draw_person(rng, where, "shop.example"), draw_person(rng, where, "example.org")
    for _ in range(100):
        route = from_person(rng, writer, recipient)
        relay(rng, route)
        assert is_relay(route.sender)
        assert (route.signed[0][0], route.dmarc) == (route.domain, "pass")
        assert route.reply_to in ("", writer.address)


@pytest.mark.parametrize("label", ["ham", "spam"])
def test_a_text_without_a_file_may_get_one(dresser, label):
    """A name has an ending. Only spam gets programs, which may look like documents."""
    names = [name for number in range(400) for name in _file_names(dresser, Random(number), label)]
    assert names
    assert not [name for name in names if name.endswith(".")]
    programs = [name for name in names if name.endswith((".exe", ".js", ".vbs", ".lnk", ".hta"))]
    assert bool(programs) == (label == "spam")


def _file_names(dresser, rng, label):
    message = message_from_bytes(dresser.own(rng, draw_own(rng, label), label, disguised=False).raw, policy=default)
    return [part.get_filename() for part in message.walk() if part.get_filename()]


def test_a_dishonest_route_breaks_a_relation():
    """Mail that pretends differs from its organisation in the sender, the link, the reply address or the signature."""
    rng, where = Random(1), locale("fr")
    recipient = draw_person(rng, where, "example.org")
    for _ in range(500):
        org = draw_organisation(rng, where, "bank", real=0.5)
        route = dishonest(rng, org, recipient, where)
        hosts = [route.domain, route.cta().split("/")[2], (route.reply_to or route.sender).rpartition("@")[2]]
        signers = [signer for signer, *_ in route.signed]
        right = all(_is_of(host, org.domain) for host in hosts) and any(_is_of(host, org.domain) for host in signers)
        assert not right


def _is_of(host, domain):
    return host == domain or host.endswith(f".{domain}")


@pytest.mark.parametrize("trait", ["form", "style", "lang"])
def test_fashion_is_the_same_in_both_classes(mail, trait):
    """Plain text or HTML, receiving servers and languages of templates have the same shares in ham and in spam."""
    of = [one for one in mail if one.source.startswith("app:")]
    ham, spam = (Counter(getattr(one, trait) for one in of if one.label == label) for label in ("ham", "spam"))
    total = {label: sum(counter.values()) for label, counter in (("ham", ham), ("spam", spam))}
    statistic = sum(
        (ham[name] / total["ham"] - spam[name] / total["spam"]) ** 2
        / ((ham[name] + spam[name]) / (total["ham"] * total["spam"]))
        for name in ham | spam
    )  # fmt: skip
    freedom = max(1, len(ham | spam) - 1)

    assert statistic < freedom + 4 * (2 * freedom) ** 0.5


def test_only_relations_tell_the_classes_apart(dresser):
    """No fact or word except those of relations is much more frequent in one class than in the other."""
    pairs = 250
    ham, spam = artefacts.counts(dresser, pairs, 1, disguised=False)
    rows = list(artefacts.differences(ham, spam, pairs))
    worst = max((abs(error), token) for error, token in rows if not artefacts.is_relation(token))

    assert worst[0] < 6, worst
    assert max(abs(error) for error, token in rows if artefacts.is_relation(token)) > 10


def test_kinds_with_many_texts_are_drawn_more_often():
    """A kind with ten texts is drawn about three times as often as a kind with one."""
    drawn = Counter(draw_own(Random(number), "ham").kind for number in range(4000))
    many = [kind for kind, found in own_texts("ham").items() if sum(text.lang == "en" for text in found) >= 8]
    single = [kind for kind, found in own_texts("ham").items() if sum(text.lang == "en" for text in found) == 1]
    mean = [sum(drawn[kind] for kind in kinds) / len(kinds) for kinds in (many, single)]
    assert 2 < mean[0] / mean[1] < 4


def test_own_texts_of_both_classes_have_the_same_languages():
    """Ham and spam of our own writing are drawn in the same languages, in the same proportions."""
    ham, spam = (Counter(draw_own(Random(f"{n}"), label).lang for n in range(600)) for label in ("ham", "spam"))

    assert ham == spam
    assert set(ham) <= {text.lang for found in own_texts("ham").values() for text in found}


def test_unwanted_offers_are_not_from_brands(texts):
    """An unwanted offer never comes from a well-known brand, and mostly from an aligned domain of its own."""
    signed = 0
    dresser = Dresser(load_material(texts))
    offers = [text for kind in ("casino", "pills", "promotion") for text in own_texts("spam")[f"spam/{kind}"]]
    for seed in range(120):
        raw = dresser.own(Random(seed), Random(seed).choice(offers), "spam", disguised=False).raw
        message = message_from_bytes(raw, policy=default)
        domain = str(message["From"]).rpartition("@")[2].strip(">")
        assert not any(domain == brand.domain for brand in brands("shop", "en"))
        signed += f"d={domain.split('.', domain.count('.') - 1)[-1]}" in raw.decode("utf-8", "replace")
    assert signed > 60


# --- disguises ------------------------------------------------------------------------------------------------------


def test_a_third_is_disguised(mail):
    """About a third of the spam is disguised, in every way, and as many ham messages of texts have a habit."""
    for label, names in (("ham", HABITS), ("spam", EVASIONS)):
        of = [one for one in mail if one.label == label and one.form != "other"]
        shares = Counter(name for one in of for name in one.disguise.split(", "))
        assert 0.26 < 1 - shares[""] / len(of) < 0.41
        assert set(shares) == {*names, ""}


@pytest.mark.parametrize("name", [*sorted(EVASIONS), *sorted(HABITS)])
def test_a_disguise_changes_the_message(dresser, name):
    """Each disguise or habit changes the text, the subject or the header, and leaves the message readable."""
    text = dresser.material.templates["order-confirmation"]["app:Shop-One"][3]
    scene = dresser._scene(Random(1), text, real=0)
    route = honest(Random(1), scene.org, scene.recipient, scene.where)
    html = "<html><body><p>Important réservation, internationalisation of your subscription</p><a href='https://a.example/x'>Continue</a></body></html>"
    page = Page(
        "Important information", "Important information about your internationalisation\nhttps://a.example/x", html
    )
    draft = Draft(page, route.domain, scene.recipient.domain, lambda count: "some innocent words " * count)
    before = _content(draft)
    {**EVASIONS, **HABITS}[name](Random(2), draft)

    assert before != _content(draft)
    assert "https://" in page.html or draft.files


def _content(draft):
    page = draft.page
    return page.subject, page.plain, page.html, tuple(draft.lines), tuple(draft.files), draft.display


# --- own texts ------------------------------------------------------------------------------------------------------


def test_all_kinds_of_the_list_have_texts():
    """All kinds of spam and ham of the list exist; those that people get most, in many languages."""
    spam = (
        "callback sextortion seo guest-post desk recruiting opener parcel bank streaming smuggling crypto investment "
        "hijack casino pills dating promotion tax invite"
    )
    ham = (
        "quote-request application desk opener invoice survey parcel bank file self empty invitation reply "
        "verification receipt statement promotion personal loyalty"
    )
    reports = "dmarc arf bounce cron monitor smime-encrypted pgp-encrypted"

    assert {f"spam/{name}" for name in spam.split()} | {f"ham/{name}" for name in ham.split()} <= set(kinds())
    assert set(reports.split()) <= set(REPORTS)
    for kind in (*(f"spam/{name}" for name in MANY_LANGUAGES), "ham/promotion", "ham/receipt", "ham/verification"):
        found = {text.lang for text in own_texts(kind.partition("/")[0])[kind]}
        assert len(found) >= 8, kind


def test_every_own_text_is_complete():
    """Every text of this project has balanced choices, a known language and a subject, and its choices vary."""
    for label in ("ham", "spam"):
        for kind, found in own_texts(label).items():
            assert kind.startswith(label + "/")
            for text in found:
                made = {text.expand(Random(seed)).text for seed in range(12)}
                assert all("[" not in one and "|" not in one for one in made), text
                assert locale(text.lang).code == text.lang


def test_signed_letters_parse():
    """A letter with a signature of S/MIME or PGP parses without defects and keeps its text."""
    for seed in range(8):
        part = as_signed(Random(seed), body_of(Random(seed), Page("s", "Hello there", ""), "en", ()))
        message = message_from_bytes("\r\n".join(part.headers).encode() + b"\r\n\r\n" + part.body, policy=default)
        assert message.get_content_type() == "multipart/signed"
        assert not message.defects
        assert "Hello there" in next(message.iter_parts()).get_content()


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_reports_have_their_form(dresser, name):
    """Each report is ham with a subject, and parses without defects."""
    for seed in range(5):
        message = message_from_bytes(dresser.report(Random(seed), name).raw, policy=default)
        assert message["Subject"]
        assert not message.defects


def test_messages_of_one_kind_can_be_previewed(texts):
    """A preview has only the kind that was asked for; an unknown kind is an error that names the known ones."""
    for kind in ("spam/callback", "ham/cron", "app:Forum-Two"):
        found = list(preview.draw(texts, kind=kind, label="", count=4, seed=1))
        assert {kind} & {found[0].kind, found[0].source}
        assert len(found) == 4
        assert found[0].kind in preview.described(found[0])
    callback = next(preview.draw(texts, kind="spam/callback", label="", count=1, seed=3))
    assert "{{" not in preview.described(callback)
    with pytest.raises(Exception, match="spam/callback"):
        list(preview.draw(texts, kind="spam/none", label="", count=1, seed=1))
    with pytest.raises(UserError, match="no effect"):
        list(preview.draw(texts, kind="spam/callback", label="ham", count=1, seed=1))


def test_a_preview_that_is_not_possible_is_one_sentence(tmp_path, monkeypatch, capsys):
    """No message at all and a file in the place of the folder are errors without a traceback."""
    (tmp_path / "file").touch()
    monkeypatch.setattr("sys.argv", ["preview", "--count", "0"])
    with pytest.raises(SystemExit):
        preview_command.main()
    assert "--count takes a number from 1" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["preview", "--count", "1", "--out", str(tmp_path / "file")])
    assert preview_command.main() == 74
    assert len(capsys.readouterr().err.splitlines()) == 1

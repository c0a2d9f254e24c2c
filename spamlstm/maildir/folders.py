"""The names of folders: on disk, as mail programs show them, and the role of a folder, which follows from its name.

`folder_walk` finds the folders that exist in a Maildir.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache


class FolderRole(StrEnum):
    """The role of a folder in filtering and learning."""

    INBOX = "inbox"
    JUNK = "junk"
    FILED = "filed"
    """A folder in which a user keeps mail."""

    IGNORED = "ignored"
    """Trash, Sent, Drafts and similar folders. No labels are created for messages in these folders."""


# The only table of folder names for filing, learning and `adopt`, in the languages in which mail programs name folders.
# A Trash folder with a name that is missing here would turn deleted mail into ham. The configuration can add names
# (ignore_folders).
_JUNK = """junk, spam, junk e-mail, bulk mail, junk email, junk mail, bulk, spam mail, spamverdacht,
unerwünscht, unerwünschte werbung, werbung, courrier indésirable, indésirable, indésirables, pourriel, pourriels,
correo no deseado, correo basura, no deseado, posta indesiderata, indesiderata, ongewenste e-mail, ongewenst,
ongewenste reclame, lixo eletrônico, lixo electrónico, correo lixo, correu brossa, nevyžádaná pošta, nevyžiadaná pošta,
wiadomości-śmieci, niechciane, skräppost, uønsket, uønsket e-post, uønsket e-mail, uønsket mail,
uønsket post, søppelpost, roskaposti, rämpspost, mēstules, levélszemét, önemsiz e-posta, gereksiz e-posta,
istenmeyen e-posta, neželena pošta, neželjena pošta, e-mail nedorit, mesaje nedorite, ανεπιθύμητη αλληλογραφία,
ανεπιθύμητα, спам, нежелательная почта, небажана пошта, нежелана поща, דואר זבל, البريد العشوائي,
البريد غير الهام, อีเมลขยะ, thư rác, 垃圾邮件, 垃圾郵件, 迷惑メール, スパム, 스팸메일함, 스팸함, 스팸, 정크 메일,
junk e-mails, spam e-mail, spam mails, spam e-mails, junk folder, spam folder, junk box, spam box, junk-ordner,
spam-ordner, spam-verdacht, unerwuenscht, unerwünschte e-mail, unerwünschte e-mails, unerwünschte nachrichten,
unerwünschte mails, courriels indésirables, courriel indésirable, courriers indésirables, messages indésirables,
e-mail indésirable, carpeta de spam, correo electrónico no deseado, correos no deseados, mensajes no deseados,
messaggi indesiderati, e-mail indesiderata, e-mail indesiderate, ongewenste mail, ongewenste post,
ongewenste berichten, caixa de spam, lixo eletrónico, lixo eletronico, e-mail de lixo, correio não solicitado,
correio indesejado, e-mails indesejados, correu no desitjat, dossier spam, skräpmail, uønskede e-mails,
søppel-e-post, roskapostit, niechciana poczta, niechciane wiadomości, nevyžádané, nevyžádaná e-mailová pošta,
kéretlen levelek, önemsiz, önemsiz posta, gereksiz, spam kutusu, istenmeyen, neželjeno, nepageidaujami laiškai,
nepageidaujamas paštas, brukalas, šlamštas, surogātpasts, nedorite, spam e-pošta, ruslpóstur, post sothach,
email sampah, e-mel sarap, email rác, нежелательные, нежелательные письма, небажані, нежељена пошта, ανεπιθύμητη,
ספאם, זבל, بريد عشوائي, البريد غير المرغوب فيه, البريد الإلكتروني غير الهام, هرزنامه, जंक मेल, जंक ई-मेल, स्पैम, จดหมายขยะ,
垃圾信件, スパムメール, ジャンク メール, 迷惑メールフォルダ, 스팸 메일"""
_SENT = """sent, sent items, sent messages, sent mail, sent-mail, gesendet, gesendete elemente, gesendete objekte,
gesendete nachrichten, envoyés, messages envoyés, éléments envoyés, enviados, elementos enviados,
mensajes enviados, inviati, posta inviata, verzonden, verzonden items, itens enviados, wysłane,
elementy wysłane, odeslané, odeslaná pošta, odoslané, skickat, skickade objekt, sendt, sendt post,
sendte elementer, lähetetyt, elküldött, elküldött elemek, gönderilmiş, gönderilmiş öğeler, отправленные,
надіслані, 已发送, 已发送邮件, 送信済み, 送信済みアイテム, 보낸메일함, 보낸 편지함"""
# Folders with copies of mail that is or was in other folders.
_COPIED = """expunged, all mail, important, starred, flagged, alle nachrichten, wichtig, markiert, tous les messages,
suivis, todos, importantes, destacados, tutti i messaggi"""
# Other folders that give no labels.
_IGNORED = """trash, deleted, deleted items, deleted messages, bin, wastebasket,
drafts, draft, outbox, unsent messages, templates, notes,
papierkorb, gelöscht, gelöschte elemente, gelöschte objekte,
entwürfe, postausgang, vorlagen,
corbeille, éléments supprimés, messages supprimés, supprimés, brouillons,
boîte d'envoi, modèles,
papelera, elementos eliminados, eliminados, borradores,
bandeja de salida, plantillas,
cestino, posta eliminata, eliminati, bozze, posta in uscita, modelli,
prullenbak, verwijderd, verwijderde items, concepten, postvak uit, sjablonen,
lixeira, itens excluídos, itens eliminados, lixo, rascunhos, caixa de saída, modelos,
kosz, elementy usunięte, kopie robocze, szkice, skrzynka nadawcza,
koš, odstraněná pošta, koncepty, rozepsané,
papperskorgen, borttaget, borttagna objekt, utkast, utkorgen,
papirkurv, slettet post, slettede elementer, kladder, søppel,
roskakori, poistetut, luonnokset, kuka, piszkozatok, törölt elemek,
çöp kutusu, silinmiş öğeler, taslaklar,
корзина, удаленные, удалённые, черновики, исходящие, кошик, чернетки,
已删除, 已删除邮件, 废纸篓, 草稿, 草稿箱, 發件箱, ゴミ箱, 削除済みアイテム,
下書き, 휴지통, 임시보관함"""


def _names(table: str) -> tuple[str, ...]:
    return tuple(_compared(" ".join(name.split())) for name in table.split(","))


def _compared(name: str) -> str:
    """Return a name in the form in which names are compared. macOS decomposes accented letters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


# Programs write one name in several ways: "Junk E-mail", "Junk-E-Mail", "Junk_Email", "JunkEmail".
_BETWEEN_WORDS = re.compile(r"(?<=[^\W_])[ _-]+(?=[^\W_])")
JUNK_NAMES = _names(_JUNK)
"""The names of junk folders, case-folded, in the order in which filing prefers them."""
_RANKS = {_BETWEEN_WORDS.sub("", name): rank for rank, name in reversed(list(enumerate(JUNK_NAMES)))}
# Gmail keeps its own folders below such a folder. Many synchronizing programs separate levels by dots.
_GMAIL = ("[gmail]", "[google mail]", "[googlemail]", "[imap]")
ABOVE_JUNK = (("inbox",), *((name,) for name in _GMAIL))
"""The folders that may contain a junk folder one level down, as `display_levels` returns them.

Dovecot with LAYOUT=fs and Courier keep everything below INBOX.
"""
_DOTTED = tuple(f"{name}." for name in ("inbox", *_GMAIL))

_SENT_NAMES, _COPIED_NAMES = frozenset(_names(_SENT)), frozenset(_names(_COPIED))
_IGNORED_NAMES = frozenset((*_SENT_NAMES, *_COPIED_NAMES, *_names(_IGNORED))) - {*JUNK_NAMES}
# Words that end in spam or junk. "Old spam" and "LearnSpam" contain spam, "Not junk" contains ham. "SpamAssassin users"
# does not match: it is the folder of a mailing list.
_ABOUT_JUNK = re.compile(r"(?:spam|junk|спам)(?![^\W\d_])")


def role_of(name: str, *, junk: str, ignore_folders: Iterable[str] = ()) -> FolderRole:
    """Return the role of the folder with the name `name` on disk.

    `junk` is the configured name of the junk folder, or "auto". Every folder with a junk name is a junk folder,
    including junk folders into which no mail is filed. A folder below a junk folder is a junk folder too if its name
    has no letters (`.Junk.2020`, an archive) or is a junk name. All other folders below a folder with a junk name or an
    ignored name are IGNORED, because some people keep false positives there (`.Spam.ham`). So are folders with a word
    that ends in `spam` or `junk` in their names (`.Old spam`, `.LearnSpam`, `.Not junk`).
    """
    return _role(name, junk, tuple(ignore_folders))


def has_copies(name: str) -> bool:
    """Return whether the folder with the name `name` on disk has copies of mail that is or was in other folders.

    A copy in such a folder does not show what a user did. Dovecot's lazy_expunge stores a copy of all mail that leaves
    a folder, also of mail that was moved, and Gmail shows all mail in further folders. The role of these folders is
    IGNORED.
    """
    return display_levels(name)[-1] in _COPIED_NAMES


def is_sent(name: str) -> bool:
    """Return whether the folder with the name `name` on disk has the mail that the user sent. Its role is IGNORED."""
    *upper, last = display_levels(name)
    return last in _SENT_NAMES and not any(_has_role(level) for level in upper)


def junk_rank(level: str) -> int | None:
    """Return the index in JUNK_NAMES of the last level of a folder's name, case-folded, or None."""
    return _RANKS.get(_BETWEEN_WORDS.sub("", level))


def _has_role(level: str) -> bool:
    return level in _IGNORED_NAMES or junk_rank(level) is not None


@lru_cache(maxsize=4096)
def _role(name: str, junk: str, ignore_folders: tuple[str, ...]) -> FolderRole:
    if not name:
        return FolderRole.INBOX
    levels = display_levels(name)
    if any(levels in possible_levels(one) for one in ignore_folders):
        return FolderRole.IGNORED
    if junk != "auto" and levels in possible_levels(junk):
        return FolderRole.JUNK
    at = next((at for at, level in enumerate(levels) if _has_role(level) or _ABOUT_JUNK.search(level)), None)
    if at is None:
        return FolderRole.FILED
    is_junk = all(junk_rank(level) is not None or not any(map(str.isalpha, level)) for level in levels[at:])
    return FolderRole.JUNK if is_junk else FolderRole.IGNORED


def possible_levels(configured: str) -> set[tuple[str, ...]]:
    """Return the results of `display_levels` for the folders that a configured name may mean.

    Mail programs separate levels by dots or slashes, depending on the server.
    """
    return {display_levels(configured), display_levels("." + configured.replace("/", ".").removeprefix("."))}


@lru_cache(maxsize=4096)
def display_levels(name: str) -> tuple[str, ...]:
    """Return the levels of a folder's name on disk as mail programs show them, case-folded and without INBOX."""
    dotted = name.startswith(".")
    levels = _compared(decoded(name.lstrip("."))).split("." if dotted else "/")
    if len(levels) == 1 and levels[0].startswith(_DOTTED):
        levels = levels[0].split(".")
    if not dotted:
        levels = [level.removeprefix(".") for level in levels]
    return tuple(levels[1:] if levels[0] == "inbox" and len(levels) > 1 else levels)


# --- names on disk: IMAP's modified UTF-7 (RFC 3501, section 5.1.3) ------------------------------------------------

# These functions may run while the process acts as the owner of a Maildir, who may lack the right to read Python's own
# files. A codec that is looked up by its name would be imported from there, so the built-in functions are called.

_NOT_ASCII = re.compile(r"[^\x20-\x7e]+")
_ENCODED = re.compile(r"&([A-Za-z0-9+,]*)-")


def encoded(name: str) -> str:
    """Return a folder's name as servers write it on disk, in modified UTF-7."""

    def word(match: re.Match[str]) -> str:
        data, _ = codecs.utf_16_be_encode(match[0], "surrogatepass")
        encoded = base64.b64encode(data, b"+,")
        return f"&{encoded.decode().rstrip('=')}-"

    return name if name.isascii() else _NOT_ASCII.sub(word, name.replace("&", "&-"))


def decoded(name: str) -> str:
    """Return a folder's name on disk as readable text. Parts that are not encoded correctly are left unchanged."""

    def word(match: re.Match[str]) -> str:
        if not match[1]:
            return "&"
        try:
            data = base64.b64decode(match[1] + "=" * (-len(match[1]) % 4), b"+,")
            return codecs.utf_16_be_decode(data, "strict", True)[0]  # noqa: FBT003  it takes no keywords
        except (binascii.Error, UnicodeDecodeError):
            return match[0]

    return _ENCODED.sub(word, name) if "&" in name else name

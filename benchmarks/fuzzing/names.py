"""Message names of any bytes: parsed and rebuilt, and on disk with a real pipeline."""

import contextlib
import os
import random
from pathlib import Path

import on_disk
from fuzzing.findings import require
from fuzzing.scene import Scene
from inbox import Inbox

from spamlstm.config import Action
from spamlstm.filtering.acts import Recovery, with_keyword, without_keyword
from spamlstm.filtering.undo import undo_acts
from spamlstm.maildir import junk_folder, names, paths
from spamlstm.maildir.names import MOST_NAME_BYTES, Name
from spamlstm.maildir.opened import OpenMaildir

_BASES = ("1.host", "1", "2.host", "Q", "-x", "~", " ", "\n", "a b", "é", "日本", "%2e", "..", "*", "cur", "\udcff")
_FIELDS = (",S=12", ",S=", ",S=-1", ",S=99999999999999999999", ",W=12", ",W=٣", ",U=7", ",", ",X", ",S=1,S=2", "=,")
_INFOS = (
    *("", ":2,", ":2,S", ":2,FRST", ":2,Sab", ":2,zzz", ":1,S", ":", "::2,S", ":2,S,x=y,", ":2"),
    *(":2,é\udcfe", ";2,S"),
)
_KEYWORDS = ("0 $Junk\n1 work\n", "0 work\n1 NonJunk\n2 Junk\n", "junk", "0 \udcff\n99 x\n٣ y\n", "")


def any_name(chance: random.Random) -> str:
    """Return a file name of at most 255 bytes, but not '', '.' or '..'."""
    base = chance.choice((*_BASES, f"{chance.randrange(10)}.host", _any_bytes(chance, 12), "x" * chance.randrange(255)))
    fields = "".join(chance.choices(_FIELDS, k=chance.choice((0, 0, 1, 3, 20))))
    text = (base + fields + chance.choice(_INFOS) + chance.choice(("", "", _any_bytes(chance, 5)))).lstrip(".")
    return os.fsdecode(os.fsencode(text)[:MOST_NAME_BYTES]) or "x"


def _any_bytes(chance: random.Random, most: int) -> str:
    data = bytes(chance.choices(range(1, 256), k=chance.randrange(most)))
    return os.fsdecode(data.replace(b"/", b"_"))


def case(scene: Scene) -> None:
    """Check names alone, then a Maildir full of them."""
    with scene.step("names"):
        for _ in range(20):
            check_name(any_name(scene.chance), scene.chance)
    on_disk_case(scene)


def _check(kept: bool, text: str) -> None:  # noqa: FBT001  as assert
    require(kept, "a name breaks a promise", text)


def check_name(text: str, chance: random.Random) -> None:
    """Raise unless a name and all names derived from it keep their promises."""
    name = Name.parse(text)
    fresh = names.unique()
    letter = chance.choice("abz")
    lines = chance.randrange(10_000)
    moved = name.elsewhere(base=fresh, keywords={"a": letter})
    rewritten = name.rewritten(b"x\n" * lines, base=fresh)
    _check(str(name) == text, text)
    _check(moved.base == fresh and moved.flags == name.flags and set(moved.keywords) <= {letter}, text)
    _check((rewritten.fields[:2], rewritten.info) == ((f"S={2 * lines}", f"W={3 * lines}"), name.info), text)
    _check(name.within("cur").info is not None and name.within("new") == name, text)
    for one in (name, moved, rewritten, rewritten.elsewhere(base=fresh)):
        fitting = one.fitting()
        _check((fitting.base, fitting.flags) == (one.base, one.flags), text)
        _check(len(os.fsencode(str(fitting))) <= MOST_NAME_BYTES or one.base == name.base, text)
        _check(Name.parse(str(fitting)) == fitting, text)
        marked = with_keyword(one, letter)
        _check(letter in marked.keywords and marked.flags == one.flags, text)
        _check(letter not in without_keyword(marked, letter).keywords, text)


def on_disk_case(scene: Scene) -> None:
    """Deliveries, passes, a reader that renames, crashes, and undo of everything."""
    chance = scene.chance
    section = {verdict: _some_actions(chance) for verdict in ("spam", "unsure", "ham")}
    inbox = Inbox(scene.root, scene.state, section).watch()
    if chance.random() < 0.5:
        with OpenMaildir.open(inbox.root) as mailbox:
            junk_folder.create_folder(mailbox.folder(".Junk"))
    for folder in (inbox.root, inbox.junk):
        if os.path.isdir(folder):  # noqa: PTH112  as in maildir
            Path(folder, "dovecot-keywords").write_text(chance.choice(_KEYWORDS), errors="surrogateescape")
    for _ in range(chance.randrange(2, 7)):
        chance.choice((deliver, deliver, deliver, work, work, rename, crashed, restart, later))(scene, inbox)
    inbox.again()
    later(scene, inbox)
    scene.check()
    take_back(scene, inbox)
    scene.check()
    scene.check_log()
    inbox.journal.close()


def _some_actions(chance: random.Random) -> tuple[Action, ...]:
    return tuple(action for action in Action if chance.random() < 0.6)


def deliver(scene: Scene, inbox: Inbox) -> None:
    """Deliver some messages to new or cur, never over an existing one."""
    for _ in range(scene.chance.randrange(1, 6)):
        part, name = scene.chance.choice(("new", "new", "cur")), any_name(scene.chance)
        if not os.path.lexists(os.path.join(inbox.root, part, name)):  # noqa: PTH118  as in maildir
            body = scene.chance.choice(("spam", "spam", "unsure", "words", "broken", "X-Spam-Flag: YES\n\nspam"))
            scene.sent(inbox.deliver(body, part=part, name=name))


def work(scene: Scene, inbox: Inbox) -> None:
    """Run a pass."""
    with scene.step("pass"):
        inbox.run()


def rename(scene: Scene, inbox: Inbox) -> None:
    """Move messages to cur or change their flags, as a reader does."""
    for folder in filter(paths.is_maildir, (inbox.root, inbox.junk)):
        for one in on_disk.messages(folder):
            if scene.chance.random() < 0.3:
                name = Name.parse(one.name)
                info = "2," + "".join(sorted(set(scene.chance.choices("FRSTab", k=2))))
                target = os.path.join(folder, "cur", str(Name(name.base, name.fields, info)))  # noqa: PTH118
                if not os.path.lexists(target):
                    with contextlib.suppress(OSError):  # with flags the name may be too long
                        os.rename(one.path, target)  # noqa: PTH104


def crashed(scene: Scene, inbox: Inbox) -> None:
    """Crash in a pass, and restart."""
    if scene.interrupted(inbox.run):
        inbox.again()


def restart(_scene: Scene, inbox: Inbox) -> None:
    """Restart."""
    inbox.again()


def later(scene: Scene, inbox: Inbox) -> None:
    """Run passes a day later, when everything that failed is due again."""
    inbox.clock.now += 90_000
    work(scene, inbox)
    work(scene, inbox)


def take_back(scene: Scene, inbox: Inbox) -> None:
    """Undo everything, perhaps with a crash in between."""

    def undone() -> None:
        recovery = Recovery(inbox.journal, counters=inbox.counters, clock=inbox.clock)
        list(undo_acts(inbox.journal, recovery, since=0, dry=False, clock=inbox.clock))

    if scene.chance.random() < 0.3 and scene.interrupted(undone):
        inbox.again()
    with scene.step("undo"):
        undone()

"""The scenarios in which the pipeline is killed, and what must hold after each restart."""

# ruff: noqa: PTH118  as in maildir

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import on_disk
from house import OPENED, House, make, raw
from killing import calls_of, killed_before

from spamlstm.config import Action
from spamlstm.mail import maildir
from spamlstm.mail.maildir import Name
from spamlstm.mail.tagging import untag
from spamlstm.service.ledger import Ledger
from spamlstm.service.undo import undo

TAG, FILE, KEYWORD = Action.TAG, Action.FILE, Action.KEYWORD


@dataclass(frozen=True)
class Scenario:
    """What is configured and delivered, what is killed (`step`), and whether a reader comes before the restart."""

    spam: tuple[Action, ...]
    step: str = "process"
    reader: bool = False
    bodies: tuple[str, ...] = ("spam",)
    unsure: tuple[Action, ...] = (TAG,)
    after: float = 0.0
    """The share of its system calls after which the act itself was killed, when `step` is the restart after that."""


SCENARIOS = {
    "tag": Scenario((TAG,)),
    "file": Scenario((FILE,)),
    "tag and file": Scenario((TAG, FILE)),
    "keyword": Scenario((KEYWORD,)),
    "all three": Scenario((TAG, KEYWORD, FILE)),
    "tag, then a reader": Scenario((TAG,), reader=True),
    "tag and file, then a reader": Scenario((TAG, FILE), reader=True),
    "a group": Scenario((TAG, FILE), bodies=("spam", "unsure", "spam", "ham")),
    **{
        f"the restart after {share:.0%} of the act": Scenario((TAG, FILE), step="recover", after=share)
        for share in (0.8, 0.87, 0.91)
    },
    "undo": Scenario((TAG, FILE), step="undo"),
    "undo of a tag": Scenario((TAG,), step="undo", reader=True),
}


def kill(scenario: Scenario, call: int, path: Path) -> bool:
    """Kill the step before that system call, restart, and check; False if the step has fewer calls."""
    calls = _calls_of_act(scenario, path / "counted") if scenario.after else 0
    house = _prepared(scenario, path)
    step = {"process": _process, "recover": _recover, "undo": _undo}[scenario.step]
    house.journal.close()
    if scenario.step == "recover":
        assert killed_before(round(scenario.after * calls), _in_copy(house, _process))
    killed = killed_before(call, _in_copy(house, step))
    if scenario.reader:
        _read(house)
    house.open()
    _check(house, scenario)
    # What comes after the restart finds its way to the end, and there is nothing left for one more.
    if scenario.step == "undo":
        list(undo(house.journal, _ledger(house), since=0, dry=False, clock=house.clock))
        assert house.names(house.junk) == []
        assert house.contents() == _delivered(scenario)
    else:
        house.run()
        assert len(house.names(house.junk)) == (scenario.bodies.count("spam") if FILE in scenario.spam else 0)
    _check(house, scenario)
    assert house.run() == []
    while OPENED:
        OPENED.pop().close()
    return killed


def _calls_of_act(scenario: Scenario, path: Path) -> int:
    path.mkdir()
    house = _prepared(scenario, path)
    house.journal.close()
    return calls_of(_in_copy(house, _process))


def _prepared(scenario: Scenario, path: Path) -> House:
    house = House(make(path / "Maildir"), path / "state", {"spam": scenario.spam, "unsure": scenario.unsure})
    if KEYWORD in scenario.spam:
        on_disk.create_folder(house.root, house.junk)
        for folder in (house.root, house.junk):
            Path(folder, "dovecot-keywords").write_text("0 $Junk\n")
    house.watch()
    for body in scenario.bodies:
        house.deliver(body)
    if scenario.step == "undo":
        house.run()
    return house


def _in_copy(house: House, step: Callable[[House], Callable[[], object]]) -> Callable[[Callable[[], None]], None]:
    """A process that opens the journal for itself, as a connection to SQLite must not be carried along."""

    def work(start: Callable[[], None]) -> None:
        mine = House.__new__(House)
        mine.__dict__.update(house.__dict__)
        mine.open_quietly()
        ready = step(mine)
        start()
        ready()

    return work


def _process(house: House) -> Callable[[], object]:
    candidates = house.pipeline.scan(house.root)
    return lambda: house.pipeline.process(candidates)


def _recover(house: House) -> Callable[[], object]:
    return house.pipeline.recover


def _undo(house: House) -> Callable[[], object]:
    ledger = _ledger(house)
    return lambda: list(undo(house.journal, ledger, since=0, dry=False, clock=house.clock))


def _ledger(house: House) -> Ledger:
    return Ledger(house.journal, counters=house.counters, clock=house.clock)


def _read(house: House) -> None:
    for folder in (house.root, house.junk):
        for part, name in house.names(folder):
            if part == "new":
                os.rename(os.path.join(folder, "new", name), os.path.join(folder, "cur", f"{name}:2,S"))  # noqa: PTH104


def _delivered(scenario: Scenario) -> list[bytes]:
    return sorted(raw(body, number) for number, body in enumerate(scenario.bodies, 1))


def _check(house: House, scenario: Scenario) -> None:
    """Each message is there once, with its bytes; nothing is left in tmp; and the journal says where each is by us."""
    found = [content for folder in (house.root, house.junk) for content in house.contents(folder)]
    assert sorted(map(untag, found)) == _delivered(scenario), "lost or doubled"
    for folder in (house.root, house.junk):
        tmp = Path(folder, "tmp")
        assert not tmp.is_dir() or list(tmp.iterdir()) == [], "something is left in tmp"
    assert house.journal.open_acts() == [], "an act has no end"
    # The label that a user's move would give: whatever lies in the junk folder and was not put there by us.
    ours = {(act.intent.folder, Name.parse(act.intent.name).base) for act in house.journal.acts(since=0)}
    filed = {(entry.folder, Name.parse(entry.name).base) for entry in _messages(house.junk)}
    assert filed == {one for one in ours if one[0] == house.junk}, "a move of ours looks like one of the user's"


def _messages(folder: str) -> list[on_disk.Lying]:
    return list(on_disk.messages(folder)) if maildir.is_maildir(folder) else []

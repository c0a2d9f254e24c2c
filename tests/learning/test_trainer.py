"""The trainer: what is learned depends only on the current labels, whatever came before, in any process."""

import itertools

from few_labels import HAM, MAILS, SPAM, random_letter, scores
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spamlstm.learning import saved_layers
from spamlstm.learning import trainer as trainers
from spamlstm.learning.label import Label, Origin
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.model.classifier import Assessed
from spamlstm.model.personal_features import runs
from spamlstm.model.policy import NO_EVIDENCE

Act = st.tuples(st.sampled_from(range(len(MAILS))), st.sampled_from([HAM, SPAM, None, "save", "restart"]))


def final(acts) -> list[tuple[int, Label]]:
    """Return the labels at the end, in the order in which they were last given."""
    stored: dict[int, Label] = {}
    for number, act in acts:
        if act is None:
            stored.pop(number, None)
        elif isinstance(act, Label) and stored.get(number) is not act:
            stored.pop(number, None)
            stored[number] = act
    return list(stored.items())


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(Act, max_size=12))
def test_any_history_equals_its_end(tmp_path_factory, acts):
    """After labelling, relabelling, forgetting and restarting in any order, scores are exactly those of learning the
    remaining labels in order. In particular, a forgotten label has no effect.
    """
    state, fresh = tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("fresh")
    trainer = Trainer(LabelStore.open(state))
    for number, act in acts:
        if act is None:
            trainer.forget(MAILS[number])
        elif act == "save":
            trainer.save_layer(always=True)
        elif act == "restart":
            trainer.labels.close()
            trainer = Trainer(LabelStore.open(state))
            trainer.catch_up()
        else:
            trainer.add_label(MAILS[number], act, prior=0.5, model="tiny-1")
    straight = Trainer(LabelStore.open(fresh))
    for number, label in final(acts):
        straight.add_label(MAILS[number], label, prior=0.5, model="tiny-1")
    assert scores(trainer) == scores(straight)
    trainer.labels.close()
    straight.labels.close()


def folder(trainer: Trainer, label: Label, numbers: range) -> None:
    """Label a whole folder, as the command does."""
    assessed = [
        Assessed(random_letter(number), 0.5, NO_EVIDENCE, runs(random_letter(number)), ()) for number in numbers
    ]
    assert all(trainer.add_labels(assessed, label, model="tiny-1"))


def test_bulk_labels_are_interleaved(tmp_path):
    """Whichever of ham and spam came first, and however many, they are interleaved; single labels come last."""
    ham, spam, single = range(70), range(100, 130), random_letter(500)
    first, second = Trainer(LabelStore.open(tmp_path / "1")), Trainer(LabelStore.open(tmp_path / "2"))
    folder(first, HAM, ham)
    folder(first, SPAM, spam)
    first.add_label(single, SPAM, prior=0.5, model="tiny-1")
    folder(second, SPAM, spam)
    second.save_layer(always=True)
    second.add_label(single, SPAM, prior=0.5, model="tiny-1")
    folder(second, HAM, ham)
    assert first.layer.dump() == second.layer.dump()
    for trainer in (first, second):
        stored = [one.label for one in trainer.labels.last()][::-1]
        assert stored[-1] is SPAM
        assert max(len(list(same)) for _, same in itertools.groupby(stored[:-1])) <= 3
        again = Trainer(trainer.labels)
        again.catch_up()
        assert again.layer.dump() == trainer.layer.dump()
        trainer.labels.close()


def test_a_few_files_are_corrections(tmp_path):
    """A few files named in one command are learned like single corrections."""
    trainer = Trainer(LabelStore.open(tmp_path))
    folder(trainer, SPAM, range(trainers.MANY - 1))
    assert {stored.origin for stored in trainer.labels.last()} == {Origin.COMMAND}
    trainer.labels.close()


def test_two_processes(tmp_path):
    """`catch_up` learns what another process labelled or forgot; a layer of an ended epoch is not saved."""
    one, other = Trainer(LabelStore.open(tmp_path)), Trainer(LabelStore.open(tmp_path))
    one.add_label(MAILS[0], SPAM, prior=0.0, model="m")
    one.add_label(MAILS[1], HAM, prior=0.0, model="m")
    other.catch_up()
    assert scores(one) == scores(other)
    other.forget(MAILS[0])
    one.save_layer(always=True)  # of an epoch that has ended
    one.catch_up()
    assert scores(one) == scores(other)
    third = Trainer(LabelStore.open(tmp_path))
    third.catch_up()
    assert scores(third) == scores(one)
    for trainer in (one, other, third):
        trainer.labels.close()


def test_what_another_process_learned_is_taken_over(tmp_path, monkeypatch):
    """A trainer that loads a layer saved by another process has exactly the same scores."""
    monkeypatch.setattr(trainers, "SAVE_EVERY", 3)
    one, other = Trainer(LabelStore.open(tmp_path)), Trainer(LabelStore.open(tmp_path))
    one.add_label(MAILS[0], SPAM, prior=0.0, model="m")
    other.catch_up()
    for raw in MAILS[1:5]:
        one.add_label(raw, HAM, prior=0.0, model="m")
    one.save_layer(always=True)
    one.add_label(MAILS[5], SPAM, prior=0.0, model="m")
    other.catch_up()
    assert scores(one) == scores(other)
    assert other.layer.labels == len(MAILS)
    for trainer in (one, other):
        trainer.labels.close()


def test_a_kept_layer_of_another_shape_is_not_used(tmp_path, monkeypatch):
    """After an upgrade that learns in another way, all labels are learned again."""
    trainer = Trainer(LabelStore.open(tmp_path))
    trainer.add_label(MAILS[0], SPAM, prior=0.0, model="m")
    trainer.save_layer(always=True)
    assert trainer.labels.saved_layers.latest() is not None
    monkeypatch.setattr(saved_layers, "SHAPE", "another")
    assert trainer.labels.saved_layers.latest() is None
    trainer.labels.close()


def test_taking_back_what_was_adopted_leaves_no_trace(tmp_path):
    """After an undo, scores are exactly those of the user's own labels."""
    trainer, straight = Trainer(LabelStore.open(tmp_path)), Trainer(LabelStore.open(tmp_path / "straight"))
    for number, raw in enumerate(MAILS):
        origin = Origin.ADOPTED if number % 2 else Origin.COMMAND
        trainer.add_label(raw, SPAM, prior=0.5, model="tiny-1", origin=origin)
        if origin is Origin.COMMAND:
            straight.add_label(raw, SPAM, prior=0.5, model="tiny-1")
    trainer.save_layer(always=True)
    assert trainer.labels.forget_adopted("") == 3
    trainer.catch_up()
    assert scores(trainer) == scores(straight)
    for one in (trainer, straight):
        one.labels.close()

"""The comparison of recurrent cells."""

import json
from dataclasses import replace

import numpy as np
import pytest

from spamlstm.errors import UserError
from training import cell_figures, cells
from training.batches import SECTION_IDS, Example


@pytest.fixture
def quick(recipe):
    """A training that is too short to learn anything."""
    return replace(recipe, epochs=1, per_epoch=100)


def _run(data, recipe, limits, *, without=("c",), out, say=lambda _: None):
    return cells.compare(data, recipe, limits, without=without, out=out, say=say)


@pytest.mark.train
def test_it_writes_table_data_and_plot(three, quick, limits, tmp_path):
    """The wide part alone and every cell have a row with all figures, and only the three files are left."""
    limits = replace(limits, window=270)
    _run(three, quick, limits, out=tmp_path / "cells")
    written = json.loads((tmp_path / "cells" / "comparison.json").read_text())
    table = (tmp_path / "cells" / "comparison.md").read_text()

    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cells"]
    assert {entry.name for entry in (tmp_path / "cells").iterdir()} == {
        cell_figures.TABLE,
        cell_figures.DATA,
        cell_figures.PICTURE,
    }
    assert (tmp_path / "cells" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    wide, *rows = written["cells"]
    assert wide["name"] == cells.ALONE
    assert [cell["name"] for cell in rows] == [name for name, _, _ in cells.CELLS]
    assert written["judged"] == {"sources": ["c"], "ham": 100, "spam": 100}
    for cell in rows:
        assert cell["parameters"] > 0
        assert cell["int8_bytes"] > 0
        assert cell["ms"] > 0
    for cell in (wide, *rows):
        assert f"| {cell['name']} |" in table
        value, low, high = cell["left_out"]
        assert 0 <= low <= value <= high <= 100
        assert len(cell["by_distance"]) == len(cells.DISTANCES)
        assert all(cell["by_distance"])
        assert len(cell["worse_by"]) == 2 + len(cells.DISTANCES)
    assert rows[-1]["worse_by"][0] == [0, 0, 0]


@pytest.mark.train
def test_an_interrupted_comparison_continues(three, quick, limits, tmp_path):
    """Ctrl-C leaves nothing at OUT; cells that are finished are not trained again."""

    def stop(line):
        if line.startswith("GRU:"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _run(three, quick, limits, out=tmp_path / "cells", say=stop)
    assert not (tmp_path / "cells").exists()
    lines = []
    _run(three, quick, limits, out=tmp_path / "cells", say=lines.append)

    trained = [line for line in lines if "epoch 1/1" in line]
    assert [line.partition(":")[0] for line in trained] == ["GRU", "one-way LSTM", "BiLSTM"]
    assert (tmp_path / "cells" / "comparison.md").exists()


def test_sources_that_cannot_be_judged_are_errors(three, quick, limits, tmp_path):
    """An unknown source raises UserError with the known ones; so do sources of one class."""
    with pytest.raises(UserError, match="the sources are a, b, c"):
        _run(three, quick, limits, without=("trec",), out=tmp_path / "cells")
    one_class = replace(three, spam=three.spam | (three.source == "c"))
    with pytest.raises(UserError, match="one class"):
        _run(one_class, quick, limits, out=tmp_path / "cells")

    assert not list(tmp_path.iterdir())


@pytest.mark.train
def test_disguised_copies_of_left_out_mail_are_judged_and_not_learned(three, quick, limits, tmp_path):
    """Copies of the left-out mail are judged apart from it. Generated mail that is left out is not judged."""
    source, group = three.source.astype("<U20"), three.group.copy()
    originals, copies, made = np.split(np.flatnonzero(three.source == "c"), [100, 150])
    source[copies], group[copies], source[made] = "evaded:c", group[originals[: len(copies)]], "app:x"
    data = replace(three, source=source, group=group)
    _run(data, quick, limits, without=("c", "app:"), out=tmp_path / "cells")
    written = json.loads((tmp_path / "cells" / "comparison.json").read_text())

    assert written["judged"]["sources"] == ["c"]
    assert written["judged"]["ham"] + written["judged"]["spam"] == 100
    assert written["disguised"] == len(copies)
    assert written["trained_on"] <= 520
    assert all(len(cell["disguised"]) == 3 for cell in written["cells"])


def test_the_interval_of_a_difference_knows_that_the_messages_are_the_same():
    """Two rankings of the same messages that nearly agree differ by little, and surely."""
    rng = np.random.default_rng(7)
    spam = np.arange(2000) % 2 == 0
    logits = rng.normal(spam * 2.0, 1.0)
    worse = logits - 0.3 * spam
    one, other = (cell_figures.one_minus_roca_pct(spam, scores) for scores in (worse, logits))
    value, low, high = cell_figures.difference(spam, worse, logits)

    assert value == pytest.approx(one.value - other.value)
    assert 0 < low < value < high
    assert high - low < (one.high - one.low) / 2
    assert cell_figures.difference(spam, logits, logits) == (0, 0, 0)
    assert cell_figures.difference(np.ones(3, bool), np.zeros(3), np.zeros(3)) is None


def test_the_filler_is_the_same_at_every_distance():
    """A probe is the body, followed by the start of a stretch of filler of its own."""
    header = np.array([2, 4, SECTION_IDS["body"]], np.uint16)
    judged = [Example(header, (np.full(size, 9, np.uint16),), spam=size % 2 == 0) for size in range(1, 100)]
    filler = np.arange(1000, 3000).astype(np.uint16)
    probes = cells.make_probes(judged, filler, distances=(0, 25, 100), seed=1)

    short, long = cells.SHORT
    assert [len(each) for each in probes] == [long - short + 1] * 3
    for none, some, many in zip(*probes, strict=True):
        assert none.header.tolist() == [SECTION_IDS["body"]]
        assert set(none.windows[0].tolist()) == {9}
        assert len(some.windows[0]) == len(none.windows[0]) + 25
        assert many.windows[0][: len(some.windows[0])].tolist() == some.windows[0].tolist()
        assert none.spam == some.spam == many.spam


def test_without_filler_there_is_no_distance_experiment():
    """Without ham in the validation part the second table is empty; it is no error after all trainings."""
    judged = [Example(np.array([2], np.uint16), (np.full(20, 9, np.uint16),), spam=True)]

    assert cells.make_probes(judged, np.zeros(3, np.uint16), distances=(0, 25), seed=1) == [[], []]

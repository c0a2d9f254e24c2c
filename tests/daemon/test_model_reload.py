"""When a changed model is loaded, with a clock of the test."""

import math

import pytest

from spamlstm.daemon.model_reload import LOOK_SECONDS, ModelReload


@pytest.fixture
def reload():
    """A loader whose model, the time and the looks are in its `state`."""
    state = {"selected": "a", "time": 0.0, "looks": 0}

    def stamp():
        state["looks"] += 1
        return state["selected"]

    one = ModelReload(stamp=stamp, open=lambda _config: f"model {state['selected']}", clock=lambda: state["time"])
    one.state = state
    assert one.load(None) == "model a"
    return one


def test_a_changed_model_is_loaded_once(reload):
    """A model is loaded when another one was selected, and not again while the selection stays."""
    assert reload.newer(None) is None
    reload.state.update(selected="b", time=LOOK_SECONDS)
    assert reload.newer(None) == "model b"
    reload.state["time"] = 2 * LOOK_SECONDS
    assert reload.newer(None) is None
    reload.state.update(selected=None, time=3 * LOOK_SECONDS)
    assert reload.newer(None) is None


def test_many_messages_cause_few_looks(reload):
    """Calls that follow each other quickly look only once, and `due` says when a change is found at the latest."""
    before = reload.state["looks"]
    assert reload.newer(None) is None
    assert reload.due == math.inf
    reload.state["selected"] = "b"
    for _ in range(100):
        assert reload.newer(None) is None
    assert reload.state["looks"] == before + 1
    assert reload.due == LOOK_SECONDS
    reload.state["time"] = reload.due
    assert reload.newer(None) == "model b"
    assert reload.due == math.inf

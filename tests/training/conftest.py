"""Small corpora to train on, read once for all tests."""

import pytest
import small_corpus

torch = pytest.importorskip("torch", reason="the train extra is not installed")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Small networks train faster on one core, much faster if another process uses the second one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def limits():
    from training.dataset import Limits

    return Limits(header=96, window=160)


@pytest.fixture(scope="session")
def load(limits):
    """Read a corpus as the command line does."""
    from training import dataset

    def load(*paths, **more):
        options = {"first": None, "synthetic": 0, "seed": 1, "tick": lambda _: None, **more}
        return dataset.load(paths, limits=limits, **options)

    return load


@pytest.fixture(scope="session")
def three(tmp_path_factory, load):
    """A corpus with the three sources a, b and c."""
    path = tmp_path_factory.mktemp("three") / "corpus"
    return load(small_corpus.indexed(path, {"a": 320, "b": 200, "c": 200}))


@pytest.fixture(scope="session")
def recipe():
    """A training that takes seconds and learns the small corpora."""
    from training.learn import Recipe
    from training.network import NetworkConfig

    shape = NetworkConfig(
        vocabulary=700, embedding=16, stride=2, hidden=16, dropout=0.0, buckets=4096, evidence=4096, projection=12
    )
    return Recipe(
        shape, epochs=3, per_epoch=600, wide_parts=2, batch_tokens=1_500, batch_rows=16, rate=1e-2, average=0.9
    )

"""Chunks of mail: how many messages are read together, and in which order their results are."""

from hypothesis import given
from hypothesis import strategies as st

from spamlstm.model.mail_chunks import CHUNK, CHUNK_BYTES, read_chunks
from spamlstm.model.reading import Reading


class SizeReader:
    """A reader whose reading of a message has its size."""

    def read(self, raw):
        return Reading(failure=str(len(raw)))


def chunks_of(sizes):
    """Return the keys of each chunk, the sizes that were read, and the chunk. A size of None is a key without mail."""
    mails = ((key, None if size is None else bytes(size)) for key, size in enumerate(sizes))
    read = read_chunks(SizeReader(), mails, readers=0, beat=lambda: None)
    return [(chunk.keys, [int(one.failure) for one in readings], chunk) for chunk, readings in read]


SIZES = st.none() | st.sampled_from([0, 1, CHUNK_BYTES // 2, CHUNK_BYTES, CHUNK_BYTES + 1])


@given(st.lists(SIZES, max_size=9).map(lambda some: some * 9))
def test_chunks_are_bounded_and_in_order(sizes):
    """A chunk has at most CHUNK keys and CHUNK_BYTES, or one larger message. Every key is in one chunk, in order."""
    found = chunks_of(sizes)
    order = []
    for keys, read, chunk in found:
        assert 0 < len(keys) + len(chunk.without) <= CHUNK
        assert sum(read) <= CHUNK_BYTES or len(keys) == 1
        assert chunk.sources == []
        order += chunk.in_order(list(zip(keys, read, strict=True)), lambda key: (key, None))
    assert order == list(enumerate(sizes))

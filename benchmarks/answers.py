"""Compare the answers of two versions of the program: rendered text, score, verdict and tagged copy of each message.

answers.py write FILE ARCHIVE...     write the answers of this version, a line for each message
answers.py compare FILE ARCHIVE...   compare them with those of this version; the exit status is 1 if any differs
"""

import hashlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from measurement import argument_parser, read_mail

from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.headers import tag
from spamlstm.model.classifier import Classifier

NAMES = ("id", "content id", "text", "verdict", "score", "tagged", "personal features")


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("what", choices=["write", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("archives", type=Path, nargs="+")
    parser.add_argument("--most", type=int, default=4_000, help="messages of each archive [default: 4000]")
    arguments = parser.parse_args()
    answers = (one for archive in arguments.archives for one in answers_for(archive, arguments.most))
    if arguments.what == "write":
        with arguments.file.open("w") as out:
            out.writelines("\t".join(one) + "\n" for one in answers)
    else:
        sys.exit(not compare(arguments.file, answers))


def answers_for(archive: Path, most: int) -> Iterator[tuple[str, ...]]:
    """Yield the answers for each message of an archive, in the order of NAMES."""
    classifier = Classifier.open(personal_features=True)
    for one in read_mail(archive, most=most):
        judgement = classifier.classify(one.raw)
        reading = classifier.reader.read(one.raw)
        features = classifier.assess(one.raw).personal_features
        yield (
            f"{archive.name}/{one.id}",
            content_id(one.raw),
            digest(repr((reading.windows, reading.evidence, reading.defects))),
            f"{judgement.verdict} {judgement.reason}",
            f"{judgement.score!r}",
            digest(repr(tag(one.raw, judgement, version="1", spam_threshold=0.979))),
            digest(repr(() if features is None else features.tolist())),
        )


def compare(before: Path, answers: Iterator[tuple[str, ...]]) -> bool:
    """Print the differences; return whether there are none."""
    same = differing = 0
    with before.open() as lines:
        for line, now in itertools.zip_longest(lines, answers):
            then = tuple(line.rstrip("\n").split("\t")) if line else None
            if then == now:
                same += 1
                continue
            differing += 1
            if then is None or now is None or then[0] != now[0]:
                print(f"the messages differ: {then and then[0]} and {now and now[0]}")
                return False
            names = [name for name, a, b in zip(NAMES, then, now, strict=True) if a != b]
            print(f"{now[0]}: {', '.join(names)}")
    print(f"{same:,} messages have the same answers, {differing:,} have others")
    return not differing


def digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


if __name__ == "__main__":
    main()

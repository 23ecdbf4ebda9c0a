"""What the bench writes as "the pair of inserts" is what the store writes, not something lighter."""

from itertools import pairwise

from deploy.bench.documents import Commits
from store.contents import BlockIndex, block_of, is_genuine
from store.mongo import RECORDS, TENANT_INDEXES
from store.record import record_of

ROOMS = ("room-a", "room-b", "room-c")


def test_every_message_of_a_commit_has_its_record_and_opens_beside_it() -> None:
    commits = Commits(ROOMS, messages=10, body_bytes=256)
    contents, documents = commits.next()
    found = [block for content in contents if (block := block_of(content))]
    index = BlockIndex(found, {1: commits._key.cipher})
    opened = [index.open(record_of(document)) for document in documents]
    assert [each and len(each.content) for each in opened] == [256] * 10
    assert [is_genuine(block, commits._key.cipher) for block in found] == [True] * len(ROOMS)


def test_a_commit_has_one_block_of_contents_for_each_room() -> None:
    contents, _ = Commits(ROOMS, messages=10, body_bytes=256).next()
    assert sorted(len(content["items"]) for content in contents) == [3, 3, 4]


def test_commits_follow_each_other_as_chains() -> None:
    commits = Commits(ROOMS, messages=9, body_bytes=16)
    documents = [document for _ in range(3) for document in commits.next()[1]]
    for room in ROOMS:
        chain = [record_of(document) for document in documents if document["room"] == room]
        assert [record.seq for record in chain] == list(range(1, 10))
        assert all(after.prev == before.hash for before, after in pairwise(chain))
        assert all(record.hash == record.computed_hash() for record in chain)


def test_no_two_records_share_a_value_of_a_unique_index() -> None:
    commits = Commits(ROOMS, messages=9, body_bytes=16)
    documents = [document for _ in range(3) for document in commits.next()[1]]
    for index in TENANT_INDEXES[RECORDS]:
        fields = list(index.document["key"])
        values = {tuple(document[field] for field in fields) for document in documents}
        assert len(values) == len(documents)


def test_the_computing_of_one_record_makes_one_record() -> None:
    commits = Commits(ROOMS, messages=3, body_bytes=16)
    commits.one_record()
    _, documents = commits.next()
    assert [document["seq"] for document in documents] == [2, 1, 1]

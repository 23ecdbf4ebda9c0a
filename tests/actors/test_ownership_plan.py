"""Who should hold which shard: pure, so that its properties hold for any set of workers."""

from hypothesis import given
from hypothesis import strategies as st

from actors.protocol.limits import SHARDS
from actors.runtime.ownership import Holding, Table, preferred, wanted

names = st.text("abcdefgh0123456789-", min_size=1, max_size=8)
crews = st.sets(names, min_size=1, max_size=8)


def table(owners: dict[int, str]) -> Table:
    """A table with these owners."""
    return Table(1, 1, {shard: Holding(owner, 1) for shard, owner in owners.items()})


def settled(crew: set[str]) -> dict[int, str]:
    """Who has what once nobody wants to change anything."""
    return {shard: preferred(crew, shard) for shard in range(SHARDS)}


@given(crews, st.data())
def test_every_shard_is_wanted_by_exactly_one_of_the_living(
    crew: set[str], data: st.DataObject
) -> None:
    owner = st.sampled_from(["", "dead", *sorted(crew)])
    owners = data.draw(st.dictionaries(st.integers(0, SHARDS - 1), owner))
    now = table(owners)
    wishes = {worker: wanted(now, worker, crew) for worker in crew}
    for shard in range(SHARDS):
        takers = [worker for worker in crew if shard in wishes[worker][0]]
        givers = [worker for worker in crew if shard in wishes[worker][1]]
        holder = owners.get(shard, "")
        best = preferred(crew, shard)
        if holder == best:
            assert takers == givers == []
        elif holder in crew:
            # It is given before it is taken, so that two never hold it by the table.
            assert (takers, givers) == ([], [holder])
        else:
            assert (takers, givers) == ([best], [])


@given(crews)
def test_once_settled_nobody_wants_a_change(crew: set[str]) -> None:
    for worker in crew:
        assert wanted(table(settled(crew)), worker, crew) == (set(), set())


@given(crews, names)
def test_a_newcomer_gets_shards_from_others_and_no_others_change_hands(
    crew: set[str], newcomer: str
) -> None:
    before, after = settled(crew), settled(crew | {newcomer})
    moved = {shard for shard in range(SHARDS) if before[shard] != after[shard]}
    assert all(after[shard] == newcomer for shard in moved)


def test_shards_are_spread_about_evenly_and_a_join_moves_about_its_share() -> None:
    crew = {f"actors-{number}" for number in range(4)}
    before, after = settled(crew), settled(crew | {"actors-4"})
    counts = [list(before.values()).count(worker) for worker in crew]
    assert min(counts) >= SHARDS // 16
    assert max(counts) <= SHARDS // 2
    moved = sum(before[shard] != after[shard] for shard in range(SHARDS))
    assert 0 < moved <= 2 * SHARDS // 5


@given(crews, names)
def test_the_shards_of_the_dead_are_taken_and_only_those_move(crew: set[str], dying: str) -> None:
    before = settled(crew | {dying})
    survivors = (crew | {"survivor"}) - {dying}
    taken = {
        shard: worker
        for worker in survivors
        for shard in wanted(table(settled(survivors | {dying})), worker, survivors)[0]
    }
    orphaned = {shard for shard, owner in settled(survivors | {dying}).items() if owner == dying}
    assert set(taken) == orphaned
    assert len(before) == SHARDS


@given(crews)
def test_one_wants_a_share_even_before_hearing_oneself(crew: set[str]) -> None:
    take, give = wanted(Table(), "me", crew)
    assert take == {shard for shard in range(SHARDS) if preferred(crew | {"me"}, shard) == "me"}
    assert give == set()

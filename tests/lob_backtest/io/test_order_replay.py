"""The rules that make an order book of a feed of orders, each by hand and against brute force."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lob_backtest.io.order_replay import ASK, BID, OrderReplay, _RecentIds

GHOST_NS, SETTLE_NS = 1000, 200


def replay() -> OrderReplay:
    return OrderReplay(ghost_ns=GHOST_NS, settle_ns=SETTLE_NS)


def book_of(state: OrderReplay) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Bids and asks as (price, size), best first."""
    bid, ask = state.ladders[BID], state.ladders[ASK]
    return (
        [(-key, bid.sizes[key]) for key in bid.keys],
        [(key, ask.sizes[key]) for key in ask.keys],
    )


def test_a_marketable_order_stays_out_of_the_book_until_it_is_deleted() -> None:
    state = replay()
    state.put(1, side=ASK, price=102, size=5, now_ns=0)
    state.put(2, side=BID, price=102, size=3, now_ns=10)
    assert book_of(state) == ([], [(102, 5)])
    assert state.is_crossed_raw()
    state.delete(2, now_ns=20)
    assert book_of(state) == ([], [(102, 5)])
    assert (state.n_kept_out, state.n_settled, state.is_crossed_raw()) == (1, 0, False)


def test_what_is_left_of_a_marketable_order_rests_once_it_was_left_alone() -> None:
    state = replay()
    state.put(1, side=ASK, price=102, size=5, now_ns=0)
    state.put(2, side=BID, price=102, size=8, now_ns=10)
    state.delete(1, now_ns=20)
    assert book_of(state) == ([], [])  # the rest of order 2 may still be matched
    state.put(2, side=BID, price=102, size=3, now_ns=30)
    state.put(3, side=ASK, price=104, size=1, now_ns=229)
    assert book_of(state) == ([], [(104, 1)])
    state.put(4, side=ASK, price=105, size=1, now_ns=230)
    assert book_of(state) == ([(102, 3)], [(104, 1), (105, 1)])
    assert state.n_settled == 1


def test_one_of_two_settled_orders_that_reach_each_other_stays_out() -> None:
    state = replay()
    state.put(1, side=ASK, price=102, size=1, now_ns=0)
    state.put(2, side=BID, price=100, size=1, now_ns=0)
    state.put(3, side=BID, price=102, size=4, now_ns=1)
    state.put(4, side=ASK, price=100, size=6, now_ns=2)
    state.delete(1, now_ns=3)
    state.delete(2, now_ns=4)
    state.put(5, side=ASK, price=110, size=1, now_ns=500)
    assert book_of(state) == ([(102, 4)], [(110, 1)])


def test_the_second_witness_that_outlives_the_limit_convicts_a_ghost() -> None:
    state = replay()
    state.put(1, side=ASK, price=101, size=9, now_ns=0)  # its deletion is never sent
    state.put(2, side=ASK, price=104, size=5, now_ns=0)
    state.put(3, side=BID, price=101, size=2, now_ns=100)
    state.put(4, side=BID, price=102, size=3, now_ns=600)
    state.put(9, side=BID, price=90, size=1, now_ns=1599)  # only order 3 has lived 1000 ns
    assert book_of(state) == ([(90, 1)], [(101, 9), (104, 5)])
    state.put(10, side=BID, price=89, size=1, now_ns=1600)
    assert book_of(state) == ([(102, 3), (101, 2), (90, 1), (89, 1)], [(104, 5)])
    assert (state.n_ghosts, list(state.ghosts)) == (1, [1])
    assert state.is_crossed_raw()
    state.delete(1, now_ns=1700)
    assert not state.is_crossed_raw()


def test_a_witness_that_is_gone_or_that_is_older_than_the_order_does_not_count() -> None:
    state = replay()
    state.put(1, side=ASK, price=101, size=9, now_ns=0)
    state.put(2, side=BID, price=101, size=2, now_ns=100)
    state.put(3, side=BID, price=101, size=2, now_ns=200)
    state.delete(3, now_ns=1150)  # matched or cancelled before its time
    state.put(4, side=ASK, price=100, size=1, now_ns=1160)  # arrived after order 2
    state.put(5, side=BID, price=90, size=1, now_ns=5000)
    assert (state.n_ghosts, book_of(state)[1]) == (0, [(100, 1), (101, 9)])


def test_an_event_of_a_dropped_order_brings_it_back() -> None:
    state = replay()
    state.put(1, side=ASK, price=101, size=9, now_ns=0)
    for order in (2, 3):
        state.put(order, side=BID, price=101, size=1, now_ns=10)
    state.put(4, side=BID, price=90, size=1, now_ns=2000)
    assert state.n_ghosts == 1
    state.put(1, side=ASK, price=105, size=4, now_ns=2001)
    assert (book_of(state)[1], state.ghosts) == ([(105, 4)], {})


def test_a_change_that_comes_after_its_deletion_does_not_raise_the_dead() -> None:
    state = replay()
    state.put(1, side=BID, price=120, size=5, now_ns=0)
    state.delete(1, now_ns=10)
    state.put(1, side=BID, price=120, size=2, now_ns=11)
    state.delete(2, now_ns=12)  # the creation of order 2 comes last
    state.put(2, side=ASK, price=130, size=1, now_ns=13)
    assert (book_of(state), state.n_late, state.outside) == (([], []), 2, {})


def test_a_witness_speaks_against_the_order_first_in_line_alone() -> None:
    state = replay()
    state.put(1, side=ASK, price=103, size=1, now_ns=0)
    state.put(2, side=ASK, price=102, size=1, now_ns=1)  # first in line at the touch
    state.put(3, side=ASK, price=102, size=1, now_ns=2)
    for order in (4, 5):
        state.put(order, side=BID, price=110, size=9, now_ns=10)
    state.put(6, side=BID, price=90, size=1, now_ns=5000)
    assert (list(state.ghosts), book_of(state)[1]) == ([2], [(102, 1), (103, 1)])


def test_an_order_that_comes_back_on_the_other_side_has_left_its_own() -> None:
    state = replay()
    state.put(1, side=BID, price=100, size=5, now_ns=0)
    state.put(1, side=ASK, price=103, size=4, now_ns=1)
    assert book_of(state) == ([], [(103, 4)])
    state.put(2, side=BID, price=103, size=1, now_ns=2)  # marketable: kept out
    state.put(2, side=ASK, price=102, size=1, now_ns=3)
    state.put(3, side=ASK, price=110, size=1, now_ns=500)
    assert book_of(state) == ([], [(102, 1), (103, 4), (110, 1)])


DEAD = (0, 0)
EVENTS = st.lists(
    st.tuples(
        st.integers(1, 12),  # order; the odd ones buy
        st.integers(95, 105),
        st.integers(0, 5),  # size; 0 deletes
        st.integers(0, 600),  # ns since the event before
    ),
    max_size=80,
)


@given(EVENTS)
def test_the_book_is_never_crossed_and_sums_the_resting_orders(
    events: list[tuple[int, int, int, int]],
) -> None:
    state, now = replay(), 0
    for order, price, size, wait in events:
        now += wait
        side = BID if (order + size) % 2 else ASK  # some come back on the other side
        state.put(order, side=side, price=price, size=size, now_ns=now)
        sums: Counter[tuple[int, int]] = Counter()
        for resting in state.resting.values():
            sums[resting.side, resting.key] += resting.size
        for side, ladder in state.ladders.items():
            assert ladder.keys == sorted(ladder.sizes)
            assert {(side, key): size for key, size in ladder.sizes.items()} == {
                level: size for level, size in sums.items() if level[0] == side
            }
        bids, asks = book_of(state)
        assert not (bids and asks) or bids[0][0] < asks[0][0]
        places = [*state.resting, *state.outside, *state.ghosts]
        assert len(places) == len(set(places))


@given(EVENTS)
def test_orders_that_never_meet_are_replayed_as_a_plain_sum(
    events: list[tuple[int, int, int, int]],
) -> None:
    state, alive, now = replay(), dict[int, tuple[int, int]](), 0
    for order, price, size, wait in events:
        now += wait
        price = min(price, 99) if order % 2 else max(price, 100)
        state.put(order, side=BID if order % 2 else ASK, price=price, size=size, now_ns=now)
        if alive.get(order) != DEAD:
            alive[order] = (price, size) if size else DEAD
    expected: list[Counter[int]] = [Counter(), Counter()]
    for order, (price, size) in alive.items():
        if size:
            expected[order % 2][price] += size
    assert book_of(state) == (
        sorted(expected[1].items(), reverse=True),
        sorted(expected[0].items()),
    )
    assert (state.n_kept_out, state.n_ghosts) == (0, 0)


def test_only_deletions_long_past_are_forgotten() -> None:
    ids = _RecentIds(at_least=3)
    for order in range(1, 9):
        ids.add(order)
        assert all(known in ids for known in range(max(1, order - 2), order + 1))
    assert 1 not in ids
    assert len(ids._new) + len(ids._old) <= 6

"""The queueing model of a fleet: formulas that are known, and requests that are played one by one."""

import math

import pytest

from fleet_model import Fleet, Load, Replica, admission, admitted_load, needed, simulate, stationary

ONE = Replica(((1, 1.0),))
BATCH = Replica(((1, 4.0), (2, 7.0), (4, 11.0), (8, 16.0)))


def erlang_c(servers, load):
    """The share that waits, after A. K. Erlang."""
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (2, 1.5), (10, 8.0), (20, 15.0), (200, 190.0), (1000, 980.0)])
def test_one_request_at_a_time_is_erlangs_formula(servers, load):
    """Share that waits, mean wait, and the tail of the wait, which is exponential."""
    outcome = stationary(Fleet(ONE, servers), Load(load, 2.0), 0.5)
    waits = erlang_c(servers, load)
    assert outcome.waits == pytest.approx(waits, rel=1e-6)
    assert outcome.mean_wait_s == pytest.approx(waits * 2.0 / (servers - load), rel=1e-6)
    assert outcome.later == pytest.approx(waits * math.exp(-(servers - load) * 0.5 / 2.0), rel=1e-6)
    assert outcome.used == pytest.approx(load / servers)
    assert outcome.refused == 0.0


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (5, 5.0), (20, 30.0), (100, 90.0)])
def test_without_a_place_to_wait_it_is_his_other_formula(servers, load):
    """Those that find no place are refused."""
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    outcome = stationary(Fleet(ONE, servers, waiting=0), Load(load, 3.0), 0.1)
    assert (outcome.refused, outcome.waits) == (pytest.approx(blocked, rel=1e-6), 0.0)


@pytest.mark.parametrize(
    ("replica", "replicas", "streams", "waiting"),
    [(ONE, 12, 9.0, 100), (BATCH, 3, 36.0, 40), (BATCH, 3, 60.0, 10), (ONE, 4, 6.0, 3), (BATCH, 1, 12.0, 8)],
)
def test_the_formula_against_requests_that_are_played(replica, replicas, streams, waiting):
    """With lengths like the formula's; what differs is that a replica's requests do not move to another one."""
    fleet, load = Fleet(replica, replicas, waiting), Load(streams, 2.0)
    formula = stationary(fleet, load, 0.3)
    played = simulate(fleet, load, 0.3, requests=8000, spread=1.0, seed=2)
    assert played.used == pytest.approx(formula.used, abs=0.04)
    assert played.refused == pytest.approx(formula.refused, abs=0.04)
    assert played.waits == pytest.approx(formula.waits, abs=0.08)
    assert played.later == pytest.approx(formula.later, abs=0.08)


def test_throughput_between_measurements():
    """On a straight line, from nothing on, and no more than was measured."""
    assert [BATCH.at(number) for number in (0, 0.5, 1, 3, 8, 20)] == [0.0, 2.0, 4.0, 9.0, 16.0, 16.0]


@pytest.mark.parametrize(("headroom", "rows"), [(0.0, 8), (0.9, 8), (1.2, 6), (2.0, 3), (3.0, 1)])
def test_a_listener_hears_no_gap(headroom, rows):
    """A replica takes as many requests as it speaks faster than they are heard."""
    assert BATCH.in_time(headroom).rows == rows


def test_a_model_that_is_too_slow_for_listeners():
    """No number of replicas helps."""
    with pytest.raises(ValueError, match="times real time"):
        Replica(((1, 0.8), (4, 2.0))).in_time(0.0)


@pytest.mark.parametrize("streams", [1.0, 10.0, 100.0, 1000.0])
def test_the_fewest_replicas(streams):
    """One less would let more requests wait too long; many listeners need less spare throughput each."""
    load = Load(streams, 6.0)
    count = needed(BATCH, load, 0.2, 0.01)
    assert stationary(Fleet(BATCH, count), load, 0.2).later <= 0.01
    fewer = (count - 1) * BATCH.at(8)
    assert count == 1 or fewer <= streams or stationary(Fleet(BATCH, count - 1), load, 0.2).later > 0.01


def test_the_load_at_which_requests_are_refused():
    """Below it hardly any, above it more; a longer line holds more and lets the last one wait longer."""
    fleet = Fleet(BATCH, 5, admission(Fleet(BATCH, 5), Load(60.0), 1.0))
    most = admitted_load(fleet, 6.0, 0.001)
    assert fleet.waiting == 13
    assert stationary(fleet, Load(most * 0.99), 1.0).refused < 0.001 < stationary(fleet, Load(most * 1.01), 1.0).refused
    assert most < admitted_load(Fleet(BATCH, 5, 100), 6.0, 0.001) < 5 * BATCH.at(8)

"""The pipeline: order, bounds, overlap and errors; and the votes over time beside their formula."""

import threading
import time

import numpy as np
import pytest

from edgekd_runtime.video.pipeline import DEPTH, ahead, behind
from edgekd_runtime.video.smooth import Smoother


def through(source, middle, last):
    with ahead(source) as items, behind(last) as put:
        for item in items:
            put(middle(item))


def test_all_items_pass_in_order_and_never_more_than_the_queues_hold():
    made, done, apart = [], [], []

    def source():
        for item in range(200):
            made.append(item)
            apart.append(len(made) - len(done))
            yield item

    def last(item):
        time.sleep(0.0005)
        done.append(item)

    through(source(), lambda item: item, last)
    assert done == list(range(200))
    # two queues, and one item in each of the four hands: made, offered, in the middle, in the last stage
    assert max(apart) <= 2 * DEPTH + 4


def test_stages_overlap():
    step, count = 0.01, 40

    def source():
        for item in range(count):
            time.sleep(step)
            yield item

    begin = time.perf_counter()
    through(source(), lambda item: time.sleep(step), lambda item: time.sleep(step))
    # one after the other they would need 3 x step an item
    assert time.perf_counter() - begin < 2 * step * count


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_error_in_any_stage_ends_all_with_its_own_sentence(place):
    def stage(number):
        def call(item):
            if number == place and item == 7:
                raise ValueError(f"stage {number} at 7")
            done[number].append(item)
            return item

        return call

    done = [[], [], []]
    before = threading.active_count()
    with pytest.raises(ValueError, match=f"^stage {place} at 7$"):
        through(map(stage(0), range(10_000)), stage(1), stage(2))
    assert threading.active_count() == before
    assert done[2] == list(range(7)) and len(done[0]) < 30


def test_a_middle_that_stops_early_leaves_no_thread():
    before = threading.active_count()
    with ahead(iter(range(10_000))) as items:
        assert next(items) == 0
    assert threading.active_count() == before


@pytest.mark.parametrize("memory", [0.6, 0.8, 0.95])
def test_votes_are_the_formula(memory):
    maps = np.random.default_rng(0).integers(0, 4, (400, 6, 7)).astype(np.uint8)
    smoother = Smoother(4, memory)
    votes = np.zeros((4, 6, 7))
    for class_map in maps:
        votes = memory * votes + (class_map == np.arange(4)[:, None, None])
        shown = smoother(class_map)
        best = np.take_along_axis(votes, shown[None].astype(int), 0)[0]
        assert (best >= votes.max(0) * (1 - 1e-5)).all()  # ties and float32 aside


def test_a_flicker_is_hidden_and_a_change_shows_after_four_frames():
    smoother = Smoother(2, 0.8)
    zero, one = np.zeros((1, 1), np.uint8), np.ones((1, 1), np.uint8)
    assert [int(smoother(item)[0, 0]) for item in [zero] * 50 + [one, zero] + [zero] * 20 + [one] * 5][-7:] == [0, 0, 0, 0, 0, 1, 1]

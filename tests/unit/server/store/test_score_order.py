"""The order of large sorted sets against a plain sorted list, with chunks of all sizes."""

from __future__ import annotations

import random
from bisect import bisect_left, insort

import pytest

from server.store import score_order
from server.store.score_order import Pair, ScoreOrder


def check(order: ScoreOrder, model: list[Pair], draw: random.Random, span: int) -> None:
    """Ask `order` what `model` can tell too, at places that `draw` chooses."""
    assert (len(order), list(order)) == (len(model), model)
    start, stop = draw.randrange(len(model) + 1), draw.randrange(len(model) + 3)
    assert order.slice(start, stop) == model[start:stop]
    score, member = float(draw.randrange(-1, span + 1)), b"%d" % draw.randrange(300)
    assert order.position(score) == bisect_left(model, (score,))
    assert order.rank(score, member) == bisect_left(model, (score, member))
    if span == 1:  # all scores are 0
        assert order.member_position(member) == bisect_left(model, (0.0, member))
    if model:
        index = draw.randrange(len(model))
        assert order.at(index) == model[index]
        assert order.rank(*model[index]) == index


def change(order: ScoreOrder, model: list[Pair], draw: random.Random, span: int) -> None:
    """Do the same to both."""
    choice = draw.random()
    if choice < 0.5 or not model:
        pair = (float(draw.randrange(span)), b"%d" % draw.randrange(300))
        if pair not in model:
            order.add(*pair)
            insort(model, pair)
    elif choice < 0.85:
        score, member = model.pop(draw.randrange(len(model)))
        assert order.remove(score, member) == member
    elif choice < 0.95:
        index = draw.choice((0, draw.randrange(len(model)), len(model) - 1))
        assert order.pop(index) == model.pop(index)
    else:
        start = draw.randrange(len(model))
        stop = draw.randrange(start + 1, len(model) + 1)
        order.delete_slice(start, stop)
        del model[start:stop]


@pytest.mark.parametrize("span", [1, 3, 1000], ids=lambda span: f"{span} scores")
@pytest.mark.parametrize(
    ("most", "fewest", "usual", "unasked"), [(4, 1, 3, 1), (8, 2, 1, 5), (16, 4, 15, 100)]
)
def test_order_is_that_of_a_sorted_list(
    monkeypatch: pytest.MonkeyPatch, span: int, most: int, fewest: int, usual: int, unasked: int
) -> None:
    """However its chunks are cut and joined, and whether the tree of ranks is there or not."""
    monkeypatch.setattr(score_order, "_MOST", most)
    monkeypatch.setattr(score_order, "_FEWEST", fewest)
    monkeypatch.setattr(score_order, "_USUAL", usual)
    monkeypatch.setattr(score_order, "_UNASKED_CHANGES", unasked)
    for seed in range(10):
        draw = random.Random(seed)
        scores = {b"%d" % draw.randrange(300): float(draw.randrange(span)) for _ in range(seed * 9)}
        model = sorted((score, member) for member, score in scores.items())
        order = ScoreOrder(scores)
        for _ in range(200):
            change(order, model, draw, span)
            if draw.random() < 0.7:
                check(order, model, draw, span)


def test_chunks_stay_within_their_sizes() -> None:
    """Else a change would move more and more, or there would be too many to look through."""
    order = ScoreOrder({b"m%d" % number: float(number) for number in range(5000)})
    for number in range(5000):
        order.add(0.5, b"%04d" % number)
    for _ in range(8000):
        order.pop(len(order) // 2)

    members, scores = order.containers()
    sizes = [len(chunk) for chunk in members]
    assert sizes == [len(chunk) for chunk in scores]
    assert max(sizes) <= 1024
    assert min(sizes) >= 128


@pytest.mark.parametrize("index", [-1, 3])
def test_index_outside_is_refused(index: int) -> None:
    """It would be the place of another pair."""
    with pytest.raises(IndexError):
        ScoreOrder({b"a": 1.0, b"b": 2.0, b"c": 3.0}).at(index)

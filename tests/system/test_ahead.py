from __future__ import annotations

import threading

import pytest

from keras_perceptual.system.ahead import ahead


def test_gives_all_in_order_from_another_thread():
    def items():
        for i in range(20):
            yield i, threading.current_thread()

    given = list(ahead(items()))
    assert [i for i, _ in given] == list(range(20))
    assert {thread for _, thread in given}.isdisjoint({threading.current_thread()})


def test_makes_one_item_ahead_and_no_more():
    made = []
    third = threading.Event()

    def items():
        for i in range(9):
            made.append(i)
            if i == 2:
                third.set()
            yield i

    each = ahead(items())
    assert next(each) == 0
    assert next(each) == 1
    assert third.wait(30)
    assert made == [0, 1, 2]  # while 1 is used, 2 is made
    each.close()


def test_raises_what_making_an_item_raised():
    def items():
        yield 1
        raise KeyError("here")

    each = ahead(items())
    assert next(each) == 1
    with pytest.raises(KeyError, match="here"):
        next(each)


def test_closing_ends_the_thread_and_closes_the_items():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield threading.current_thread()
        finally:
            closed.set()

    each = ahead(items())
    thread = next(each)
    each.close()
    thread.join(30)
    assert not thread.is_alive()
    assert closed.is_set()


def test_what_waits_may_be_ended():
    ended = threading.Event()

    def items():
        yield 1
        ended.wait(30)
        yield 2

    def alive():
        raise KeyError("enough")

    each = ahead(items(), alive)
    assert next(each) == 1
    with pytest.raises(KeyError, match="enough"):
        next(each)
    ended.set()

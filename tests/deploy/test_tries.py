"""What deploy/client.py sends again, and what it sends in parts."""

from __future__ import annotations

import random

import pytest

from tests.deploy.program import client


def _sender(*statuss):
    """Returns a `predict` that fails with these statuss in turn, and the images of its requests."""
    left, requests = list(statuss), []

    def predict(images):
        requests.append(images)
        if left:
            raise client.failure(left.pop(0), "said the\nserver")
        return images

    return predict, requests


@pytest.mark.parametrize("status", [503, 502, 504, 408, 429])
def test_tries_wait_longer_and_longer_and_end(monkeypatch, status):
    pauses = []
    monkeypatch.setattr(client.time, "sleep", pauses.append)
    monkeypatch.setattr(client.random, "uniform", random.Random(0).uniform)
    predict, requests = _sender(*[status] * 8)
    assert client.send(predict, [b"a"], 8, "server") == [b"a"]
    assert len(requests) == 9
    ceilings = [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert all(c / 2 <= p <= c for p, c in zip(pauses, ceilings, strict=True))
    assert len({p / c for p, c in zip(pauses, ceilings, strict=True)}) == 8
    predict, requests = _sender(*[status] * 8)
    with pytest.raises(client.ServingError, match="said the server"):
        client.send(predict, [b"a"], 2, "server")
    assert len(requests) == 3


@pytest.mark.parametrize("status", [400, 404, 413, 500])
def test_what_is_refused_is_sent_once(status):
    predict, requests = _sender(status)
    with pytest.raises(client.ServingError):
        client.send(predict, [b"a"], 5, "server")
    assert len(requests) == 1


def test_images_refused_together_go_one_by_one():
    predict, requests = _sender(400, 400)
    bad, *good = client.enlarge(predict, [b"a", b"b", b"c"], 5, "server")
    assert isinstance(bad, client.ServingError)
    assert good == [b"b", b"c"]
    assert requests == [[b"a", b"b", b"c"], [b"a"], [b"b"], [b"c"]]

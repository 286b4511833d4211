from __future__ import annotations

from keras_perceptual.training.history import History


def test_a_run_that_goes_on_keeps_its_columns(tmp_path):
    """Rows of before there was a column have nothing in it, and integers stay integers."""
    path = tmp_path / "history.csv"
    path.write_text("step,seconds,loss\n5,1.5,2.0\n10,3.0,1.0\n15,4.5,0.5\n")
    history = History(path, keep=10)  # 15 was not saved any more
    assert [(type(row["step"]), row["step"]) for row in history.rows] == [(int, 5), (int, 10)]
    history.rows.append({**history.rows[-1], "step": 15, "skipped": 2})
    history.write()
    again = History(path, keep=15).rows
    assert [row["step"] for row in again] == [5, 10, 15]
    assert [row.get("skipped") for row in again] == [None, None, 2]


def test_a_new_run_begins_with_nothing(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("step,seconds,loss\n5,1.5,2.0\n")
    assert History(path, keep=0).rows == []

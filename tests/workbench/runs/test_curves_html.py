from html.parser import HTMLParser

import pytest

from train.cli import command
from workbench.errors import InputError
from workbench.runs import metrics
from workbench.runs.curves_html import write_html


def made(folder, steps, **special):
    folder.mkdir()
    book = metrics.Metrics(folder)
    book.write({"step": 0, "tokens": 0, "bits_per_byte": 2.0})
    for n in range(1, steps + 1):
        row = {"step": n, "tokens": 100 * n, "loss": 5 / n, "grad_norm": 1.0, "lr": 1e-3, "tflops": 0.1}
        book.write({**row, **special.get(f"at{n}", {})})
    book.close()
    return folder


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_runs_overlaid_with_spikes_and_restarts_and_nothing_from_elsewhere(tmp_path, capsys):
    spike = {"events": ["spike at step 3: <loss>"], "spike": {"step": 3}}
    one = made(tmp_path / "甲", 6, at3=spike, at5={"events": ["resumed from step-000004"]})
    two = made(tmp_path / "b", 4)
    assert command(["curves", str(one), str(two), "--out", str(tmp_path / "c.html")]) == 0
    assert "c.html" in capsys.readouterr().out
    text = (tmp_path / "c.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    names = [tag for tag, _ in tags.found]
    assert names.count("svg") == 4
    assert names.count("polyline") == 8
    assert names.count("circle") == 4
    assert text.count("<title>resumed from step-000004</title>") == 4
    assert "spike at step 3: &lt;loss&gt;" in text
    assert "甲" in text
    assert not [
        tag for tag, given in tags.found if tag in ("script", "link", "img") or "src" in given or "href" in given
    ]
    lines = [given["points"].split() for tag, given in tags.found if tag == "polyline"]
    assert len(lines[0]) == 6
    heights = [float(point.split(",")[1]) for point in lines[0]]
    assert heights == sorted(heights)  # the loss falls: y grows downwards


def test_many_steps_stay_small(tmp_path):
    path = write_html([made(tmp_path / "a", 9000)], tmp_path / "c.html")
    assert path.stat().st_size < 300_000


def test_a_run_without_steps(tmp_path):
    with pytest.raises(InputError, match="holds no step"):
        write_html([made(tmp_path / "a", 0)], tmp_path / "c.html")

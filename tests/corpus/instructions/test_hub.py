"""Snapshots of data sets, asked of a server on this machine that answers as the two hubs do."""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from corpus.instructions import hub
from corpus.instructions.hub import snapshot
from corpus.instructions.sets import find, parse, readings
from workbench.errors import ConfigError, InputError

ROW = json.dumps({"instruction": "问", "input": "", "output": "答"}).encode()
FILES = {
    "Belle_open_source_0.5M.json": ROW + b"\n" + ROW,
    "更多/b.jsonl": ROW,
    "README.md": b"# card",
    ".git/x.json": b"{}",
}


class Hub(BaseHTTPRequestHandler):
    """Both hubs' listings and files; ``broken`` changes what is given."""

    asked: list[tuple[str, dict[str, str]]] = []  # noqa: RUF012
    broken = ""

    def log_message(self, *words):
        pass

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        path, query = urllib.parse.unquote(url.path), dict(urllib.parse.parse_qsl(url.query))
        Hub.asked.append((path, dict(self.headers)))
        if path == "/api/datasets/BelleGroup/train_0.5M_CN/tree/main":
            names = list(FILES)
            page = names[2:] if query.get("cursor") else names[:2]  # two pages
            following = None if query.get("cursor") else f'<{self.base}{self.path}&cursor=2>; rel="next"'
            self.give(json.dumps([{"type": "directory", "path": "更多"}, *map(self.hf, page)]).encode(), link=following)
        elif path.startswith("/datasets/BelleGroup/train_0.5M_CN/resolve/main/"):
            self.give_file(path.partition("/resolve/main/")[2])
        elif path == "/api/v1/datasets/AI-ModelScope/train_0.5M_CN/repo/tree":
            names = list(FILES)
            size, number = int(query["PageSize"]), int(query["PageNumber"])
            page = names[size * (number - 1) : size * number]
            self.give(json.dumps({"Code": 200, "Data": {"Files": list(map(self.modelscope, page))}}).encode())
        elif path == "/api/v1/datasets/AI-ModelScope/train_0.5M_CN/repo":
            self.give_file(query["FilePath"])
        elif path.endswith("/private/tree/main"):
            self.send_error(401)
        else:
            self.send_error(404)

    @property
    def base(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    @staticmethod
    def hf(name):
        data = FILES[name]
        lfs = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
        return {"type": "file", "path": name, "size": len(data), **({"lfs": lfs} if "Belle" in name else {})}

    @staticmethod
    def modelscope(name):
        return {
            "Path": name,
            "Type": "blob",
            "Size": len(FILES[name]),
            "Sha256": hashlib.sha256(FILES[name]).hexdigest(),
        }

    def give_file(self, name):
        data = FILES[name]
        if Hub.broken == "bytes":
            data = bytes(len(data))
        elif Hub.broken == "length":
            data = data[:-1]
        self.give(data)

    def give(self, data, link=None):
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        if link:
            self.send_header("Link", link)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server(monkeypatch):
    made = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{made.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", url + "/")
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(Hub, "asked", [])
    monkeypatch.setattr(Hub, "broken", "")
    yield url
    made.shutdown()
    made.server_close()


@pytest.mark.parametrize("name", ["hf", "modelscope"])
def test_a_short_name_is_read_from_a_hub_once(server, name, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "PAGE", 2)  # four files: three pages, the last empty
    (_, reading), *_ = readings([parse("belle-0.5m")], "sft", hub=name, store=tmp_path)
    rows = list(reading)
    assert [row.id for row in rows] == [
        "Belle_open_source_0.5M.json:1",
        "Belle_open_source_0.5M.json:2",
        "更多/b.jsonl:1",
    ]
    assert {row.source for row in rows} == {"belle-0.5m"}
    folder, short = find(parse("belle-0.5m"), "sft", name, tmp_path)
    assert short == "belle-0.5m"
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == sorted(
        [*("Belle_open_source_0.5M.json", "b.jsonl"), "manifest.json"]
    )
    asked = len(Hub.asked)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert snapshot(f"{folder.parent.name}/{folder.name}", name, tmp_path) == folder
    assert len(Hub.asked) == asked


def test_an_interrupted_snapshot_goes_on(server, tmp_path):
    Hub.broken = "length"
    with pytest.raises(InputError, match=r"Belle_open_source_0\.5M\.json: \d+ bytes came, \d+ are listed"):
        snapshot("BelleGroup/train_0.5M_CN", "hf", tmp_path)
    assert not list(tmp_path.rglob("*.json"))
    Hub.broken = ""
    folder = snapshot("BelleGroup/train_0.5M_CN", "hf", tmp_path)
    (folder / "manifest.json").unlink()
    (folder / "更多/b.jsonl").unlink()
    Hub.asked.clear()
    snapshot("BelleGroup/train_0.5M_CN", "hf", tmp_path)
    assert [path for path, _ in Hub.asked if "resolve" in path] == [
        "/datasets/BelleGroup/train_0.5M_CN/resolve/main/更多/b.jsonl"
    ]


def test_other_bytes_than_listed_are_refused(server, tmp_path):
    Hub.broken = "bytes"
    with pytest.raises(InputError, match="its sha256 is not the listed one"):
        snapshot("BelleGroup/train_0.5M_CN", "hf", tmp_path)


def test_a_token_goes_to_hf_alone(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "geheim")
    snapshot("BelleGroup/train_0.5M_CN", "hf", tmp_path)
    assert {headers.get("Authorization") for _, headers in Hub.asked} == {"Bearer geheim"}
    Hub.asked.clear()
    snapshot("AI-ModelScope/train_0.5M_CN", "modelscope", tmp_path)
    assert {headers.get("Authorization") for _, headers in Hub.asked} == {None}


@pytest.mark.parametrize(
    ("repository", "said"),
    [
        ("no/where", r"no/where: 127\.0\.0\.1:\d+ does not have it; see whether its name is right"),
        ("a/private", "asks for a token"),
    ],
)
def test_what_a_hub_answers_is_one_line(server, tmp_path, repository, said):
    with pytest.raises(InputError, match=said):
        snapshot(repository, "hf", tmp_path)


def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        InputError, match=r"127\.0\.0\.1:9 cannot be reached .*; lay its files there, name a local path"
    ):
        snapshot("a/b", "hf", tmp_path)


def test_offline_is_one_line_and_asks_nobody(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="HF_HUB_OFFLINE forbids asking"):
        snapshot("a/b", "hf", tmp_path)
    assert Hub.asked == []
    with pytest.raises(ConfigError, match="hub=hg: no such hub; choose from: hf, modelscope"):
        snapshot("a/b", "hg", tmp_path)

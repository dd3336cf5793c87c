import contextlib
import hashlib
import os
import struct
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizer import base
from tokenizer.base import FetchError, build_llama, find_base, pieces_of_npm
from tokenizer.gguf import read_vocabulary
from workbench.errors import InputError


def gguf(pieces: list[bytes], extra: bytes = b"", pairs: int = 0) -> bytes:
    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    def array(name: bytes, kind: int, count: int, body: bytes) -> bytes:
        return text(b"tokenizer.ggml." + name) + struct.pack("<IIQ", 9, kind, count) + body

    n = len(pieces)
    body = array(b"tokens", 8, n, b"".join(text(piece) for piece in pieces))
    body += array(b"scores", 6, n, struct.pack(f"<{n}f", *range(n)))
    body += array(b"token_type", 5, n, struct.pack(f"<{n}i", *[1] * n))
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 3 + pairs) + extra + body


@given(st.lists(st.binary(max_size=20), max_size=20))
def test_gguf_gives_its_pieces(pieces):
    extra = struct.pack("<Q", 4) + b"name" + struct.pack("<IQ", 8, 3) + b"abc"
    found = read_vocabulary(gguf(pieces, extra, 1))
    assert found.pieces == pieces
    assert found.scores == list(range(len(pieces)))


@given(st.data())
def test_gguf_that_is_cut_or_damaged_is_refused_and_never_read_past(data):
    whole = gguf([b"a", b"bc", "墨".encode()])
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError):
        read_vocabulary(whole[:cut])
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    with contextlib.suppress(ValueError):  # any other exception, or memory for counts that are not there, is a bug
        read_vocabulary(damaged)


def test_llama_is_rebuilt_byte_for_byte(llama):
    from tokenizer.model import read_model

    pieces = [piece.piece for piece in read_model(llama.path).pieces]
    assert hashlib.sha256(build_llama(pieces)).hexdigest() == base.LLAMA_SHA256


def test_npm_source_is_read_and_other_source_refused():
    import base64

    listed = "\n".join(f"piece{n}" for n in range(3000))
    source = f'x = "short"; decode("{base64.b64encode(listed.encode()).decode()}")'.encode()
    assert pieces_of_npm(source) == listed.split("\n")
    with pytest.raises(FetchError, match="no vocabulary"):
        pieces_of_npm(b"export default {}")


def test_a_damaged_cache_is_fetched_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    content = b"pretend"
    monkeypatch.setattr(base, "LLAMA_SHA256", hashlib.sha256(content).hexdigest())
    calls = []
    monkeypatch.setattr(base, "fetch_llama", lambda: calls.append(1) or content)
    path = base.llama()
    assert path == tmp_path / "yanmo/llama.model"
    base.llama()
    assert len(calls) == 1
    path.write_bytes(b"damaged")
    base.llama()
    assert len(calls) == 2
    assert "fetching it again" in capsys.readouterr().err


def test_when_no_way_works_one_line_says_why_of_each(tmp_path, monkeypatch):
    tool = tmp_path / "npm"
    tool.write_text("#!/bin/sh\necho 'npm ERR! 404 not found' >&2\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def no_pip(folder: Path) -> list[str]:
        raise FetchError("is not installed")

    monkeypatch.setattr(base, "by_pip", no_pip)
    with pytest.raises(InputError) as error:
        base.fetch_llama()
    assert "npm: npm ERR! 404 not found; pip: is not installed" in str(error.value)
    assert "--base mistral" in str(error.value)


def test_a_package_that_holds_something_else_is_not_taken(tmp_path):
    archive = tmp_path / "x.tgz"
    with tarfile.open(archive, "w:gz") as members:
        members.add(__file__, "package/other.js")
    with pytest.raises(FetchError, match="does not hold"):
        base._member(archive, base.NPM_MEMBER)
    archive.write_bytes(archive.read_bytes()[:50])
    with pytest.raises(FetchError, match="damaged"):
        base._member(archive, base.NPM_MEMBER)
    with pytest.raises(FetchError, match="2 pieces, not 32,000"):
        build_llama(["a", "b"])


def test_a_base_that_is_not_there():
    with pytest.raises(InputError, match="no such file"):
        find_base("nowhere.model")

"""A data set of a hub as a folder: its data files, fetched over HTTPS once, checked by size and (where told) sha256.

``HF_ENDPOINT`` and ``MODELSCOPE_ENDPOINT`` name other servers (mirrors); ``HF_HUB_OFFLINE=1`` forbids the network. A
snapshot lies in ``data/hub/<hub>/<owner>/<name>`` with a ``manifest.json`` written last: with it, the folder is
complete and no server is asked again. A file is complete or absent: an interrupted snapshot goes on with the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from corpus.instructions.records import SUFFIXES
from corpus.sources.find import has_suffix
from workbench.command import did_you_mean
from workbench.console import progress
from workbench.errors import ConfigError, InputError
from workbench.files import atomic_path, write_json

STORE = Path("data/hub")
SECONDS = 30.0  # without an answer
BLOCK = 1 << 20
PAGE = 200  # files a page of ModelScope's listing
ENDPOINTS = {
    "hf": ("HF_ENDPOINT", "https://huggingface.co"),
    "modelscope": ("MODELSCOPE_ENDPOINT", "https://modelscope.cn"),
}


@dataclass(frozen=True)
class HubFile:
    """A file of a repository."""

    path: str
    size: int | None
    sha256: str | None
    url: str


def snapshot(repository: str, hub: str, store: Path = STORE) -> Path:
    """Return the folder of a data set, fetched if it is not complete yet.

    Args:
        repository: ``owner/name``.
        hub: ``hf`` or ``modelscope``.
        store: Where snapshots are kept.

    Raises:
        ConfigError: If there is no such hub.
        InputError: If the hub cannot be reached, does not have it, or gives something else than it lists.
    """
    if hub not in ENDPOINTS:
        raise ConfigError(f"hub={hub}", "no such hub", did_you_mean(hub, ENDPOINTS))
    folder = store / hub / repository
    if (folder / "manifest.json").is_file():
        return folder
    variable, usual = ENDPOINTS[hub]
    endpoint = os.environ.get(variable, usual).rstrip("/")
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on"):
        raise InputError(repository, f"is not in {store}, and HF_HUB_OFFLINE forbids asking {endpoint}", REMEDY)
    listed = list(_list_hf(endpoint, repository) if hub == "hf" else _list_modelscope(endpoint, repository))
    wanted = [file for file in listed if has_suffix(Path(file.path), SUFFIXES) and not _is_hidden(file.path)]
    if not wanted:
        raise InputError(f"{endpoint}: {repository}", f"holds no data files ({len(listed)} others)", "name another set")
    total = sum(file.size or 0 for file in wanted)
    with progress(f"fetch {repository}", total / 1e6 or None, "MB") as bar:
        for file in wanted:
            target = folder / file.path
            if not (target.is_file() and file.size in (None, target.stat().st_size)):
                _fetch(file, target, bar.advance)
    files = [{"path": file.path, "bytes": (folder / file.path).stat().st_size} for file in wanted]
    made = {"kind": "hub snapshot", "hub": hub, "endpoint": endpoint, "repository": repository, "files": files}
    write_json(folder / "manifest.json", made)
    return folder


REMEDY = "lay its files there, name a local path, or set HF_ENDPOINT to a server that can be reached"


def _is_hidden(path: str) -> bool:
    """Tell whether a path is not to be written: hidden, or leading out of its folder."""
    parts = PurePosixPath(path).parts
    return path.startswith("/") or any(part.startswith(".") for part in parts)


def _list_hf(endpoint: str, repository: str) -> Iterator[HubFile]:
    url: str | None = f"{endpoint}/api/datasets/{repository}/tree/main?recursive=true"
    while url:
        entries, url = _json(url, repository)
        for entry in entries:
            if entry.get("type") == "file":
                path, lfs = str(entry["path"]), entry.get("lfs") or {}
                where = f"{endpoint}/datasets/{repository}/resolve/main/{urllib.parse.quote(path)}"
                yield HubFile(path, lfs.get("size", entry.get("size")), lfs.get("oid"), where)


def _list_modelscope(endpoint: str, repository: str) -> Iterator[HubFile]:
    base, page = f"{endpoint}/api/v1/datasets/{repository}/repo", 1
    while True:
        query = urllib.parse.urlencode(
            {"Revision": "master", "Root": "", "Recursive": "True", "PageNumber": page, "PageSize": PAGE}
        )
        answer, _ = _json(f"{base}/tree?{query}", repository)
        entries = ((answer.get("Data") or {}) if isinstance(answer, dict) else {}).get("Files") or []
        for entry in entries:
            if entry.get("Type") != "tree":
                ask = urllib.parse.urlencode({"Revision": "master", "FilePath": entry["Path"]})
                yield HubFile(str(entry["Path"]), entry.get("Size"), entry.get("Sha256") or None, f"{base}?{ask}")
        if len(entries) < PAGE:
            return
        page += 1


def _open(url: str, repository: str) -> Any:
    """Open a URL.

    Raises:
        InputError: If it is not there, or the server cannot be reached.
    """
    server = urllib.parse.urlsplit(url).netloc
    request = urllib.request.Request(url, headers={"User-Agent": "yanmo"})  # noqa: S310 - the user's own endpoint
    token = os.environ.get("HF_TOKEN")
    if token and "/api/v1/" not in url:
        request.add_unredirected_header("Authorization", f"Bearer {token}")  # not for the store it redirects to
    try:
        return urllib.request.urlopen(request, timeout=SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        what = {401: "asks for a token (set HF_TOKEN)", 403: "forbids it", 404: "does not have it"}
        said = what.get(error.code, f"answers {error.code}")
        raise InputError(
            repository, f"{server} {said}", "see whether its name is right, or take another hub"
        ) from error
    except OSError as error:
        why = getattr(error, "reason", None) or error
        raise InputError(repository, f"{server} cannot be reached ({why})", REMEDY) from error


def _json(url: str, repository: str) -> tuple[Any, str | None]:
    """Return a URL's JSON, and the URL of the next page."""
    with _open(url, repository) as answer:
        try:
            value = json.load(answer)
        except ValueError as error:
            raise InputError(repository, f"{url} gives no JSON", "see whether the endpoint is a hub") from error
        link = answer.headers.get("Link") or ""
    following = link.partition(">")[0].lstrip("<") if 'rel="next"' in link else None
    return value, following


def _fetch(file: HubFile, target: Path, advance: Any) -> None:
    """Write a file, complete or not at all."""
    digest, size = hashlib.sha256(), 0
    with atomic_path(target) as temporary, _open(file.url, file.path) as answer, temporary.open("wb") as out:
        while True:
            try:
                block = answer.read(BLOCK)
            except OSError as error:
                raise InputError(
                    file.path, f"the connection broke off ({error})", "the same command goes on"
                ) from error
            if not block:
                break
            digest.update(block)
            out.write(block)
            size += len(block)
            advance(len(block) / 1e6, file.path)
        if file.size not in (None, size):
            raise InputError(file.path, f"{size} bytes came, {file.size} are listed", "the same command asks again")
        if file.sha256 and digest.hexdigest() != file.sha256:
            raise InputError(file.path, "its sha256 is not the listed one", "the same command asks again")

"""Style sheets and scripts, served from memory. Each address has its content's hash, so a browser keeps the file for a year."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from portal import charts

VENDORED: Final[Mapping[str, str]] = {
    "htmx-2.0.11.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
    "pico-2.1.1.min.css": "fbc9a63fc9fc9f72d12fd7fc9806e11fa9f77ae4f9cad146b27003a1119ba3db",
}
"""File in `static/vendor` -> SHA-256 of its content, as the package has it."""
_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_OWN: Final = ("carebell.css", "carebell.js", "favicon.svg")


@dataclass(frozen=True, kw_only=True)
class StaticFile:
    """One file; `address` is its path with its content's hash."""

    name: str
    media_type: str
    content: bytes = field(repr=False)

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def packed(self) -> bytes:
        """The content for a browser that takes gzip."""
        return gzip.compress(self.content, mtime=0)

    @property
    def address(self) -> str:
        stem, _, kind = self.name.rpartition(".")
        return f"/static/{stem}.{self.digest[:12]}.{kind}"


@cache
def read_all() -> Mapping[str, StaticFile]:
    """Every file, by name.

    Raises:
        ValueError: a file from elsewhere is not the one that was taken in.
    """
    folder = files("portal") / "static"
    contents = {name: (folder / name).read_bytes() for name in _OWN}
    contents["carebell.css"] += charts.STYLE.encode()
    for name, digest in VENDORED.items():
        content = (folder / "vendor" / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError(f"portal/static/vendor/{name} is not the file that was taken in")
        contents[name] = content
    return {
        name: StaticFile(name=name, media_type=_TYPES[name.rpartition(".")[2]], content=content)
        for name, content in contents.items()
    }


class StaticEndpoint:
    """Answers GET /static/{name} for the addresses of the files."""

    def __init__(self, static: Mapping[str, StaticFile]) -> None:
        self._by_address = {file.address: (file, file.packed) for file in static.values()}

    def answer(self, request: Request) -> Response:
        file, packed = self._by_address.get(request.url.path, (None, b""))
        if file is None:
            return Response("There is no such file.", status_code=404, media_type="text/plain")
        tag = f'"{file.digest}"'
        headers = {"cache-control": "public, max-age=31536000, immutable", "etag": tag, "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, media_type=file.media_type, headers={**headers, "content-encoding": "gzip"})
        return Response(file.content, media_type=file.media_type, headers=headers)

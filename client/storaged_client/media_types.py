"""Guesses the media type of a file like podman, for the layers of an artifact: the guess is part of the digest.

podman asks Go's library, first by the extension::

    the built-in table (of Go 1.26, with which podman 5.8 is built)
    shared-mime-info's globs2, the first of two places: adds extensions that the table lacks
    if it has none: the mime.types of four places, which replace earlier entries

and if that gives nothing, by the first 512 bytes. So the answer may differ between machines, for podman and here.

Source: Go ``src/mime/type.go``, ``type_unix.go``; ``src/net/http/sniff.go``, which is
https://mimesniff.spec.whatwg.org.
"""

from __future__ import annotations

import os
import re
from functools import cache

HEAD = 512
"""The number of bytes at a file's beginning that matter."""
UNKNOWN = "application/octet-stream"

_GLOBS = ("usr/local/share/mime/globs2", "usr/share/mime/globs2")
_TYPE_FILES = ("etc/mime.types", "etc/apache2/mime.types", "etc/apache/mime.types", "etc/httpd/conf/mime.types")

_OFFICE = "application/vnd.openxmlformats-officedocument"
_BUILT_IN = {
    "application/json": ".json",
    "application/msword": ".doc",
    UNKNOWN: ".bin .com .exe",
    "application/gzip": ".gz",
    "application/pdf": ".pdf",
    "application/postscript": ".ai .eps .ps",
    "application/rdf+xml": ".rdf",
    "application/rtf": ".rtf",
    "application/vnd.android.package-archive": ".apk",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-powerpoint": ".ppt",
    f"{_OFFICE}.presentationml.presentation": ".pptx",
    f"{_OFFICE}.spreadsheetml.sheet": ".xlsx",
    f"{_OFFICE}.wordprocessingml.document": ".docx",
    "application/wasm": ".wasm",
    "application/xhtml+xml": ".xht .xhtml",
    "application/zip": ".zip",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".oga .ogg .opus",
    "audio/wav": ".wav",
    "audio/webm": ".weba",
    "image/apng": ".apng",
    "image/avif": ".avif",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
    "image/jpeg": ".jfif .jpeg .jpg .pjp .pjpeg",
    "image/png": ".png",
    "image/svg+xml": ".svg",
    "image/tiff": ".tif .tiff",
    "image/vnd.microsoft.icon": ".ico",
    "image/webp": ".webp",
    "image/x-xbitmap": ".xbm",
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/css": ".css",
    "text/csv": ".csv",
    "text/html": ".ehtml .htm .html .shtml",
    "text/javascript": ".js .mjs",
    "text/plain": ".text .txt",
    "text/vtt": ".vtt",
    "text/xml": ".xbl .xml .xsl",
    "video/mp4": ".mp4",
    "video/ogg": ".ogv",
    "video/webm": ".webm",
}

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # not a password: the token of RFC 2045
_TYPE = re.compile(rf"\s*({_TOKEN}(?:/{_TOKEN})?)\s*(?:;.*)?")


class Extensions:
    """The meaning of extensions on one machine. ``root`` is the folder of its files."""

    def __init__(self, root: str = "/") -> None:
        built_in = {ext: kind for kind, exts in _BUILT_IN.items() for ext in exts.split()}
        self._exact = dict(built_in)
        self._lower = dict(built_in)
        self._read(root)

    def type_of(self, extension: str) -> str | None:
        """The type of an extension such as ``.gz``, without parameters; None if the machine does not know it."""
        return self._exact.get(extension) or self._lower.get(extension.lower())

    def _read(self, root: str) -> None:
        for path in _GLOBS:
            lines = _lines(os.path.join(root, path))
            if lines is not None:
                for line in lines:
                    self._take_glob(line.split(":"))
                return
        for path in _TYPE_FILES:
            for line in _lines(os.path.join(root, path)) or ():
                kind, *extensions = line.split() or [""]
                if kind[:1] != "#":
                    for extension in extensions:
                        if extension[0] == "#":
                            break
                        self._put(f".{extension}", kind)

    def _take_glob(self, fields: list[str]) -> None:
        """``weight:type:*.extension``: for each extension, the highest weight comes first."""
        if len(fields) < 3 or fields[0][:1] in ("", "#") or len(fields[2]) < 3 or fields[2][:2] != "*.":
            return
        extension = fields[2][1:]
        if not set("?*[") & set(extension) and extension not in self._exact:
            self._put(extension, fields[1])

    def _put(self, extension: str, kind: str) -> None:
        match = _TYPE.fullmatch(kind)
        if match is not None:
            self._exact[extension] = self._lower[extension.lower()] = match[1].lower()


def _lines(path: str) -> list[str] | None:
    """None if it cannot be opened."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            return file.read().splitlines()
    except OSError:
        return None


@cache
def _of_this_machine() -> Extensions:
    return Extensions()


def guess(name: str, head: bytes, extensions: Extensions | None = None) -> str:
    """The type of the file with this name, whose first ``HEAD`` bytes are ``head``.

    Reads the machine's files at the first call, unless ``extensions`` are given.
    """
    at = name.rfind(".")
    known = (extensions or _of_this_machine()).type_of(name[at:]) if at >= 0 else None
    return known or sniff(head)


# ---------------------------------------------------------------- by content

_BLANKS = b"\t\n\x0c\r "
_TAGS = "!DOCTYPE HTML,HTML,HEAD,SCRIPT,IFRAME,H1,DIV,FONT,TABLE,A,STYLE,TITLE,B,BODY,BR,P,!--"
_HTML = re.compile(rb"<(?:%s)[ >]" % b"|".join(map(re.escape, _TAGS.encode().split(b","))), re.IGNORECASE)
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_SIGNATURES: tuple[tuple[bytes | None, str], ...] = (
    (rb"%PDF-", "application/pdf"),
    (rb"%!PS-Adobe-", "application/postscript"),
    (rb"\xfe\xff..|\xff\xfe..|\xef\xbb\xbf.", "text/plain"),
    (rb"\x00\x00[\x01\x02]\x00", "image/x-icon"),
    (rb"BM", "image/bmp"),
    (rb"GIF8[79]a", "image/gif"),
    (rb"RIFF....WEBPVP", "image/webp"),
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"FORM....AIFF", "audio/aiff"),
    (rb"ID3", "audio/mpeg"),
    (rb"OggS\x00", "application/ogg"),
    (rb"MThd\x00\x00\x00\x06", "audio/midi"),
    (rb"RIFF....AVI ", "video/avi"),
    (rb"RIFF....WAVE", "audio/wave"),
    (None, "video/mp4"),
    (rb"\x1a\x45\xdf\xa3", "video/webm"),
    (rb".{34}LP", "application/vnd.ms-fontobject"),
    (rb"\x00\x01\x00\x00", "font/ttf"),
    (rb"OTTO", "font/otf"),
    (rb"ttcf", "font/collection"),
    (rb"wOFF", "font/woff"),
    (rb"wOF2", "font/woff2"),
    (rb"\x1f\x8b\x08", "application/x-gzip"),
    (rb"PK\x03\x04", "application/zip"),
    (rb"Rar!\x1a\x07(?:\x00|\x01\x00)", "application/x-rar-compressed"),
    (rb"\x00asm", "application/wasm"),
)


def sniff(head: bytes) -> str:
    """The type of these bytes, without parameters."""
    head = head[:HEAD]
    text = head.lstrip(_BLANKS)
    if _HTML.match(text):
        return "text/html"
    if text.startswith(b"<?xml"):
        return "text/xml"
    for pattern, kind in _patterns():
        if pattern.match(head) if pattern is not None else _is_mp4(head):
            return kind
    return UNKNOWN if _NO_TEXT.search(text) else "text/plain"


@cache
def _patterns() -> list[tuple[re.Pattern[bytes] | None, str]]:
    return [(re.compile(pattern, re.DOTALL) if pattern is not None else None, kind) for pattern, kind in _SIGNATURES]


def _is_mp4(head: bytes) -> bool:
    """Whether its first box names a brand that begins with mp4."""
    size = int.from_bytes(head[:4], "big")
    if len(head) < 12 or len(head) < size or size % 4 or head[4:8] != b"ftyp":
        return False
    return any(head[at : at + 3] == b"mp4" for at in range(8, size, 4) if at != 12)

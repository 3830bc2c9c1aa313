"""How answers leave: cached as long as they stay true, compressed where it pays, errors as one line of JSON."""

from __future__ import annotations

import gzip
import hashlib
import sqlite3
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from explorer.errors import ExplorerError, ModelError, PictureError, QueueFull
from webapp.arrays import Packed
from webapp.documents import dumps

IMMUTABLE = "public, max-age=31536000, immutable"
"""For what the version and the format in the address fix for ever, and which is nobody else's work."""

A_DAY = "private, max-age=86400"
"""For pictures and captions of others: a takedown must not wait a year for a browser's cache."""

REVALIDATE = "private, no-cache"
"""For what others wrote, or what another release may send otherwise: the browser asks each time whether it holds."""

RETRY_SECONDS = 10


def document(value: Any, status: int = HTTPStatus.OK) -> Response:  # noqa: ANN401 - any JSON-like value
    """A JSON answer that is never kept."""
    return Response(dumps(value), status, {"Cache-Control": "no-store"}, "application/json")


def kept(request: Request, body: bytes, media_type: str, cache: str) -> Response:
    """An answer with its ETag; 304 where the browser has it already."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return _unless_known(request, Response(body, headers={"ETag": etag, "Cache-Control": cache}, media_type=media_type))


def packed(request: Request, array: Packed, cache: str) -> Response:
    """An array, gzipped where it pays and the browser takes it."""
    headers = {"Cache-Control": cache, "Vary": "Accept-Encoding"}
    body, suffix = array.plain, ""
    if array.gzipped is not None and takes_gzip(request.headers.get("accept-encoding", "")):
        body, suffix = array.gzipped, "-gzip"
        headers["Content-Encoding"] = "gzip"
    headers["ETag"] = f'"{array.etag}{suffix}"'
    return _unless_known(request, Response(body, headers=headers, media_type="application/octet-stream"))


def squeezed(request: Request, response: Response) -> Response:
    """A script or a style sheet, gzipped where the browser takes it; compressed once a process."""
    response.headers["Vary"] = "Accept-Encoding"
    if takes_gzip(request.headers.get("accept-encoding", "")) and response.body:
        response.body = _gzipped(bytes(response.body))
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.body))
    return response


@lru_cache(maxsize=64)
def _gzipped(plain: bytes) -> bytes:
    return gzip.compress(plain, compresslevel=6, mtime=0)


def not_found(what: str) -> HTTPException:
    """The answer for what is not here, or not any more."""
    return HTTPException(HTTPStatus.NOT_FOUND, f"{what} is not here")


def install_error_answers(app: FastAPI) -> None:
    """Let every error leave as ``{"error": "one line"}`` with a fitting status; a picture's with its `reason`."""

    @app.exception_handler(StarletteHTTPException)
    async def refused(_: Request, error: StarletteHTTPException) -> Response:
        response = document({"error": error.detail}, error.status_code)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> Response:
        found = error.errors()[0]
        if found["loc"][0] == "path":  # what is no id is the id of nothing
            return document({"error": "there is no such address"}, HTTPStatus.NOT_FOUND)
        name = ".".join(str(part) for part in found["loc"][1:])
        return document({"error": f"{name}: {found['msg']}"}, HTTPStatus.UNPROCESSABLE_ENTITY)

    @app.exception_handler(ExplorerError)
    async def unanswerable(_: Request, error: ExplorerError) -> Response:
        reason = {"reason": error.reason.value} if isinstance(error, PictureError) else {}
        response = document({"error": str(error), **reason}, _status(error))
        if response.status_code in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response

    @app.exception_handler(sqlite3.Error)
    async def unwritable(_: Request, error: sqlite3.Error) -> Response:
        return document({"error": f"the workspace cannot be used: {error}"}, HTTPStatus.INSUFFICIENT_STORAGE)


def _status(error: ExplorerError) -> HTTPStatus:
    if isinstance(error, QueueFull):
        return HTTPStatus.TOO_MANY_REQUESTS
    if isinstance(error, ModelError):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.UNPROCESSABLE_ENTITY


def _unless_known(request: Request, response: Response) -> Response:
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if response.headers["ETag"] not in known:
        return response
    headers = {name: response.headers[name] for name in ("ETag", "Cache-Control", "Vary") if name in response.headers}
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)


def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header names gzip and does not give it the weight 0 (RFC 9110, section 12.5.3)."""
    for part in accepted.split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        if name == "gzip":
            return not any(word.replace(" ", "").rstrip("0") in ("q=", "q=0.") for word in parameters)
    return False

"""Pictures that visitors bring: hand one in, ask where it lands, see it again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response

from explorer.records import to_json
from webapp.api.access import AnySite
from webapp.api.responses import document, not_found
from webapp.security import UPLOADS
from webapp.uploads import Upload, Uploads

router = APIRouter(prefix=UPLOADS)

MEDIA_TYPE = "application/octet-stream"
"""What is handed in calls itself nothing else; no form of another site can send it."""


def _uploads(site: AnySite) -> Uploads:
    if site.uploads is None:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "this server takes no pictures; serve with --uploads on to change that"
        )
    return site.uploads


TakesUploads = Annotated[Uploads, Depends(_uploads)]


def _upload(uploads: TakesUploads, name: str) -> Upload:
    found = uploads.get(name)
    if found is None:
        raise not_found("this picture")
    return found


KnownUpload = Annotated[Upload, Depends(_upload)]


@router.post("")
async def hand_in(request: Request, uploads: TakesUploads) -> Response:
    """Look where a picture lands; its bytes are the body, at most `MAX_UPLOAD`."""
    if request.headers.get("content-type", "").strip().lower() != MEDIA_TYPE:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"expected Content-Type: {MEDIA_TYPE}")
    return document(_told(await to_thread.run_sync(uploads.take, await request.body())), HTTPStatus.CREATED)


@router.get("/{name}")
def landed(upload: KnownUpload) -> Response:
    """Where a picture landed."""
    return document(_told(upload))


@router.get("/{name}/picture.webp")
def picture(upload: KnownUpload) -> Response:
    """A picture as it was encoded anew; a browser shows it inside the page alone, and saves it elsewhere."""
    headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="picture.webp"'}
    return Response(upload.picture, headers=headers, media_type="image/webp")


def _told(upload: Upload) -> dict[str, object]:
    return {
        "upload": upload.name,
        "image": f"{UPLOADS}/{upload.name}/picture.webp",
        "landing": to_json(upload.landing),
    }

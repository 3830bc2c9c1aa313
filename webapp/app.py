"""The Dash app on its FastAPI server; importing builds nothing."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any

import dash
from anyio import to_thread
from dash.backends._fastapi import FastAPIDashServer
from dash.development.base_component import Component
from dash.exceptions import DependencyException
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import Response
from starlette.types import ASGIApp

from webapp import callbacks, layout
from webapp.api import audits, exports, history, jobs, map, search, uploads, ways
from webapp.api.responses import install_error_answers, squeezed
from webapp.security import MAX_BODY, MAX_UPLOAD, UPLOADS, Guard, security_headers
from webapp.site import Site
from webapp.strings import Words


class GuardedServer(FastAPI):
    """FastAPI without its documentation pages; all that comes in or goes out passes the guard, its own errors too.

    Attributes:
        headers: what every answer carries.
        larger: address -> bytes, where a request may be longer than others.
    """

    headers: Mapping[str, str] = security_headers()
    larger: Mapping[str, int] = {UPLOADS: MAX_UPLOAD}

    def __init__(self) -> None:
        super().__init__(docs_url=None, redoc_url=None, openapi_url=None)
        install_error_answers(self)

    def build_middleware_stack(self) -> ASGIApp:
        """Put the guard around all else; called at the first request."""
        return Guard(super().build_middleware_stack(), self.headers, larger=self.larger)


class Backend(FastAPIDashServer):
    """Dash's FastAPI backend, closed down to what this app uses.

    Five things differ: no documentation pages; no route that answers every unknown path with the page; no websocket;
    a callback runs in a thread, so that one that searches does not hold up the streams of the others; so do the
    components' scripts, which are compressed.
    """

    websocket_capability = False

    @staticmethod
    def create_app(name: str = "__main__", config: dict[str, Any] | None = None) -> GuardedServer:
        """Make the server."""
        del name, config
        return GuardedServer()

    def _setup_catchall(self) -> None:
        """Leave unknown paths to FastAPI, which answers 404."""

    def setup_component_suites(self, dash_app: dash.Dash) -> None:
        """Add the route of the components' scripts; as no coroutine, FastAPI answers it in a thread."""

        def serve(request: Request, package_name: str, fingerprinted_path: str) -> Response:
            answer = self.serve_component_suites(dash_app, package_name, fingerprinted_path, request)
            return squeezed(request, answer)

        self.add_url_rule("/_dash-component-suites/{package_name}/{fingerprinted_path:path}", serve)

    def serve_component_suites(self, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401 - as Dash calls it
        """Serve a component's script; what is not registered is not there."""
        try:
            return super().serve_component_suites(*args, **kwargs)
        except DependencyException as error:
            raise HTTPException(HTTPStatus.NOT_FOUND, "this script is not here") from error

    def serve_callback(self, dash_app: dash.Dash) -> Callable[[Request], Awaitable[Response]]:
        """Make the end point of the callbacks; what names no callback is refused before Dash looks into it."""
        dispatch = super().serve_callback(dash_app)

        async def in_thread(request: Request) -> Response:
            body = self.request_adapter().get_json()
            output = body.get("output") if isinstance(body, dict) else None
            if not isinstance(output, str) or output not in dash_app.callback_map:
                raise HTTPException(HTTPStatus.BAD_REQUEST, "this is no callback of the page; reload it")
            return await to_thread.run_sync(functools.partial(_complete, dispatch, request))

        return in_thread


def _complete(dispatch: Callable[[Request], Any], request: Request) -> Response:
    return asyncio.run(dispatch(request))


class Once:
    """The page, made when it is first asked for: its facts take a large atlas a second. For any thread."""

    def __init__(self, make: Callable[[], Component]) -> None:
        self._make = make
        self._made: Component | None = None
        self._lock = Lock()

    def __call__(self) -> Component:
        """Return the page."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


def create_app(site: Site) -> dash.Dash:
    """Build the page and its end points on what is open already; nothing is loaded, nothing runs yet."""
    app = dash.Dash(
        "webapp",
        backend=Backend,
        title=Words()("frame.title"),
        update_title="",
        assets_folder=str(Path(__file__).parent / "assets"),
        pages_folder="",
        use_pages=False,
        serve_locally=True,
        add_log_handler=False,  # it would write to standard output, which belongs to --json
        suppress_callback_exceptions=True,
    )
    app.server.state.site = site
    for part in (search, map, jobs, history, ways, exports, uploads, audits):
        app.server.include_router(part.router)
    app.layout = Once(functools.partial(layout.layout, site))
    # Dash would make the page now, to check callbacks against it; the browser does that with the page that it gets.
    app.config.suppress_callback_exceptions = False
    callbacks.register(app, site)
    app.server.headers = security_headers(app.csp_hashes())
    masks = dict.fromkeys(exports.addresses(site.atlas.version), exports.mask_bytes(len(site.atlas)))
    app.server.larger = {UPLOADS: MAX_UPLOAD, **{name: max(MAX_BODY, most) for name, most in masks.items()}}
    return app

"""The console script `latent-explorer`: every verb of the three packages.

Libraries load when a verb runs, so that help and wrong usage answer at once.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.resources
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from threading import Thread, Timer
from typing import TYPE_CHECKING, Any

import platformdirs

import explorer.audit.verb
import explorer.cli
import explorer.noise_cli
import indexer.cli
from explorer.errors import ExplorerError, UsageError
from explorer.models.device import DEVICES
from explorer.progress import Progress
from webapp.console import Bars, write_json, write_text

if TYPE_CHECKING:
    from explorer.atlas import Atlas

APPLICATION = "latent-explorer"

UPLOADS = ("auto", "on", "off")
"""Whether visitors may bring pictures."""

CALM_SECONDS = 1.0
"""After it is ready a server makes its page and loads its models; who asks at once is answered first."""


class VerbParser(argparse.ArgumentParser):
    """A verb's parser; each has `--json`, verbs of verbs too."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(**settings)
        self.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,  # else the inner parser of a verb's verb would unset the outer's
            help="print one JSON object on standard output, and nothing else there",
        )


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        APPLICATION, description="Browse, generate, trace and export in a map of pictures."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version(APPLICATION)}")
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=VerbParser)
    add_verbs(verbs)
    indexer.cli.add_verbs(verbs)
    explorer.cli.add_verbs(verbs)
    explorer.noise_cli.add_verb(verbs)
    explorer.audit.verb.add_verb(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        the exit code: 0 done; 1 the input or the atlas is at fault. Wrong usage leaves by argparse's SystemExit(2).
    """
    # Beside another busy process, OpenMP's spinning threads make a step of a model many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    parser = build_parser()
    args = parser.parse_args(argv)
    args.json = getattr(args, "json", False)
    args.progress = Bars()
    args.output = sys.stdout
    try:
        # What a library prints on its own must not stand beside the one JSON object.
        with contextlib.redirect_stdout(sys.stderr) if args.json else contextlib.nullcontext():
            document = args.run(args)
    except UsageError as error:
        parser.error(str(error))
    except ExplorerError as error:
        sys.stderr.write(f"{APPLICATION}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"{APPLICATION}: stopped\n")
        return 130  # what a shell says of a process that Ctrl-C ended
    if document is None:
        return 0
    report(args, document)
    return _finish(args) if document.get("ok", True) else 1


def _finish(args: argparse.Namespace) -> int:
    """Do what a verb leaves for after its result is told; return the exit code."""
    try:
        if afterwards := getattr(args, "afterwards", None):
            afterwards()
    except ExplorerError as error:
        sys.stderr.write(f"{APPLICATION}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"{APPLICATION}: stopped; the result above stands\n")
        return 130
    return 0


def report(args: argparse.Namespace, document: Mapping[str, Any]) -> None:
    """Print a verb's result, for programs or for people."""
    try:
        if args.json:
            write_json(document, args.output)
        else:
            write_text(args.show(document), args.output)
    except BrokenPipeError:
        # Whoever reads has read enough, as `head` does; Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), args.output.fileno())


def add_verbs(verbs: Any) -> None:  # noqa: ANN401 - argparse keeps this class to itself
    """Add `demo` and `serve`."""
    demo = verbs.add_parser("demo", help="build the embedded default's atlas if there is none, then serve it")
    demo.add_argument("--atlas", type=Path, metavar="DIR", help="where it is, or will be (default: in your user data)")
    demo.add_argument("--no-serve", action="store_true", help="build it and stop")
    _add_serving(demo)
    demo.set_defaults(run=run_demo, show=_opened)

    any_atlas = verbs.add_parser("serve", help="open an atlas in the browser")
    any_atlas.add_argument("atlas", type=Path, metavar="ATLAS")
    _add_serving(any_atlas)
    any_atlas.set_defaults(run=run_serve, show=_opened)


def _add_serving(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="where jobs and pictures are kept")
    parser.add_argument("--generator", metavar="REF", help="a generator to use in place of the manifest's")
    parser.add_argument("--lora", metavar="FILE", help="a LoRA to add to the generator, safetensors")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="default: auto")
    parser.add_argument(
        "--uploads",
        choices=UPLOADS,
        default="auto",
        help="whether visitors may bring a picture to see where it lands (default: auto, at a loopback address alone)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, metavar="N", help="default: 8050, or the next free one")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"found {text!r}; expected a whole number from 0 to 65535")
    return int(text)


def run_demo(args: argparse.Namespace) -> dict[str, Any] | None:
    """Build the embedded default's atlas where there is none, then serve it."""
    from explorer.atlas import Atlas
    from explorer.layout import AtlasPaths
    from webapp.server import check_host

    check_host(args.host)  # before the build, not after it
    path: Path = args.atlas or Path(platformdirs.user_data_path(APPLICATION)) / "demo"
    if not AtlasPaths(path).current.exists():
        args.progress.note(f"Building the demo's atlas in {path} (about three minutes)")
        build_demo(path, args.progress)
    if args.no_serve:
        return {"atlas": str(path), "version": Atlas.open(path).version, "url": None}
    serve(args, path)
    return None


def build_demo(path: Path, progress: Progress) -> None:
    """Index the corpus that comes with the package."""
    from explorer import manifest
    from indexer.build import index

    resource = importlib.resources.files("data_manifests") / "openmoji.toml"
    with importlib.resources.as_file(resource) as file:
        index(path, manifest.load(file), progress=progress)


def run_serve(args: argparse.Namespace) -> None:
    """Serve any atlas."""
    serve(args, args.atlas)


def serve(args: argparse.Namespace, path: Path) -> None:
    """Open an atlas, take an address, and serve until Ctrl-C."""
    from explorer.atlas import Atlas
    from webapp import server
    from webapp.app import create_app
    from webapp.site import GeneratorOptions, open_site

    options = GeneratorOptions(args.generator, args.lora, args.device)
    atlas = Atlas.open(path, workspace=args.workspace)
    listening = server.listen(args.host, args.port)
    if args.port is None and listening.getsockname()[1] != server.DEFAULT_PORT:
        args.progress.note(f"Port {server.DEFAULT_PORT} is taken; the next free one is used")
    _say_what_the_demo_knows(args, atlas)
    address = server.url(listening, args.host)
    with server.sole_owner(atlas.workspace_dir, address), contextlib.ExitStack() as running:
        site = open_site(atlas, options, calm=CALM_SECONDS, uploads=takes_uploads(args.uploads, args.host))
        running.enter_context(contextlib.closing(site.studio.workspace))
        app = create_app(site)

        def ready() -> None:
            """Say so, and begin with what can wait."""
            running.enter_context(site.studio)
            _announce(args, {"atlas": str(path), "version": atlas.version, "url": address})
            for later in (Timer(CALM_SECONDS, app.layout), Thread(target=_prepare, args=(atlas, args.progress))):
                later.daemon = True
                later.start()

        server.run(app.server, listening, ready=ready, stopping=site.studio.close)


def _prepare(atlas: Atlas, progress: Progress) -> None:
    """Build the search indexes that are missing, behind everything else: searches are answered without them too."""
    from explorer.nearest import prepare

    try:
        prepare(atlas, progress)
    except (ExplorerError, RuntimeError, MemoryError) as error:  # the atlas's, faiss's, a thread's as the server ends
        progress.note(f"The search index cannot be built ({error}); searches compare every picture")


def takes_uploads(choice: str, host: str) -> bool:
    """Whether visitors may bring pictures: by default where none but this machine's own users can."""
    from webapp.security import is_loopback_name

    return choice == "on" or (choice == "auto" and is_loopback_name(host.strip("[]")))


def _say_what_the_demo_knows(args: argparse.Namespace, atlas: Atlas) -> None:
    from explorer.models.loader import demo_note

    named = {name: (model or {}).get("reference") for name, model in atlas.meta["models"].items()}
    note = demo_note({**named, "generator": args.generator or named.get("generator")}.values(), atlas.manifest.kind)
    if note:
        args.progress.note(note)


def _announce(args: argparse.Namespace, document: Mapping[str, Any]) -> None:
    if args.json:
        report(args, document)
    args.progress.note(f"{document['url']} shows {document['atlas']}; Ctrl-C ends it")


def _opened(document: Mapping[str, Any]) -> str:
    return f"{document['atlas']} is ready (version {document['version']})"

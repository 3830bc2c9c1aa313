"""The verbs that make and change atlases: `index`, `forget`, and `manifest check`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer import lines
from explorer import manifest as manifests
from explorer.errors import QueryError, UsageError
from explorer.models.device import DEVICES
from explorer.records import to_json
from indexer.folder_manifest import expect_apart, own_manifest, with_contact

if TYPE_CHECKING:
    from indexer.plan import BuildOptions

_MAX_SEED = 2**32 - 1
"""What numpy's RandomState takes, with which UMAP draws."""

_UNCONFIRMED = "Nothing was removed. The same command with --yes removes these; --id N takes a single one."


def add_verbs(verbs: Any) -> None:  # noqa: ANN401 - argparse keeps this class to itself
    """Add `index`, `forget` and `manifest`."""
    _index_words(verbs.add_parser("index", help="build an atlas, or bring it up to date"))
    _forget_words(verbs.add_parser("forget", help="take pictures down: out of the atlas and all that was made from it"))

    manifest = verbs.add_parser("manifest", help="what can be done with a manifest by itself")
    actions = manifest.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help="hold a manifest against its schema")
    check.add_argument("file", type=Path, metavar="FILE", help="a manifest, TOML")
    check.set_defaults(run=run_check, show=show_check)


def _index_words(index: argparse.ArgumentParser) -> None:
    index.add_argument("atlas", type=Path, metavar="ATLAS", help="the atlas's directory")
    index.add_argument("folder", type=Path, metavar="FOLDER", nargs="?", help="a folder of pictures")
    index.add_argument("--manifest", type=Path, metavar="FILE", help="what to index, in place of FOLDER")
    index.add_argument("--limit", type=_count, metavar="N", help="at most so many pictures, the first ones")
    index.add_argument("--sample", type=_count, metavar="N", help="so many pictures, drawn by chance")
    index.add_argument("--seed", type=_seed, default=0, metavar="S", help="of all chance: sample and map (default: 0)")
    how = index.add_mutually_exclusive_group()
    how.add_argument("--append", action="store_true", help="let new pictures join the map that is there, without a fit")
    how.add_argument("--rebuild", action="store_true", help="do everything anew, what is done too")
    index.add_argument(
        "--reproducible",
        action="store_true",
        help="the same input and seed give the same bytes in an empty ATLAS, dated by SOURCE_DATE_EPOCH or the "
        "manifest; models and maps run in one thread, and neighbors are added up more widely",
    )
    index.add_argument(
        "--fit-most",
        type=_count,
        metavar="N",
        help="lay out at most N training pictures together; of more a sample is laid out and the rest joins it "
        "(default: 2,000,000)",
    )
    index.add_argument("--contact", metavar="C", help="by which hosts can reach you, in place of the manifest's")
    index.add_argument("--no-thumbnails", action="store_true", help="keep links only, no small copies of the pictures")
    index.add_argument("--device", choices=DEVICES, default="auto", help="what runs the models (default: auto)")
    index.set_defaults(run=run_index, show=show_index)


def run_index(args: argparse.Namespace) -> dict[str, Any]:
    """Build, publish, and say what there is."""
    if (args.manifest is None) == (args.folder is None):
        raise UsageError("index needs either FOLDER or --manifest FILE")
    manifest = (
        manifests.load(args.manifest) if args.folder is None else own_manifest(args.atlas, args.folder, args.append)
    )
    if manifest.kind == "folder":
        expect_apart(args.atlas, manifest.resolve(manifest.path or "."))
    if args.contact is not None:
        manifest = with_contact(manifest, args.contact)

    # umap alone takes seconds to import, which the other verbs need not wait for
    from indexer.build import index
    from indexer.editing.append import append

    options = _options(args)
    if args.append:
        result = append(args.atlas, manifest, options, progress=args.progress)
    else:
        result = index(args.atlas, manifest, options, rebuild=args.rebuild, progress=args.progress)
    for note in result.notes:
        args.progress.note(note)
    args.afterwards = partial(_prepare, args)
    return {"atlas": str(args.atlas), **asdict(result)}


def _options(args: argparse.Namespace) -> BuildOptions:
    """The settings that the command line names, the others as they are."""
    from indexer.corpus import Selection
    from indexer.encoding.encode import EncodeOptions
    from indexer.mapping.project import MapOptions
    from indexer.mapping.spaces import SpaceOptions
    from indexer.plan import BuildOptions

    laid_out = MapOptions(seed=args.seed)
    if args.fit_most is not None:
        laid_out = replace(laid_out, fit_most=args.fit_most)
    return BuildOptions(
        selection=Selection(args.limit, args.sample, args.seed),
        encode=EncodeOptions(thumbnail=0) if args.no_thumbnails else EncodeOptions(),
        spaces=SpaceOptions(map=laid_out),
        device=args.device,
        reproducible=args.reproducible,
    )


def show_index(document: Mapping[str, Any]) -> str:
    """The result in words."""
    outcomes = dict(document["outcomes"])
    images = outcomes.pop("indexed")
    rejected = sum(outcomes.values())
    reasons = ", ".join(f"{outcome.removeprefix('rejected:')} {count:,}" for outcome, count in outcomes.items())
    done = "indexed" if document["is_new"] else "nothing has changed"
    told = [f"{document['atlas']}: {done}, {images:,} pictures in {document['seconds']:.1f} s"]
    told += [f"rejected {rejected:,}: {reasons}"] if rejected else []
    told += [f"encoding took {lines.timings(document['timings'])}"] if document.get("timings") else []
    return "\n".join([*told, f"version {document['version']}"])


def run_forget(args: argparse.Namespace) -> dict[str, Any]:
    """Take pictures down; what a search finds goes only with --yes."""
    from explorer.denylist import DenyKind, Takedown

    _expect_workspaces(args.workspace)
    found = _candidates(args) if args.search is not None else []
    if args.search is not None and not args.yes:
        return {"atlas": str(args.atlas), "removed": 0, "found": found, "notes": [_UNCONFIRMED]}
    from indexer.editing.forget import forget

    named = ((DenyKind.URL, args.url), (DenyKind.HOST, args.host), (DenyKind.SHA256, args.sha256))
    takedowns = [Takedown(kind, value) for kind, value in named if value is not None]
    ids = [hit["id"] for hit in found] if args.id is None else [args.id]
    done = forget(args.atlas, takedowns, ids, workspaces=args.workspace, progress=args.progress)
    if done.removed and done.version:
        args.afterwards = partial(_prepare, args)
    return {"atlas": str(args.atlas), **asdict(done)}


def show_forget(document: Mapping[str, Any]) -> str:
    """What went, or what would go, in words."""
    notes = "\n".join(document["notes"])
    if "images" not in document:
        return f"{lines.found({'hits': document['found']})}\n\n{notes}"
    removed, images, traces = (f"{document[name]:,}" for name in ("removed", "images", "traces"))
    return f"{document['atlas']}: {removed} removed, {images} left, {traces} traces in workspaces\n{notes}"


def _prepare(args: argparse.Namespace) -> None:
    """Build the search indexes that the atlas lacks now; that may take minutes, and nothing waits for it."""
    from explorer.atlas import Atlas
    from explorer.nearest import prepare

    prepare(Atlas.open(args.atlas), args.progress)


def run_check(args: argparse.Namespace) -> dict[str, Any]:
    """Hold a manifest against its schema."""
    problems = manifests.check(args.file)
    return {"ok": not problems, "problems": problems}


def show_check(document: Mapping[str, Any]) -> str:
    """The result in words."""
    return "\n".join(document["problems"]) or "the manifest is right"


def _forget_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("atlas", type=Path, metavar="ATLAS", help="the atlas's directory")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", type=int, metavar="N", help="a picture of the atlas, and its link and bytes elsewhere")
    which.add_argument("--url", type=_link, metavar="U", help="a link to a picture, or to its page")
    which.add_argument("--host", type=_host, metavar="H", help="a site, its subdomains included")
    which.add_argument("--sha256", type=_sha256, metavar="S", help="a picture's file")
    which.add_argument("--search", type=_text, metavar="T", help="the pictures nearest to words; needs --yes to remove")
    parser.add_argument("-k", type=_count, default=12, metavar="K", help="how many --search takes (default: 12)")
    parser.add_argument("--yes", action="store_true", help="remove what --search finds; without it, it is only shown")
    parser.add_argument(
        "--workspace", type=Path, action="append", default=[], metavar="DIR",
        help="a workspace that `serve --workspace` was given; may be said again",
    )  # fmt: skip
    parser.add_argument("--device", choices=DEVICES, default="auto", help="what runs the model of --search")
    parser.set_defaults(run=run_forget, show=show_forget)


def _candidates(args: argparse.Namespace) -> list[dict[str, Any]]:
    """The pictures nearest to words, of both splits."""
    from explorer.atlas import Atlas
    from explorer.models.loader import Models
    from explorer.search import search_text

    atlas = Atlas.open(args.atlas)
    hits = search_text(atlas, Models(atlas, args.device), args.search, args.k, split=None)
    return [to_json(hit) for hit in hits]


def _expect_workspaces(folders: Iterable[Path]) -> None:
    """Make sure that folders hold a workspace: what a takedown is told of and does not find, it would leave as it is.

    Raises:
        QueryError: one does not.
    """
    from explorer.audit.kept import FILE as AUDITS
    from explorer.workspace import FILE

    for folder in folders:
        if not (folder / FILE).is_file() and not (folder / AUDITS).is_file():
            raise QueryError(f"--workspace: found no {FILE} in {folder}; name the folder that `serve` was given")


def _link(text: str) -> str:
    if not re.match(r"\s*https?://[^/\s]", text, re.IGNORECASE):
        raise argparse.ArgumentTypeError(f"found {text[:80]!r}; expected a link by http or https")
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"[^\s/:?#@]+", text.strip()):
        return _link(text)  # its host is meant
    return text


def _text(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("found nothing; expected a text")
    return text


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError(f"found {text[:80]!r}; expected 64 hexadecimal digits")
    return text


def _count(text: str) -> int:
    return _whole(text, 1, sys.maxsize)


def _seed(text: str) -> int:
    return _whole(text, 0, _MAX_SEED)


def _whole(text: str, least: int, most: int) -> int:
    digits = text.lstrip("0") or "0"
    if not text.isdecimal() or len(digits) > len(str(most)) or not least <= int(digits) <= most:
        raise argparse.ArgumentTypeError(f"found {text[:80]!r}; expected a whole number from {least} to {most:,}")
    return int(digits)

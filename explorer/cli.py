"""The verbs that ask an atlas: search, generate, locate, clusters, export, status, verify.

Each verb parses its words, calls the library, and returns a document; libraries load when a verb runs, so that help
and wrong usage answer at once.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer import arguments, chosen, lines
from explorer.arguments import Document
from explorer.errors import QueryError, UsageError
from explorer.records import Space, to_json

if TYPE_CHECKING:
    from explorer.atlas import Atlas
    from explorer.search import Mask

FORMATS = ("csv", "jsonl", "parquet")
EXPORTED = 100
"""How many pictures `export --search` takes where nothing is said."""


def add_verbs(verbs: Any) -> None:  # noqa: ANN401 - argparse keeps this class to itself
    """Add this package's verbs to the command line."""
    _search_words(arguments.verb(verbs, "search", "find the nearest pictures", run_search, lines.found))
    _generate_words(
        arguments.verb(verbs, "generate", "generate a picture and see where it lands", run_generate, lines.generated)
    )

    locate = arguments.verb(verbs, "locate", "see where any picture lands", run_locate, lines.landed)
    locate.add_argument("image", type=Path, metavar="IMAGE", help="JPEG, PNG, WebP or GIF")
    locate.add_argument("--prompt", metavar="T", help="the words that it was made from, where they are known")
    locate.add_argument(
        "--report", type=Path, metavar="FILE", help="write its provenance there too: a page (.html), or JSON (.json)"
    )
    arguments.add_k(locate)
    arguments.add_split(locate)
    arguments.add_device(locate)

    clusters = arguments.verb(verbs, "clusters", "list the clusters", run_clusters, lines.clusters)
    arguments.add_space(clusters)
    arguments.add_level(clusters, default=0)
    _export_words(
        arguments.verb(verbs, "export", "write pictures' links, licences and places", run_export, lines.exported)
    )
    arguments.verb(verbs, "status", "say what is there", run_status, lines.state)
    arguments.verb(verbs, "verify", "recompute every checksum and count", run_verify, lines.verified)


def run_search(args: argparse.Namespace) -> Document:
    """Find the pictures nearest to words, to a picture, or to one of the atlas."""
    if args.text is not None and args.space != Space.CLIP:
        raise UsageError(f"--text cannot be asked in the space {args.space}, which knows no words; use --space clip")
    from explorer import search

    atlas, split = arguments.opened(args), arguments.split(args)
    among = arguments.among(atlas, args.filter)
    if args.id is not None:
        hits = search.search_id(atlas, args.id, args.space, args.k, split, among)
        return {"hits": [to_json(hit) for hit in hits], "notes": []}
    notes, models = arguments.notes(args, atlas, args.space), arguments.models(args, atlas)
    if args.text is not None:
        hits = search.search_text(atlas, models, args.text, args.k, split, among)
    else:
        hits = search.search_image(atlas, models, arguments.picture(args.image), args.space, args.k, split, among)
    return {"hits": [to_json(hit) for hit in hits], "notes": notes}


def run_generate(args: argparse.Namespace) -> Document:
    """Generate a picture, locate it, and leave picture, steps and report in a folder."""
    from explorer.folders import check_free
    from explorer.generate import Generator, named_by
    from explorer.recipes import check_recipe, fan
    from explorer.records import Recipe
    from explorer.report.folder import write_report

    wished = {name: getattr(args, name) for name in ("steps", "guidance") if getattr(args, name) is not None}
    ways = fan(args.branch)
    for branches in ways or ((),):  # before a model is loaded
        check_recipe(Recipe(args.prompt, args.negative, args.seed, **wished, branches=branches))
    check_free(args.out)
    atlas = arguments.opened(args)
    notes = arguments.notes(args, atlas, *atlas.spaces, generator=args.generator or named_by(atlas))
    generator = Generator.load(args.generator, atlas, lora=args.lora, device=args.device)
    recipe = generator.recipe(args.prompt, negative=args.negative, seed=args.seed, **wished)
    recipes = [replace(recipe, branches=branches) for branches in (ways[0][:-1] if ways else (), *ways)]
    for each in recipes:  # before anything is written
        generator.check(each)
    folders = [args.out, *(args.out / f"branch-{number}" for number in range(1, len(recipes)))]
    told = [
        write_report(folder, generator.generate(each, progress=args.progress), generator)
        for folder, each in zip(folders, recipes, strict=True)
    ]
    return told[0] | {"branches": told[1:], "notes": notes}


def run_locate(args: argparse.Namespace) -> Document:
    """See where a picture lands; with a report, also how firm that is, and what its prompt says."""
    from explorer.provenance import locate

    if args.prompt is not None and args.report is None:
        raise UsageError("--prompt is told in the report alone; name a file with --report")
    if args.report is not None:
        from explorer.report.file import check_name

        check_name(args.report)
    atlas, (picture, digest) = arguments.opened(args), arguments.picture_file(args.image)
    notes, models = arguments.notes(args, atlas, *atlas.spaces), arguments.models(args, atlas)
    landing = locate(atlas, models, picture, k=args.k, split=arguments.split(args))
    if args.report is None:
        return {"landing": to_json(landing), "notes": notes}
    from explorer.report.document import Subject, document
    from explorer.report.file import write_file

    told = document(atlas, models, Subject(picture, landing, digest, args.prompt))
    write_file(args.report, atlas, told, picture)
    return {"landing": told["landing"], "report": str(args.report.absolute()), "notes": notes}


def run_clusters(args: argparse.Namespace) -> Document:
    """List the clusters of a space."""
    found = arguments.opened(args).clusters(args.space, args.level)
    return {"space": args.space, "level": args.level, "clusters": [to_json(cluster) for cluster in found]}


def run_export(args: argparse.Namespace) -> Document:
    """Write rows of the atlas to a file."""
    if args.cluster is None and args.ids is None and args.search is None and not args.filter:
        raise UsageError("found nothing to export; expected one of --cluster, --ids, --search and --filter")
    from explorer.export import export

    atlas = arguments.opened(args)
    notes = [] if args.search is None else arguments.notes(args, atlas, Space.CLIP)
    ids = _chosen(args, atlas, arguments.among(atlas, args.filter))
    rows = export(atlas, ids, args.format, args.out, space=args.space)
    if rows < len(ids):
        notes.append(f"{len(ids) - rows:,} pictures are flagged as unsafe and were left out")
        args.progress.note(notes[-1])
    return {"rows": rows, "path": str(args.out.absolute()), "notes": notes}


def _chosen(args: argparse.Namespace, atlas: Atlas, among: Mask | None) -> list[int]:
    """The ids to export: of a search, or what `chosen.meant` says."""
    if args.level is not None and args.cluster is None:
        raise QueryError(f"found --level {args.level} without --cluster; name the cluster too, or leave the level out")
    if args.search is not None:
        from explorer.search import search_text

        return [
            hit.id
            for hit in search_text(
                atlas, arguments.models(args, atlas), args.search, args.k, arguments.split(args), among
            )
        ]
    cluster = None if args.cluster is None else chosen.Group(args.space, args.cluster, args.level or 0)
    return chosen.meant(atlas, cluster, args.ids, among)


def run_status(args: argparse.Namespace) -> Document:
    """Say what is in an atlas, and what an unfinished build has so far."""
    from explorer.status import status

    return status(args.atlas)


def run_verify(args: argparse.Namespace) -> Document:
    """Hold every file of an atlas against what was published; not `ok` exits with 1."""
    from explorer.verify import verify

    problems = verify(args.atlas)
    return {"ok": not problems, "problems": problems}


def _search_words(parser: argparse.ArgumentParser) -> None:
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--text", metavar="T", help="words")
    asked.add_argument("--image", type=Path, metavar="FILE", help="a picture: JPEG, PNG, WebP or GIF")
    asked.add_argument("--id", type=int, metavar="N", help="a picture of the atlas; it is left out of the answer")
    arguments.add_filter(parser)
    arguments.add_space(parser)
    arguments.add_k(parser)
    arguments.add_split(parser)
    arguments.add_device(parser)


def _generate_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prompt", required=True, metavar="T", help="what to generate")
    parser.add_argument("--negative", default="", metavar="T", help="what to keep out of it")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="default: 0")
    parser.add_argument("--steps", type=int, metavar="N", help="default: the generator's own")
    parser.add_argument("--guidance", type=float, metavar="G", help="default: the generator's own")
    parser.add_argument(
        "--branch",
        action="append",
        default=[],
        metavar="STEP:SEED,...",
        help="after this step go on with new noise, once for each seed; several times: branches of a branch",
    )
    parser.add_argument("--generator", metavar="REF", help="another generator than the manifest's: a hub id or a path")
    parser.add_argument("--lora", metavar="FILE", help="a LoRA's .safetensors file to put on the generator")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    arguments.add_device(parser)


def _export_words(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--cluster", type=int, metavar="N", help="a cluster of the space, of --level")
    which.add_argument("--ids", type=Path, metavar="FILE", help="ids, one a line")
    which.add_argument("--search", metavar="T", help="the pictures nearest to words")
    arguments.add_filter(parser)
    parser.add_argument("--format", required=True, choices=FORMATS, help="of the file")
    parser.add_argument("--out", type=Path, required=True, metavar="PATH", help="the file to write")
    arguments.add_space(parser)
    arguments.add_level(parser)
    arguments.add_k(parser, EXPORTED)
    arguments.add_split(parser)
    arguments.add_device(parser)

"""The verb `audit`: hold a whole set of pictures against an atlas."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import UsageError
from explorer.models.device import DEVICES
from explorer.words import chance

if TYPE_CHECKING:
    from explorer.atlas import Atlas
    from explorer.audit.document import Options
    from explorer.audit.drawing import Draw
    from explorer.audit.plan import Part, Plan
    from explorer.models.loader import Models

Document = dict[str, Any]

BATCH = 8
"""Pictures that are generated at a time on a GPU."""
_OF_GENERATING = ("seeds", "seed", "generator", "lora", "steps", "guidance", "batch")


def add_verb(verbs: Any) -> None:  # noqa: ANN401 - argparse keeps this class to itself
    """Add `audit` to the command line."""
    purpose = "hold a whole set of pictures against the atlas: how near, how varied, how evenly drawn"
    parser = verbs.add_parser("audit", help=purpose, description=purpose.capitalize() + ".")
    parser.add_argument("atlas", type=Path, metavar="ATLAS", help="the atlas's directory")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--prompts", type=Path, metavar="FILE", help="generate from these prompts, one a line")
    source.add_argument(
        "--captions", type=int, metavar="N", help="generate from N captions of the corpus, largest families first"
    )
    source.add_argument("--images", type=Path, metavar="FOLDER", help="take pictures that were made elsewhere")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder, or that of this audit")
    parser.add_argument("--part", type=_part, metavar="I/N", help="do only part I of N; parts merge in one folder")
    parser.add_argument(
        "--axis", nargs=2, action="append", default=[], metavar=("LOW", "HIGH"),
        help='an axis between two phrases as a column, such as "woman" "man"; may be said again',
    )  # fmt: skip
    parser.add_argument("-k", type=int, metavar="K", help="of density, coverage, precision and recall (default: 5)")
    _add_generating(parser)
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="where `serve` finds it (default: the atlas's)")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="default: auto")
    parser.set_defaults(run=run_audit, show=told)


def _add_generating(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, metavar="N", help="pictures a prompt (default: 1)")
    parser.add_argument("--seed", type=int, metavar="S", help="the first seed, and that of the captions (default: 0)")
    parser.add_argument("--generator", metavar="REF", help="another generator than the manifest's: a hub id or a path")
    parser.add_argument("--lora", metavar="FILE", help="a LoRA's .safetensors file to put on the generator")
    parser.add_argument("--steps", type=int, metavar="N", help="default: the generator's own")
    parser.add_argument("--guidance", type=float, metavar="G", help="default: the generator's own")
    parser.add_argument("--batch", type=int, metavar="N", help="pictures at a time (default: 1, on a GPU 8)")


def _part(text: str) -> Part:
    from explorer.audit.plan import Part

    try:
        return Part.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}; expected a part such as 2/3") from error


def run_audit(args: argparse.Namespace) -> Document:
    """Do what is missing of an audit; write its report once every part is there."""
    _check(args)
    from explorer.atlas import Atlas
    from explorer.audit.finish import finish
    from explorer.audit.plan import Part, hold
    from explorer.audit.run import at_hand, work
    from explorer.audit.shards import Shards
    from explorer.models.loader import Models

    atlas = Atlas.open(args.atlas, workspace=args.workspace)
    models, shards = Models(atlas, args.device), Shards(args.out)
    spaces, options = at_hand(atlas, models), _options(args, atlas, models)
    notes = [*_notes(args, atlas), *spaces.notes]
    for note in notes:
        args.progress.note(note)
    with ExitStack() as running:
        job = _of_folder(args, atlas, spaces.names, running) if args.images else _of_prompts(args, atlas, spaces.names)
        hold(args.out, job.plan)
        work(atlas, models, job.plan, job.draw, shards, args.part or Part(), args.progress)
    missing = sum(len(job.plan.shard(number)) for number in shards.missing(range(job.plan.shards)))
    document = {"out": str(args.out.absolute()), "pictures": len(job.plan.items), "missing": missing, "notes": notes}
    return document | (
        {"report": None} if missing else _report(args.out, finish(atlas, models, job.plan, shards, options))
    )


def _options(args: argparse.Namespace, atlas: Atlas, models: Models) -> Options:
    """What is to be measured; that an axis cannot be is said before anything is generated."""
    from explorer.audit.axes import Axis, axis_vector
    from explorer.audit.document import Options
    from explorer.audit.sets import K
    from explorer.records import Space

    axes = tuple(dict.fromkeys(Axis(low, high) for low, high in args.axis))
    for axis in axes:
        atlas.space(Space.CLIP)
        axis_vector(models, axis)
    return Options(axes, args.k or K, args.seed or 0)


@dataclass(frozen=True, slots=True)
class _Job:
    """What is to be audited, and who gives the pictures."""

    plan: Plan
    draw: Draw


def _of_folder(args: argparse.Namespace, atlas: Atlas, spaces: tuple[str, ...], running: ExitStack) -> _Job:
    from explorer.audit.folder import Folder, items
    from explorer.audit.plan import Plan, Source
    from explorer.decoding import Workers

    found = items(args.images, args.out)
    plan = Plan(atlas.manifest.name, atlas.version, spaces, Source.IMAGES, None, 1, found)
    return _Job(plan, Folder(args.images, running.enter_context(Workers())))


def _of_prompts(args: argparse.Namespace, atlas: Atlas, spaces: tuple[str, ...]) -> _Job:
    from explorer.audit.drawing import Generated
    from explorer.audit.plan import Plan, Source, generated
    from explorer.audit.prompts import captions, read
    from explorer.generate import Generator
    from explorer.models.device import pick
    from explorer.recipes import check_recipe
    from explorer.verify import checksum

    first, seeds = args.seed or 0, args.seeds or 1
    prompts = read(args.prompts) if args.prompts else captions(atlas, args.captions, first)
    generator = Generator.load(args.generator, atlas, lora=args.lora, device=args.device)
    recipe = generator.recipe("", steps=args.steps, guidance=args.guidance)
    for seed in (first, first + seeds - 1):
        check_recipe(replace(recipe, prompt=prompts[0].text, seed=seed))
    source = Source.PROMPTS if args.prompts else Source.CAPTIONS
    items = generated(prompts, seeds, first)
    lora = checksum(Path(args.lora).expanduser()) if args.lora else None  # it is there: the generator has read it
    plan = Plan(atlas.manifest.name, atlas.version, spaces, source, recipe, seeds, items, lora)
    batch = args.batch or (1 if pick(args.device).type == "cpu" else BATCH)
    return _Job(plan, Generated(generator, recipe, batch))


def _report(out: Path, told: Document) -> Document:
    from explorer.audit.finish import PAGE

    return {"report": str((out / PAGE).absolute()), **{name: told[name] for name in _TOLD}}


_TOLD = ("name", "failed", "verdicts", "axes", "spaces")


def _check(args: argparse.Namespace) -> None:
    """Hold that the words fit together.

    Raises:
        UsageError: they do not.
    """
    given = [name for name in _OF_GENERATING if getattr(args, name) is not None]
    if args.images is not None and given:
        raise UsageError(f"--{given[0]} belongs to generating; --images takes pictures as they are")
    for name in ("seeds", "batch", "k"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"found {'-' if name == 'k' else '--'}{name} {value}; expected 1 or more")


def _notes(args: argparse.Namespace, atlas: Atlas) -> list[str]:
    """What has to be known of the models in use."""
    from explorer.models.loader import demo_note

    named = [(model or {}).get("reference") for role, model in atlas.meta["models"].items() if role != "generator"]
    note = demo_note([*named, args.generator], atlas.manifest.kind)
    return [note] if note else []


def told(document: Mapping[str, Any]) -> str:
    """What an audit found, as lines for people."""
    if document["missing"]:
        done = document["pictures"] - document["missing"]
        return f"{done:,} of {document['pictures']:,} pictures are done; the report comes with the last part"
    lines = [document["report"], ""]
    lines += [
        f"{name:<9} {each['share']:6.1%} of the pictures ({each['low']:.1%} to {each['high']:.1%})"
        for name, each in document["verdicts"].items()
    ]
    for space, measured in document["spaces"].items():
        lines += ["", *_space(space, measured)]
    return "\n".join(lines)


def _space(space: str, measured: Mapping[str, Any]) -> Iterator[str]:
    """The figures of one space, density and coverage first, each with what it depends on."""
    sets, vendi, usual = measured["sets"], measured["vendi"], measured["training_vendi"]
    if "reason" in sets:
        yield f"{space}: {sets['reason']}"
    else:
        yield (
            f"{space}: density {sets['density']:.3f}, coverage {sets['coverage']:.3f} (drawn alike: "
            f"{sets['expected_coverage']:.3f}), precision {sets['precision']:.3f}, recall {sets['recall']:.3f}; "
            f"k = {sets['k']}, {sets['generated']:,} pictures against {sets['real']:,}"
        )
    yield (
        f"{space}: Vendi score {vendi['score']:.1f} of {vendi['pictures']:,} pictures; in the collection "
        f"{usual['score']:.1f} of {usual['pictures']:,}"
    )
    copying = measured["copying"]
    if "reason" in copying:
        yield f"{space}: no test for data copying, {copying['reason']}"
    else:
        yield (
            f"{space}: data copying C_T {copying['c_t']:.2f} (p {chance(copying['p'])}); nearer than a held-out one "
            f"in {copying['nearer']:.0%} of the pairs; one picture a prompt, {copying['generated']:,}, "
            f"and one a family, {copying['heldout']:,} held out"
        )

"""The verb `noise`: a picture of the atlas is noised, and leaves the cloud."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from explorer import arguments, lines
from explorer.records import Medium, Schedule

SCHEDULES = tuple(schedule.value for schedule in Schedule)
MEDIA = tuple(medium.value for medium in Medium)


def add_verb(verbs: Any) -> None:  # noqa: ANN401 - argparse keeps this class to itself
    """Add the verb to the command line."""
    purpose = "noise a picture of the atlas and see it leave the cloud"
    parser = arguments.verb(verbs, "noise", purpose, run, lines.noised)
    parser.add_argument("--id", type=int, required=True, metavar="N", help="the picture")
    usual = Schedule.SCALED_LINEAR.value
    parser.add_argument("--schedule", choices=SCHEDULES, default=usual, help=f"how noise grows; default: {usual}")
    parser.add_argument("--medium", choices=MEDIA, help="what is noised; default: latents, where the atlas has a VAE")
    parser.add_argument("--steps", type=int, default=25, metavar="N", help="default: 25")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the noise; default: 0")
    parser.add_argument("--out", type=Path, metavar="DIR", help="a new or empty folder for pictures, film and report")
    arguments.add_device(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Noise a picture along a schedule, and see when its neighbors stop being its own."""
    from explorer.folders import check_free
    from explorer.noise_report import document, write
    from explorer.noising import NoisePlan, noised

    if args.out is not None:
        check_free(args.out)
    atlas = arguments.opened(args)
    medium = Medium(args.medium) if args.medium else None
    plan = NoisePlan(args.id, Schedule(args.schedule), medium, args.steps, args.seed)
    way = list(
        args.progress.track(noised(atlas, arguments.models(args, atlas), plan), stage="noise", total=args.steps + 1)
    )
    return document(atlas, way) if args.out is None else write(args.out, atlas, way)

"""The verb `noise`: a picture of the atlas is noised, and leaves the cloud."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from explorer import lines
from explorer.models.device import DEVICES
from explorer.records import Medium, Schedule

SCHEDULES = tuple(schedule.value for schedule in Schedule)
MEDIA = tuple(medium.value for medium in Medium)


def add_verb(verbs: Any) -> None:  # noqa: ANN401 - argparse keeps this class to itself
    """Add the verb to the command line."""
    purpose = "noise a picture of the atlas and see it leave the cloud"
    parser = verbs.add_parser("noise", help=purpose, description=purpose.capitalize() + ".")
    parser.add_argument("atlas", type=Path, metavar="ATLAS", help="the atlas's directory")
    parser.add_argument("--id", type=int, required=True, metavar="N", help="the picture")
    usual = Schedule.SCALED_LINEAR.value
    parser.add_argument("--schedule", choices=SCHEDULES, default=usual, help=f"how noise grows; default: {usual}")
    parser.add_argument("--medium", choices=MEDIA, help="what is noised; default: latents, where the atlas has a VAE")
    parser.add_argument("--steps", type=int, default=25, metavar="N", help="default: 25")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the noise; default: 0")
    parser.add_argument("--out", type=Path, metavar="DIR", help="a new or empty folder for pictures, film and report")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="default: auto")
    parser.set_defaults(run=run, show=lines.noised)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Noise a picture along a schedule, and see when its neighbors stop being its own."""
    from explorer.atlas import Atlas
    from explorer.folders import check_free
    from explorer.models.loader import Models
    from explorer.noise_report import document, write
    from explorer.noising import NoisePlan, noised

    if args.out is not None:
        check_free(args.out)
    atlas = Atlas.open(args.atlas)
    medium = Medium(args.medium) if args.medium else None
    plan = NoisePlan(args.id, Schedule(args.schedule), medium, args.steps, args.seed)
    way = list(
        args.progress.track(noised(atlas, Models(atlas, args.device), plan), stage="noise", total=args.steps + 1)
    )
    return document(atlas, way) if args.out is None else write(args.out, atlas, way)

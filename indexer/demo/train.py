"""Train the demo's models: `python -m indexer.demo.train PART --minutes N --out runs/demo`.

Each goes on from its checkpoint in the run's folder, and publishes averaged weights at every checkpoint.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from indexer.demo import clip, generator, vae
from indexer.demo.clip import train_clip, train_words
from indexer.demo.corpus import DemoCorpus
from indexer.demo.generator import train_generator
from indexer.demo.loop import LoopOptions
from indexer.demo.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from indexer.demo.vae import train_decoder, train_vae

MODELS = Path(__file__).parents[2] / "explorer" / "models" / "demo"
CLIP, GENERATOR = "clip", "generator"
PARTS = ("tokenizer", "clip", "words", "vae", "decoder", "generator")


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and train one part."""
    parser = argparse.ArgumentParser(prog="python -m indexer.demo.train", description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--minutes", type=float, default=30.0, help="training time, resumed runs included")
    parser.add_argument("--steps", type=int, default=0, help="stop after this many steps; 0 = by time alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = as torch decides")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="checkpoints and losses")
    parser.add_argument("--models", type=Path, default=MODELS, help="where the published weights go")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    _train(options)


def _train(options: argparse.Namespace) -> None:
    """Run the part that was asked for; each reads what the parts before it published."""
    corpus = DemoCorpus.load()
    folder, clip_out, generator_out = options.out / options.part, options.models / CLIP, options.models / GENERATOR
    if options.part == "tokenizer":
        learned = train_tokenizer(corpus.rows)
        save_tokenizer(learned, generator_out / "tokenizer")
        save_tokenizer(learned, clip_out)
    elif options.part == "vae":
        train_vae(corpus, _loop(options, vae.LEARNING_RATE), folder, generator_out / "vae", options.device)
    elif options.part == "decoder":
        train_decoder(corpus, _loop(options, vae.LEARNING_RATE), folder, generator_out / "vae", options.device)
    elif options.part in ("clip", "words"):
        train_tower = train_clip if options.part == "clip" else train_words
        tokenizer, loop = load_tokenizer(clip_out), _loop(options, clip.LEARNING_RATE)
        train_tower(corpus, tokenizer, loop, folder, clip_out, options.device)
    else:
        train_generator(corpus, _loop(options, generator.LEARNING_RATE), folder, options.models, options.device)


def _loop(options: argparse.Namespace, learning_rate: float) -> LoopOptions:
    return LoopOptions(options.minutes, learning_rate, seed=options.seed, steps=options.steps)


if __name__ == "__main__":
    main()

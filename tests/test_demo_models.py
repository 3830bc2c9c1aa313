"""The embedded default's models: the weights that are shipped, and the training that made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from explorer.models.clip import ClipModel
from explorer.records import Split
from indexer.demo.clip import build_clip, embed_texts, load_clip, nce
from indexer.demo.corpus import DemoCorpus
from indexer.demo.evaluate import measure_clip, reconstruct
from indexer.demo.generator import draw_prompt, draw_timesteps, snr_weights
from indexer.demo.loop import LoopOptions, Training
from indexer.demo.measure import draw_evenly, family_hits, nearest, psnr
from indexer.demo.report import BEGIN, END, insert, tables
from indexer.demo.text_encoder import text_encoder_from_clip
from indexer.demo.texts import TextBank, Words, tokenize
from indexer.demo.tokenizer import CONTEXT_LENGTH, PAD_ID, VOCABULARY, load_tokenizer
from indexer.demo.train import MODELS
from indexer.demo.vae import load_vae

ROOT = Path(__file__).parents[1]
MAX_BYTES = 40_000_000


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return json.loads((ROOT / "docs" / "demo-models" / "figures.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def corpus() -> DemoCorpus:
    return DemoCorpus.load()


@pytest.fixture(scope="module")
def clip() -> ClipModel:
    return ClipModel.load(f"local-dir:{MODELS / 'clip'}", "cpu")


def test_the_models_are_small_and_hold_no_pickle() -> None:
    """At most 40 MB in all; weights are safetensors, the rest is JSON that names no folder of the trainer's machine."""
    files = [path for path in MODELS.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES
    assert not [path for path in files if path.suffix == ".json" and "_name_or_path" in path.read_text("utf-8")]


@pytest.mark.slow
def test_the_shipped_clip_reaches_its_figures(corpus: DemoCorpus, clip: ClipModel, figures: dict[str, Any]) -> None:
    """What docs/demo-models.md says of CLIP holds for the shipped weights, on every seventh caption and tag."""
    vectors = clip.embed_pictures([Image.fromarray(picture) for picture in corpus.pictures])
    measured = measure_clip(corpus, clip, vectors, every=7)
    for language in ("en", "zh"):
        said = figures["clip"][language]
        assert measured[language]["family_at_10"] >= said["family_at_10"] - 0.02
        assert measured[language]["tag_at_10"] >= said["tag_at_10"] - 0.03


def test_the_shipped_vae_reaches_its_figure(corpus: DemoCorpus, figures: dict[str, Any]) -> None:
    """On a sample, decibels as documented."""
    sample = corpus.pictures[:: len(corpus.rows) // 200]
    decoded = reconstruct(load_vae(MODELS / "generator" / "vae").eval(), sample)
    assert psnr(decoded, sample).mean() >= figures["vae"]["psnr"] - 0.5


def test_the_generator_never_sees_a_held_out_family(corpus: DemoCorpus) -> None:
    """What it trains on and what is held out have no family in common."""
    shown, hidden = ({row.family for row in corpus.only(split).rows} for split in (Split.TRAIN, Split.HELDOUT))
    assert shown and hidden and not shown & hidden


def test_batches_are_balanced_by_family(corpus: DemoCorpus) -> None:
    """A family comes again only after all have come, however many skin tones it has."""
    drawn = corpus.draw(np.random.default_rng(0), len(corpus.members))
    assert sorted(corpus.families[drawn]) == list(range(len(corpus.members)))


def test_both_tokenizers_agree_and_pool_at_the_end() -> None:
    """Both pipelines' tokenizers give the same tokens; the end has the highest number, as open_clip needs."""
    texts = ["a cat, on fire", "猫脸", "ZOMBIE", "", "龘 ß"]
    tokens = tokenize(load_tokenizer(MODELS / "generator" / "tokenizer"), texts)
    other = open_clip.get_tokenizer(f"local-dir:{MODELS / 'clip'}")(texts)
    assert torch.equal(tokens, other) and tokens.shape == (len(texts), CONTEXT_LENGTH)
    ends = tokens.argmax(dim=1)
    assert (tokens.max(dim=1).values == VOCABULARY - 1).all()
    assert all((row[end + 1 :] == PAD_ID).all() for row, end in zip(tokens, ends, strict=True))


def test_the_text_encoder_starts_as_clips_text_tower() -> None:
    """The generator's text model computes what open_clip's text tower does."""
    model = load_clip(MODELS / "clip").eval()
    tokens = tokenize(load_tokenizer(MODELS / "clip"), ["red heart", "红心"])
    with torch.inference_mode():
        states = text_encoder_from_clip(model.state_dict()).eval()(tokens).last_hidden_state
        pooled = states[torch.arange(2), tokens.argmax(dim=1)] @ model.text_projection
        torch.testing.assert_close(pooled, model.encode_text(tokens), atol=1e-4, rtol=1e-4)


def test_cut_texts_embed_as_whole_ones() -> None:
    """Leaving padding out changes nothing."""
    torch.manual_seed(0)
    model = build_clip().eval()
    tokens = tokenize(load_tokenizer(MODELS / "clip"), ["cat", "flag: Bosnia & Herzegovina, flag, country", "狗"])
    with torch.inference_mode():
        torch.testing.assert_close(embed_texts(model, tokens), model.encode_text(tokens, normalize=True))


def test_a_text_is_true_of_what_bears_its_tags(corpus: DemoCorpus) -> None:
    """Tags are true of all their bearers, a caption of its own picture; a caption that is a tag elsewhere may be."""
    bank = TextBank(corpus)
    keys = [row.key for row in corpus.rows]
    cat = bank.tags.index("cat")
    true, maybe = bank.truth([Words("cat", (cat,)), Words("cat", (cat,), owner=keys.index("1F408"))])
    assert true[0, keys.index("1F431")] and true[0, keys.index("1F408")] and not true[0, keys.index("1F436")]
    assert true[1].sum() == 1 and maybe[1, keys.index("1F431")] and not (true & maybe).any()


def test_nce_takes_any_right_answer() -> None:
    """The loss is the log of the share that falls on all right candidates together."""
    logits = torch.tensor([[1.0, 1.0, 1.0, 1.0]])
    loss = nce(logits, torch.tensor([[True, True, False, False]]))
    assert loss.item() == pytest.approx(np.log(2))


def test_prompts_are_captions_tags_and_nothing(corpus: DemoCorpus) -> None:
    """One prompt in ten is empty, about half are the English caption."""
    rng = np.random.default_rng(0)
    drawn = [draw_prompt(corpus, 100, rng) for _ in range(2_000)]
    assert drawn.count("") / len(drawn) == pytest.approx(0.1, abs=0.03)
    assert drawn.count(corpus.rows[100].captions["en"]) / len(drawn) == pytest.approx(0.5, abs=0.04)
    assert corpus.rows[100].captions["zh"] in drawn


def test_timesteps_lean_to_noise_and_pure_noise_counts() -> None:
    """All timesteps occur, late ones more often; the weight is one at pure noise and falls where noise is small."""
    steps = draw_timesteps(np.random.default_rng(0), 100_000, 1000)
    assert steps.min() == 0 and steps.max() == 999 and steps.float().mean() > 510
    assert snr_weights(torch.tensor([0.0, 0.5, 0.99])).tolist() == pytest.approx([1.0, 1.0, 0.05])


def test_measures() -> None:
    """Nearest equals a sort, a hit is a family among those found, and 20 dB is a tenth of the range."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((50, 8)).astype(np.float32)
    found = nearest(vectors[:5], vectors, 10)
    assert (found == np.argsort(-(vectors[:5] @ vectors.T), axis=1)[:, :10]).all()
    assert family_hits(np.array([[0, 1], [2, 0]]), np.array([7, 8, 9]), np.array([8, 8])).tolist() == [True, False]
    white = np.full((1, 4, 4, 3), 255, np.uint8)
    assert psnr(np.full_like(white, 255 - 25), white)[0] == pytest.approx(20, abs=0.2)


def test_prompts_are_drawn_evenly_over_the_groups(corpus: DemoCorpus) -> None:
    """As many from a small group as from a large one, and no family twice."""
    drawn = draw_evenly(corpus.rows, 100, seed=0)
    groups = [corpus.rows[row].group for row in drawn]
    assert {groups.count(group) for group in groups} == {10}
    assert len({corpus.rows[row].family for row in drawn}) == 100
    assert drawn == draw_evenly(corpus.rows, 100, seed=0)


def test_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A run that breaks off after three steps and goes on gives the weights of one that did not, averages included."""
    whole = _train(tmp_path / "whole", breaks_after=99)
    with pytest.raises(_PowerCutError):
        _train(tmp_path / "halves", breaks_after=3)
    torch.testing.assert_close(_train(tmp_path / "halves", breaks_after=99), whole, atol=0, rtol=0)
    lines = (tmp_path / "halves" / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [10]


class _PowerCutError(Exception):
    pass


def _train(folder: Path, breaks_after: int) -> Tensor:
    """Ten steps of a small model, with a checkpoint after each; its averaged weights."""
    torch.manual_seed(1)
    model, published, calls = nn.Linear(4, 2), [], []

    def loss(rng: np.random.Generator) -> dict[str, Tensor]:
        if len(calls) == breaks_after:
            raise _PowerCutError
        calls.append(1)
        batch = torch.from_numpy(rng.standard_normal((8, 4)).astype(np.float32))
        return {"loss": (model(batch) - torch.rand(8, 2)).square().mean()}

    options = LoopOptions(minutes=1, steps=10, learning_rate=0.1, warmup=2, save_minutes=0)
    Training(model, options, folder).run(loss, lambda average: published.append(average.weight.clone()))
    return published[-1]


def test_the_document_holds_the_measured_figures(tmp_path: Path, figures: dict[str, Any]) -> None:
    """The tables in docs/demo-models.md are those of figures.json, and a new measurement replaces them alone."""
    text = (ROOT / "docs" / "demo-models.md").read_text(encoding="utf-8")
    assert f"{BEGIN}\n{tables(figures)}\n{END}" in text
    copy = tmp_path / "demo-models.md"
    copy.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    insert(figures, copy)
    assert copy.read_text(encoding="utf-8") == f"before\n{BEGIN}\n{tables(figures)}\n{END}\nafter\n"

"""CLIP and VAE: loaded by each form of reference, and equal to what the libraries give by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import CLIP_DIM, SIDE

from explorer.errors import ModelError
from explorer.models import loader
from explorer.models.clip import ClipModel
from explorer.models.device import pick
from explorer.models.forward import Forward
from explorer.models.generator import GeneratorModel
from explorer.models.vae import VaeModel


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    sizes = [(SIDE, SIDE), (40, 64), (20, 50), (SIDE, SIDE)]
    return [Image.fromarray(rng.integers(0, 255, (h, w, 3), dtype=np.uint8)) for h, w in sizes]


@pytest.fixture(scope="module")
def clip(tiny_clip_dir: Path) -> ClipModel:
    return ClipModel.load(str(tiny_clip_dir), "cpu")


@pytest.fixture(scope="module")
def vae(tiny_pipeline_dir: Path) -> VaeModel:
    return VaeModel.load(str(tiny_pipeline_dir), "cpu")


def test_clip_vectors_are_unit_and_of_the_models_size(clip: ClipModel, pictures: list[Image.Image]) -> None:
    """Pictures of any size and any texts become unit vectors of one dimension, in float32."""
    for vectors in (clip.embed_pictures(pictures), clip.embed_texts(["a cat", "猫", "", "x" * 5000])):
        assert vectors.shape == (4, CLIP_DIM) and vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_clip_equals_open_clip_by_hand(clip: ClipModel, tiny_clip_dir: Path, pictures: list[Image.Image]) -> None:
    """A picture of the model's own size gets the vector that open_clip's own preprocessing and model give."""
    import open_clip

    model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{tiny_clip_dir}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tiny_clip_dir}")
    with torch.no_grad():
        by_hand = model.eval().encode_image(prepare(pictures[0])[None], normalize=True).numpy()
        words = model.encode_text(tokenizer(["a cat"]), normalize=True).numpy()
    np.testing.assert_allclose(clip.embed_pictures(pictures[:1]), by_hand, atol=1e-5)
    np.testing.assert_allclose(clip.embed_texts(["a cat"]), words, atol=1e-5)


def test_a_batch_gives_what_single_pictures_give(
    clip: ClipModel, vae: VaeModel, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vector depends on its picture alone, not on the batch it goes through; no picture is an empty array."""
    monkeypatch.setattr("explorer.models.clip.BATCH", 3)
    monkeypatch.setattr("explorer.models.vae.BATCH", 3)
    for embed in (clip.embed_pictures, vae.pooled):
        together = embed(pictures)
        assert together.shape[0] == 4
        np.testing.assert_allclose(together, np.concatenate([embed([each]) for each in pictures]), atol=1e-5)
        assert embed([]).shape == (0, together.shape[1])


def test_vae_vector_is_the_scaled_posterior_mean_pooled(
    vae: VaeModel, tiny_pipeline_dir: Path, pictures: list[Image.Image]
) -> None:
    """At 64 px the 16 x 16 latents are averaged in 2 x 2 blocks, computed here by hand from diffusers' encoder."""
    from diffusers import AutoencoderKL

    large = VaeModel.load(str(tiny_pipeline_dir), "cpu", side=64)
    picture = pictures[0].resize((64, 64))
    plain = AutoencoderKL.from_pretrained(tiny_pipeline_dir / "vae").eval()
    pixels = torch.from_numpy(np.asarray(picture, np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        mean = plain.encode(pixels).latent_dist.mean.numpy()[0] * plain.config.scaling_factor
    by_hand = mean.reshape(4, 8, 2, 8, 2).mean(axis=(2, 4)).ravel()
    np.testing.assert_allclose(large.pooled([picture])[0], by_hand, atol=1e-5)
    assert large.dim == vae.dim == 256


def test_shift_is_taken_off_before_scaling(vae: VaeModel, pictures: list[Image.Image]) -> None:
    """With a shift s and a scaling f the latent is (mean - s) * f, and decoding undoes both."""
    import copy

    shifted = copy.deepcopy(vae.vae)
    shifted.register_to_config(shift_factor=0.5, scaling_factor=2.0)
    other = VaeModel.of(shifted, vae.device, "shifted", None, vae.side)
    plain = vae.latents(pictures[:1]) / vae.vae.config.scaling_factor
    torch.testing.assert_close(other.latents(pictures[:1]), (plain - 0.5) * 2)
    assert other.fingerprint != vae.fingerprint
    np.testing.assert_array_equal(
        np.asarray(other.decode(other.latents(pictures[:1]))[0]), np.asarray(vae.decode(vae.latents(pictures[:1]))[0])
    )


def test_pooling_handles_sizes_that_do_not_divide(vae: VaeModel) -> None:
    """Latents of 12 x 20 are cropped to their middle 12 x 12 and averaged adaptively, as numpy does it by hand."""
    latents = torch.randn(1, 4, 12, 20, generator=torch.Generator().manual_seed(0))
    middle = latents.numpy()[0, :, :, 4:16]
    edges = [(i * 12 // 8, -(-(i + 1) * 12 // 8)) for i in range(8)]
    by_hand = [[[channel[a:b, c:d].mean() for c, d in edges] for a, b in edges] for channel in middle]
    np.testing.assert_allclose(vae.pool_latents(latents)[0], np.ravel(by_hand), atol=1e-6)


def test_one_vae_has_one_fingerprint_in_every_form(
    vae: VaeModel, tiny_pipeline_dir: Path, tiny_pipeline_file: Path, tiny_turbo_dir: Path, pictures: list[Image.Image]
) -> None:
    """The pipeline's folder, its VAE's folder and file, and the single file are one VAE; another seed's is another."""
    forms = [
        tiny_pipeline_file,
        tiny_pipeline_dir / "vae",
        tiny_pipeline_dir / "vae/diffusion_pytorch_model.safetensors",
    ]
    for form in forms:
        other = VaeModel.load(str(form), "cpu")
        assert (other.fingerprint, other.side) == (vae.fingerprint, SIDE)
        np.testing.assert_array_equal(other.pooled(pictures), vae.pooled(pictures))
    assert VaeModel.load(str(tiny_turbo_dir), "cpu").fingerprint != vae.fingerprint


def test_a_vae_of_another_class_is_refused(tiny_pipeline_dir: Path, tmp_path: Path) -> None:
    """A pipeline whose VAE is not an AutoencoderKL has no posterior mean, and the message says so."""
    shutil.copytree(tiny_pipeline_dir, tmp_path / "model")
    path = tmp_path / "model/vae/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "_class_name": "AutoencoderTiny"}))
    with pytest.raises(ModelError, match=r"its VAE is AutoencoderTiny; expected diffusers' AutoencoderKL"):
        VaeModel.load(str(tmp_path / "model"), "cpu")


def test_pickled_weights_in_a_folder_are_refused(tiny_pipeline_dir: Path, tiny_clip_dir: Path, tmp_path: Path) -> None:
    """A folder whose weights are pickles is refused unread, with the way to convert them."""
    for source, inside in ((tiny_pipeline_dir / "vae", ""), (tiny_clip_dir, "")):
        folder = tmp_path / source.name
        shutil.copytree(source, folder)
        for weights in (folder / inside).glob("*.safetensors"):
            weights.rename(weights.with_suffix(".bin"))
        load = VaeModel.load if source.name == "vae" else ClipModel.load
        with pytest.raises(ModelError, match=r"\.bin: a pickle can run code .* convert it once"):
            load(str(folder), "cpu")


def test_damaged_weights_are_one_line(tiny_clip_dir: Path, tmp_path: Path) -> None:
    """What safetensors raises for a cut-off file comes out as one line that names the model."""
    shutil.copytree(tiny_clip_dir, tmp_path / "clip")
    weights = tmp_path / "clip/open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(ModelError, match=f"model {tmp_path}/clip: ") as e:
        ClipModel.load(str(tmp_path / "clip"), "cpu")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("reference", ["ViT-B-32/laion2b_s34b_b79k", "hf-hub:nobody/nothing"])
def test_a_hub_model_without_the_hub_is_one_line(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, a hub id that is not in the cache says so and names the ways on."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"the hub cannot be reached .*; go online once, or name a folder"):
        ClipModel.load(reference, "cpu")


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], None]:
    """Put a folder into an empty hub cache, as a download would leave it, with the hub out of reach."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def put(repository: str, folder: Path) -> None:
        place = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
        shutil.copytree(folder, place / "snapshots" / COMMIT)
        (place / "refs").mkdir()
        (place / "refs/main").write_text(COMMIT)

    return put


def test_a_hub_id_needs_nothing_but_the_download(
    cached: Callable[[str, Path], None], tiny_pipeline_dir: Path, vae: VaeModel, pictures: list[Image.Image]
) -> None:
    """A pipeline that the hub's cache holds is loaded by its id, with the commit as its revision."""
    cached("someone/tiny-diffusion", tiny_pipeline_dir)
    found = VaeModel.load("someone/tiny-diffusion", "cpu")
    assert (found.fingerprint, found.revision, found.side) == (vae.fingerprint, COMMIT, SIDE)
    np.testing.assert_array_equal(found.pooled(pictures), vae.pooled(pictures))
    whole = GeneratorModel.load("hf-hub:someone/tiny-diffusion", device="cpu")
    assert (whole.revision, whole.vae.fingerprint) == (COMMIT, vae.fingerprint)


def test_a_clip_from_the_hub_by_id_and_by_tag(
    cached: Callable[[str, Path], None],
    clip: ClipModel,
    tiny_clip_dir: Path,
    tmp_path: Path,
    pictures: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """hf-hub:org/name and ARCH/TAG give the vectors of the same weights in a folder; a tag brings its preprocessing."""
    import open_clip
    from open_clip.pretrained import _PRETRAINED

    cached("someone/tiny-clip", tiny_clip_dir)
    settings = json.loads((tiny_clip_dir / "open_clip_config.json").read_text())
    (tmp_path / "Tiny-32.json").write_text(json.dumps(settings["model_cfg"]))
    open_clip.add_model_config(tmp_path / "Tiny-32.json")
    tags = {
        "plain": {"hf_hub": "someone/tiny-clip/"},
        "half": {"hf_hub": "someone/tiny-clip/", "mean": (0.5, 0.5, 0.5)},
    }
    monkeypatch.setitem(_PRETRAINED, "Tiny-32", tags)
    for reference in ("hf-hub:someone/tiny-clip", "Tiny-32/plain"):
        found = ClipModel.load(reference, "cpu")
        assert (found.fingerprint, found.revision) == (clip.fingerprint, COMMIT)
        np.testing.assert_array_equal(found.embed_pictures(pictures), clip.embed_pictures(pictures))
        np.testing.assert_array_equal(found.embed_texts(["a cat"]), clip.embed_texts(["a cat"]))
    assert ClipModel.load("Tiny-32/half", "cpu").mean == (0.5, 0.5, 0.5)


def test_an_unknown_architecture_names_its_neighbors() -> None:
    """A misspelled architecture is answered with those that open_clip has, a misspelled tag with its tags."""
    with pytest.raises(ModelError, match=r"has no architecture 'ViT-B-33'.*ViT-B-32"):
        ClipModel.load("ViT-B-33/openai", "cpu")
    with pytest.raises(ModelError, match=r"has no tag 'nothing' on the hub; it has: openai, "):
        ClipModel.load("ViT-B-32/nothing", "cpu")


def test_loading_says_nothing(tiny_clip_dir: Path, tiny_pipeline_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No progress bar, warning or log line of a library reaches either stream."""
    ClipModel.load(str(tiny_clip_dir), "cpu")
    VaeModel.load(str(tiny_pipeline_dir), "cpu")
    assert capfd.readouterr() == ("", "")


def test_devices() -> None:
    """`auto` always finds a device; an unknown or absent one is refused with what there is."""
    assert pick("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ModelError, match="expected one of auto, cpu, cuda, mps"):
        pick("tpu")


def test_shared_loads_once_for_many_threads() -> None:
    """However many threads ask at once, a model is loaded once and everybody gets the same."""
    import threading
    import time

    calls: list[int] = []

    def load() -> object:
        time.sleep(0.05)
        calls.append(1)
        return object()

    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(loader.shared(("test",), load))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and len(set(map(id, found))) == 1


@pytest.mark.parametrize(
    ("references", "corpus", "says"),
    [
        (["demo", "org/name"], "folder", True),
        (["demo", "demo"], "openmoji", False),
        (["ViT-B-32/openai", "org/name"], "folder", False),
        ([None, "demo"], "folder", True),
    ],
)
def test_the_demos_models_warn_on_other_corpora(references: list[str | None], corpus: str, says: bool) -> None:
    """Where one of the demo's models meets other pictures than emoji, the note says so and how to name others."""
    note = loader.demo_note(references, corpus)
    assert (note is not None) is says
    if note:
        assert "emoji" in note and "[models]" in note


def test_a_pickle_beside_safetensors_is_not_opened(tiny_clip_dir: Path, tmp_path: Path) -> None:
    """open_clip takes a pickle of its usual name before safetensors of another; such a folder is refused unread."""
    shutil.copytree(tiny_clip_dir, tmp_path / "clip")
    (tmp_path / "clip" / "open_clip_model.safetensors").rename(tmp_path / "clip" / "model.safetensors")
    torch.save({"a": torch.zeros(1)}, tmp_path / "clip" / "open_clip_pytorch_model.bin")
    with pytest.raises(ModelError, match=r"found model.safetensors .* name it open_clip_model.safetensors"):
        ClipModel.load(str(tmp_path / "clip"), "cpu")
    (tmp_path / "clip" / "model.safetensors").rename(tmp_path / "clip" / "open_clip_model.safetensors")
    kept = ClipModel.load(str(tmp_path / "clip"), "cpu")
    assert kept.fingerprint == ClipModel.load(str(tiny_clip_dir), "cpu").fingerprint


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference of a vector, relative to its length."""
    return float((np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)).max())


def test_half_precision_stays_near(clip: ClipModel, vae: VaeModel, pictures: list[Image.Image]) -> None:
    """In float16, as on CUDA, the tiny models' vectors are within 1e-2 of float32's, and they do differ."""
    for model, vectors in ((clip, clip.embed_pictures), (vae, vae.pooled)):
        whole = model.model if isinstance(model, ClipModel) else model.vae
        halved = replace(model, forward=Forward.of(whole, model.forward.precise.func, halves=True))
        assert halved.forward.half is not None
        found = halved.embed_pictures(pictures) if isinstance(halved, ClipModel) else halved.pooled(pictures)
        assert found.dtype == np.float32
        assert 0 < _relative(found, vectors(pictures)) < 1e-2


def test_what_float16_cannot_hold_is_computed_in_float32() -> None:
    """Where the pass in half precision overflows, its batch comes out as in float32; where not, that is not asked."""
    layer = torch.nn.Conv2d(3, 1, 1, bias=False)
    layer.weight.data.fill_(30_000.0)
    asked: list[torch.dtype] = []

    def run(model: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        asked.append(pixels.dtype)
        return model(pixels)

    forward = Forward.of(layer, run, halves=True)
    with torch.inference_mode():
        assert float(forward(torch.full((1, 3, 2, 2), 0.5)).max()) == 44_992  # the nearest that float16 has
        assert asked == [torch.float16]
        assert float(forward(torch.ones(1, 3, 2, 2)).max()) == 90_000
    assert asked == [torch.float16, torch.float16, torch.float32]
    assert Forward.of(layer, run, halves=False).half is None


def test_compiled_models_serve_their_batch_size_alone(clip: ClipModel, pictures: list[Image.Image]) -> None:
    """A batch of the compiled size goes the compiled way, another the usual one; on a CPU there is no compiled way."""
    assert clip.compiled(2).forward.compiled is None
    used: list[int] = []

    def counted(pixels: torch.Tensor) -> torch.Tensor:
        used.append(len(pixels))
        return clip.forward.precise(pixels.float())

    forward = replace(clip.forward, half=lambda pixels: clip.forward.precise(pixels.float()), compiled=counted, size=2)
    model = replace(clip, forward=forward)
    expected = clip.embed_pictures(pictures[:3])
    assert _relative(model.embed_pictures(pictures[:3]), expected) < 1e-2
    assert used == []
    assert _relative(model.embed_pictures(pictures[:2]), expected[:2]) < 1e-2
    assert used == [2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: float16 there is not compared")
@pytest.mark.parametrize("compile", [False, True])
def test_on_a_gpu_vectors_are_those_of_the_cpu(
    tiny_clip_dir: Path, tiny_pipeline_dir: Path, pictures: list[Image.Image], compile: bool
) -> None:
    """On CUDA, in half precision and compiled too, vectors are within 1e-2 relative of the CPU's float32."""
    here = ClipModel.load(str(tiny_clip_dir), "cpu").embed_pictures(pictures)
    clip = ClipModel.load(str(tiny_clip_dir), "cuda")
    assert clip.forward.half is not None
    assert clip.batch is None
    vae = VaeModel.load(str(tiny_pipeline_dir), "cuda")
    if compile:
        clip, vae = clip.compiled(len(pictures)), vae.compiled(len(pictures))
    assert _relative(clip.embed_pictures(pictures), here) < 1e-2
    there = VaeModel.load(str(tiny_pipeline_dir), "cpu").pooled(pictures)
    assert _relative(vae.pooled(pictures), there) < 1e-2

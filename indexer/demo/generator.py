"""The demo's generator: a latent diffusion model in the layout of Stable Diffusion 1.x, for 64 x 64 pixels.

v-prediction (Salimans and Ho 2022) over a schedule that ends in pure noise (Lin et al. 2024), because the pictures
stand on white: a schedule that lets a trace of the picture through at its end can only make gray grounds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from explorer.records import Split
from indexer.demo.clip import load_clip
from indexer.demo.corpus import LANGUAGES, DemoCorpus, caption, some_tags
from indexer.demo.loop import CHECKPOINT, LoopOptions, Loss, Training
from indexer.demo.text_encoder import text_encoder_from_clip
from indexer.demo.texts import tokenize
from indexer.demo.tokenizer import load_tokenizer
from indexer.demo.vae import encode_means, load_vae, to_pixels
from indexer.demo.weights import save_half

BATCH = 64
LEARNING_RATE = 7e-4
SNR_CAP = 5.0
NOISE_LEAN = 0.85
TEXT_WIDTH = 192


def build_unet() -> UNet2DConditionModel:
    """A U-Net with random weights; 9.7 million parameters."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=16,
        out_channels=16,
        block_out_channels=(192, 128),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_scheduler() -> DDIMScheduler:
    """The schedule of training, and DDIM for sampling."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


def train_generator(corpus: DemoCorpus, options: LoopOptions, folder: Path, models: Path, device: str) -> None:
    """Train the U-Net on the `train` split alone; publish beside the autoencoder in `models`/generator."""
    out = models / "generator"
    corpus = corpus.only(Split.TRAIN)
    tokenizer = load_tokenizer(out / "tokenizer")
    vae = load_vae(out / "vae").to(device)
    text_encoder = _text_encoder(models, resumed=(folder / CHECKPOINT).is_file()).to(device)
    model = build_unet().to(device, memory_format=torch.channels_last)
    save_half(text_encoder, out / "text_encoder")
    pipeline = _pipeline(model, vae, text_encoder, tokenizer, build_scheduler())
    pipeline.scheduler.save_pretrained(out / "scheduler")
    pipeline.save_config(out)
    Training(model, options, folder).run(objective(corpus, pipeline), lambda average: save_half(average, out / "unet"))


def objective(corpus: DemoCorpus, pipeline: StableDiffusionPipeline, size: int = BATCH) -> Loss:
    """What the U-Net of a pipeline is trained on: the weighted v error over batches balanced by family.

    Args:
        corpus: the pictures to learn, and their texts.
        pipeline: its U-Net is asked, all else stands still.
        size: of a batch.
    """
    vae, tokenizer, unet, device = pipeline.vae, pipeline.tokenizer, pipeline.unet, pipeline.device
    scheduler, text_encoder = pipeline.scheduler, pipeline.text_encoder
    latents = encode_means(vae, to_pixels(corpus.pictures)) * vae.config.scaling_factor
    shares = scheduler.alphas_cumprod.to(device)

    def loss(rng: np.random.Generator) -> dict[str, Tensor]:
        chosen = corpus.draw(rng, size)
        tokens = tokenize(tokenizer, [draw_prompt(corpus, int(index), rng) for index in chosen]).to(device)
        clean = latents[chosen].to(device)
        noise = torch.from_numpy(rng.standard_normal(clean.shape, np.float32)).to(device)
        timesteps = draw_timesteps(rng, len(clean), len(shares)).to(device)
        noisy, goal = scheduler.add_noise(clean, noise, timesteps), scheduler.get_velocity(clean, noise, timesteps)
        with torch.autocast(device.type, torch.bfloat16):
            states = text_encoder(tokens).last_hidden_state
            guess = unet(noisy.contiguous(memory_format=torch.channels_last), timesteps, states).sample
        error = (guess.float() - goal).square().mean(dim=(1, 2, 3))
        return {"loss": (error * snr_weights(shares[timesteps])).mean()}

    return loss


def draw_prompt(corpus: DemoCorpus, index: int, rng: np.random.Generator) -> str:
    """A prompt for the picture: 50 % the English caption, 20 % the Chinese, 20 % with tags or tags alone, 10 % empty.

    The empty prompt is what classifier-free guidance steers away from.
    """
    row, kind = corpus.rows[index], rng.random()
    if kind < 0.1:
        return ""
    if kind < 0.8:
        return caption(row, "en" if kind < 0.6 else "zh")
    language = LANGUAGES[int(rng.random() < 0.35)]
    tags = some_tags(row, language, int(rng.integers(1, 4)), rng)
    words = ((caption(row, language),) if kind < 0.9 or len(tags) < 2 else ()) + tags
    return ", ".join(words)


def draw_timesteps(rng: np.random.Generator, count: int, steps: int) -> Tensor:
    """int64 (count,), 0 .. steps - 1, leaning to the noisy end, where it is decided what the picture shows."""
    return torch.from_numpy((rng.random(count) ** NOISE_LEAN * steps).astype(np.int64))


def snr_weights(shares: Tensor) -> Tensor:
    """Weights of the v errors, float32 (b,), for the signal's share of the variance (alphas_cumprod).

    min(SNR + 1, cap) / (SNR + 1): min-SNR (Hang et al. 2023) moved by one, so that pure noise keeps its weight.
    """
    noise = 1 - shares
    return (SNR_CAP * noise).clamp(max=1.0)


def _text_encoder(models: Path, resumed: bool) -> CLIPTextModel:
    """The CLIP's text tower, frozen as in Stable Diffusion: it tells all captions apart, held-out ones too.

    A resumed run keeps the one that it began with, whatever became of the CLIP since.
    """
    if resumed:
        encoder = CLIPTextModel.from_pretrained(models / "generator" / "text_encoder", dtype=torch.float32)
    else:
        encoder = text_encoder_from_clip(load_clip(models / "clip").state_dict())
    return encoder.eval().requires_grad_(False)


def _pipeline(
    unet: UNet2DConditionModel,
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    scheduler: DDIMScheduler,
) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )

"""Stable Diffusion 1.x and CLIP in their own classes, but a thousand times smaller and with random weights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

SIDE = 32
"""The pictures' side: U-Net of 8 x 8 latents, VAE of factor 4."""
CLIP_DIM = 64
CLIP_SIDE = 32

_WORD_END = "</w>"


def build_pipeline(folder: Path, *, seed: int = 0, scheduler: str = "PNDMScheduler", **options: Any) -> Path:  # noqa: ANN401
    """Save a StableDiffusionPipeline in diffusers' layout; `options` are the scheduler's."""
    import diffusers

    torch.manual_seed(seed)
    settings = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    if scheduler == "PNDMScheduler":
        settings |= {"skip_prk_steps": True, "set_alpha_to_one": False}
    pipeline = diffusers.StableDiffusionPipeline(
        vae=_vae(),
        unet=_unet(),
        text_encoder=_text_encoder(),
        tokenizer=_tokenizer(folder.parent / f"{folder.name}-tokenizer"),
        scheduler=getattr(diffusers, scheduler)(**(settings | options)),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def build_single_file(folder: Path, file: Path) -> Path:
    """Save a pipeline's weights as one file under Stable Diffusion 1's own names, its configs in a folder beside it."""
    import diffusers

    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder)
    weights = {f"model.diffusion_model.{_unet_name(k)}": v for k, v in pipeline.unet.state_dict().items()}
    for name, tensor in pipeline.vae.state_dict().items():
        old = _vae_name(name, len(pipeline.vae.config.up_block_types))
        is_linear = tensor.ndim == 2  # the original's attention is made of 1 x 1 convolutions
        weights[f"first_stage_model.{old}"] = tensor[:, :, None, None] if is_linear else tensor
    for name, tensor in pipeline.text_encoder.state_dict().items():
        weights[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, file)
    for path in folder.rglob("*"):
        if path.suffix in (".json", ".txt"):
            copy = file.with_suffix("") / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return file


def build_clip(folder: Path, *, seed: int = 0) -> Path:
    """Save an open_clip model of ViT-B/32's class in open_clip's own layout."""
    import open_clip

    folder.mkdir(parents=True)
    settings = {
        "embed_dim": CLIP_DIM,
        "vision_cfg": {"image_size": CLIP_SIDE, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    preprocess = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
    torch.manual_seed(seed)
    model = open_clip.CLIP(**settings)
    # An untrained tower gives nearly one vector for all pictures; wider patch weights spread them.
    model.visual.conv1.weight.data *= 20
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": settings, "preprocess_cfg": preprocess}))
    return folder


def build_lora(file: Path, pipeline: Path, *, seed: int = 5) -> Path:
    """Save a LoRA of rank 2 on the U-Net's attention, in diffusers' names."""
    import diffusers

    torch.manual_seed(seed)
    unet = diffusers.UNet2DConditionModel.from_pretrained(pipeline, subfolder="unet")
    weights = {}
    for name, layer in unet.named_modules():
        if name.endswith(("to_q", "to_v")):
            weights[f"unet.{name}.lora_A.weight"] = torch.randn(2, layer.in_features)
            weights[f"unet.{name}.lora_B.weight"] = torch.randn(layer.out_features, 2)
    save_file(weights, file)
    return file


def _vae() -> torch.nn.Module:
    from diffusers import AutoencoderKL

    blocks = 3
    return AutoencoderKL(
        block_out_channels=(8, 8, 16), layers_per_block=1, norm_num_groups=4, latent_channels=4, sample_size=SIDE,
        down_block_types=("DownEncoderBlock2D",) * blocks, up_block_types=("UpDecoderBlock2D",) * blocks,
    )  # fmt: skip


def _unet() -> torch.nn.Module:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=SIDE // 4, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
        cross_attention_dim=32, attention_head_dim=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip


def _text_encoder() -> torch.nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=514, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            bos_token_id=512, eos_token_id=513, pad_token_id=513, projection_dim=32,
        )
    )  # fmt: skip


def _tokenizer(folder: Path) -> Any:  # noqa: ANN401 - transformers chooses the class
    """A CLIPTokenizer without merges: bytes alone, so that it reads any text."""
    from transformers import CLIPTokenizer

    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    words = [*alphabet, *(letter + _WORD_END for letter in alphabet), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    special = {"bos_token": words[512], "eos_token": words[513], "unk_token": words[513], "pad_token": words[513]}
    return CLIPTokenizer.from_pretrained(folder, model_max_length=77, **special)


_RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
           "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}  # fmt: skip
_UNET_ENDS = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
              "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}  # fmt: skip


def _unet_name(name: str, layers: int = 1) -> str:
    """The original's name of a U-Net tensor."""
    stem, _, ending = name.rpartition(".")
    if stem in _UNET_ENDS:
        return f"{_UNET_ENDS[stem]}.{ending}"
    side, block, part, index, rest = _unet_place(name)
    if part == "resnets":
        rest = re.sub(r"^\w+", lambda match: _RESNET[match[0]], rest)
    if side == "mid":
        return f"middle_block.{2 * index if part == 'resnets' else 1}.{rest}"
    if side == "down":
        at = 1 + block * (layers + 1) + (layers if part == "downsamplers" else index)
        rest = rest.replace("conv.", "op.", 1) if part == "downsamplers" else rest
        return f"input_blocks.{at}.{int(part == 'attentions')}.{rest}"
    at = block * (layers + 1) + (layers if part == "upsamplers" else index)
    has_attention = block == 1  # CrossAttnUpBlock2D is the second
    place = {"resnets": 0, "attentions": 1, "upsamplers": 2 if has_attention else 1}[part]
    return f"output_blocks.{at}.{place}.{rest}"


def _unet_place(name: str) -> tuple[str, int, str, int, str]:
    match = re.fullmatch(r"(down|mid|up)_blocks?(?:\.(\d+))?\.(\w+)\.(\d+)\.(.+)", name)
    assert match, name
    side, block, part, index, rest = match.groups()
    return side, int(block or 0), part, int(index), rest


_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def _vae_name(name: str, blocks: int) -> str:
    """The original's name of a VAE tensor."""
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"mid_block\.resnets\.(\d+)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    for new, old in _ATTENTION.items():
        name = name.replace(f"mid_block.attentions.0.{new}.", f"mid.attn_1.{old}.")
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", name)
    name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{blocks - 1 - int(m[1])}.upsample", name)
    return re.sub(r"up_blocks\.(\d+)\.resnets", lambda m: f"up.{blocks - 1 - int(m[1])}.block", name)

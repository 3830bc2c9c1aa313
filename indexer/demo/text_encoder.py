"""The generator's text encoder: our CLIP's text tower as a `CLIPTextModel`, as Stable Diffusion 1.x has CLIP's."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from indexer.demo.clip import MODEL_CONFIG
from indexer.demo.tokenizer import CONTEXT_LENGTH, VOCABULARY

_LAYER_NAMES = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def text_encoder_from_clip(weights: Mapping[str, Tensor]) -> CLIPTextModel:
    """Rename open_clip's text tower; its hidden states come out the same."""
    model = build_text_encoder()
    model.load_state_dict({name: value.float() for name, value in _renamed(weights).items()})
    return model


def build_text_encoder() -> CLIPTextModel:
    """A `CLIPTextModel` of the demo's size with random weights; 2.6 million parameters."""
    text = MODEL_CONFIG["text_cfg"]
    config = CLIPTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=text["width"],
        intermediate_size=4 * text["width"],
        projection_dim=MODEL_CONFIG["embed_dim"],
        num_hidden_layers=text["layers"],
        num_attention_heads=text["heads"],
        max_position_embeddings=CONTEXT_LENGTH,
        hidden_act="gelu",
        pad_token_id=0,
        bos_token_id=VOCABULARY - 2,
        eos_token_id=VOCABULARY - 1,
    )
    return CLIPTextModel(config)


def _renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    named = {
        "embeddings.token_embedding.weight": weights["token_embedding.weight"],
        "embeddings.position_embedding.weight": weights["positional_embedding"],
        "final_layer_norm.weight": weights["ln_final.weight"],
        "final_layer_norm.bias": weights["ln_final.bias"],
    }
    for layer in range(MODEL_CONFIG["text_cfg"]["layers"]):
        old, new = f"transformer.resblocks.{layer}", f"encoder.layers.{layer}"
        for kind in ("weight", "bias"):
            for before, after in _LAYER_NAMES.items():
                named[f"{new}.{after}.{kind}"] = weights[f"{old}.{before}.{kind}"]
            parts = weights[f"{old}.attn.in_proj_{kind}"].chunk(3)
            for letter, part in zip("qkv", parts, strict=True):
                named[f"{new}.self_attn.{letter}_proj.{kind}"] = part
    return named

"""Weights and configs from the Hugging Face hub, through its own cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from explorer.errors import ModelError
from explorer.models.references import pickle_message


def snapshot(repository: str, patterns: Sequence[str]) -> Path:
    """Return the folder of a hub repository's files, downloaded if the cache lacks them.

    Args:
        repository: org/name.
        patterns: which files, as shell patterns; half-precision and EMA-less copies are left out.

    Raises:
        ModelError: the hub cannot be reached, or has no such repository.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                repository, allow_patterns=list(patterns), ignore_patterns=["*.fp16.*", "*non_ema*", "*.bf16.*"]
            )
        )
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"model {repository}: the hub cannot be reached and its cache on this machine has no copy; go online once, "
            "or name a folder (./PATH) or a .safetensors file"
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise ModelError(
            f"model {repository}: the hub has no such public repository, or asks for a login (`hf auth login`); "
            "check the name"
        ) from error


def revision(path: Path) -> str | None:
    """The commit that a path inside the hub's cache belongs to; None for any other path."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts[:-1] else None


def safetensors_in(folder: Path, name: str) -> tuple[Path, ...]:
    """The safetensors files of a folder.

    Raises:
        ModelError: there is none; where there are pickles in their place, with the way to convert them.
    """
    found = tuple(sorted(folder.glob("*.safetensors")))
    if found:
        return found
    pickles = sorted(path for suffix in ("*.bin", "*.pt", "*.ckpt", "*.pth") for path in folder.glob(suffix))
    if pickles:
        raise ModelError(pickle_message(str(pickles[0])))
    raise ModelError(f"model {name}: {folder} holds no .safetensors file; expected a model's weights there")

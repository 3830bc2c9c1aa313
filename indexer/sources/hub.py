"""Files of a data set of the Hugging Face hub, through its own cache."""

from __future__ import annotations

import re
from pathlib import Path

from explorer.errors import ManifestError

_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
PREFIX = "hf-hub:"
"""What a path begins with that names a data set of the hub, as in `hf-hub:org/name`."""


def looks_like(path: str) -> bool:
    """Whether a path could be meant for a data set of the hub: one name, a slash, and another."""
    return _NAME.fullmatch(path) is not None


def dataset(reference: str, pattern: str, revision: str | None = None) -> Path:
    """The folder of a data set's files that match a glob, downloaded where the cache lacks them.

    Raises:
        ManifestError: the hub cannot be reached, or has no such data set, or wants to know who asks.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name = reference.removeprefix(PREFIX)
    patterns = [pattern, pattern.removeprefix("**/")]  # to the hub `**/` is at least one folder
    try:
        return Path(snapshot_download(name, repo_type="dataset", revision=revision, allow_patterns=patterns))
    except LocalEntryNotFoundError as error:
        raise ManifestError(
            f"path: the hub cannot be reached and its cache on this machine has no copy of {name}; go online once, or "
            "name files"
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise ManifestError(
            f"path: found no data set {name} that may be read; check its name, accept its terms on its page if it has "
            "any, and log in (`hf auth login`)"
        ) from error

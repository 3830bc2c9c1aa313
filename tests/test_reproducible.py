"""What `--reproducible` settles, so that no machine decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer.manifest import Manifest
from indexer import reproducible
from indexer.encoding import given
from indexer.encoding.given import GivenModels
from indexer.mapping.start import Start
from indexer.mapping.wording import Words
from indexer.plan import BuildOptions


class Named:
    """A source that says which model its vectors are from."""

    def describe(self) -> dict[str, dict[str, Any]]:
        """One space."""
        return {"clip": {"reference": "ViT-B-32/openai", "dim": 8}}


def test_labels_do_not_depend_on_the_models_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ready-made vectors' labels are judged by a model that happens to be here, but not in a reproducible build."""
    here = Words("key", lambda texts: np.zeros((len(texts), 8), np.float32))
    monkeypatch.setattr(given, "local_words", lambda *_: here)
    models = GivenModels(Manifest("embeddings", Path()), Named())
    assert reproducible.words(models, BuildOptions()) is here
    assert reproducible.words(models, BuildOptions(reproducible=True)) is None


def test_nothing_that_a_machine_rounds_otherwise_is_used() -> None:
    """Wide sums for neighbors, principal components for the start, one thread for the fit, recall for the index."""
    plain = BuildOptions()
    assert reproducible.settled(plain) is plain
    spaces = reproducible.settled(replace(plain, reproducible=True)).spaces
    assert spaces.neighbors.wide
    assert (spaces.map.start, spaces.map.threads_from) == (Start.PCA, None)
    assert spaces.search.by_recall

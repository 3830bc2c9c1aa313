"""The libraries below speak on both streams; here they are asked not to, and what they raise becomes one line."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from explorer.errors import ExplorerError, ModelError

_ONE_AT_A_TIME = threading.RLock()
"""The libraries' verbosity and Python's warning filters belong to the process."""


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Load a model in silence, one at a time in this process.

    Args:
        name: the reference, for the message.

    Raises:
        ModelError: in place of whatever the libraries raise, in one line.
    """
    with _ONE_AT_A_TIME:
        _hush()
        with _unlogged(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            except ExplorerError:
                raise
            # Loading runs through four libraries that raise nearly anything for a bad file or an absent network:
            # OSError, ValueError, KeyError, RuntimeError, SafetensorError, JSON's and the hub's own.
            except Exception as error:
                raise ModelError(f"model {name}: {_one_line(error)}") from error


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep open_clip's calls of the root logger off standard error; the first of them would give it a handler."""
    root, handler = logging.getLogger(), logging.NullHandler()
    before = root.manager.disable
    root.addHandler(handler)
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
        root.removeHandler(handler)


def _hush() -> None:
    import diffusers.utils.logging as diffusers_logging
    import huggingface_hub.utils as hub
    import transformers.utils.logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity(logging.CRITICAL)
        library.disable_progress_bar()
    hub.logging.set_verbosity(logging.CRITICAL)
    hub.disable_progress_bars()


def _one_line(error: BaseException) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 400 else words[:397] + "..."

"""The names by which callbacks and scripts find the page's components.

Buttons that stand in lists share one shape, `act(panel, do, value)`: the panel they stand in, what they do, and to what.
"""

from __future__ import annotations

from typing import Any

from dash import ALL

# the frame
SHELL = "shell"
PROVIDER = "provider"
ADDRESS = "address"
MAP = "map"
SPACE_CONTROL = "space-control"
COLOR_CONTROL = "color-control"
LEGEND = "legend"
SHEETS = "sheets"
HIDE = "hide-panels"
THEME_BUTTON = "theme-button"
SAVE_BUTTON = "save-button"
RESET_BUTTON = "reset-button"
KEYS_BUTTON = "keys-button"
ABOUT_BUTTON = "about-button"
CREDIT = "credit"
NOTICE = "notice"

# what the address bar holds, one store each, so that a panel hears only what concerns it
CONFIG = "config"
THEME = "theme"
MODELS = "models"
LIVE_TABLE = "live-table"
SPACE = "space"
COLOR = "color"
PICTURE = "picture"
QUERY = "query"
JOB = "job"

# search and what it found
SEARCH = "search"
SEARCH_CLEAR = "search-clear"
FOUND = "found"
FOUND_CARDS = "found-cards"
FOUND_HEAD = "found-head"
FOUND_IDS = "found-ids"
FOUND_BUSY = "found-busy"
FOUND_SPLIT = "found-split"
FOUND_SPLIT_BOX = "found-split-box"
FOUND_EXPORT = "found-export"

# studio
STUDIO = "studio"
PROMPT = "prompt"
SEED = "seed"
DICE = "dice"
STEPS = "steps"
GUIDANCE = "guidance"
GENERATE = "generate"
CANCEL = "cancel"
STUDIO_ERROR = "studio-error"
MODELS_WORDS = "models-words"
SUBMITTED = "submitted"
LIVE = "live"
LIVE_BOX = "live-box"
LIVE_WORDS = "live-words"
LIVE_BAR = "live-bar"
LIVE_PREVIEW = "live-preview"
LIVE_NEAREST = "live-nearest"
DONE = "done"
HISTORY = "history"
HISTORY_TILES = "history-tiles"

# here, nearest, clusters, about
HERE = "here"
HERE_BODY = "here-body"
NEAREST = "nearest"
NEAREST_BODY = "nearest-body"
NEAREST_TITLE = "nearest-title"
LANDING = "landing"
CLUSTERS = "clusters"
CLUSTERS_BODY = "clusters-body"
ABOUT = "about"
ABOUT_BODY = "about-body"


def act(panel: str, do: str, value: int | str) -> dict[str, Any]:
    """Return the id of the button in `panel` that does `do` to `value`."""
    return {"in": panel, "do": do, "to": value}


def every(do: str) -> dict[str, Any]:
    """Return the pattern of all buttons that do `do`, wherever they stand."""
    return {"in": ALL, "do": do, "to": ALL}

"""The map: a Dash component over three.js that draws an atlas's points in one call.

The page hands it props and hears from it through others; the numbers themselves come from the binary end points of
`webapp.api`. Three frames of coordinates meet here: *map units* are the atlas's own, *quantized* int16 travel, and
*scene units* are map radii from the map's center, the same for every space, so that one camera serves all maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash.development.base_component import Component

from webapp import figures

TEXTS: Mapping[str, str] = {
    "loading": "Loading {count} pictures",
    "failed": "The map could not be loaded. Check that the server is still running, then try again.",
    "retry": "Try again",
    "noWebgl": "This browser offers no WebGL 2, so the map cannot be drawn. Search, neighbors, clusters, exports work.",
    "contextLost": "The graphics card is busy elsewhere; the map comes back by itself.",
    "noCaption": "No caption",
    "noRecord": "This picture's record could not be read.",
    "keysTitle": "Keys of the map",
    "keyOrbit": "Turn the map",
    "keyZoom": "Come nearer, go farther",
    "keyPan": "Shift the view (or Shift with an arrow)",
    "keyPick": "Select the point nearest to the middle",
    "keyLasso": "Draw a line around pictures to select them (or Shift with a drag)",
    "keyFly": "Fly to the selection, or to where the generated picture landed",
    "keyReset": "Show the whole map",
    "keyNeighbors": "Previous and next picture in the list",
    "keySearch": "Go to the search line",
    "keyClear": "Let go: of the lasso, of a picture, of the search, of the filter",
    "keyHelp": "This list",
    "close": "Close",
    "lasso": "Lasso",
    "lassoHint": "Draw around pictures to select them, or click corner after corner; Escape gives up",
    "selectionCount": "{count} selected",
    "lassoFailed": "What the line goes around could not be found. Draw it again.",
    "selectionNone": "There is no picture within the line",
    "selectionSave": "Save the selected pictures as {format}",
    "selectionSaving": "The file is being made …",
    "selectionComing": "{megabytes} MB of {count} rows have come …",
    "selectionCancel": "Cancel",
    "selectionSaved": "{count} saved",
    "selectionSavedBut": "{count} saved; {left} left out, flagged as unsafe or taken down",
    "selectionFailed": "The file could not be made. Check that the server is still running, then try again.",
    "selectionClear": "Clear",
    "csv": "CSV",
    "jsonl": "JSON Lines",
    "parquet": "Parquet",
}
"""Every word that the map shows, in English; `texts` replaces them one by one."""

LABEL = "Map of the pictures. Arrow keys turn it, plus and minus zoom, question mark lists all keys."

NO_INSETS: Mapping[str, float] = {"left": 0, "right": 0, "top": 0, "bottom": 0}

_INPUTS = (
    *("id", "meta", "api", "space", "colorBy", "similarityUrl", "labels", "highlighted", "matchesUrl", "selected"),
    *(
        "neighbors",
        "landing",
        "trajectory",
        "way",
        "flyTo",
        "view",
        "insets",
        "theme",
        "palette",
        "accent",
        "attribution",
    ),
    *("texts", "ariaLabel", "savePng"),
)
_OUTPUTS = ("clicked", "hovered", "ready", "command")


class PointCloud(Component):
    """The map component. It fills its container.

    Props that the page sets:
        id: string, by which callbacks name it.
        meta: {version, arrays, n, pictures, spaces: {SPACE: {scale, center: [x, y, z], radius}}}; map = center +
            scale * q, radius in map units; arrays is the format that their addresses name; pictures is false where
            there are no thumbnails. null shows an empty ground.
        api: prefix of the end points; default "/api".
        space: the map shown; a change morphs the cloud.
        colorBy: "cluster", "split", "similarity", which reads `similarityUrl` (float32 (n,), cosine), or "overlap": how
            many of its 15 neighbors the map keeps of each picture.
        labels: [{cluster, label, point: [x, y, z] in map units, size, space, level?, parent?}]; those of level 1 take
            the place of their `parent`, a cluster of level 0, once the camera is near enough.
        highlighted: ids that were found, the rest dims; null or empty dims nothing.
        matchesUrl: where a filter's answer is (uint8 (n,), 1 = meets it), the rest dims; null dims nothing. What was
            found goes before it.
        selected: id or null.
        neighbors: ids to which lines are drawn from the selection, or from the landing where nothing is selected.
        landing: {points: {SPACE: [x, y, z]}, imageUrl?} in map units, or null.
        trajectory: {SPACE: [[x, y, z], ...]} in map units, oldest first, or null; it grows as steps are added.
        way: {paths: [{points: {SPACE: [[x, y, z], ...]}, step, imageUrl}], neighbors: [id, ...]} in map units, or null:
            whole ways, the first leading, each with its picture standing at its step (1-based), and the ids that the
            first one's step is near to. While it is there, it stands in the place of `trajectory`, `landing` and lines.
        flyTo: {target: "selection" | "landing" | "way" | "cluster" | "reset", cluster?, level?, nonce}; a new nonce
            flies.
        view: {position, target} in scene units. The camera starts there, and flies there when the page changes it; the
            map reports its own here once the camera rests.
        insets: {left, right, top, bottom}: CSS pixels that panels cover; the cloud is centered in the rest.
        theme: "dark" or "light".
        palette: {dark: [color, ...], light: [...]}, hex; cluster c has color c modulo their number.
        accent: {dark: color, light: color} of what the visitor made.
        attribution: text drawn into the saved PNG.
        texts: words of the map, over the English of `TEXTS`.
        ariaLabel: the map's name for screen readers.
        savePng: a new nonce saves the view as PNG.

    Props that the map sets:
        clicked: {id, nonce}.
        hovered: id or null, at most every 150 ms.
        view: as above.
        ready: {points, ms, bytes}, once the whole cloud is on screen.
        command: {name: "search" | "next" | "previous" | "clear", nonce}, keys that are the page's to answer.
    """

    _namespace = "webapp_pointcloud"
    _type = "PointCloud"
    _children_props: list[str] = []
    _base_nodes = ["children"]

    def __init__(
        self,
        *,
        id: str | None = None,
        meta: Mapping[str, Any] | None = None,
        texts: Mapping[str, str] | None = None,
        palette: Mapping[str, Sequence[str]] = figures.PALETTE,
        accent: Mapping[str, str] = figures.ACCENT,
        ariaLabel: str = LABEL,  # noqa: N803 - props keep one spelling in Python and TypeScript
        **props: Any,  # noqa: ANN401 - the props named above
    ) -> None:
        self._prop_names = [*_INPUTS, *_OUTPUTS]
        self._valid_wildcard_attributes: list[str] = []
        self.available_properties = self._prop_names
        self.available_wildcard_properties: list[str] = []
        unknown = sorted(set(props) - set(self._prop_names))
        if unknown:
            raise TypeError(f"PointCloud has no prop {', '.join(unknown)}; it has {', '.join(self._prop_names)}")
        given = {
            "meta": meta,
            "texts": {**TEXTS, **(texts or {})},
            "palette": {theme: list(colors) for theme, colors in palette.items()},
            "accent": dict(accent),
            "ariaLabel": ariaLabel,
            **props,
        }
        super().__init__(**({"id": id} if id is not None else {}), **given)

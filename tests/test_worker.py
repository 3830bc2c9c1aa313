"""What the map's worker answers about all points at once, against numpy that looks at every one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from map_worker import ask, eye
from numpy.typing import NDArray

from webapp.arrays import pack

N = 20_000
UNIT = 1 / 12_000
WIDTH, HEIGHT = 1280, 720
DIAMETER, LEAST, GREATEST = 9.0, 1.6, 15.0
DIM, NORMAL, STRONG = 58, 200, 255


@pytest.fixture(scope="module")
def points() -> NDArray[np.int16]:
    """A dense cloud of forty blobs and some strays, quantized, int16 (n, 3)."""
    rng = np.random.default_rng(5)
    middles = rng.normal(0, 8000, (40, 3))
    places = middles[rng.integers(0, 40, N)] + rng.normal(0, 900, (N, 3))
    places[:200] = rng.uniform(-32767, 32767, (200, 3))
    return np.clip(np.rint(places), -32767, 32767).astype(np.int16)


def camera(seed: int) -> NDArray[np.float64]:
    """A camera somewhere around or within the cloud; float64 (3, 4) over quantized points."""
    rng = np.random.default_rng(seed)
    away = rng.normal(size=3)
    position = away / np.linalg.norm(away) * rng.uniform(0.4, 3.0)
    rows = eye(position, rng.normal(0, 0.2, 3), width=WIDTH, height=HEIGHT)
    rows[:, :3] *= UNIT
    return rows


def question(rows: NDArray[np.float64]) -> dict[str, Any]:
    limits = {"diameter": DIAMETER, "least": LEAST, "greatest": GREATEST}
    return {"rows": rows.ravel().tolist(), "width": WIDTH, "height": HEIGHT, **limits}


def projected(rows: NDArray[np.float64], points: NDArray[np.int16]) -> NDArray[np.float64]:
    """Where each point is seen and how deep: float64 (n, 3)."""
    homogeneous = np.hstack([points, np.ones((len(points), 1))]) @ rows.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.column_stack([homogeneous[:, :2] / homogeneous[:, 2:], homogeneous[:, 2]])


def smoothstep(low: float, high: float, value: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def picked(seen: NDArray[np.float64], presence: NDArray[np.uint8], x: float, y: float, reach: float) -> int:
    """The point that the eye sees nearest to a place, by looking at every disc; -1 if none is within reach."""
    part = presence / 255
    share = (0.62 + 0.38 * smoothstep(0.1, 0.75, part)) * (1 + 0.45 * smoothstep(0.85, 1, part))
    ahead = seen[:, 2] >= 0.004
    radii = np.clip(DIAMETER / np.where(ahead, seen[:, 2], 1) * share, LEAST, GREATEST) / 2
    offsets = seen[:, :2] - (x, y)
    far = np.hypot(*offsets.T)
    gap = np.where(ahead, np.maximum(0, far - radii), np.inf)
    nearest = int(np.argmin(gap))
    if gap[nearest] >= reach:
        return -1
    place = offsets[nearest] * min(1, (gap[nearest] + 0.5) / far[nearest]) if gap[nearest] > 0 else np.zeros(2)
    covering = ahead & (np.hypot(*(offsets - place).T) <= radii)
    covering[nearest] = True
    order = np.where(part > 0.95, -1 / seen[:, 2], seen[:, 2])
    return int(np.flatnonzero(covering)[np.argmin(order[covering])])


def test_the_point_that_the_eye_sees_is_picked(points: NDArray[np.int16], tmp_path: Path) -> None:
    """From twelve places, at 25 spots each: the same point as a look at every disc finds; what stands out is before."""
    rng = np.random.default_rng(6)
    strong = rng.choice(N, 60, replace=False)
    presence = np.full(N, NORMAL, np.uint8)
    presence[strong] = STRONG
    wish = {"base": NORMAL, "matches": None, "lassoed": False, "rows": strong.tolist()}
    questions: list[tuple[str, dict[str, Any]]] = [
        ("map", {"space": "clip", "array": points}),
        ("paint", {"coloring": {"by": "none", "rest": 0}, "presence": wish}),
    ]
    expected = []
    for seed in range(12):
        rows = camera(seed)
        seen = projected(rows, points)
        aims = seen[rng.choice(np.flatnonzero(seen[:, 2] > 0.1), 25), :2] + rng.normal(0, 3, (25, 2))
        for x, y in aims.tolist():
            reach = float(rng.choice([5, 14, 90]))
            questions.append(("pick", {"space": "clip", "eye": question(rows), "x": x, "y": y, "reach": reach}))
            expected.append(picked(seen, presence, x, y, reach))
    found = ask(tmp_path, questions)[2:]
    assert sum(a != b for a, b in zip(found, expected, strict=True)) == 0
    assert len(set(expected)) > 200
    assert set(expected) & set(strong.tolist())


def test_nothing_is_picked_where_nothing_is(points: NDArray[np.int16], tmp_path: Path) -> None:
    """Beyond the reach, and behind the camera, there is no point."""
    away = eye(np.array([0, 0, 4.0]), np.array([0, 0, 9.0]), width=WIDTH, height=HEIGHT)
    away[:, :3] *= UNIT
    found = ask(
        tmp_path,
        [
            ("map", {"space": "clip", "array": points}),
            ("pick", {"space": "clip", "eye": question(camera(0)), "x": -4000, "y": -4000, "reach": 5}),
            ("pick", {"space": "clip", "eye": question(away), "x": 640, "y": 360, "reach": 400}),
        ],
    )
    assert found[1:] == [-1, -1]


STAR = [640, 40, 760, 640, 300, 220, 980, 220, 520, 640]
"""A line that crosses itself."""


def within(polygon: list[int], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether places lie in a polygon, by the even-odd rule."""
    corners = np.array(polygon, float).reshape(-1, 2)
    found = np.zeros(len(x), bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if ay == by:
            continue
        found ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) / (by - ay) * (bx - ax))
    return found


@pytest.mark.parametrize("filtered", [False, True])
def test_a_lasso_holds_what_its_line_goes_around(points: NDArray[np.int16], tmp_path: Path, filtered: bool) -> None:
    """Every point seen within the line, at any depth, and none other; of those alone that a filter shows."""
    rows = camera(3)
    seen = projected(rows, points)
    matches = (np.arange(N) % 3 == 0).astype(np.uint8)
    answers = ask(
        tmp_path,
        [
            ("map", {"space": "clip", "array": points}),
            ("column", {"name": "filter", "values": matches}),
            (
                "lasso",
                {
                    "space": "clip",
                    "eye": question(rows),
                    "polygon": STAR,
                    "within": "filter" if filtered else None,
                },
            ),
        ],
    )
    mask = np.unpackbits(np.array(answers[2]["mask"], np.uint8), bitorder="little")[:N].astype(bool)
    assert answers[2]["count"] == mask.sum() > 300
    # the line is drawn in whole pixels: a point belongs to the pixel that it is in
    x, y = np.floor(seen[:, 0]) + 0.5, np.floor(seen[:, 1]) + 0.5
    on_screen = (seen[:, 2] >= 0.004) & (x > 0) & (x < WIDTH) & (y > 0) & (y < HEIGHT)
    expected = on_screen & within(STAR, x, y)
    if filtered:
        expected &= matches == 1
    assert (mask != expected).sum() == 0


def test_ids_lead_to_rows_and_back(tmp_path: Path) -> None:
    """Ids beyond 32 bits come out exact; a table serves where ids are counted up, an order where they are scattered."""
    near = np.random.default_rng(7).permutation(3000)[:1000].astype("<i8")
    scattered = np.random.default_rng(8).integers(0, 2**53, 1000).astype("<i8")
    dense, sparse = ask(tmp_path, [("ids", {"planes": pack(ids, planes=True).plain}) for ids in (near, scattered)])
    assert (np.array(dense["list"]) == near).all()
    assert dense["order"] is None
    assert (np.array(dense["table"])[near] == np.arange(1000)).all()
    assert np.array(sparse["list"], np.int64).tolist() == scattered.tolist()
    assert sparse["table"] is None
    assert (np.array(sparse["order"]) == np.argsort(scattered, kind="stable")).all()


def test_tones_are_color_and_presence(tmp_path: Path) -> None:
    """Groups take their colors around, -1 the rest's; what matches, was lassoed or is named stands out."""
    n = 1003
    groups = (np.arange(n, dtype=np.int32) * 257 % 7001) - 1
    matches = (np.arange(n) % 5 == 0).astype(np.uint8)
    palette, rest = [0x010203, 0x040506, 0x070809], 0x777777
    line = np.zeros((n, 3), np.int16)
    line[:, 0] = np.arange(n) - n // 2
    look = eye(np.array([0, 0, 3.0]), np.zeros(3), width=WIDTH, height=HEIGHT)
    look[:, :3] /= 1000
    half = [640, 0, WIDTH, 0, WIDTH, HEIGHT, 640, HEIGHT]
    group = {"by": "group", "column": "g", "palette": palette, "rest": rest}
    wishes = [
        {"base": DIM, "matches": "m", "lassoed": False, "rows": [1, n - 1]},
        {"base": DIM, "matches": None, "lassoed": True, "rows": []},
    ]
    answers = ask(
        tmp_path,
        [
            ("map", {"space": "clip", "array": line}),
            ("groups", {"name": "g", "planes": pack(groups, planes=True).plain}),
            ("column", {"name": "m", "values": matches}),
            ("paint", {"coloring": group, "presence": wishes[0]}),
            ("lasso", {"space": "clip", "eye": question(look), "polygon": half, "within": None}),
            ("paint", {"coloring": {"by": "none", "rest": rest}, "presence": wishes[1]}),
        ],
    )
    packed = np.array(answers[3], np.uint8).view("<u4")
    colors = np.where(groups < 0, rest, np.array(palette)[groups % 3])
    strong = (matches == 1) | np.isin(np.arange(n), [1, n - 1])
    assert (packed == (colors | np.where(strong, STRONG, DIM) << 24)).all()
    lassoed = np.array(answers[5], np.uint8).reshape(n, 4)[:, 3] == STRONG
    assert (lassoed == (np.arange(n) >= n // 2)).all()


def test_similarities_run_along_the_ramp(tmp_path: Path) -> None:
    """From the 5th percentile to the greatest, even steps; below it the first color, and equal ones are no fault."""
    n = 4000
    values = np.random.default_rng(9).permutation(np.linspace(-1, 1, n)).astype(np.float32)
    ramp = list(range(256))
    wish = {"base": 0, "matches": None, "lassoed": False, "rows": []}
    shown = [
        {"coloring": {"by": "value", "column": name, "ramp": ramp, "scale": None}, "presence": wish}
        for name in ("even", "equal")
    ]
    answers = ask(
        tmp_path,
        [
            ("map", {"space": "clip", "array": np.zeros((n, 3), np.int16)}),
            ("column", {"name": "even", "values": values}),
            ("column", {"name": "equal", "values": np.ones(n, np.float32)}),
            *(("paint", each) for each in shown),
        ],
    )
    steps = np.array(answers[3], np.uint8).view("<u4").astype(int)
    low = np.sort(values)[int(n * 0.05)]
    assert np.abs(steps - np.clip((values - low) / (1 - low), 0, 1) * 255).max() <= 1.001
    assert set(answers[4]) == {0}


def test_a_scale_stands_still_and_what_lies_beyond_it_is_gray(tmp_path: Path) -> None:
    """Counts from 0 to 15 take the whole ramp, whichever there are; 255, not counted, takes the rest's color."""
    counts = np.array([0, 3, 9, 15, 255, 6], np.uint8)
    coloring = {
        "by": "value",
        "column": "kept",
        "ramp": list(range(256)),
        "scale": {"low": 0, "high": 15, "beyond": 7_000},
    }
    wish = {"base": 0, "matches": None, "lassoed": False, "rows": []}
    answers = ask(
        tmp_path,
        [
            ("map", {"space": "clip", "array": np.zeros((6, 3), np.int16)}),
            ("column", {"name": "kept", "values": counts}),
            ("paint", {"coloring": coloring, "presence": wish}),
        ],
    )
    assert np.array(answers[2], np.uint8).view("<u4").tolist() == [0, 51, 153, 255, 7_000, 102]


def test_a_cluster_is_where_its_points_are(points: NDArray[np.int16], tmp_path: Path) -> None:
    """The middle and the spread of a cluster's points; none has neither."""
    groups = (np.arange(N, dtype=np.int32) % 11) - 1
    questions = [
        ("map", {"space": "clip", "array": points}),
        ("column", {"name": "g", "values": groups}),
        ("spot", {"space": "clip", "column": "g", "group": 4}),
        ("spot", {"space": "clip", "column": "g", "group": 99}),
    ]
    found, none = ask(tmp_path, questions)[2:]
    own = points[groups == 4].astype(float)
    assert np.allclose(found["middle"], own.mean(axis=0))
    assert np.isclose(found["spread"], np.sqrt(((own - own.mean(axis=0)) ** 2).sum(axis=1).mean()))
    assert none is None


@pytest.mark.parametrize(
    ("kind", "what", "words"),
    [
        ("pick", {"space": "vae", "eye": {"rows": []}, "x": 0, "y": 0, "reach": 5}, "no map vae"),
        ("spot", {"space": "clip", "column": "gone", "group": 1}, "no column gone"),
    ],
)
def test_what_the_worker_does_not_have_it_names(kind: str, what: dict[str, Any], words: str, tmp_path: Path) -> None:
    """A question about an array that was never handed over is answered with its name, and the worker lives on."""
    with pytest.raises(RuntimeError, match=words):
        ask(tmp_path, [("map", {"space": "clip", "array": np.zeros((4, 3), np.int16)}), (kind, what)])


@pytest.mark.parametrize("n", [1, 31, 33, 4097])
def test_a_cloud_of_any_size_has_a_tree(n: int, tmp_path: Path) -> None:
    """Every point can be picked, the first and the last of the sorted ones as well."""
    places = np.random.default_rng(n).integers(-30000, 30000, (n, 3)).astype(np.int16)
    rows = camera(1)
    seen = projected(rows, places)
    ahead = np.flatnonzero(seen[:, 2] > 0.2)[:60]
    wish = {"base": NORMAL, "matches": None, "lassoed": False, "rows": []}
    questions = [
        ("map", {"space": "clip", "array": places}),
        ("paint", {"coloring": {"by": "none", "rest": 0}, "presence": wish}),
        *(
            ("pick", {"space": "clip", "eye": question(rows), "x": seen[row, 0], "y": seen[row, 1], "reach": 5})
            for row in ahead
        ),
    ]
    presence = np.full(n, NORMAL, np.uint8)
    assert ask(tmp_path, questions)[2:] == [picked(seen, presence, seen[row, 0], seen[row, 1], 5) for row in ahead]

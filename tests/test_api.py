"""What the end points answer: arrays against the atlas, errors, caching, exports, and nothing but what was asked."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from live import Live, live
from small_atlas import VERSION, SmallAtlas

from explorer.denylist import DenyKind, hashed
from explorer.filters import matching, parse_all
from explorer.records import Record, Split, to_json
from explorer.safety import blurred
from explorer.search import search_id, search_text
from webapp.api.exports import plain_name
from webapp.arrays import BLOCK, FORMAT, INT16_MAX, STRATUM, pack, quantize, spread

ONE = 1000 + 7 * 3  # a picture of the small atlas


def array(live: Live, address: str, dtype: str) -> np.ndarray:
    """An array as the browser receives it."""
    answer = live.client.get(f"{live.version}/{address}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    return np.frombuffer(answer.content, dtype)


def test_the_arrays_are_the_atlas_in_one_random_order(served: Live) -> None:
    """Ids, splits, clusters and points of row i are those of one picture, and the order is not the atlas's own."""
    atlas = served.site.atlas
    ids = array(served, "ids.bin", "<i8")
    rows = atlas.rows(ids)
    assert sorted(rows) == list(range(len(atlas)))
    assert not np.array_equal(rows, np.arange(len(atlas)))
    assert np.array_equal(array(served, "split.bin", "u1"), ~atlas.train[rows])
    pictured = [atlas.has_thumbnail(identity) for identity in ids.tolist()]
    assert np.array_equal(array(served, "pictures.bin", "u1"), pictured)
    meta = served.site.arrays.meta()
    assert (meta["version"], meta["n"]) == (atlas.version, len(atlas))
    for space in atlas.spaces:
        assert np.array_equal(array(served, f"{space}/cluster.bin", "<i4"), atlas.space(space).cluster[rows])
        assert np.array_equal(array(served, f"{space}/subcluster.bin", "<i4"), atlas.space(space).subcluster[rows])
        assert np.array_equal(array(served, f"{space}/overlap.bin", "u1"), atlas.space(space).overlap[rows])
        quantized = array(served, f"{space}/points.bin", "<i2").reshape(-1, 3)
        frame = meta["spaces"][space]
        points = np.array(frame["center"]) + frame["scale"] * quantized
        assert np.abs(points - atlas.space(space).points[rows]).max() <= frame["scale"] * 0.51
        assert frame["radius"] == atlas.space(space).radius


@pytest.mark.parametrize(("address", "dtype"), [("ids.bin", "<i8"), ("clip/cluster.bin", "<i4")])
def test_planes_are_the_same_bytes_by_worth(served: Live, address: str, dtype: str) -> None:
    """First every number's lowest byte, then the next of each: another order of the same bytes."""
    numbers = array(served, address, dtype)
    planes = array(served, f"{address}?planes=1", "u1").reshape(np.dtype(dtype).itemsize, -1)
    back = sum(planes[byte].astype("u8") << (8 * byte) for byte in range(len(planes)))
    assert np.array_equal(back.astype(f"u{len(planes)}").view(dtype), numbers)


@given(st.integers(1, 2000))
def test_the_order_takes_from_everywhere(count: int) -> None:
    """Every row once; each pass has a row of each stratum, ascending within a block of them."""
    order = spread(count)
    assert np.array_equal(np.sort(order), np.arange(count))
    assert np.count_nonzero(np.diff(order) < 0) < STRATUM * -(-count // (STRATUM * BLOCK))
    if count % STRATUM == 0:
        parts = np.split(order // STRATUM, STRATUM)
        assert all(np.array_equal(np.sort(part), np.arange(len(part))) for part in parts)


@pytest.mark.parametrize("first", [4_096, 11_000, 100_000])
def test_what_arrives_first_is_from_everywhere(first: int) -> None:
    """Of a million rows, a first piece of any size has about as many of each eighth of the atlas."""
    counts = np.bincount(spread(1_000_000)[:first] * 8 // 1_000_000, minlength=8)
    assert np.abs(counts / first - 1 / 8).max() < 0.06


def test_the_format_is_another_number_where_order_or_layout_change() -> None:
    """Browsers keep arrays for a year: whoever changes what is digested here counts `FORMAT` up as well."""
    digest = hashlib.sha256(pack(spread(10_000), planes=True).plain).hexdigest()[:16]
    assert (FORMAT, digest) == (2, "382d3080956a6872")


def test_ids_and_clusters_move_as_few_bytes() -> None:
    """What a visitor waits for: of counted-up ids a byte and a half each, of a hundred clusters less than one."""
    rng, order = np.random.default_rng(0), spread(100_000)
    assert len(pack(order.astype("<i8"), planes=True).gzipped or b"") < 1.5 * len(order)
    assert len(pack(rng.integers(0, 100, 100_000).astype("<i4"), planes=True).gzipped or b"") < 0.95 * len(order)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-1e4, 1e4, width=32)))
def test_quantized_points_are_off_by_half_a_step_at_most(points: np.ndarray) -> None:
    """Every point comes back within half a step, a step being 1/65,534 of the longest side, for any cloud."""
    found = quantize(points)
    back = found.center + found.scale * found.q
    assert found.q.dtype == "<i2"
    assert np.abs(back - points).max() <= found.scale * 0.5001
    longest = float((points.max(axis=0).astype(float) - points.min(axis=0)).max())
    assert found.scale == (pytest.approx(longest / (2 * INT16_MAX)) if longest else 1.0)


@pytest.mark.parametrize("query", ["text=a red shape", f"id={ONE}"])
def test_similarities_are_cosines_in_the_same_order(served: Live, query: str) -> None:
    """Each number is the cosine of that row's picture to the query, as computed from the vectors alone."""
    atlas = served.site.atlas
    ids = array(served, "ids.bin", "<i8")
    found = array(served, f"clip/similarity.bin?{query}", "<f4")
    vectors = atlas.space("clip").vectors.astype(np.float64)
    name, value = query.split("=")
    asked = vectors[atlas.row(ONE)] if name == "id" else served.site.models.clip().embed_texts([value])[0]
    expected = vectors @ (asked / np.linalg.norm(asked))
    assert np.abs(found - expected[atlas.rows(ids)]).max() < 1e-5


def test_arrays_are_kept_for_ever_and_compressed_where_it_pays(served: Live) -> None:
    """An array's address names version and format, so a browser never asks twice; gzip is sent only where asked for."""
    address = f"{served.version}/split.bin?arrays={FORMAT}"
    squeezed = served.client.get(address)
    assert squeezed.headers["content-encoding"] == "gzip"
    assert squeezed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert squeezed.headers["vary"] == "Accept-Encoding"
    for accepted in ("identity", "gzip;q=0", "br"):
        plain = served.client.get(address, headers={"Accept-Encoding": accepted})
        assert "content-encoding" not in plain.headers
        assert plain.content == squeezed.content
        assert plain.headers["etag"] != squeezed.headers["etag"]
    for tag in (squeezed.headers["etag"], f'"other", W/{squeezed.headers["etag"]}'):
        again = served.client.get(address, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
    noise = np.random.default_rng(0).integers(0, 2**16, 1000, np.uint16)
    assert pack(noise).gzipped is None


@pytest.mark.parametrize("array", ["ids.bin", "clip/points.bin", f"clip/similarity.bin?id={ONE}", "matches.bin?where="])
def test_no_browser_mixes_two_orders_of_rows(served: Live, array: str) -> None:
    """An address without the format is asked about each time; one of another release's has nothing behind it."""
    address = f"{served.version}/{array}"
    joint = "&" if "?" in array else "?"
    assert served.client.get(address).headers["cache-control"] == "private, no-cache"
    named = served.client.get(f"{address}{joint}arrays={served.site.arrays.meta()['arrays']}")
    assert "no-cache" not in named.headers["cache-control"]
    assert served.client.get(f"{address}{joint}arrays={FORMAT - 1}").status_code == 404


def test_a_record_says_what_a_card_shows(served: Live) -> None:
    """The record of a picture has its words, its links, its place and its cluster in each space."""
    atlas = served.site.atlas
    answer = served.client.get(f"{served.version}/record/{ONE}.json")
    assert answer.headers["cache-control"] == "private, no-cache"
    found = answer.json()
    assert (found["id"], found["caption"], found["split"]) == (ONE, "red shape 3", Split.TRAIN)
    assert found["captions"] == {"en": "red shape 3", "zh": "形状 3"}
    assert found["page_url"] == "https://pictures.example/red/3"
    assert found["extra"] == {"corners": 6, "year": 1903, "place": "Oslo"}
    assert found["spaces"]["clip"]["point"] == atlas.space("clip").points[3].tolist()
    assert (found["spaces"]["clip"]["cluster"], found["spaces"]["clip"]["label"]) == (0, "red")
    assert found["spaces"]["vae"]["overlap"] == atlas.space("vae").overlap[3]
    noise = served.client.get(f"{served.version}/record/{1000 + 7 * 7}.json").json()["spaces"]["clip"]
    assert (noise["cluster"], noise["label"]) == (None, None)
    picture = served.client.get(found["thumbnail"])
    assert picture.headers["content-type"] == "image/webp"
    assert picture.content == atlas.thumbnail(ONE)
    assert "immutable" not in picture.headers["cache-control"]


def frames(body: bytes) -> list[tuple[int, bytes]]:
    """Ids and pictures out of an answer of thumbnails.bin."""
    found = []
    while body:
        identity, length = struct.unpack_from("<qI", body)
        found.append((identity, body[12 : 12 + length]))
        body = body[12 + length :]
    return found


def test_several_thumbnails_come_in_one_answer(served: Live) -> None:
    """Each id asked for has its frame, in the order asked; one that is not here has an empty one."""
    atlas, asked = served.site.atlas, [ONE, 5, 1000, ONE]
    answer = served.client.get(f"{served.version}/thumbnails.bin", params={"ids": ",".join(map(str, asked))})
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "immutable" not in answer.headers["cache-control"]
    expected = [(identity, b"" if identity == 5 else atlas.thumbnail(identity)) for identity in asked]
    assert frames(answer.content) == expected
    many = served.client.get(f"{served.version}/thumbnails.bin", params={"ids": ",".join(["1000"] * 65)})
    assert (many.status_code, many.json()["error"]) == (422, "found 65 ids; expected at most 64")


@pytest.mark.parametrize("split", ["train", "heldout", "all"])
@pytest.mark.parametrize("space", ["clip", "vae"])
def test_a_search_finds_what_the_library_finds(served: Live, space: str, split: str) -> None:
    """By a picture and by words, of each split, the answer is the library's, most similar first."""
    atlas, chosen = served.site.atlas, None if split == "all" else Split(split)
    query = {"space": space, "split": split, "k": "9"}
    answer = served.client.get(f"{served.version}/search.json", params={"id": str(ONE), **query})
    assert answer.headers["cache-control"] == "no-store"
    hits = [to_json(hit) for hit in search_id(atlas, ONE, space, 9, chosen)]
    assert answer.json()["hits"] == json.loads(json.dumps(hits))
    if space == "clip":
        answer = served.client.get(f"{served.version}/search.json", params={"text": "a red shape", **query})
        hits = search_text(atlas, served.site.models, "a red shape", 9, chosen)
        assert [(hit["id"], hit["percentile"]) for hit in answer.json()["hits"]] == [(hit.id, None) for hit in hits]


def test_a_search_keeps_to_its_conditions(served: Live) -> None:
    """Among the pictures that meet the conditions, and no others."""
    query = {"id": str(ONE), "where": "group = teal", "split": "all", "k": "60"}
    found = served.client.get(f"{served.version}/search.json", params=query).json()["hits"]
    assert {hit["caption"].split()[0] for hit in found} == {"teal"}
    assert len(found) == 10


UNKNOWN = (
    "/nothing", "/index.html", "/docs", "/redoc", "/openapi.json", "/api", "/api/", "/api/v/", "/_dash-nothing",
    "/assets/nothing.js", "/assets/", "/assets/../app.py", "/assets/%2e%2e/app.py", "/assets/..%2fapp.py",
    "/_dash-component-suites/webapp/app.py", "/_dash-component-suites/os/path.py", "//evil.example/",
    "/_dash-component-suites/dash/nothing.js", "/_dash-component-suites/webapp/../explorer/errors.py",
    "/%5cevil.example", "/_dash-ws-callback",
    "/api/v/other/ids.bin", f"/api/v/{VERSION}/nothing.bin", f"/api/v/{VERSION}/sscd/points.bin",
    f"/api/v/{VERSION}/clip/vectors.bin", f"/api/v/{VERSION}/clip/mean.bin", f"/api/v/{VERSION}/atlas.json",
    f"/api/v/{VERSION}/sscd/similarity.bin?id={ONE}", f"/api/v/{VERSION}/clip/similarity.bin?id=1",
    f"/api/v/{VERSION}/clip/similarity.bin?job=nothing", f"/api/v/{VERSION}/export?cluster=99",
    f"/api/v/{VERSION}/export?cluster=0&space=sscd",
    *(f"/api/v/{VERSION}/{kind}" for kind in ("thumbnail/1.webp", "record/1.json", "thumbnail/x.webp")),
    *(f"/api/v/{VERSION}/record/{id}.json" for id in ("-1", "1.5", "1e3", "0x3e8", "", "9" * 30, "1021%00")),
    *(f"/api/v/{VERSION}/record/{id}.json" for id in ("..%2f1021", "%2e%2e", "..%5c1021")),
    f"/api/v/{VERSION}/search.json?id=1", f"/api/v/{VERSION}/search.json?job=x", f"/api/v/other/search.json?id={ONE}",
    f"/api/v/{VERSION}/search.json?upload=x", f"/api/v/{VERSION}/search.json?id={ONE}&space=sscd",
    "/api/v/other/thumbnails.bin?ids=1000",
    "/api/jobs/nothing", "/api/jobs/nothing/events", "/api/jobs/nothing/image.png", "/api/jobs/nothing/steps/1.webp",
    "/api/jobs/..%2f..%2fserver.json",
)  # fmt: skip


@pytest.mark.parametrize("address", UNKNOWN)
def test_what_is_not_there_is_answered_404(served: Live, address: str) -> None:
    """Only `/` is the page; unknown versions, ids, files and spellings of paths are not there."""
    answer = httpx.get(served.url.rstrip("/") + address)
    assert answer.status_code == 404
    assert b"<html" not in answer.content
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@settings(max_examples=80, deadline=None)
@given(word=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_no_word_in_place_of_an_id_finds_anything(served: Live, word: str) -> None:
    """Whatever stands where an id belongs, unless it is the id of a picture, is answered 404 or 400, never 500."""
    known = set(served.site.atlas.ids.tolist())
    if not (word.strip().isdecimal() and int(word) in known):
        for kind in ("record/{}.json", "thumbnail/{}.webp"):
            answer = served.client.get(f"{served.version}/{kind.format(quote(word, safe=''))}")
            assert answer.status_code == 404


MALFORMED = (
    "clip/similarity.bin", "clip/similarity.bin?id=x", f"clip/similarity.bin?id={ONE}&text=a",
    "clip/similarity.bin?text=", "clip/similarity.bin?text=%20", f"clip/similarity.bin?text={'a' * 2001}",
    "vae/similarity.bin?text=red", "export", "export?ids=1;2", "export?ids=", "export?cluster=0&text=red",
    "export?cluster=-1", "export?cluster=0&format=xls", "export?text=red&k=0", "export?text=red&k=99999",
    "export?text=red&split=both", "search.json", f"search.json?id={ONE}&text=red", "search.json?text=%20",
    f"search.json?id={ONE}&k=0", f"search.json?id={ONE}&split=both", "search.json?text=red&space=vae",
    f"search.json?id={ONE}&where=punsafe > 0.4", "thumbnails.bin", "thumbnails.bin?ids=", "thumbnails.bin?ids=1;2",
)  # fmt: skip


@pytest.mark.parametrize("address", MALFORMED)
def test_a_malformed_question_is_answered_with_one_line(served: Live, address: str) -> None:
    """What makes no sense is the asker's fault, and one line says what was expected."""
    answer = served.client.get(f"{served.version}/{address}")
    assert answer.status_code == 422
    assert answer.json().keys() == {"error"}
    assert answer.json()["error"].strip() and "\n" not in answer.json()["error"]


def rows_of(answer: httpx.Response, form: str) -> list[dict[str, object]]:
    """An export read back by that format's own reader."""
    if form == "csv":
        return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    if form == "jsonl":
        return [json.loads(line) for line in answer.text.splitlines()]
    return pq.read_table(io.BytesIO(answer.content)).to_pylist()


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_cluster_is_exported_as_a_file(served: Live, form: str) -> None:
    """The file has exactly the cluster's pictures, and a name of plain ASCII that ends as its format does."""
    answer = served.client.get(f"{served.version}/export", params={"format": form, "space": "clip", "cluster": 2})
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="shapes-cluster-2-green.{form}"'
    atlas = served.site.atlas
    found = [int(row["id"]) for row in rows_of(answer, form)]
    assert found == atlas.ids[atlas.space("clip").cluster == 2].tolist()


def test_what_a_search_found_is_exported(served: Live) -> None:
    """A search exports the pictures that the search finds, in its order; a list of ids those ids, once each."""
    hits = search_text(served.site.atlas, served.site.models, "a red shape", k=5)
    answer = served.client.get(f"{served.version}/export?text=a+red+shape&k=5&format=jsonl")
    assert [row["id"] for row in rows_of(answer, "jsonl")] == [hit.id for hit in hits]
    answer = served.client.get(f"{served.version}/export?ids={ONE},1000,{ONE},5&format=jsonl")
    assert [row["id"] for row in rows_of(answer, "jsonl")] == [ONE, 1000]


@given(st.text())
def test_a_file_name_is_plain_whatever_it_is_made_from(text: str) -> None:
    """No caption or label brings a quote, a slash, a dot or a line's end into a header."""
    name = plain_name(text)
    assert 0 < len(name) <= 60
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_what_was_taken_down_is_gone_from_every_answer(tiny_atlas: Path, tmp_path: Path) -> None:
    """A takedown while the server runs hides the picture at once: record, thumbnail, similarity, search, exports."""
    own = Path(shutil.copytree(tiny_atlas, tmp_path / "own"))
    with live(own) as running:
        addresses = [f"record/{ONE}.json", f"thumbnail/{ONE}.webp", f"clip/similarity.bin?id={ONE}"]
        addresses.append(f"search.json?id={ONE}")
        before = [running.client.get(f"{running.version}/{address}").status_code for address in addresses]
        assert before == [200] * 4
        entry = {"kind": "key", "sha256": hashed(DenyKind.KEY, "red-3"), "at": "2025-01-01T00:00:00Z"}
        (own / "denylist.jsonl").write_text(json.dumps(entry) + "\n")
        after = [running.client.get(f"{running.version}/{address}").status_code for address in addresses]
        assert after == [404] * 4
        assert frames(running.client.get(f"{running.version}/thumbnails.bin?ids={ONE}").content) == [(ONE, b"")]
        for query in ("cluster=0&space=clip", f"ids={ONE},1000", "text=red&k=60&split=all"):
            answer = running.client.get(f"{running.version}/export?format=jsonl&{query}")
            found = [row["id"] for row in rows_of(answer, "jsonl")]
            assert found and ONE not in found


@pytest.mark.parametrize("where", ["group = red", "extra.year >= 1930\ntags ~ BL", "width = null"])
def test_the_filters_answer_is_a_mask_in_the_maps_order(served: Live, where: str) -> None:
    """Row i of the mask is the picture that row i of every other array is."""
    atlas = served.site.atlas
    ids = array(served, "ids.bin", "<i8")
    mask = array(served, f"matches.bin?where={quote(where)}", "u1")
    expected = matching(atlas, parse_all(where.split("\n")))
    assert np.array_equal(mask.astype(bool), expected[atlas.rows(ids)])
    refused = served.client.get(f"{served.version}/matches.bin", params={"where": "punsafe > 0.4"})
    assert (refused.status_code, "towards unsafe" in refused.json()["error"]) == (422, True)


def test_an_export_of_conditions_has_all_that_meet_them(served: Live) -> None:
    """However many pictures the page shows, the file has every one."""
    answer = served.client.get(f"{served.version}/export", params={"where": "extra.year > 1903", "format": "jsonl"})
    ids = [json.loads(line)["id"] for line in answer.text.splitlines()]
    assert ids == served.site.atlas.ids[4:].tolist()
    both = served.client.get(f"{served.version}/export", params={"where": "id > 1", "ids": "1000"})
    assert (both.status_code, "exactly one" in both.json()["error"]) == (422, True)
    level = served.client.get(f"{served.version}/export", params={"where": "id > 1", "level": 1})
    assert (level.status_code, "without a cluster" in level.json()["error"]) == (422, True)


@pytest.fixture(scope="module")
def unsafe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """An atlas in which the red pictures are flagged, served."""
    change = changed_where(lambda record: record.group == "red", punsafe=0.9)
    with live(SmallAtlas(change=change).write(tmp_path_factory.mktemp("unsafe") / "atlas")) as running:
        yield running


def changed_where(holds: Callable[[Record], bool], **values: float) -> Callable[[Record], Record]:
    return lambda record: replace(record, **values) if holds(record) else record


def test_no_flagged_picture_leaves_unblurred_unless_somebody_asks(unsafe: Live) -> None:
    """Of flagged pictures only the blur is sent; `reveal` sends the picture; others are sent as they are."""
    atlas = unsafe.site.atlas
    for identity in atlas.ids.tolist():
        address = f"{unsafe.version}/thumbnail/{identity}.webp"
        sent, kept = unsafe.client.get(address).content, atlas.thumbnail(identity)
        is_flagged = bool(atlas.flagged[atlas.row(identity)])
        assert sent == (blurred(kept) if is_flagged else kept)
        assert (sent == kept) is not is_flagged
        assert unsafe.client.get(f"{address}?reveal=1").content == kept
        several = unsafe.client.get(f"{unsafe.version}/thumbnails.bin?ids={identity}&reveal=1").content
        assert frames(several) == [(identity, sent)]
        assert unsafe.client.get(f"{unsafe.version}/record/{identity}.json").json()["flagged"] is is_flagged
    assert atlas.flagged.sum() == 10


@pytest.mark.parametrize("choice", [{"where": "id > 0"}, {"cluster": 0}, {"ids": "1000,1007,1070"}])
def test_no_export_of_the_page_has_a_flagged_picture(unsafe: Live, choice: dict[str, str]) -> None:
    """Whatever is chosen, flagged rows stay behind."""
    answer = unsafe.client.get(f"{unsafe.version}/export", params={"format": "jsonl", **choice})
    assert answer.status_code == 200
    assert not [line for line in answer.text.splitlines() if json.loads(line)["group"] == "red"]

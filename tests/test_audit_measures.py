"""The measures of sets of pictures, against the authors' own programs and what follows from their definitions."""

from __future__ import annotations

import numpy as np
import prdc
import pytest
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors
from vendi_score import vendi as their_vendi

from explorer.audit import copying, diversity, sets, shares
from explorer.audit.ranking import groups, ranked
from explorer.audit.shares import Drawn
from explorer.errors import QueryError
from explorer.records import Cluster

EXACT = {"rtol": 0, "atol": 1e-6}


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def drawn(seed: int, count: int, dim: int = 24, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (count, dim))


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize(("real", "generated"), [(700, 300), (90, 1100)])
@pytest.mark.parametrize("shift", [0.0, 0.25])
def test_the_set_measures_are_those_of_prdc(k: int, real: int, generated: int, shift: float) -> None:
    """Density, coverage, precision and recall equal the authors' program, across blocks and for sets of any size."""
    first, second = drawn(1, real), drawn(2, generated, shift=shift)
    second[:50] = first[:50] + 1e-3  # all but copies
    theirs = prdc.compute_prdc(first, second, nearest_k=k)
    ours = sets.compare(first, second, k)
    for name in ("precision", "recall", "density", "coverage"):
        np.testing.assert_allclose(getattr(ours, name), theirs[name], **EXACT)
    assert (ours.k, ours.real, ours.generated) == (k, real, generated)


def test_variants_of_one_picture_change_nothing_against_prdc() -> None:
    """Sets with repeated vectors, whose balls have no size, are counted as the authors count them."""
    first, second = np.repeat(drawn(3, 60), 3, axis=0), drawn(4, 80)
    theirs, ours = prdc.compute_prdc(first, second, nearest_k=5), sets.compare(first, second, 5)
    assert {name: pytest.approx(value, abs=1e-6) for name, value in theirs.items()} == {
        name: getattr(ours, name) for name in theirs
    }


def test_two_sets_drawn_alike_have_the_coverage_that_is_expected() -> None:
    """Over forty draws, coverage is what lemma 2 says for these sizes, and density 1, within three standard errors."""
    found = [sets.compare(drawn(s, 200, 6), drawn(1000 + s, 150, 6)) for s in range(40)]
    for values, expected in (
        ([each.coverage for each in found], found[0].expected_coverage),
        ([each.density for each in found], 1.0),
    ):
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(np.mean(values) - expected) < 3 * error
    assert found[0].expected_coverage == pytest.approx(1 - np.prod([(200 - i) / (350 - i) for i in range(1, 6)]))


def test_too_few_pictures_are_refused_by_name() -> None:
    """A set of k pictures has no k-th neighbor; the error says how many there were."""
    with pytest.raises(QueryError, match=r"found 5 and 90 pictures; expected more than k = 5"):
        sets.compare(drawn(0, 5), drawn(1, 90), 5)


@pytest.mark.parametrize(("count", "dim"), [(300, 40), (30, 200), (1, 8)])
def test_the_vendi_score_is_the_authors(count: int, dim: int) -> None:
    """Both for more pictures than dimensions and for fewer."""
    vectors = drawn(5, count, dim, 0.5)
    np.testing.assert_allclose(diversity.vendi(vectors), their_vendi.score_X(vectors), **EXACT)


def test_the_vendi_score_counts_different_pictures() -> None:
    """Seven orthogonal pictures, each ten times, are seven."""
    assert diversity.vendi(np.repeat(np.eye(12)[:7], 10, axis=0)) == pytest.approx(7)


def test_pairwise_means_are_those_of_all_pairs() -> None:
    """The mean within a set and across groups equals the mean over the matrix of cosines."""
    vectors, of = drawn(6, 40, 9), np.arange(40) // 5
    cosines = unit(vectors) @ unit(vectors).T
    pairs = ~np.eye(40, dtype=bool)
    assert diversity.mean_pairwise(vectors) == pytest.approx(cosines[pairs].mean())
    assert diversity.mean_across(vectors, of) == pytest.approx(cosines[of[:, None] != of].mean())
    assert diversity.mean_pairwise(vectors[:1]) is None
    assert diversity.mean_across(vectors, np.zeros(40, dtype=int)) is None


def their_c_t(
    train: np.ndarray, held: np.ndarray, made: np.ndarray, cells: int, seed: int, few: int
) -> tuple[float, float]:
    """The statistic of Meehan 2020, cell by cell with scikit-learn and scipy, and the share of pairs by counting."""
    means = KMeans(cells, n_init=4, random_state=seed).fit(train.astype(np.float32))
    of_train, of_held, of_made = (means.predict(each.astype(np.float32)) for each in (train, held, made))
    total = weights = nearer = 0.0
    for cell in range(cells):
        near = NearestNeighbors(n_neighbors=1).fit(train[of_train == cell])
        ours, theirs = held[of_held == cell], made[of_made == cell]
        if min(len(ours), len(theirs)) < few:
            continue
        m, n = len(theirs), len(ours)
        of_theirs, of_ours = near.kneighbors(theirs)[0].ravel(), near.kneighbors(ours)[0].ravel()
        u = stats.mannwhitneyu(of_theirs, of_ours).statistic
        total += n * (u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12)
        nearer += n * (of_theirs[:, None] < of_ours).mean()
        weights += n
    return total / weights, nearer / weights


def test_data_copying_is_the_papers_statistic() -> None:
    """C_T equals the statistic computed with other programs, for pictures that copy and for those that do not."""
    train, held, made = unit(drawn(7, 900)), unit(drawn(8, 250)), unit(drawn(9, 300))
    made[:150] = unit(train[:150] + 0.02 * drawn(10, 150))
    found = copying.data_copying(train, held, made, seed=3)
    assert len(found.cells) == 250 // copying.PER_CELL
    theirs = their_c_t(train, held, made, len(found.cells), 3, copying.FEW)
    assert (found.c_t, found.nearer) == (pytest.approx(theirs[0], abs=1e-5), pytest.approx(theirs[1], abs=1e-9))
    assert sum(cell.train for cell in found.cells) == 900
    assert [cell.heldout for cell in found.cells] == sorted((cell.heldout for cell in found.cells), reverse=True)


def test_data_copying_says_who_copies() -> None:
    """Copies give a C_T far below 0 and a small p; pictures drawn like held-out ones do not; others are farther off.

    Of draws around the origin, about 0.09 of the pairs are nearer, with a deviation of 0.013 from draw to draw: so the
    bound holds for the mean of ten. Those around the opposite side are hardly ever nearer, draw for draw.
    """
    train, held = unit(drawn(11, 800, shift=0.5)), unit(drawn(12, 200, shift=0.5))
    copied = copying.data_copying(train, held, unit(train[:200] + 0.01 * drawn(13, 200)))
    assert copied.c_t < -5 and copied.p < 1e-6 and copied.nearer > 0.99
    pairs = [(unit(drawn(50 + s, 200, shift=0.5)), unit(drawn(20 + s, 200, shift=0.5))) for s in range(20)]
    honest = [copying.data_copying(train, *pair).p for pair in pairs]
    assert stats.kstest(honest, "uniform").pvalue > 0.001
    far = [copying.data_copying(train, held, unit(drawn(14 + s, 200))) for s in range(10)]
    assert min(each.c_t for each in far) > 3 and np.mean([each.nearer for each in far]) < 0.1
    opposite = [copying.data_copying(train, held, unit(drawn(14 + s, 200, shift=-0.5))) for s in range(10)]
    assert min(each.c_t for each in opposite) > 3 and max(each.nearer for each in opposite) < 0.1


def test_data_copying_needs_enough_of_both() -> None:
    """Twenty held-out and twenty generated pictures are the least."""
    with pytest.raises(QueryError, match="found 19 held-out and 100 generated pictures; the test expects at least 20"):
        copying.data_copying(unit(drawn(0, 50)), unit(drawn(1, 19)), unit(drawn(2, 100)))


@pytest.mark.parametrize(("count", "total"), [(0, 40), (1, 40), (20, 40), (40, 40)])
def test_shares_have_wilsons_interval(count: int, total: int) -> None:
    """As scipy's own, also for none and for all."""
    found = shares.wilson(count, total)
    theirs = stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == (pytest.approx(theirs.low, abs=1e-9), pytest.approx(theirs.high, abs=1e-9))


@pytest.mark.parametrize("level", [0.95, 0.9995])
@pytest.mark.parametrize(("count", "total"), [(0, 40), (1, 40), (20, 40), (40, 40)])
def test_shares_of_many_clusters_have_exact_intervals(count: int, total: int, level: float) -> None:
    """As scipy's own, also for none and for all."""
    found = shares.exact(count, total, level)
    theirs = stats.binomtest(count, total).proportion_ci(level, method="exact")
    assert (found.low, found.high) == (pytest.approx(theirs.low, abs=1e-9), pytest.approx(theirs.high, abs=1e-9))


def test_prompts_drawn_as_the_collection_is_name_no_cluster() -> None:
    """Of 400 draws of 24 prompts over a hundred small clusters, at most one in twenty names any, as the level says."""
    clusters = [Cluster("clip", 0, number, "", 10, ()) for number in range(100)]
    weights = np.r_[np.repeat(0.002, 80), np.repeat(0.042, 20)]
    expected = np.repeat(np.arange(100), (1000 * weights).round().astype(int))
    rng = np.random.default_rng(0)
    named = 0
    for _ in range(400):
        found = np.repeat(rng.choice(100, 24, p=weights / weights.sum()), 2)  # both seeds of a prompt alike
        named += any(each.drawn is not Drawn.ALIKE for each in shares.by_cluster(found, expected, clusters, 24))
    assert named <= 400 * 0.05
    none = shares.by_cluster(np.zeros(48, int), np.zeros(10, int), clusters, 24)
    assert {each.drawn.value for each in none} == {"alike"}, "a cluster that nothing is in, and nothing is expected in"


def test_clusters_drawn_too_often_are_named_only_with_certainty() -> None:
    """With many prompts the interval excludes what is expected; with few the same shares prove nothing."""
    clusters = [Cluster("clip", 0, number, f"c{number}", 10, ()) for number in range(3)]
    expected = np.repeat([0, 1, 2, -1], 25)
    found = np.repeat([0, 1, 2, -1], [60, 25, 5, 10])
    sure = {each.cluster: each.drawn.value for each in shares.by_cluster(found, expected, clusters, 100)}
    assert sure == {0: "over", 1: "alike", 2: "under", -1: "under"}
    assert {each.drawn.value for each in shares.by_cluster(found, expected, clusters, 8)} == {"alike"}


def test_the_ranking_begins_with_copies_then_with_the_nearest() -> None:
    """Prompts in the order of their nearest picture, which each entry names; seeds of one prompt stand together."""

    def row(number: int, prompt: str | None, verdict: str, similarity: float, percentile: float | None) -> dict:
        told = {
            "similarity": {"clip": similarity},
            "percentile": {"clip": percentile},
            "nearest": {"clip": 10 + number},
        }
        return {"row": number, "prompt": prompt, "id": None, "verdict": verdict, **told}

    rows = [
        row(0, "a", "typical", 0.2, 20.0),
        row(1, "a", "nearer", 0.9, 99.0),
        row(2, "b", "copy", 0.8, 90.0),
        row(3, None, "far", 0.1, None),
        row(4, None, "typical", 0.95, 99.0),
    ]
    of = groups(rows)
    assert of.tolist() == [0, 0, 1, 2, 3]
    vectors = {"clip": unit(drawn(15, 5))}
    found = ranked(rows, vectors, of)
    assert [entry["rows"] for entry in found] == [[2], [4], [0, 1], [3]]
    told = found[2]["spaces"]["clip"]
    assert (told["row"], told["nearest"], told["percentile"]) == (1, {"clip": 11}, 99.0)
    assert told["collapse"] == pytest.approx(float(vectors["clip"][0] @ vectors["clip"][1]))
    assert found[0]["spaces"]["clip"]["collapse"] is None

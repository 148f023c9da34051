"""What the figures show, read off them, and that their texts can be read."""

import itertools
import math
import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from compresso import encodings
from compresso.volumes.volume import of_array
from experiments import ResultsError, figures, records
from experiments.datasets import Dataset, LoadedVolume
from experiments.figures import documentation, style
from experiments.figures.results import front
from experiments.paper.published import FIGURE_4
from experiments.records.intervals import intervals
from experiments.records.results import derive
from tests.helpers.rows import results_of

PAPER = {
    **{("none", "none"): 1, ("none", "lzma"): 100, ("neuroglancer", "lzma"): 200},
    **{("compresso", "lzma"): 800, ("compresso", "none"): 90, ("png", "none"): 70},
}
CURRENT = {
    **{("ristretto", "none"): 900, ("crackle", "none"): 300, ("crackle", "lzma"): 500},
    **{("cpso", "lzma"): 850, ("none", "zstd"): 50, ("compressed_segmentation", "lzma"): 260},
}
WINDOWS = {(f"compresso:window={n}x4x1", "lzma"): 400 * n for n in (1, 3)}
TRAINED = "pinky40-z000-255.h5"
LONG = "my_segmentation_of_mouse_cortex-final.v2.h5:/volumes/labels/neuron_ids"


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def drawn(kind, rows):
    """The figures of a kind, by name; a warning is an error."""
    derived = derive(records.tabulate(rows))
    with warnings.catch_warnings(), figures.drawing():
        warnings.simplefilter("error")
        return dict(figures.RESULTS[kind](derived, intervals(derived)))


def rows_of_all(name="ac3", group="em", **changes):
    return results_of(name, group, PAPER | CURRENT | WINDOWS, **changes)


def marks(axis):
    """The points of a panel as (x, y, colour, whether it is filled)."""
    found = []
    for points in axis.collections:
        if isinstance(points, PathCollection):
            face, edge = points.get_facecolor(), points.get_edgecolor()
            colour = to_hex((face if len(face) else edge)[0])
            found += [(x, y, colour, len(face) > 0) for x, y in np.ma.getdata(points.get_offsets())]
    return found


def names(axis):
    return [text.get_text() for text in axis.get_yticklabels()]


def shapes(figure):
    """The marker of each dataset in a figure's legend."""
    (legend,) = figure.legends
    return {
        t.get_text(): h.get_marker()
        for t, h in zip(legend.texts, legend.legend_handles, strict=True)
    }


def test_every_encoding_has_its_own_colour_and_marker():
    looks = [style.look(name) for name in encodings.names()]
    assert len({colour for colour, _ in looks}) == len({m for _, m in looks}) == len(looks)
    assert style.look("compresso:window=4x4x1") == style.look("compresso")


def test_figure_4_has_the_papers_bars_limits_and_values():
    """Means over datasets, population SD, and the published mean of each bar."""
    given = [row for ratio in (100, 300) for row in results_of(f"x{ratio}", "other", PAPER)]
    for row in given:
        if (row["encoding"], row["compression"]) == ("compresso", "lzma"):
            row["compressed_bytes"] = 1_000_000 / int(row["dataset"][1:])
    (figure,) = drawn("figure_4", rows_of_all("ac3") + given).values()
    em, other = figure.axes
    assert (em.get_ylim(), other.get_ylim()) == ((0, 1200), (0, 2000))
    assert len(em.get_xticklabels()) == 12
    heights = sorted(round(bar.get_height()) for bar in other.patches)
    assert heights == [1, 70, 90, 100, 200, 200]
    segments = [s[:, 1] for part in other.collections for s in part.get_segments()]
    assert any(np.allclose(s, [100, 300]) for s in segments)  # 200 and an SD of 100
    published = [s[0] for s in segments if s[0] == s[1]]
    wanted = [v for group, first in FIGURE_4 for v in FIGURE_4["other", first].values()]
    assert set(wanted) <= set(published)
    assert drawn("figure_4", results_of("ac3", "em", CURRENT)) == {}  # without its first stages
    assert drawn("figure_4", rows_of_all("phantom", "synthetic")) == {}


def test_current_methods_are_the_best_of_each_encoding_in_order():
    rows = rows_of_all(TRAINED) + rows_of_all("bsd500", "other")
    (figure,) = drawn("current_methods", rows).values()
    (axis,) = figure.axes
    first = ["Compresso (3x4x1) + LZMA", "Ristretto", "cpso + LZMA", "Compresso + LZMA"]
    assert names(axis)[:4] == first
    assert "Crackle + LZMA" in names(axis)
    assert "Crackle" not in names(axis)  # its best compressor is LZMA
    assert names(axis)[-1] == "raw + Zstandard"
    more = rows_of_all("voc2012", "other") + results_of("ac3", "em", {("jpeg2000", "none"): 9e4})
    (axis,) = drawn("current_methods", rows + more)["current_methods"].axes
    assert names(axis)[-1] == "JPEG 2000"  # on one dataset only
    hollow = [(x, names(axis)[int(y)]) for x, y, _, filled in marks(axis) if not filled]
    assert hollow == [(900, "Ristretto")]  # on the volume that it was trained on, only
    assert set(shapes(figure)) == {TRAINED, "BSD500"}
    (again,) = drawn("current_methods", rows[::-1]).values()
    assert shapes(again) == shapes(figure)  # whatever is measured first


def test_raw_labels_and_empty_volumes_are_never_shown_and_single_points_are_inside():
    rows = results_of("ac3", "em", {("none", "none"): 1})
    assert all(drawn(kind, rows) == {} for kind in figures.RESULTS)
    rows += results_of("ac3", "em", {("compresso", "lzma"): 0.9})
    for axis in drawn("pareto", rows)["pareto_ac3"].axes:
        ((_, ratio, *_),) = marks(axis)
        assert axis.get_ylim()[0] * 1.05 < ratio < axis.get_ylim()[1] / 1.05
    assert drawn("pareto", [row | {"raw_bytes": 0} for row in rows]) == {}
    empty = LoadedVolume(Dataset("a"), np.zeros((0, 8, 8), np.uint16))
    assert figures.volumes.frequent_windows(empty) is None


def test_the_front_is_beaten_by_no_other():
    """The first of two equal methods is kept; those without a speed are dropped."""
    points = [(1, 9), (2, 8), (2, 8), (3, 1), (2, 3), (5, math.nan), (4, 1)]
    methods = pd.DataFrame(points, columns=["ratio", "compress_speed"])
    assert front(methods, "compress_speed") == [6, 1, 0]


def test_pareto_names_the_front_and_compares_datasets():
    slow = {"encode_s": 5.0, "decode_s": 5.0}
    fast = results_of("ac3", "em", {("compresso", "none"): 10, ("cpso", "none"): 9})
    small = results_of("ac3", "em", {("ristretto", "none"): 99}, **slow)
    found = drawn("pareto", fast + small + results_of(TRAINED, "em", CURRENT))
    assert list(found) == ["pareto_ac3", "pareto_pinky40-z000-255_h5"]
    limits = {(axis.get_xlim(), axis.get_ylim()) for f in found.values() for axis in f.axes}
    assert len(limits) == 1
    for axis in found["pareto_ac3"].axes:
        texts = {text.get_text() for text in axis.texts}
        assert {"Ristretto", "Compresso"} <= texts
        assert "cpso" not in texts
        assert len({colour for _, _, colour, _ in marks(axis)}) == 3
    paper = results_of("ac3", "em", {("compresso", "lzma"): 9}, **slow)
    (beaten,) = drawn("pareto", fast + small + paper).values()
    for axis in beaten.axes:
        assert "Compresso + LZMA" in {text.get_text() for text in axis.texts}
    note = [text for axis in found["pareto_pinky40-z000-255_h5"].axes for text in axis.texts]
    assert any(text.get_text() == "Ristretto\u2020" for text in note)


def test_speeds_show_sizes_and_intervals():
    rows = [
        row | {"run": run, "encode_s": 0.1 * run}
        for run in range(1, 6)
        for row in results_of("ac3", "em", {("compresso", "lzma"): 800, ("cpso", "none"): 100})
    ]
    (figure,) = drawn("speeds", rows).values()
    size, compress, _ = figure.axes
    assert names(size) == ["Compresso + LZMA", "cpso"]
    assert sorted(x for x, *_ in marks(size)) == pytest.approx([0.00125, 0.01])
    assert sorted(x for x, *_ in marks(compress)) == pytest.approx([2.5, 2.5])  # 1 MB, 0.4 s
    assert all(axis.get_xscale() == "log" for axis in figure.axes)
    bars = [s for part in compress.collections for s in getattr(part, "get_segments", list)()]
    assert len(bars) == 2
    assert all(low < 2.5 < high for (low, _), (high, _) in bars)


def test_windows_are_compared_with_8x8x1():
    (figure,) = drawn("window_sizes", rows_of_all("phantom", "synthetic")).values()
    ratio = figure.axes[0]
    found = {names(ratio)[int(y)]: x for x, y, *_ in marks(ratio)}
    assert found == pytest.approx({"3x4x1": 50, "8x8x1": 0, "1x4x1": -50})
    assert "3x4x1" in figure.get_suptitle()
    few = [row for row in rows_of_all() if "1x4x1" not in row["encoding"]]
    assert drawn("window_sizes", few) == {}


@pytest.mark.parametrize("kind", figures.RESULTS)
def test_texts_are_inside_and_not_upon_each_other(kind):
    names = ("a" + LONG, "b" + LONG, TRAINED, "phantom")
    rows = [row for name in names for row in rows_of_all(name)]
    for figure in drawn(kind, rows).values():
        figure.draw_without_rendering()
        boxes = [legend.get_window_extent() for legend in figure.legends]
        labels = [text for axis in figure.axes for text in (*axis.texts, axis.title)]
        boxes += [text.get_window_extent() for text in labels if text.get_text()]
        boxes += [axis.xaxis.label.get_window_extent() for axis in figure.axes]
        assert not [1 for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]
        whole = figure.bbox.padded(2)
        assert all(whole.contains(*box.min) and whole.contains(*box.max) for box in boxes)
        sizes = [text.get_fontsize() for text in (*labels, *figure.axes[0].get_yticklabels())]
        assert min(sizes) >= 9


def test_figures_are_written_and_follow_the_colour_scheme(tmp_path):
    table = records.tabulate(rows_of_all("\u8133.h5"))  # letters that the font lacks
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = list(figures.draw_all(table, tmp_path))
    assert {path.stem: 3 for path in paths} == {
        stem: len(list(group)) for stem, group in itertools.groupby(p.stem for p in paths)
    }
    for path in paths:
        assert figures.caption(path)
        if path.suffix == ".svg":
            text = path.read_text()
            assert "prefers-color-scheme:dark" in text
            assert text.count(style.INK) == 1  # of the light scheme
    with pytest.raises(ResultsError):
        list(figures.draw_all(table[:0], tmp_path))


def labels_in(filled):
    labels = np.zeros((9, 16, 16), np.uint16)
    for z in filled:
        labels[z, :4] = z + 1
    return labels


@pytest.mark.parametrize(
    ("filled", "shown"),
    [([5], [5]), ([4, 6], [4]), (range(2, 7), [3, 4, 5]), (range(9), [2, 4, 6]), ([], None)],
)
def test_slices_that_are_shown_hold_labels(filled, shown):
    geometry = {"geometry": {"steps": [[0, 0, 40], [0, 4, 0], [4, 0, 0]], "unit": "nm"}}
    volume = replace(of_array(labels_in(filled)), metadata=geometry)
    with figures.drawing():
        figure = figures.volumes.slices(volume, "a", 9)
        if shown is None:
            assert figure is None
            return
    assert [axis.get_title() for axis in figure.axes] == [f"slice {z}, 1 label" for z in shown]
    assert all(axis.images[0].get_array().any() for axis in figure.axes)
    assert "4 x 4 x 40 nm" in figure.get_suptitle()
    assert [text.get_text() for text in figure.axes[0].texts] == ["20 nm"]


@pytest.mark.parametrize("shape", [(1, 1, 500), (1, 500, 1), (1, 1, 1)])
def test_slices_may_be_lines(tmp_path, shape):
    with warnings.catch_warnings(), figures.drawing():
        warnings.simplefilter("error")
        figure = figures.volumes.slices(of_array(np.ones(shape, np.uint8)), "a", 1)
        assert len(list(figures.save(figure, tmp_path, "slices"))) == 3


def test_pictures_of_the_documentation(phantom):
    with figures.drawing():
        figure = documentation.how_compresso_works(phantom[:1, :64, :64])
        assert len(figure.subfigs) == 4
        table = records.tabulate(rows_of_all())
        volume = LoadedVolume(Dataset("phantom", group="synthetic"), phantom)
        slice_, methods = documentation.overview(volume, table).subfigs
    assert slice_.axes[0].images[0].get_array().shape[:2] == phantom.shape[1:]
    assert "raw + Zstandard" in names(methods.axes[0])

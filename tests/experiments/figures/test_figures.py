"""What figures show, read off them, and volumes of which there is nothing to draw."""

import warnings

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest

from compresso import encodings
from experiments import figures, records
from experiments.datasets import LoadedVolume
from experiments.figures import _bars, _palette
from tests.experiments.paper.test_paper import rows_of

RATIOS = {("none", "none"): 1, ("none", "lzma"): 100, ("compresso", "lzma"): 800}
KINDS = ("none", "neuroglancer", "compresso", "cpso", "crackle", "compressed_segmentation")


def drawn(name, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return figures.of_results.parse(name).draw(records.results.derive(records.tabulate(rows)))


def test_every_encoding_has_a_colour_of_its_own():
    colours = [matplotlib.colors.to_rgb(_palette.colour(name)) for name in encodings.names()]
    colours.append(matplotlib.colors.to_rgb(_palette.OTHER))
    apart = [np.abs(np.subtract(a, b)).sum() for i, a in enumerate(colours) for b in colours[:i]]
    assert min(apart) > 0.2


def test_bars_and_points_have_the_same_colours():
    rows = rows_of("ac3", "em", {(e, "lzma"): 10 + i for i, e in enumerate(KINDS)})
    bars = drawn("compression_ratio", rows).axes[0]
    ours = {
        text.get_text(): matplotlib.colors.to_hex(handle.get_facecolor())
        for handle, text in zip(
            bars.figure.legends[0].get_patches(), bars.figure.legends[0].texts, strict=True
        )
    }
    legend = drawn("pareto", rows).legends[0]
    points = {
        text.get_text(): matplotlib.colors.to_hex(handle.get_facecolor()[0])
        for handle, text in zip(legend.legend_handles, legend.texts, strict=True)
    }
    assert ours == points == {_bars.first_stage(e): _palette.COLOURS[e] for e in KINDS}


@pytest.mark.parametrize("ratios", [{("compresso", "lzma"): 2}, {(e, "lzma"): 2 for e in KINDS}])
def test_a_volume_of_no_voxels_is_drawn_without_a_warning(ratios):
    rows = [row | {"raw_bytes": 0} for row in rows_of("empty", "other", ratios)]
    rows += [row | {"run": 2} for row in rows]
    assert drawn("pareto", rows) is None
    for name in ("compression_speed", "encoding_only"):
        assert heights(drawn(name, rows)) == []
        plt.close("all")


def heights(figure):
    """Heights of the bars that are drawn."""
    bars = [bar for axis in figure.axes for bar in axis.patches]
    return sorted(bar.get_height() for bar in bars if bar.get_height() > 0)


@pytest.mark.parametrize("name", ["compression_speed", "decompression_speed"])
def test_speeds_are_logarithmic_and_only_of_what_works(name):
    """1 MB by twice 0.1 s; labels that no stage touches have no speed, and hide no other one."""
    figure = drawn(name, rows_of("ac3", "em", RATIOS))
    (axis,) = figure.axes
    assert axis.get_yscale() == "log"
    assert heights(figure) == pytest.approx([5, 5])
    assert axis.get_ylim()[0] == 1
    plt.close(figure)


def test_ratios_start_at_0_and_have_all():
    figure = drawn("compression_ratio", rows_of("ac3", "em", RATIOS))
    (axis,) = figure.axes
    assert axis.get_yscale() == "linear"
    assert axis.get_ylim()[0] == 0
    assert heights(figure) == pytest.approx([1, 100, 800])
    plt.close(figure)


@pytest.mark.parametrize(
    "ratios", [{("compresso", "lzma"): 196.09}, {(e, "lzma"): 64 for e in KINDS}]
)
def test_points_of_one_ratio_are_inside_their_axes(ratios):
    """Limits that are a hair apart, as rounding has them, left an empty picture."""
    figure = drawn("pareto", rows_of("ac3", "em", ratios))
    for axis in figure.axes:
        low, high = axis.get_ylim()
        for ratio in ratios.values():
            assert low * 1.05 < ratio < high / 1.05
    plt.close(figure)


LONG = "my_segmentation_of_mouse_cortex-final.v2.h5:/volumes/labels/neuron_ids"


@pytest.mark.parametrize("name", ["compression_ratio", "pareto", "encoding_only"])
def test_no_text_is_upon_another(name):
    """Long names of datasets, and second stages with parameters."""
    seconds = ("none", "zstd", "zstd:level=19", "lzma:preset=9")
    ratios = {(e, second): 2 + i for e in KINDS[1:] for i, second in enumerate(seconds)}
    rows = [row for at in "abc" for row in rows_of(at + LONG, "em", ratios)]
    figure = drawn(name, rows)
    figure.draw_without_rendering()
    for texts in (
        [axis.title for axis in figure.axes],
        *(axis.get_xticklabels() for axis in figure.axes if axis.get_xscale() == "linear"),
    ):
        upright = [text for text in texts if text.get_text() and not text.get_rotation()]
        boxes = [text.get_window_extent() for text in upright]
        assert not [1 for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    plt.close(figure)


def test_a_name_in_other_letters_is_drawn_without_a_warning(tmp_path):
    table = records.tabulate(rows_of("\u8133.h5", "em", RATIOS))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (tmp_path / "pareto.png") in list(figures.draw_all(table, tmp_path))


def test_speeds_within_one_decade_can_be_read():
    """The only number at the axis was the decade below all of them."""
    rows = [
        row | dict.fromkeys(("encode_s", "compress_s"), seconds)
        for row, seconds in zip(rows_of("ac3", "em", RATIOS), (1, 0.001, 0.002), strict=True)
    ]
    figure = drawn("compression_speed", rows)  # 1 MB: 500 and 250 MB/s
    figure.draw_without_rendering()
    (axis,) = figure.axes
    low, high = axis.get_ylim()
    labels = [text.get_text() for text in axis.get_yticklabels()]
    shown = [t for t, at in zip(labels, axis.get_yticks(), strict=True) if low <= at <= high]
    assert shown == ["100", "200", "500"]
    plt.close(figure)


def ticks(figure, panel=0):
    """The texts below the groups of a panel, and whether each is bold."""
    labels = figure.axes[panel].get_xticklabels()
    return {text.get_text(): text.get_fontweight() == "bold" for text in labels}


def notes(figure):
    """The notes above the legend."""
    return figure.legends[0].get_title().get_text().replace("\n", " ")


def test_the_best_group_is_the_smallest_in_size_and_the_largest_in_ratio():
    ratios = RATIOS | {("neuroglancer", "zstd"): 500, ("compresso", "zlib"): 700}
    rows = rows_of("ac3", "em", ratios)
    size = drawn("compressed_size", rows)
    assert ticks(size) == {"LZMA": True, "Zlib": False, "ZStandard": False}
    assert heights(size) == pytest.approx(sorted(1 / r for r in ratios.values() if r > 1))
    for name in ("compression_ratio", "mean_ratio"):
        assert [text for text, bold in ticks(drawn(name, rows)).items() if bold] == ["LZMA"]
    plt.close("all")


@pytest.mark.parametrize("name", ["compressed_size", "compression_speed", "decompression_speed"])
def test_raw_labels_alone_are_nothing_to_draw(name):
    assert drawn(name, rows_of("ac3", "em", {("none", "none"): 1})) is None


def test_raw_labels_are_no_point():
    rows = rows_of("ac3", "em", {("none", "none"): 1, ("compresso", "lzma"): 0.9})
    figure = drawn("pareto", rows)
    for axis in figure.axes:
        drawn_points = [len(points.get_offsets()) for points in axis.collections]
        assert max(drawn_points) == 1
        assert [text.get_text() for text in axis.texts] == ["Compresso + LZMA"]
    plt.close(figure)


def test_error_bars_of_the_mean_are_the_papers():
    """The population's standard deviation: of 100 and 300, 100; of one dataset there is none."""
    rows = [
        row
        for name, ratio in (("bsd500", 100), ("spl-knee", 300))
        for row in rows_of(name, "other", {("compresso", "lzma"): ratio})
    ]
    figure = drawn("mean_ratio", rows + rows_of("ac3", "em", {("compresso", "lzma"): 7}))
    em, other = figure.axes
    (segment,) = (s for part in other.collections for s in part.get_segments())
    assert segment[:, 1].tolist() == pytest.approx([100, 300])
    ends = [s[:, 1] for part in em.collections for s in part.get_segments()]
    assert not np.isfinite(np.array(ends)).any()
    plt.close(figure)


MANY = [
    *(*KINDS, "compresso:window=4x4x1", "crackle:markov=5", "cpso:index=0"),
    *("compressed_segmentation:block=4x4x4", "cpso:window=8x8x1,connectivity=6"),
]


@pytest.mark.parametrize("name", figures.of_results.names())
@pytest.mark.parametrize("dataset", ["ac3", "phantom"])
def test_the_legend_is_inside_its_figure(name, dataset):
    """It was cut off at both sides of several first stages with one second stage."""
    ratios = {(e, "lzma"): 10 + i for i, e in enumerate(MANY)} | {("ristretto", "none"): 100}
    figure = drawn(name, rows_of(dataset, "em" if dataset == "ac3" else "synthetic", ratios))
    if figure is None:
        assert name == "window_sizes"
        return
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert 0 <= box.y0 < box.y1 <= min(axis.get_window_extent().y0 for axis in figure.axes)
    plt.close(figure)


def test_variants_that_are_not_shown_are_counted():
    rows = rows_of("ac3", "em", {(f"crackle:markov={n}", "zstd"): 9 + n for n in (1, 3, 10, 2)})
    rows += rows_of("ac3", "em", {("compresso", "zstd"): 9, ("cpso", "zstd"): 9})
    rows += rows_of("ac3", "em", {(f"compresso:window={n}x4x1", "zstd"): 9 for n in (1, 2, 4)})
    for name in ("compression_ratio", "compressed_size", "encoding_only", "mean_ratio"):
        figure = drawn(name, rows)
        shown = [text.get_text() for text in figure.legends[0].texts]
        assert [text for text in shown if text != "as published"] == [
            *("Compresso", "cpso", "crackle markov=1", "crackle markov=2", "crackle markov=3"),
        ]
        assert "Not shown: 3 of 4 variants of compresso" in notes(figure)
        assert "1 of 4 variants of crackle" in notes(figure)
    plt.close("all")
    few = drawn("compression_ratio", [row for row in rows if ":" not in row["encoding"]])
    assert notes(few) == ""


def test_specs_are_sorted_by_their_numbers():
    seconds = ("zstd:level=10", "zstd:level=2", "zstd:level=-1", "zstd", "bz2:level=9")
    firsts = ("compresso:window=16x4x1", "compresso:window=8x8x1", "compresso:window=4x4x1")
    rows = rows_of("ac3", "em", {(e, c): 9 for e in firsts for c in seconds})
    figure = drawn("compression_ratio", rows)
    assert list(ticks(figure)) == [
        *("BZip2 level=9", "ZStandard", "ZStandard level=-1", "ZStandard level=2"),
        "ZStandard level=10",
    ]
    assert [text.get_text() for text in figure.legends[0].texts] == [
        *("Compresso 4x4x1", "Compresso 8x8x1", "Compresso 16x4x1"),
    ]
    plt.close(figure)


def test_window_sizes_tell_what_is_synthetic():
    """The name was cut at its first comma."""
    ratios = {(f"compresso:window={n}x4x1", "lzma"): n for n in (4, 8, 16)}
    ratios |= {("compresso:window=oops", "lzma"): 3, ("compresso", "lzma"): 3}
    figure = drawn("window_sizes", rows_of("phantom:size=9x9x9,bits=32", "synthetic", ratios))
    names = [text.get_text() for text in figure.axes[0].get_legend().texts]
    assert names == ["phantom:size=9x9x9,bits=32 (synthetic)"]
    shown = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert shown == ["4x4x1", "8x4x1", "8x8x1", "16x4x1"]
    plt.close(figure)


TRAINED = "\u2020"
ALONE = {("ristretto", "none"): 9, ("ristretto:effort=2", "none"): 10, ("compresso", "lzma"): 5}


@pytest.mark.parametrize("name", ["compression_ratio", "compressed_size", "mean_ratio", "pareto"])
def test_what_was_trained_on_a_volume_is_marked(name, tmp_path):
    """In its own panel only, and in a note."""
    rows = rows_of("pinky40-z000-255.h5", "em", ALONE) + rows_of("spl-knee", "other", ALONE)
    table = figures._alone_as_second_stage(records.results.derive(records.tabulate(rows)))
    figure = figures.of_results.parse(name).draw(table)
    assert "trained on this volume" in notes(figure)
    half = len(figure.axes) // 2
    for axis in figure.axes:
        texts = [text.get_text() for text in (*axis.texts, *axis.get_xticklabels())]
        marked = {text for text in texts if TRAINED in text}
        if axis in figure.axes[:half]:
            assert "ristretto effort=2" + TRAINED in marked
            assert all(text.startswith("ristretto") for text in marked)
        else:
            assert marked == set()
    figure = figures.of_results.parse(name).draw(table[table["dataset"] == "spl-knee"])
    assert notes(figure) == ""
    plt.close("all")


@pytest.mark.parametrize(
    ("filled", "shown"),
    [
        ([5], [5]),
        ([4, 6], [4, 6]),
        (range(3, 6), [3, 4, 5]),
        (range(2, 8), [3, 5, 7]),  # the fullest of each third
        ([], None),
    ],
)
def test_slices_that_are_shown_hold_labels(filled, shown):
    labels = np.zeros((9, 4, 4), np.uint16)
    for z in filled:
        labels[z].flat[: z + 1] = 7
    figure = figures.of_volumes.parse("slices").draw(LoadedVolume("a", "", "em", labels))
    if shown is None:
        assert figure is None
        return
    assert [axis.get_title() for axis in figure.axes] == [f"slice {z}" for z in shown]
    assert all(axis.images[0].get_array().any() for axis in figure.axes)
    plt.close(figure)

"""What figures show, read off them, and volumes of which there is nothing to draw."""

import warnings

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest
from test_paper import rows_of

from compresso import encodings
from experiments import figures, records
from experiments.figures import _bars, _palette

RATIOS = {("none", "none"): 1, ("none", "lzma"): 100, ("compresso", "lzma"): 800}
KINDS = ("none", "neuroglancer", "compresso", "cpso", "crackle", "compressed_segmentation")


def drawn(name, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return figures.of_results.parse(name).draw(records.derived.derive(records.tabulate(rows)))


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

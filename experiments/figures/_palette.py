"""The colour of each encoding, the same in every figure."""

import colorsys
from collections.abc import Sequence

import matplotlib.colors

#: Fig. 4's light grey, dark grey and red, and the colours of who came after.
COLOURS = {
    **{"none": "#c8c8c8", "neuroglancer": "#5f5f5f", "compresso": "#d7191c"},
    **{"ristretto": "#1a9850", "crackle": "#7b3294", "cpso": "#fd8d3c"},
    **{"compressed_segmentation": "#2c7bb6", "png": "#8c6d31"},
    **{"jpeg2000": "#e377c2", "x264": "#17becf"},
}
OTHER = "#bcbd22"


def colour(name: str) -> str:
    """The colour of an encoding by its name; plug-ins share one."""
    return COLOURS.get(name, OTHER)


def shade(spec: str, specs: Sequence[str]) -> str:
    """The colour of an encoding, lighter for each further variant of it among ``specs``."""
    name = spec.partition(":")[0]
    family = [other for other in specs if other.partition(":")[0] == name]
    hue, light, strength = colorsys.rgb_to_hls(*matplotlib.colors.to_rgb(colour(name)))
    light += (0.88 - light) * family.index(spec) / len(family)
    return matplotlib.colors.to_hex(colorsys.hls_to_rgb(hue, light, strength))

"""The page: what it holds, that it needs nothing else, and how it looks in a browser."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from experiments import figures, page, records
from experiments.records import tabulate

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--dump-dom"),
]
SCHEMES = {
    "dark": "--blink-settings=preferredColorScheme=0",
    "light": "--blink-settings=preferredColorScheme=1",
}
EVIL = "<script>alert(1)</script>.npy"
#: What a person would see or do, told by the page itself in its title.
LOOK = """<script>
const told = {width: innerWidth, page: document.documentElement.scrollWidth};
told.dark = matchMedia("(prefers-color-scheme: dark)").matches;
told.paper = getComputedStyle(document.body).backgroundColor;
told.inks = ["body", "small", "figcaption"].map(
  name => getComputedStyle(document.querySelector(name)).color);
told.pictures = [...document.images].every(image => image.complete && image.naturalWidth > 0);
const lines = (node, from, to) => {
  const range = document.createRange();
  range.setStart(node, from); range.setEnd(node, to);
  return new Set([...range.getClientRects()].map(box => Math.round(box.top))).size;
};
told.broken = [];
for (const name of document.querySelectorAll("#cells td:not(.number) .name")) {
  const texts = document.createTreeWalker(name, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    for (const word of node.data.matchAll(/[A-Za-z0-9]+/g)) {
      if (lines(node, word.index, word.index + word[0].length) > 1) told.broken.push(word[0]);
    }
  }
}
told.names = document.querySelectorAll("#cells .name").length;
const ratios = () => [...document.querySelectorAll("#cells tbody tr")].map(
  row => Number(row.cells[3].dataset.value));
told.before = ratios();
const button = document.querySelectorAll("#cells th button")[3];
button.click(); told.down = ratios();
button.click(); told.up = ratios();
told.asked = performance.getEntriesByType("resource").map(entry => entry.name)
  .filter(name => !name.startsWith("data:"));
top.document.title = JSON.stringify(told);
</script></body>"""
#: What is on the screen of the table, told by the page around it.
READ = """<script>
addEventListener("load", () => {
  const rows = [...frames[0].document.querySelectorAll("#cells tr")];
  document.title = JSON.stringify(rows.map(row => [...row.cells].map(cell => cell.innerText)));
});
</script>"""


def row(encoding, size, run=1, seconds=1.0, **more):
    plain = {"dataset": EVIL, "source": f"/data/{EVIL}", "shape": "4x40x50", "dtype": "uint32"}
    plain |= {"compression": "zstd", "threads": 1, "status": "ok", "lossless": True, "group": "em"}
    plain |= {"time": "2026-01-02", "cpu": "a <b>CPU</b>", "fingerprint": "00", "run": run}
    stages = ("encode_s", "compress_s", "decompress_s", "decode_s")
    plain |= {
        "encoding": encoding,
        "raw_bytes": 64000,
        "native_bytes": 32000,
        "encoded_bytes": size,
    }
    return plain | {"compressed_bytes": size} | dict.fromkeys(stages, seconds) | more


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    rows = [
        row(encoding, size, run, size / 1000 * (1 + run / 50))
        for encoding, size in (("compresso", 900), ("neuroglancer", 1600), ("cpso", 800))
        for run in (1, 2, 3)
    ]
    for name in ("spl-abdominal", "pinky40-z000-255.h5:/volumes/labels", "x" * 60):
        named = {"dataset": name, "source": f"/data/{name}", "compression": "brotli"}
        rows.append(row("compressed_segmentation:block=8x8x8", 900, **named))
    rows.append(row("crackle", 1, status="error: <i>it</i> broke", lossless=False))
    table = records.tabulate(rows)
    drawn = list(figures.draw_all(table, folder))
    answers = {"archive": {"encoding": "cpso", "compression": "zstd", "why": "the <smallest>"}}
    return page.write(table, drawn, folder, answers)


class Seen(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_it_is_one_file_of_plain_text(written):
    seen = Seen(written.read_text())
    assert seen.tags.count("script") == 1  # the one that sorts, and not the dataset's
    assert "b" not in seen.tags
    assert "i" not in seen.tags
    assert all(link.startswith("data:") for link in seen.links)
    pngs = list(written.parent.glob("*.png"))
    assert seen.tags.count("img") == len(pngs) > 5
    for text in (EVIL, "a <b>CPU</b>", "<i>it</i> broke", "the <smallest>", "cpso"):
        assert text in seen.text
    assert "80.00" in seen.text  # 64,000 / 800


def browse(folder, inside, *flags, width=390, frame="", after=""):
    """What a page tells in its title in Chromium, so wide, and what is on the console.

    Windows have a least width, frames have none.
    """
    if CHROMIUM is None:
        pytest.skip("needs chromium: apt-get install chromium")
    copy = folder / "page.html"
    copy.write_text(
        f'<!DOCTYPE html><title></title><link rel=icon href="data:,">'
        f'<iframe {frame} style="width: {width}px; height: 800px; border: 0" '
        f'srcdoc="{html.escape(inside)}"></iframe>{after}'
    )
    command = [CHROMIUM, *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", copy.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    (title,) = re.findall(r"<title>(.+?)</title>", result.stdout, re.S)
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(title)), console


@pytest.fixture(scope="module")
def seen(written, tmp_path_factory):
    """What a phone shows in each colour scheme."""
    inside = written.read_text().replace("</body>", LOOK)
    told = {}
    for scheme, flag in SCHEMES.items():
        told[scheme], console = browse(tmp_path_factory.mktemp(scheme), inside, flag)
        assert console == []
    return told


@pytest.mark.parametrize("scheme", SCHEMES)
def test_on_a_phone(seen, scheme):
    told = seen[scheme]
    assert told["width"] == 390
    assert told["page"] <= told["width"]
    assert told["pictures"]
    assert told["asked"] == []
    assert told["names"] > 10
    assert set(told["broken"]) <= {"x" * 60}  # longer than any line
    assert told["down"] == sorted(told["before"], reverse=True)
    assert told["up"] == sorted(told["before"])
    assert told["down"] != told["up"]


def luminance(colour):
    """Relative luminance as WCAG 2 has it, of a colour as ``rgb(1, 2, 3)``."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_dark_on_light_or_light_on_dark(seen):
    assert {scheme: told["dark"] for scheme, told in seen.items()} == {"dark": True, "light": False}
    assert luminance(seen["dark"]["paper"]) < 0.05 < 0.9 < luminance(seen["light"]["paper"])
    for told in seen.values():
        for ink in told["inks"]:
            darker, lighter = sorted([luminance(ink), luminance(told["paper"])])
            assert (lighter + 0.05) / (darker + 0.05) > 4.5  # WCAG 2.1, level AA


def test_without_javascript(written, tmp_path):
    rows, console = browse(
        tmp_path, written.read_text(), frame="sandbox=allow-same-origin", after=READ
    )
    assert len(console) == 1
    assert "Blocked script execution" in console[0]
    assert rows[0] == [heading for heading, _, _ in page.COLUMNS]
    cells = {line[1]: (line[3], line[5]) for line in rows if line[0] == EVIL}
    assert cells == {
        "compresso": ("71.11", "900"),  # of 64,000
        "neuroglancer": ("40.00", "1,600"),
        "cpso": ("80.00", "800"),
    }


def test_the_slowest_speed_is_a_number(tmp_path):
    """0.064 MB in 1 s was 0 MB/s."""
    rows = [row("compresso", 900, run, 0.5 * run) for run in (1, 2, 3)]
    text = page.write(records.tabulate(rows), [], tmp_path).read_text()
    assert text.count(">0.0320<small>0.0") == 2  # twice 1 s
    assert "<small>0 to" not in text


def test_what_is_not_shown_is_told(tmp_path):
    """The newest thread count is shown, and the page says what else the CSV has."""
    rows = [
        row("compresso", 900, threads=1),
        row("cpso", 900, threads=1),
        row("compresso", 900, threads=8),
    ]
    text = Seen(page.write(records.tabulate(rows), [], tmp_path).read_text()).text
    assert f"because newer rows are of other labels or threads: {EVIL}, 1 thread (2 row" in text
    assert text.count("cpso") == 0
    alone = Seen(page.write(records.tabulate(rows[2:]), [], tmp_path).read_text()).text
    assert "Not shown" not in alone


def test_what_failed_and_was_resumed_did_not_fail(tmp_path):
    broke = {"status": "error: it broke", "lossless": False}
    rows = [row("compresso", 900, 1), row("compresso", 1, 2, **broke), row("cpso", 1, **broke)]
    failed = Seen(page.write(records.tabulate(rows), [], tmp_path).read_text()).text
    assert failed.count("it broke") == 2
    rows.append(row("compresso", 900, 2, session="2"))
    failed = Seen(page.write(records.tabulate(rows), [], tmp_path).read_text()).text
    assert failed.count("it broke") == 1


def table_of(path):
    """The texts of the table's fields, line by line."""
    body = path.read_text().split("<tbody>")[1].split("</tbody>")[0]
    lines = [re.findall(r"<td.*?</td>", line) for line in body.split("</tr>")[:-1]]
    texts = [[field.replace("<wbr>", "") for field in line] for line in lines]
    return [[html.unescape(re.sub("<.*?>", " ", text)).split() for text in line] for line in texts]


def test_raw_labels_have_no_speed_and_two_runs_no_interval(tmp_path):
    seconds = {"none": 1e-6, "compresso": 1.0}
    rows = [
        row(encoding, 64000 if encoding == "none" else 900, run, s * run, compression="none")
        for encoding, s in seconds.items()
        for run in (1, 2)
    ]
    lines = {line[1][0]: line[6:] for line in table_of(page.write(tabulate(rows), [], tmp_path))}
    assert lines["none"] == [["-"], ["-"], ["2"]]
    speed = ["0.0213", "n", "=", "2"]  # 0.064 MB in 3 s
    assert lines["compresso"] == [speed, speed, ["2"]]
    rows += [row("compresso", 900, 3, 3.0, compression="none")]
    lines = {line[1][0]: line[6:] for line in table_of(page.write(tabulate(rows), [], tmp_path))}
    assert lines["compresso"][0][2] == "to"


def test_synthetic_data_says_so_in_every_list(tmp_path):
    name = "phantom:size=9x9x9"
    broke = {"status": "error: it broke", "lossless": False}
    rows = [
        row("compresso", 900, dataset=name, group="synthetic", threads=2),
        row("compresso", 900, dataset=name, group="synthetic"),
        row("cpso", 900, dataset=name, group="synthetic") | broke,
    ]
    text = Seen(page.write(tabulate(rows), [], tmp_path).read_text()).text
    assert text.count(name) == text.count(f"{name} (synthetic)") == 4


def test_datasets_are_in_natural_order_and_what_was_trained_on_one_is_marked(tmp_path):
    names = ("phantom:size=512x512x128", "phantom:size=512x512x32", "phantom:size=64x64x8")
    given = {"group": "synthetic", "compression": "none"}
    rows = [row("ristretto", 900, dataset=name, **given) for name in names]
    path = page.write(tabulate(rows), [], tmp_path)
    found = [(line[0][0], line[1][0]) for line in table_of(path)]
    marked = "ristretto\u2020"
    assert found == [(names[2], "ristretto"), (names[1], marked), (names[0], marked)]
    assert "trained on this volume" in path.read_text()
    assert "trained on" not in page.write(tabulate(rows[2:]), [], tmp_path).read_text()

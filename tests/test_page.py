"""The page: what it holds, that it needs nothing else, and how it looks in a browser."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from experiments import figures, page, records

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
]
EVIL = "<script>alert(1)</script>.npy"
#: What a person would see or do, told by the page itself in its title.
LOOK = """<script>
const told = {width: innerWidth, page: document.documentElement.scrollWidth};
told.paper = getComputedStyle(document.body).backgroundColor;
told.pictures = [...document.images].every(image => image.complete && image.naturalWidth > 0);
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


def browse(written, tmp_path, width, *flags):
    """What the page tells of itself in Chromium, so wide; fails for an error or a request.

    Windows have a least width, frames have none.
    """
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    copy = tmp_path / "page.html"
    inside = html.escape(written.read_text().replace("</body>", LOOK))
    copy.write_text(
        f"<!DOCTYPE html><title></title><link rel=icon href=data:,>"
        f'<iframe style="width: {width}px; height: 800px; border: 0" srcdoc="{inside}"></iframe>'
    )
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]
    result = subprocess.run(
        [*command, *flags, "--dump-dom", copy.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert "CONSOLE" not in result.stderr
    (title,) = re.findall(r"<title>(\{.*?\})</title>", result.stdout)
    told = json.loads(title)
    assert told["asked"] == []
    return told


def test_on_a_phone(written, tmp_path):
    told = browse(written, tmp_path, 375)
    assert told["width"] == 375
    assert told["page"] <= told["width"]
    assert told["pictures"]
    assert told["paper"] == "rgb(255, 255, 255)"
    assert told["down"] == sorted(told["before"], reverse=True)
    assert told["up"] == sorted(told["before"])
    assert told["down"] != told["up"]


def test_in_the_dark(written, tmp_path):
    told = browse(written, tmp_path, 900, "--blink-settings=preferredColorScheme=0")
    assert told["paper"] == "rgb(24, 24, 27)"

"""The page: what it holds, that it needs nothing else, and how it behaves in a browser."""

import base64
import csv
import html
import io
import json
import re
import shutil
import subprocess

import pytest

from experiments import figures, page
from experiments.records import tabulate
from tests.helpers.rows import results_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--dump-dom", "--virtual-time-budget=3000"),
]
DARK, LIGHT = (f"--blink-settings=preferredColorScheme={i}" for i in (0, 1))
EVIL = "<script>alert(1)</script>.npy"
LONG = "pinky40-z000-255.h5:/volumes/labels"
#: What a person would see or do on the page, which reports it in the title of its window.
LOOK = """<script>{
const style = (name, property) => getComputedStyle(document.querySelector(name))[property];
const seen = {width: innerWidth, page: document.documentElement.scrollWidth,
  paper: style("body", "backgroundColor"), nav: style("nav", "display"),
  inks: ["body", "small", ".faint", "nav a"].map(name => style(name, "color")),
  whole: ["thead", ".charts", "figure"].map(name => style(name, "breakInside")),
  scroll: style(".scroll", "overflowX")};
const section = document.querySelector("section.dataset:has([data-variant])");
const shown = () => [...section.querySelectorAll(".results tbody tr")].filter(row => !row.hidden);
const ratios = () => shown().map(row => Number(row.cells[2].dataset.value));
seen.before = ratios();
const button = section.querySelectorAll("[role=region] th button")[2];
button.click(); seen.down = ratios(); button.click(); seen.up = ratios();
const [dataset, search, front, variants] = document.querySelectorAll("nav select, nav input");
const set = (input, key, value) => {
  input[key] = value;
  input.dispatchEvent(new Event("input", {bubbles: true}));
};
set(variants, "checked", true); seen.plain = shown().length; set(variants, "checked", false);
set(front, "checked", true); seen.front = shown().length; set(front, "checked", false);
set(search, "value", "LZMA"); seen.found = shown().length; set(search, "value", "");
set(dataset, "value", section.id);
seen.sections = [...document.querySelectorAll("section.dataset")].filter(one => !one.hidden).length;
seen.links = [...document.querySelectorAll("section.dataset svg a")].every(
  link => document.querySelector("tr" + link.getAttribute("href")));
seen.asked = performance.getEntriesByType("resource").map(entry => entry.name)
  .filter(name => !name.startsWith("data:"));
top.document.title = JSON.stringify(seen);
}</script></body>"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    ratios = {("none", "none"): 1, ("compresso", "lzma"): 71.1, ("cpso", "zstd"): 40}
    ratios |= {("compresso:window=4x4x1", "lzma"): 80, ("ristretto", "none"): 1234.5}
    rows = [
        row | {"run": run, "encode_s": 0.1 * run, "cpu": "a <b>CPU</b>"}
        for name in (EVIL, LONG, "x" * 60)
        for run in (1, 2, 3)
        for row in results_of(name, "em", ratios)
    ]
    failed = {"status": "error: <i>it</i> broke", "lossless": False}
    rows += results_of(EVIL, "em", {("crackle", "none"): 1}, **failed)
    table = tabulate(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "RESULTS", {"speeds": figures.RESULTS["speeds"]})
        drawn = list(figures.draw_all(table, folder))
    answer = {"encoding": "cpso", "compression": "zstd", "why": "the <smallest>", "ratio": 71.5}
    answer["command"] = "compresso compress"
    answers = {"archive": answer, "random_access": answer | {"box_ratio": 31.4}}
    return page.write(table, drawn, folder, answers)


def lines_of(text, encoding):
    """The cells of each line of the tables about an encoding."""
    rows = [re.findall(r"<t[dh]\b.*?</t[dh]>", row) for row in re.findall("<tr.*?</tr>", text)]
    cells = [[re.sub("<.*?>", "", cell) for cell in row] for row in rows]
    return [row for row in cells if row[0].strip().rstrip("\u2020") == encoding]


def test_it_is_one_file_without_requests_or_foreign_tags(written):
    text = written.read_text()
    assert text.count("<script") == 1
    assert "<i>" not in text
    text = text[: text.index("<script")]
    links, ids = (re.findall(rf'\b(?:{name})="(.*?)"', text) for name in ("src|href", "id"))
    assert all(link.startswith(("data:", "#")) for link in links)
    assert {link[1:] for link in links if link[0] == "#"} <= set(ids)
    assert len(set(ids)) == len(ids)
    for part in (EVIL, "a <b>CPU</b>", "<i>it</i> broke", "the <smallest>"):
        assert html.escape(part) in re.sub("<wbr>", "", text)
    (link,) = (link for link in links if link.startswith("data:text/csv"))
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(link.partition(",")[2]).decode())))
    assert len(rows) == 3 * 3 * 5 + 1
    assert {row["dataset"] for row in rows} == {EVIL, LONG, "x" * 60}


def test_without_scripts_everything_is_shown(written):
    text = re.sub("<script>.*</script>", "", written.read_text(), flags=re.S)
    assert sorted(re.findall(r"<(\w+)[^>]* hidden", text)) == ["button", "span"]  # need scripts
    assert len(lines_of(text, "ristretto")) == 3


def test_random_access_shows_the_ratio_of_boxes(written):
    rows = (lines_of(written.read_text(), name) for name in ("archive", "random access"))
    assert [[row[2] for row in found] for found in rows] == [["71.5"], ["31.4"]]


def test_the_headline_is_the_best_result_and_raw_labels_are_none(tmp_path, written):
    assert "<h1>Up to 1,234x smaller: Ristretto" in written.read_text()
    rows = results_of("a.h5", "em", {("none", "none"): 1, ("compresso", "lzma"): 0.9})
    text = page.write(tabulate(rows), [], tmp_path).read_text()
    assert "<title>Up to 0.900x smaller: Compresso + LZMA on a.h5" in text
    assert [len(lines_of(text, name)[0]) for name in ("encoding", "compresso")] == [8, 8]
    wide = page.write(tabulate([row | {"native_bytes": 1_000_000} for row in rows]), [], tmp_path)
    wide = wide.read_text()  # labels of 64 bits have one ratio
    assert [len(lines_of(wide, name)[0]) for name in ("encoding", "compresso")] == [7, 7]
    (raw,) = lines_of(text, "raw")
    assert raw[5:7] == ["\u2013", "\u2013"]
    assert text.count('class="dot') == 2  # one method, two charts
    assert written.read_text().count('class="dot') == 3 * 2 * 4


def browse(folder, text, *flags, width=390):
    """What a browser shows of a page in a frame of this width, without a line on its console."""
    if CHROMIUM is None:
        pytest.skip("needs chromium: apt-get install chromium")
    copy = folder / "page.html"
    inside = html.escape(text.replace("</body>", LOOK))
    copy.write_text(f'<title>none</title><iframe width={width} height=800 srcdoc="{inside}">')
    command = [CHROMIUM, *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", copy.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in result.stderr
    return json.loads(html.unescape(re.search("<title>(.+?)</title>", result.stdout, re.S)[1]))


@pytest.mark.parametrize("scheme", [DARK, LIGHT])
def test_in_a_browser_on_a_phone(written, tmp_path, scheme):
    seen = browse(tmp_path, written.read_text(), scheme)
    assert seen["page"] <= seen["width"] == 390
    assert seen["asked"] == []
    assert seen["links"]
    assert seen["down"] == sorted(seen["before"], reverse=True)
    assert seen["up"] == sorted(seen["before"])
    counts = {key: seen[key] for key in ("plain", "front", "found", "sections")}
    assert counts == {"plain": 4, "front": 1, "found": 2, "sections": 1}
    paper = luminance(seen["paper"])
    assert paper < 0.05 if scheme == DARK else paper > 0.9
    for ink in seen["inks"]:
        darker, lighter = sorted([luminance(ink), paper])
        assert (lighter + 0.05) / (darker + 0.05) > 4.5  # WCAG 2.1, level AA


def test_in_print(written, tmp_path):
    """Black on white, also from a dark screen; without filters, and no figure is cut."""
    text = written.read_text().replace("@media print", "@media all")
    seen = browse(tmp_path, text, DARK, width=700)
    assert (luminance(seen["paper"]), luminance(seen["inks"][0])) == (1, 0)
    assert (seen["nav"], seen["scroll"], set(seen["whole"])) == ("none", "visible", {"avoid"})
    assert len(seen["before"]) == 5


def luminance(colour):
    """Relative luminance as WCAG 2 has it, of a colour as ``rgb(1, 2, 3)``."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_skipped_rows_synthetic_data_and_training_are_named(tmp_path):
    name = "phantom:size=512x512x32"
    given = {"source": "synthetic (seed 0)", "other_cpu": 0.82}
    rows = results_of(name, "synthetic", {("ristretto", "none"): 9}, threads=2, **given)
    rows += results_of(name, "synthetic", {("ristretto", "none"): 9, ("cpso", "zstd"): 3}, **given)
    rows += results_of("phantom:size=64x64x8", "synthetic", {("ristretto", "none"): 9}, **given)
    text = page.write(tabulate(rows), [], tmp_path).read_text()
    for part in ("Not shown", "2 threads", "82% of the processors", "trained on this volume"):
        assert part in text
    marked = [row[0].strip() for row in lines_of(text, "ristretto")]
    assert marked == ["ristretto", "ristretto\u2020"]  # by size
    titles = re.findall("<h2>(phantom.*?)</h2>", text)
    assert titles == ["phantom:size=64x64x8 (synthetic)", "phantom:size=512x512x32 (synthetic)"]

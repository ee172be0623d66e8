"""Published scores: each file can be read, and the table of the README says the same."""

from __future__ import annotations

import pytest

from ovseg.apis import published
from ovseg.apis.published import published_for, published_rows
from ovseg.apis.reproduction import known_benchmarks
from ovseg.apis.zoo import config_root, model_info
from ovseg.errors import ConfigError

METHODS = sorted(path.parent.name for path in config_root().glob("*/published.yml"))
COLUMNS = {
    "VOC 21": "voc-21",
    "Context 60": "pascal-context-60",
    "Object": "coco-object-81",
    "VOC 20": "voc-20",
    "Context 59": "pascal-context-59",
    "Stuff": "coco-stuff-171",
    "Cityscapes": "cityscapes-19",
    "ADE20K": "ade20k-150",
    "Context 459": "pascal-context-459",
    "ADE20K-847": "ade20k-847",
}
PANOPTIC = {
    "ADE20K": "ade20k-panoptic",
    "Cityscapes": "cityscapes-panoptic",
    "COCO (trained)": "coco-panoptic",
}


@pytest.mark.parametrize("method", METHODS)
def test_rows_name_what_exists(method):
    rows = published_rows(method)
    assert rows
    for row in rows:
        assert row.label and row.source
        assert set(row.scores) <= set(known_benchmarks())
        if row.model:
            assert model_info(row.model).config.startswith(f"{method}/")


def table(method):
    """Title of each column, and the cells of each row by its label."""
    lines = (config_root() / method / "README.md").read_text().splitlines()
    start = next(
        (i for i, line in enumerate(lines) if line.startswith(("| | VOC 21", "| | ADE20K"))), None
    )
    if start is None:
        return [], {}
    rows = []
    for line in [lines[start], *lines[start + 2 :]]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line[1:].rstrip()[:-1].split("|")])
    return rows[0][1:], {row[0]: row[1:] for row in rows[1:]}


@pytest.mark.parametrize("method", [name for name in METHODS if name != "clip"])
def test_the_readme_says_the_same(method):
    titles, cells = table(method)
    columns = COLUMNS | (PANOPTIC if method == "fcclip" else {})
    rows = {row.label: row for row in published_rows(method)}
    assert list(cells) == list(rows)
    for label, row in rows.items():
        for title, cell in zip(titles, cells[label], strict=True):
            found = [float(value) for value in cell.split("/")] if cell else []
            assert found == list(row.scores.get(columns[title], {}).values()), (label, title)


def test_what_was_done_as_here_comes_first():
    rows = published_for("cliptrase", "cliptrase_vit-b16", "ade20k-150")
    assert rows[0].scores["ade20k-150"] == {"mIoU": 17.04} and not rows[0].differs
    assert rows[-1].differs == "other protocol: square of 224"
    rows = published_for("fcclip", "fcclip_convnext-l", "ade20k-panoptic")
    assert rows[0].scores["ade20k-panoptic"] == {"PQ": 26.8, "AP": 16.8, "mIoU": 34.1}
    assert published_for("sclip", "sclip_nano", "scenes") == []
    assert published_rows("no-such-method") == ()


@pytest.mark.parametrize(
    "text",
    [
        "Rows: [",
        "- 1",
        "Rows: [{Label: a}]",
        "Rows: [{Label: a, By: me, Source: s, Scores: {voc-21: 5}}]",
        "Rows: [{Label: a, By: others, Source: s, Scores: {voc-21: 500}}]",
    ],
)
def test_a_file_that_is_wrong(tmp_path, monkeypatch, text):
    (tmp_path / "sclip").mkdir()
    (tmp_path / "sclip" / "published.yml").write_text(text)
    monkeypatch.setattr(published, "config_root", lambda: tmp_path)
    with pytest.raises(ConfigError, match=r"published\.yml cannot be read"):
        published_rows("sclip")

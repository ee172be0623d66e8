import numpy as np
import pytest

from ovseg.visualization import class_colors, comparison_sheet, draw_overlay
from ovseg.visualization.fonts import clean_text, fit_text, font_for
from ovseg.visualization.legend import LegendEntry, add_legend, display_size

CLASSES = ("sky", "grass", "cat")


def make(height, width, count=3):
    mask = (np.arange(width) * count // width)[None].repeat(height, axis=0)
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return image, mask


def test_without_legend_the_size_stays_and_regions_take_their_color():
    image, mask = make(60, 90)
    picture = draw_overlay(image, mask, CLASSES, alpha=1.0, legend=False)
    assert picture.shape == image.shape and picture.dtype == np.uint8
    colors = class_colors(CLASSES)
    for label, column in ((0, 10), (1, 45), (2, 80)):
        assert (picture[30, column] == colors[label]).all()


def test_half_strength_is_between_image_and_color():
    image, mask = np.full((40, 40, 3), 100, np.uint8), np.zeros((40, 40), int)
    picture = draw_overlay(image, mask, CLASSES, alpha=0.5, legend=False)
    expected = (100 + class_colors(CLASSES)[0].astype(float)) / 2
    assert np.abs(picture[20, 20] - expected).max() <= 1


def test_the_inputs_are_not_changed():
    image, mask = make(50, 50)
    image.setflags(write=False)
    before = mask.copy()
    draw_overlay(image, mask, CLASSES)
    assert (mask == before).all()


@pytest.mark.parametrize(("void", "label"), [(None, -1), (None, 255), (-1, -1), (255, 255), (2, 2)])
def test_void_stays_unpainted(void, label):
    image, _ = make(60, 60)
    mask = np.zeros((60, 60), int)
    mask[:, 30:] = label
    picture = draw_overlay(image, mask, CLASSES, legend=False, void=void)
    assert (picture[:, 40:] == image[:, 40:]).all()
    assert (picture[:, :20] != image[:, :20]).any()


def test_own_colors():
    mask = np.zeros((20, 20), np.uint8)
    picture = draw_overlay(None, mask, ["cat"], colors=[(1, 2, 3)], legend=False)
    assert picture[10, 10].tolist() == [1, 2, 3]


def test_alpha_zero_is_the_image():
    image, mask = make(50, 70)
    assert (draw_overlay(image, mask, CLASSES, alpha=0, legend=False) == image).all()


@pytest.mark.parametrize(
    ("height", "width", "beside"),
    [(480, 640, "right"), (640, 480, "right"), (400, 640, "below"), (400, 1200, "below")],
)
def test_the_legend_does_not_cover_the_image(height, width, beside):
    image, mask = make(height, width)
    bare = draw_overlay(image, mask, CLASSES, legend=False)
    picture = draw_overlay(image, mask, CLASSES)
    assert (picture[:height, :width] == bare).all()
    if beside == "right":
        panel = picture[:, width:]
        assert picture.shape[0] == height and picture.shape[1] > width
    else:
        panel = picture[height:]
        assert picture.shape[1] == width and picture.shape[0] > height
    for color in class_colors(CLASSES):  # every class has its swatch in the panel
        assert (panel == color).all(axis=-1).sum() > 50


def test_only_classes_that_occur_are_listed():
    image, mask = make(200, 200, count=1)
    panel = draw_overlay(image, mask, CLASSES)[:, 400:]
    assert (panel == class_colors(CLASSES)[0]).all(axis=-1).any()
    assert not (panel == class_colors(CLASSES)[2]).all(axis=-1).any()


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 5), (10, 20000), (20000, 10), (3, 700), (5000, 4200)]
)
def test_sizes_are_bounded_and_legible(shape):
    mask = np.zeros(shape, np.uint8)
    picture = draw_overlay(np.zeros((*shape, 3), np.uint8), mask, CLASSES)
    assert max(display_size(*shape)) <= 4096 and min(display_size(*shape)) >= 48
    assert max(picture.shape) < 5500 and min(picture.shape[:2]) >= 60
    swatch = (picture == class_colors(CLASSES)[0]).all(axis=-1)
    assert swatch.sum() > 100


def test_many_classes_are_summed_up():
    names = [f"class {n}" for n in range(300)]
    mask = np.arange(300 * 300).reshape(300, 300) % 300
    few = draw_overlay(None, mask, names, max_legend=5)
    many = draw_overlay(None, mask, names, max_legend=300)
    assert few.shape[1] < many.shape[1]
    colors = class_colors(names)
    panel = few[:, 600:]
    listed = sum((panel == color).all(axis=-1).sum() > 30 for color in colors)
    assert listed == 5


@pytest.mark.parametrize(
    "name",
    [
        "x" * 500,
        "κορμός δέντρου",
        "автомобиль",
        "猫",
        "🦊",
        "",
        "two\nlines\tand\x00zero",
        "שלום",
        "Å" * 80,
    ],
)
def test_any_name_can_be_drawn(name):
    image, mask = make(300, 300, count=1)
    picture = draw_overlay(image, mask, [name])
    assert picture.shape[1] < 300 * 2 + 800
    assert (picture[:, 600:] < 100).all(axis=-1).any()  # there is ink


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": np.zeros((4, 4))}, "integers"),
        ({"mask": np.zeros((0, 4), int)}, "non-empty"),
        ({"mask": np.zeros((4, 4, 1), int)}, "H, W"),
        ({"image": np.zeros((4, 5, 3), np.uint8)}, "match the mask"),
        ({"image": np.zeros((4, 4, 3))}, "uint8"),
        ({"alpha": 1.5}, "alpha"),
        ({"colors": [(1, 2, 3)]}, "3 rows"),
        ({"colors": [(1, 2, 300)] * 3}, "0..255"),
    ],
)
def test_what_is_refused(change, message):
    given = {"image": None, "mask": np.zeros((4, 4), int), "classes": CLASSES, **change}
    with pytest.raises(ValueError, match=message):
        draw_overlay(**given)


def test_legend_without_entries_says_so():
    picture = np.zeros((300, 300, 3), np.uint8)
    assert (add_legend(picture, [])[:, 300:] < 200).any()


def test_shares_are_never_rounded_to_all_or_nothing():
    from ovseg.visualization.legend import _percent

    shares = {1.0: "100%", 0.9999: "99%", 0.5: "50%", 0.012: "1%", 0.001: "<1%", 0.0: "0%"}
    assert {share: _percent(share) for share in shares} == shares


def test_long_text_is_cut_to_the_width():
    cut = fit_text("a very long name indeed", 20, 100)
    assert cut.endswith("…") and font_for(cut, 20).getlength(cut) <= 100
    assert fit_text("cat", 20, 100) == "cat"
    assert clean_text(" a\n b ") == "a b" and clean_text("\n") == "?"


def test_legend_entries_keep_their_order():
    red, blue = (200, 10, 10), (10, 10, 200)
    entries = [LegendEntry("a", red, 0.7), LegendEntry("b", blue, 0.3)]
    picture = add_legend(np.zeros((300, 300, 3), np.uint8), entries)
    first, second = (np.argwhere((picture == c).all(axis=-1))[0, 0] for c in (red, blue))
    assert first < second


def test_sheet_holds_every_picture():
    pictures = [np.full((40 + 10 * n, 60, 3), 40 * n + 40, np.uint8) for n in range(5)]
    sheet = comparison_sheet(pictures, [f"p {n}" for n in range(5)], columns=2, cell_height=100)
    for n in range(5):
        assert (sheet == 40 * n + 40).all(axis=-1).sum() > 5000
    wide = comparison_sheet([np.zeros((10, 20000, 3), np.uint8)], cell_height=200)
    assert wide.shape[1] < 700


@pytest.mark.parametrize(
    ("pictures", "titles"),
    [
        ([], None),
        ([np.zeros((4, 4, 3), np.uint8)], ["a", "b"]),
        ([np.zeros((4, 4), np.uint8)], None),
        ([np.zeros((4, 4, 3))], None),
    ],
)
def test_sheets_that_are_refused(pictures, titles):
    with pytest.raises(ValueError, match=r"picture|Pictures"):
        comparison_sheet(pictures, titles)


def test_a_steady_legend_keeps_its_size_and_order():
    names = [f"class {n}" for n in range(12)]
    shapes = set()
    for labels in ([0], [3, 5], range(12)):
        mask = np.resize(np.array(list(labels)), (300, 300))
        shapes.add(draw_overlay(None, mask, names, steady=True).shape)
    assert len(shapes) == 1
    mask = np.full((400, 400), 5)
    mask[:20] = 2
    panel = draw_overlay(None, mask, names, steady=True)[:, 400:]
    colors = class_colors(names)
    rows = [np.argwhere((panel == colors[c]).all(axis=-1))[0, 0] for c in (2, 5)]
    assert rows[0] < rows[1]

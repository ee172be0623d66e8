import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ovseg.apis.inputs import ImageInput, as_list, list_images, load_image
from ovseg.errors import ImageError

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def stored(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


PNG = stored(Image.fromarray(RGB))


def upright():
    """A JPEG that is stored lying and marked by EXIF as to be turned."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    return stored(Image.new("RGB", (40, 20), (10, 200, 30)), "JPEG", exif=exif)


GOOD = {
    "bytes": PNG,
    "bytearray": bytearray(PNG),
    "open file": io.BytesIO(PNG),
    "PIL": Image.fromarray(RGB),
    "uint8": RGB,
    "uint8, other memory order": np.asfortranarray(RGB),
    "uint16": RGB.astype(np.uint16) * 257,
    "float32": RGB.astype(np.float32) / 255,
    "float64": RGB / 255.0,
    "float16": (RGB / 255.0).astype(np.float16),
    "RGBA": np.dstack([RGB, np.full((6, 8), 255, np.uint8)]),
    "tensor uint8": torch.from_numpy(RGB).permute(2, 0, 1),
    "tensor float": torch.from_numpy(RGB).permute(2, 0, 1) / 255,
    "tensor with gradient": (torch.from_numpy(RGB).permute(2, 0, 1) / 255).requires_grad_(),
    "tensor RGBA": torch.cat(
        [torch.from_numpy(RGB).permute(2, 0, 1), torch.full((1, 6, 8), 255)]
    ).to(torch.uint8),
    "ready": ImageInput(RGB, None),
}


@pytest.mark.parametrize("kind", GOOD)
def test_everything_becomes_the_same_pixels(kind):
    pixels, _ = load_image(GOOD[kind])
    assert pixels.shape == (6, 8, 3) and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - RGB).max() <= (1 if kind == "float16" else 0)


GREYS = {
    "(H, W)": GREY,
    "(H, W, 1)": GREY[..., None],
    "tensor (1, H, W)": torch.from_numpy(GREY.copy())[None],
    "PIL L": Image.fromarray(GREY),
    "uint16": GREY.astype(np.uint16) * 257,
    "PIL I;16": Image.fromarray(GREY.astype(np.uint16) * 257),
    "PNG 16 bit": stored(Image.fromarray(GREY.astype(np.uint16) * 257)),
}


@pytest.mark.parametrize("kind", GREYS)
def test_grey_becomes_three_equal_channels(kind):
    pixels, _ = load_image(GREYS[kind])
    assert (pixels == GREY[..., None]).all() and pixels.shape == (6, 8, 3)


def test_bool_becomes_black_and_white():
    assert load_image(GREY > 100).pixels[..., 1].tolist() == (255 * (GREY > 100)).tolist()


def test_palette_cmyk_and_transparent_images():
    plain = Image.new("RGB", (5, 4), (200, 30, 60))
    for image in (plain.convert("P", palette=Image.Palette.ADAPTIVE), plain.convert("CMYK")):
        assert np.abs(load_image(image).pixels.astype(int) - (200, 30, 60)).max() <= 3
    assert (load_image(Image.new("RGBA", (5, 4), (200, 30, 60, 0))).pixels == 255).all()
    assert (load_image(np.zeros((4, 5, 4), np.uint8)).pixels == 255).all()


def test_exif_orientation_is_followed_for_files_and_pil_alike(tmp_path):
    data = upright()
    (tmp_path / "photo.jpg").write_bytes(data)
    for source in (data, tmp_path / "photo.jpg", Image.open(io.BytesIO(data))):
        assert load_image(source).pixels.shape == (40, 20, 3)


@pytest.mark.parametrize("size", [(1, 1), (20000, 10), (10, 20000)])
def test_extreme_sizes(size):
    assert load_image(stored(Image.new("RGB", size))).pixels.shape == (size[1], size[0], 3)


def test_names(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    assert load_image(path).name == load_image(str(path)).name == str(path)
    with open(path, "rb") as file:
        assert load_image(file).name == str(path)
    with Image.open(path) as image:
        assert load_image(image).name == str(path)
    assert load_image(RGB).name is None and load_image(PNG, name="mine").name == "mine"


def test_the_result_is_a_copy():
    array = RGB.copy()
    pixels, _ = load_image(array)
    array[:] = 0
    assert (pixels == RGB).all()


def floats(value):
    return np.full((4, 5, 3), value, np.float32)


BAD = {
    "0 bytes": (b"", "empty"),
    "no image": (b"these are words, not pixels", "not an image"),
    "cut JPEG": (stored(Image.fromarray(RGB).resize((200, 200)), "JPEG")[:900], "cut short"),
    "cut PNG": (PNG[:60], "cut short"),
    "cut PIL": (Image.open(io.BytesIO(PNG[:60])), "cut short"),
    "web address": ("https://example.org/cat.jpg", "download"),
    "text file": (io.StringIO("text"), "mode 'rb'"),
    "None": (None, "NoneType"),
    "number": (3, "int"),
    "dict": ({}, "dict"),
    "channels first": (np.zeros((3, 40, 50), np.uint8), "transpose"),
    "1-D": (np.zeros(7, np.uint8), r"\(H, W, 3\)"),
    "two channels": (np.zeros((4, 5, 2), np.uint8), r"\(H, W, 3\)"),
    "no pixels": (np.zeros((0, 5, 3), np.uint8), "no pixels"),
    "PIL no pixels": (Image.new("RGB", (0, 4)), "no pixels"),
    "tensor no pixels": (torch.zeros(3, 0, 4), "no pixels"),
    "int64": (np.zeros((4, 5, 3), np.int64), "astype"),
    "complex": (np.zeros((4, 5, 3), complex), "astype"),
    "text array": (np.array([["a", "b"]]), "astype"),
    "float 0..255": (floats(200), "divide by 255"),
    "normalized": (floats(-1.5), "normalization"),
    "NaN": (floats(np.nan), "finite"),
    "infinite": (floats(np.inf), "finite"),
    "tensor channels last": (torch.zeros(40, 50, 3), "permute"),
    "tensor (H, W)": (torch.zeros(40, 50), r"\(3, H, W\)"),
    "tensor int64": (torch.zeros(3, 4, 5, dtype=torch.int64), "int64"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_inputs_give_one_sentence(kind):
    source, message = BAD[kind]
    with pytest.raises(ImageError, match=message) as caught:
        load_image(source, name="the third one")
    assert "\n" not in str(caught.value)
    if not isinstance(source, (type(None), int, dict)):
        assert "the third one" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"nonsense", PNG[:60]])
def test_bad_files_are_named(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"broken\.png"):
        load_image(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        load_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="folder"):
        load_image(tmp_path)


@pytest.mark.parametrize(
    ("images", "count", "single"),
    [
        (RGB, 1, True),
        (PNG, 1, True),
        ("a.jpg", 1, True),
        (torch.zeros(3, 4, 5), 1, True),
        (ImageInput(RGB, "x"), 1, True),
        ([RGB], 1, False),
        ((RGB, "a.jpg"), 2, False),
        (np.zeros((5, 4, 4, 3)), 5, False),
        (torch.zeros(2, 3, 4, 5), 2, False),
    ],
)
def test_one_input_or_a_list(images, count, single):
    sources, is_single = as_list(images)
    assert (len(sources), is_single) == (count, single)


@pytest.mark.parametrize("empty", [[], (), np.zeros((0, 4, 4, 3)), torch.zeros(0, 3, 4, 4)])
def test_empty_lists(empty):
    with pytest.raises(ImageError, match="empty"):
        as_list(empty)


@pytest.fixture
def tree(tmp_path):
    for name in ("b.png", "a.JPG", "sub/c.jpeg", "sub/deep/d.webp", "odd[1].png", ".hidden.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("patterns", "recursive", "expected"),
    [
        ([""], False, ["a.JPG", "b.png", "odd[1].png"]),
        ([""], True, ["a.JPG", "b.png", "odd[1].png", "sub/c.jpeg", "sub/deep/d.webp"]),
        (["b.png", "a.JPG"], False, ["b.png", "a.JPG"]),
        (["b.png", ""], False, ["b.png", "a.JPG", "odd[1].png"]),
        (["*.png"], False, ["b.png", "odd[1].png"]),
        (["**/*"], False, ["a.JPG", "b.png", "odd[1].png", "sub/c.jpeg", "sub/deep/d.webp"]),
        (["[ab].*"], False, ["a.JPG", "b.png"]),
        (["odd[1].png"], False, ["odd[1].png"]),
        (["notes.txt"], False, ["notes.txt"]),
    ],
)
def test_listing(tree, patterns, recursive, expected):
    found = list_images([tree / pattern for pattern in patterns], recursive)
    assert found == [tree / name for name in expected]


def test_listing_one_pattern_and_the_home_folder(tree, monkeypatch):
    monkeypatch.setenv("HOME", str(tree))
    assert list_images(str(tree / "b.png")) == [tree / "b.png"]
    assert list_images("~/b.png") == [tree / "b.png"]


def test_listing_relative_and_absolute_paths_once(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert list_images(["b.png", tree / "b.png", "./b.png"]) == [Path("b.png")]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("none.png", "does not exist"),
        ("*.bmp", "No image matches"),
        ("empty", "recursive"),
        ("https://example.org/a.png", "download"),
    ],
)
def test_nothing_found(tree, monkeypatch, pattern, message):
    monkeypatch.chdir(tree)
    with pytest.raises(FileNotFoundError, match=message):
        list_images([pattern])


def test_no_patterns():
    with pytest.raises(FileNotFoundError, match="No images"):
        list_images([])

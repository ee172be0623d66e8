"""Every kind of image file gives RGB bytes or one clear error."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ovseg.errors import ImageError, ImageNotFoundError
from ovseg.utils.images import decode_image

RED = (200, 10, 20)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def palette(**options) -> bytes:
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, *RED] + [0] * 756)
    return encoded(image, "PNG", **options)


GREY16 = np.array([[0, 257, 65535, 1000]], np.uint16)
FLOATS = np.array([[0.0, 0.5, 1.0]], np.float32)

FILES = {
    # name: (file, expected first row or one colour)
    "rgb": (encoded(Image.new("RGB", (4, 3), RED), "PNG"), RED),
    "grey": (encoded(Image.new("L", (4, 3), 77), "PNG"), (77, 77, 77)),
    "bilevel": (encoded(Image.new("1", (4, 3), 1), "PNG"), (255, 255, 255)),
    "palette": (palette(), RED),
    "palette with a transparent colour": (palette(transparency=1), (255, 255, 255)),
    "cmyk": (encoded(Image.new("CMYK", (4, 3), (0, 255, 255, 0)), "TIFF"), (255, 0, 0)),
    "rgba opaque": (encoded(Image.new("RGBA", (4, 3), (*RED, 255)), "PNG"), RED),
    "rgba clear": (encoded(Image.new("RGBA", (4, 3), (*RED, 0)), "PNG"), (255, 255, 255)),
    "grey with alpha": (encoded(Image.new("LA", (4, 3), (0, 0)), "PNG"), (255, 255, 255)),
    "16 bit png": (encoded(Image.fromarray(GREY16), "PNG"), [0, 1, 255, 4]),
    "16 bit tiff": (encoded(Image.fromarray(GREY16), "TIFF"), [0, 1, 255, 4]),
    "dark 16 bit is not stretched": (encoded(Image.fromarray(GREY16 // 257), "PNG"), [0, 0, 1, 0]),
    "float tiff": (encoded(Image.fromarray(FLOATS), "TIFF"), [0, 128, 255]),
    "gif": (encoded(Image.new("L", (4, 3), 9), "GIF"), (9, 9, 9)),
    "one pixel": (encoded(Image.new("RGB", (1, 1), RED), "PNG"), RED),
    "20000 x 10": (encoded(Image.new("RGB", (20000, 10), RED), "PNG"), RED),
}


@pytest.mark.parametrize("case", FILES)
def test_every_kind_becomes_rgb(case):
    data, expected = FILES[case]
    image = decode_image(data)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert image.flags.c_contiguous and image.flags.writeable
    if isinstance(expected, tuple):
        assert (image == np.array(expected, np.uint8)).all()
    else:
        expected = np.array(expected)
        assert np.abs(image[0].astype(int) - expected[:, None]).max() <= (case == "float tiff")


@pytest.mark.parametrize("form", ["path", "string", "bytes", "file", "memory"])
def test_sources(tmp_path, form):
    data = FILES["rgb"][0]
    path = tmp_path / "ünï codé.png"
    path.write_bytes(data)
    with path.open("rb") as file:
        source = {
            "path": path,
            "string": str(path),
            "bytes": data,
            "file": file,
            "memory": io.BytesIO(data),
        }[form]
        assert decode_image(source).shape == (3, 4, 3)


@pytest.mark.parametrize(("exif", "shape"), [(True, (4, 3)), (False, (3, 4))])
def test_exif_orientation(exif, shape):
    image = Image.new("RGB", (4, 3))
    image.putpixel((0, 0), (255, 255, 255))
    tags = Image.Exif()
    tags[0x0112] = 6  # "rotate 90 degrees clockwise to see it upright"
    decoded = decode_image(encoded(image, "PNG", exif=tags), exif=exif)
    assert decoded.shape[:2] == shape
    corner = decoded[0, -1] if exif else decoded[0, 0]
    assert corner.min() == 255 and decoded.astype(int).sum() == 3 * 255


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
BROKEN = {
    "empty": (b"", "0 bytes"),
    "text": (b"hello world, not an image", "not an image"),
    "half a jpeg": (encoded(NOISE, "JPEG")[:2000], "cut short"),
    "half a png": (encoded(NOISE, "PNG")[:4000], "cut short"),
    "only a header": (encoded(NOISE, "PNG")[:20], "not an image|cut short"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_named(tmp_path, case):
    data, message = BROKEN[case]
    path = tmp_path / "holiday.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=message) as caught:
        decode_image(path)
    assert "holiday.jpg" in str(caught.value)
    with pytest.raises(ImageError, match="photo 7"):
        decode_image(data, name="photo 7")


def test_missing_file_folder_and_bomb(tmp_path):
    with pytest.raises(ImageNotFoundError, match=r"nowhere\.png does not exist"):
        decode_image(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="folder"):
        decode_image(tmp_path)
    with pytest.raises(ImageError, match=r"20000 x 10 pixels.*shrink"):
        decode_image(FILES["20000 x 10"][0], max_pixels=1000)
    # A header that promises more than Pillow itself accepts must end in the same error.
    header = bytearray(encoded(Image.new("L", (1, 1)), "BMP"))
    header[18:26] = (60000).to_bytes(4, "little") * 2
    with pytest.raises(ImageError, match="too large"):
        decode_image(bytes(header))

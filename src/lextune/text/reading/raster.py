"""Pictures of pages, for recognition: a page of a PDF, or of an image file, as grey pixels.

A picture leaves here as PGM (binary, 8 bits), the simplest format there is: what the recogniser is given was
written by this module, never by a stranger.
"""

from __future__ import annotations

import io
from typing import Any

from lextune.core.errors import DocumentError
from lextune.text.reading.base import Limits, Parsed, check_pages, damaged
from lextune.text.reading.pages import join_pages

MAX_PIXELS = 60_000_000  # A3 at 500 dpi; a larger page of a PDF is drawn at fewer dots per inch
POINTS = 72  # of a PDF, per inch
FORMATS = ("PNG", "JPEG", "TIFF", "GIF")


def parse_image(data: bytes, limits: Limits) -> Parsed:
    """Count the pages of an image file; all of them are scans.

    Raises:
        DocumentError: damaged, too large, or over the page limit.
    """
    count = getattr(_open(data), "n_frames", 1)
    check_pages(count, limits)
    return join_pages([""] * count, range(count))


def draw_pdf_page(data: bytes, number: int, dpi: int) -> bytes:
    """Return page `number`, counted from 0, of a PDF as PGM.

    Raises:
        DocumentError: the PDF or the page cannot be read.
    """
    import pypdfium2

    from lextune.text.reading.pdf import open_pdf

    try:
        page = open_pdf(data)[number]
        width, height = page.get_size()
        scale = min(dpi / POINTS, (MAX_PIXELS / max(width * height, 1.0)) ** 0.5)
        bitmap = page.render(scale=scale, grayscale=True)
    except pypdfium2.PdfiumError:
        raise damaged("PDF", f"page {number + 1} cannot be drawn") from None
    rows = memoryview(bitmap.buffer)
    lines = (rows[start : start + bitmap.width] for start in range(0, bitmap.stride * bitmap.height, bitmap.stride))
    return _pgm(bitmap.width, bitmap.height, b"".join(lines))


def draw_image_page(data: bytes, number: int) -> bytes:
    """Return page `number`, counted from 0, of an image file as PGM, turned as its camera says.

    Raises:
        DocumentError: damaged, or too large.
    """
    from PIL import ImageOps

    image = _open(data)
    try:
        image.seek(number)
        _check_pixels(image)
        upright = ImageOps.exif_transpose(image)
        grey = _on_white(upright).convert("L")
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise damaged("image", error) from None
    return _pgm(grey.width, grey.height, grey.tobytes())


def turn(picture: bytes, angle: int) -> bytes:
    """Turn a PGM made here clockwise by 90, 180 or 270 degrees."""
    head, _, grey = picture.partition(b"\n")
    width, height = map(int, head.split()[1:3])
    if angle == 180:
        return _pgm(width, height, grey[::-1])
    if angle == 90:  # the first column, from below, becomes the first row
        return _pgm(height, width, b"".join(grey[x::width][::-1] for x in range(width)))
    return _pgm(height, width, b"".join(grey[x::width] for x in reversed(range(width))))


def _open(data: bytes) -> Any:
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # checked here, for every page, with an error of our own
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise damaged("image", error) from None
    _check_pixels(image)
    return image


def _check_pixels(image: Any) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DocumentError(
            f"the image has {image.width:,} x {image.height:,} pixels, more than {MAX_PIXELS:,}",
            do="scan it again at 300 dots per inch",
        )


def _on_white(image: Any) -> Any:
    """Lay an image with transparent parts on white: dropped as they are, they would turn black."""
    from PIL import Image

    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _pgm(width: int, height: int, grey: bytes) -> bytes:
    return b"P5 %d %d 255\n" % (width, height) + grey

"""Students' pictures, drawn again small: what a report shows is our own file, whatever a student's was."""

import hashlib
import io
import warnings
from pathlib import Path

MOST_PIXELS = 40_000_000  # of a picture that is read: a page of a scanner has nine
CLASS_BYTES = 6 * 2**20  # of all pictures of a class together
MOST_BYTES, LEAST_BYTES = 2**17, 2**11  # of one
# (pixels of its width, quality), tried one after another; what is allowed little begins further down.
TRIES = ((1000, 75), (760, 75), (560, 75), (420, 70), (320, 65), (240, 60), (200, 40), (160, 20))


def budget(pictures: int) -> int:
    """Bytes of one picture where a class has so many; a power of two, so that one student more changes nothing."""
    room = max(LEAST_BYTES, min(MOST_BYTES, CLASS_BYTES // max(1, pictures)))
    return 1 << (room.bit_length() - 1)


def write(folder: Path, png: bytes, most: int) -> str:
    """Write a picture of at most so many bytes, if it is not there, and return its name; "" for what is no picture.

    The name is made of what was handed in, and of nothing that anybody chose.
    """
    name = f"{hashlib.sha256(png + most.to_bytes(4, 'big')).hexdigest()[:20]}.webp"
    if not (folder / name).exists():
        small = shrunk(png, most)
        if small is None:
            return ""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(small)
    return name


def shrunk(content: bytes, most: int) -> bytes | None:
    """The picture as WebP of about `most` bytes, as large as that allows; None for what cannot be read as one."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=("PNG",)) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    return None
                picture = _on_white(opened.convert("RGBA"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    tries = [(width, quality) for width, quality in TRIES if width**2 <= 64 * most] or TRIES[-1:]
    for width, quality in tries:
        picture.thumbnail((width, 2 * width), reducing_gap=2)
        target = io.BytesIO()
        picture.save(target, "WEBP", quality=quality, method=1)
        if target.tell() <= most:
            break
    return target.getvalue() if target.tell() <= 2 * most else None


def _on_white(picture):
    from PIL import Image

    page = Image.new("RGBA", picture.size, "white")
    page.alpha_composite(picture)
    return page.convert("RGB")

"""Makes the pictures of this folder's README: `python data/make_pictures.py`."""

from pathlib import Path

from deepul_utils import images, plots

FOLDER = Path(__file__).resolve().parent / "pictures"


def main() -> None:
    for name in ("glyphs32", "shapes32", "digits32"):
        sets = [images.get(name, levels) for levels in sorted(images.SETS[name].choices)]
        rows = {f"{data.levels} levels": data.unit(data.sample(12, seed=1)) for data in sets}
        (FOLDER / f"{name}.png").write_bytes(plots.image_rows(rows)._repr_png_())


if __name__ == "__main__":
    main()

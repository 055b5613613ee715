"""Makes glyphs.png and glyphs.csv, the digits of many typefaces; run once, its outputs are committed.

    mkdir fonts && cd fonts && apt-get download $(python ../make_glyphs.py --packages)
    for package in *.deb; do dpkg -x $package .; done
    python ../make_glyphs.py .

The fonts are those of Debian 12. Only pictures of their digits are kept, no font software.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
CELL, BOX = 40, 32  # pixels: a cell of the sheet, and what a digit fills of it
DRAWN = 512  # a digit is drawn so large and then made small, so that hinting plays no part
OFL, APACHE, VERA, MIT, PUBLIC = "OFL-1.1", "Apache-2.0", "Bitstream-Vera", "MIT", "public domain"

# Font file (without its ending): Debian package, licence, holder of the copyright.
TYPEFACES = {
    "DejaVuSans": ("fonts-dejavu-core", VERA, "Bitstream, Inc.; DejaVu changes: public domain"),
    "DejaVuSans-Bold": ("fonts-dejavu-core", VERA, "Bitstream, Inc.; DejaVu changes: public domain"),
    "DejaVuSansMono": ("fonts-dejavu-core", VERA, "Bitstream, Inc.; DejaVu changes: public domain"),
    "DejaVuSerif": ("fonts-dejavu-core", VERA, "Bitstream, Inc.; DejaVu changes: public domain"),
    "DejaVuSerif-Bold": ("fonts-dejavu-core", VERA, "Bitstream, Inc.; DejaVu changes: public domain"),
    "DejaVuSerifCondensed-BoldItalic": ("fonts-dejavu-extra", VERA, "Bitstream, Inc.; DejaVu changes: public domain"),
    "LiberationSans-Regular": ("fonts-liberation2", OFL, "Google; Red Hat"),
    "LiberationSans-Bold": ("fonts-liberation2", OFL, "Google; Red Hat"),
    "LiberationSans-Italic": ("fonts-liberation2", OFL, "Google; Red Hat"),
    "LiberationSerif-Regular": ("fonts-liberation2", OFL, "Google; Red Hat"),
    "LiberationSerif-Bold": ("fonts-liberation2", OFL, "Google; Red Hat"),
    "LiberationMono-Bold": ("fonts-liberation2", OFL, "Google; Red Hat"),
    "Lato-Regular": ("fonts-lato", OFL, "Łukasz Dziedzic"),
    "Lato-Black": ("fonts-lato", OFL, "Łukasz Dziedzic"),
    "OpenSans-Regular": ("fonts-open-sans", APACHE, "Google; Ascender"),
    "OpenSans-CondBold": ("fonts-open-sans", APACHE, "Google; Ascender"),
    "Roboto-Regular": ("fonts-roboto-unhinted", APACHE, "Google"),
    "RobotoCondensed-Bold": ("fonts-roboto-unhinted", APACHE, "Google"),
    "Carlito-BoldItalic": ("fonts-crosextra-carlito", OFL, "Łukasz Dziedzic"),
    "Caladea-Regular": ("fonts-crosextra-caladea", OFL, "The Caladea Project Authors"),
    "Caladea-Italic": ("fonts-crosextra-caladea", OFL, "The Caladea Project Authors"),
    "Cantarell-ExtraBold": ("fonts-cantarell", OFL, "Understanding Limited; Jakub Steiner"),
    "Comfortaa-Bold": ("fonts-comfortaa", OFL, "Johan Aakerlund"),
    "Quicksand-Bold": ("fonts-quicksand", OFL, "The Quicksand Project Authors"),
    "JunicodeTwoBeta-Bold": ("fonts-junicode", OFL, "Peter S. Baker"),
    "Inconsolata": ("fonts-inconsolata", "OFL-1.0", "Raph Levien"),
    "Hack-Bold": ("fonts-hack", f"{MIT} and {VERA}", "Source Foundry Authors; Bitstream, Inc."),
    "FantasqueSansMono-Bold": ("fonts-fantasque-sans", OFL, "Jany Belluz"),
    "ComicNeue-Regular": ("fonts-comic-neue", OFL, "Craig Rozynski"),
    "ComicNeue-Bold": ("fonts-comic-neue", OFL, "Craig Rozynski"),
    "lobster": ("fonts-lobster", OFL, "Pablo Impallari"),
    "LobsterTwo-Regular": ("fonts-lobstertwo", OFL, "Pablo Impallari"),
    "Courier Prime": ("fonts-courier-prime", OFL, "Quote-Unquote Apps"),
    "BebasNeue-Bold": ("fonts-bebas-neue", OFL, "Ryoichi Tsunekawa"),
    "DancingScript-Bold": ("fonts-dancingscript", OFL, "Pablo Impallari"),
    "YanoneKaffeesatz-Bold": ("fonts-yanone-kaffeesatz", OFL, "Jan Gerner"),
    "Play-Bold": ("fonts-play", OFL, "Jonas Hecksher"),
    "Jura-Bold": ("fonts-jura", OFL, "Daniel Johnson"),
    "LeagueSpartan-Black": ("fonts-league-spartan", OFL, "Micah Rich"),
    "GFSDidotBold": ("fonts-gfs-didot", OFL, "Greek Font Society"),
    "OldStandard-Bold": ("fonts-oldstandard", OFL, "Alexey Kryukov"),
    "OldStandard-Italic": ("fonts-oldstandard", OFL, "Alexey Kryukov"),
    "Prociono": ("fonts-prociono", PUBLIC, "Barry Schwartz"),
    "Karla-ExtraBold": ("fonts-karla", OFL, "Jonathan Pinhorn; Mirko Velimirovic"),
    "JetBrainsMono-ExtraBold": ("fonts-jetbrains-mono", APACHE, "JetBrains"),
    "Andika-Regular": ("fonts-sil-andika", OFL, "SIL International"),
    "breipfont": ("fonts-breip", "OFL-1.0", "Adam Breipohl; Alan Hussey"),
    "Oxygen-Sans-Bold": ("fonts-oxygen", OFL, "Vernon Adams"),
}


def digit(file: Path, character: str) -> np.ndarray:
    """One digit, white on black, as large as fits a box of BOX pixels: uint8 (CELL, CELL), sixteen greys."""
    font = ImageFont.truetype(str(file), DRAWN)
    canvas = Image.new("L", (4 * DRAWN, 4 * DRAWN))
    ImageDraw.Draw(canvas).text((2 * DRAWN, 2 * DRAWN), character, font=font, fill=255, anchor="mm")
    ink = canvas.crop(canvas.getbbox())
    scale = BOX / max(ink.size)
    small = ink.resize([max(1, round(side * scale)) for side in ink.size], Image.Resampling.BOX)
    cell = Image.new("L", (CELL, CELL))
    cell.paste(small, ((CELL - small.width) // 2, (CELL - small.height) // 2))
    return (np.asarray(cell, dtype=np.int64) * 15 + 127) // 255 * 17  # sixteen greys: a third of the file's size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fonts", nargs="?", type=Path, help="the folder with the unpacked fonts")
    parser.add_argument("--packages", action="store_true", help="print the names of the Debian packages")
    options = parser.parse_args()
    if options.packages or options.fonts is None:
        print(*sorted({package for package, _, _ in TYPEFACES.values()}))
        return
    files = {file.stem: file for file in sorted(options.fonts.rglob("*.[to]tf"))}
    rows = [np.hstack([digit(files[name], character) for character in "0123456789"]) for name in TYPEFACES]
    Image.fromarray(np.vstack(rows).astype(np.uint8)).save(HERE / "glyphs.png", optimize=True)
    with open(HERE / "glyphs.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["typeface", "package", "licence", "copyright"])
        table.writerows([name, *origin] for name, origin in TYPEFACES.items())


if __name__ == "__main__":
    main()

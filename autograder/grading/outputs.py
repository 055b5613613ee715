"""What a notebook may show to others: text, pictures and plain HTML; nothing that runs in its reader's browser.

A TA reads graded notebooks in formgrader, on the server where grades are changed, and students read each other's
feedback pages by mistake: a script in an output or in a Markdown cell would act in their names.
"""

import base64
import binascii
import html
import re

import nh3

MOST_TEXT = 8 * 2**20  # characters of one representation of an output
PICTURES = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
}
DATA_URL = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*")
# Markdown that may hold more than Markdown: tags, links and pictures, entities.
MAY_BE_ACTIVE = re.compile(r"<[A-Za-z/!?]|\]\s?[(:\[]|&[#A-Za-z]")
ATTRIBUTES = {"*": {"align", "colspan", "rowspan", "title", "start", "scope"}, "a": {"href"},
              "img": {"src", "alt", "width", "height"}}  # fmt: skip


def inert(data: dict) -> dict[str, str]:
    """The representations of an output that may be shown, {media type: text}; what is left out is said in its text."""
    shown, left_out = {}, []
    for kind, value in data.items():
        text = _text(value)
        if text is None or len(text) > MOST_TEXT:
            left_out.append(_name(kind))
        elif kind == "text/plain":
            shown[kind] = text
        elif kind == "text/html":
            shown[kind] = clean(text)
        elif kind in PICTURES and (picture := _picture(text, PICTURES[kind])):
            shown[kind] = picture
        elif kind == "text/markdown":
            shown.setdefault("text/html", markdown_html(text))
        elif kind == "image/svg+xml":  # as a picture of its own document, whose scripts browsers do not run
            encoded = base64.b64encode(text.encode()).decode()
            shown.setdefault("text/html", f'<img alt="picture" src="data:image/svg+xml;base64,{encoded}">')
        else:
            left_out.append(_name(kind))
    if not shown.keys() - {"text/plain"} and left_out:
        note = f"[not shown in a graded notebook: {', '.join(left_out[:4])}]"
        shown["text/plain"] = "\n".join(filter(None, (shown.get("text/plain"), note)))
    return shown


def clean(text: str) -> str:
    """HTML without scripts, styles, forms, frames, handlers, and links to anything but pages."""
    return nh3.clean(
        text, attributes=ATTRIBUTES, attribute_filter=_attribute, url_schemes={"http", "https", "mailto", "data"},
        strip_comments=True,
    )  # fmt: skip


def markdown(source: str) -> str:
    """A Markdown cell that shows what it showed, and does nothing: as it is, or as clean HTML where it is more."""
    return markdown_html(source) if MAY_BE_ACTIVE.search(source) else source


def markdown_html(source: str) -> str:
    """Markdown as clean HTML."""
    from nbconvert.filters import markdown2html

    return clean(markdown2html(source)).strip()


def raw(source: str) -> str:
    """A raw cell, which nbconvert would write into its page as it is."""
    return html.escape(source)


def readable(text: str) -> str:
    """Text that can be written as UTF-8: half a character is none."""
    return text.encode("utf-8", "replace").decode()


def _attribute(tag: str, name: str, value: str) -> str | None:
    if not value.strip().lower().startswith("data:"):
        return value
    return value if (tag, name) == ("img", "src") and DATA_URL.fullmatch(value) else None


def _text(value: object) -> str | None:
    """A representation as text; notebooks have lists of lines too."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "".join(value)
    return readable(value) if isinstance(value, str) else None


def _picture(text: str, begins: bytes) -> str | None:
    """Base64 of a picture that begins as its kind does; None for anything else."""
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return base64.b64encode(content).decode() if content.startswith(begins) else None


def _name(kind: object) -> str:
    return "".join(c for c in str(kind)[:40] if c.isprintable())

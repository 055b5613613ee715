"""What a notebook may show to others: text, pictures and plain HTML; nothing that runs in its reader's browser.

A TA reads graded notebooks in formgrader, on the server where grades are changed, and students read each other's
feedback pages by mistake: a script in an output or in a Markdown cell would act in their names.
"""

import base64
import binascii
import html
import re
import unicodedata
from urllib.parse import unquote

import nh3
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

MOST_TEXT = 8 * 2**20  # characters of one representation of an output
MOST_MARKDOWN = 2**16  # characters of Markdown, pictures aside, that are made HTML: half a second's work
MOST_TAGS = 16_000  # of one piece of HTML; a table of pandas has two thousand
# Tags times those of them that style text. By the rules of HTML one that was not closed begins again in every block:
# a hundred <b> before fifteen thousand <p> make a page of ten megabytes.
MOST_STYLED = 1_000_000
MOST_PIXELS = 10_000  # a side of a picture, as it is shown
TAG = re.compile(r"<[A-Za-z]")
STYLE_TAG = re.compile(r"<(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?![A-Za-z0-9])", re.IGNORECASE)
PICTURES = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
}
DATA_URL = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*")
PICTURE_URL = re.compile(r"data:image/(?:png|jpeg|gif);base64,[A-Za-z0-9+/=]*")
BESIDE = re.compile(r"\w[^:\\?#\x00-\x1f]*")
# MathJax follows these: links, styles, and extensions that it loads.
TEX = re.compile(
    r"\\(href|url|style|class|cssId|data|bbox|unicode|require|includegraphics|mmlToken|html\w*)(?![A-Za-z])"
)
# Markdown that may hold more than Markdown: tags, links and pictures, entities, listings (of a language whose name
# chooses who reads them: Mermaid draws in the browser, Pygments has hundreds of slow readers), TeX that does something.
MAY_BE_ACTIVE = re.compile(rf"<[A-Za-z/!?]|\]\s?[(:\[]|&[#A-Za-z]|`{{3}}|~{{3}}|{TEX.pattern}")
TAGS = nh3.ALLOWED_TAGS - {"wbr"}  # MathJax reads on over it, and would find a word of TeX that we did not
ATTRIBUTES = {
    "*": {"align", "colspan", "rowspan", "title", "start", "scope"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
}


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


def size(metadata: object) -> dict:
    """Of an output's metadata how large its picture is shown, which has more pixels than the page; nothing else."""
    told = metadata.get("image/png") if isinstance(metadata, dict) else None
    sizes = {k: told[k] for k in ("width", "height") if type(told.get(k)) is int} if isinstance(told, dict) else {}
    return {"image/png": sizes} if sizes and all(0 < v < MOST_PIXELS for v in sizes.values()) else {}


def clean(text: str) -> str:
    """HTML without scripts, styles, forms, frames, handlers, and links to anything but pages."""
    if _is_too_much(text):
        return as_written(text)
    cleaned = nh3.clean(
        text,
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=_attribute,
        strip_comments=True,
        url_schemes={"http", "https", "mailto", "data"},
    )
    return TEX.sub(r"\\text{\1}", cleaned)


def _is_too_much(text: str) -> bool:
    """Whether HTML would take long, or become many times as much."""
    tags = len(TAG.findall(text))
    return tags > MOST_TAGS or tags * len(STYLE_TAG.findall(text)) > MOST_STYLED


def as_written(text: str) -> str:
    """A text whose tags are shown, not followed, as HTML."""
    return f"<pre>{html.escape(text)}</pre>"


def may_be_active(source: str) -> bool:
    """Whether Markdown is more than text: tags, links, pictures, entities."""
    return MAY_BE_ACTIVE.search(source) is not None


def markdown(source: str, attachments: dict[str, dict] | None = None) -> str:
    """A Markdown cell that shows what it showed, and does nothing: as it is, or as clean HTML where it is more."""
    return markdown_html(source, attachments) if may_be_active(source) else source


def length(source: str) -> int:
    """Characters of Markdown, those of its pictures aside."""
    return len(PICTURE_URL.sub("", source))


def markdown_html(source: str, attachments: dict[str, dict] | None = None) -> str:
    """Markdown as clean HTML, with the pictures that are attached to its cell."""
    if length(source) > MOST_MARKDOWN:
        return as_written(source)
    renderer = _Renderer(escape=False, exclude_anchor_links=True, attachments=dict(attachments or {}))
    try:
        rendered = MarkdownWithMath(renderer=renderer).render(source)
    except RecursionError:  # nested as nobody nests
        return as_written(source)
    return as_written(source) if _is_too_much(rendered) else clean(rendered).strip()


class _Renderer(IPythonRenderer):
    """Markdown as nbconvert shows it; listings have one colour, and no language."""

    def block_code(self, code: str, info: str | None = None) -> str:
        return f"<pre><code>{html.escape(code)}</code></pre>\n"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """A picture; one that is attached is shown where it is named first, and what is not there is said."""
        if url.startswith("attachment:"):
            attachment = self.attachments.pop(unquote(url.removeprefix("attachment:")), None)
            if attachment is None:
                return html.escape(f"[picture: {text}]")
            kind, content = next(iter(attachment.items()))
            url = f"data:{kind};base64,{content}"
        return super().image(text, url, title)


def attached(attachments: object) -> dict[str, dict[str, str]]:
    """The pictures among a cell's attachments, {name: {media type: base64}}."""
    pictures: dict[str, dict[str, str]] = {}
    for name, data in attachments.items() if isinstance(attachments, dict) else ():
        for kind, value in data.items() if isinstance(data, dict) else ():
            text = _text(value) or ""
            if kind in PICTURES and len(text) <= MOST_TEXT and (picture := _picture(text, PICTURES[kind])):
                pictures[name] = {kind: picture}
    return pictures


def raw(source: str) -> str:
    """A raw cell, which nbconvert would write into its page as it is."""
    return html.escape(source)


def readable(text: str) -> str:
    """Text that can be written as UTF-8: half a character is none."""
    return text.encode("utf-8", "replace").decode()


def _attribute(tag: str, name: str, value: str) -> str | None:
    if (tag, name) == ("img", "src"):  # asked for as soon as it is seen: of nobody but the notebook's own folder
        return value if DATA_URL.fullmatch(value) or _is_beside(value) else None
    return None if value.strip().lower().startswith("data:") else value


def _is_beside(address: str) -> bool:
    """Whether a relative address stays below where the notebook lies."""
    up = ".." in address or "%2e" in address.lower()
    return BESIDE.fullmatch(address) is not None and not up


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


UNSHOWN = dict.fromkeys(
    [
        *(c for c in range(0xA0) if unicodedata.category(chr(c)) == "Cc" and chr(c) not in "\n\t"),
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    ],
    None,
)


def plain(value):
    """What a student's code may have said, without what steers terminals, turns lines around, or is half a letter."""
    if isinstance(value, str):
        return readable(value).translate(UNSHOWN)
    if isinstance(value, list):
        return [plain(v) for v in value]
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value

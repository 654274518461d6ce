"""What differs between two filled templates, as far as a stamp can follow it."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from itertools import pairwise

from paypoll.tickets.stamping import NotStampable

_TAG = re.compile(r"(<[^<>]*>)")
_TITLE = re.compile(r"<title[\s>]", re.IGNORECASE)
_IMAGE = re.compile(r"<img[\s/>]", re.IGNORECASE)
_ALT = re.compile(r'(\salt=")([^"<>]+)"')
_BODY = re.compile(r"<body[\s>]", re.IGNORECASE)

# What the template's escaping makes of a text. Of other character references a parser may have its own opinion.
_ESCAPED = re.compile(r"&(?:amp|lt|gt|#34|#39);")
# Controls and line breaks, lone surrogates and noncharacters, which a parser drops or replaces.
_ODD = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_SPACES = " \t\n\r\f"  # white space to HTML and CSS. A no-break space is none.

# Markup whose content is not parsed as usual, or that brings styles along.
_UNUSUAL_MARKUP = re.compile(
    r"<!--|<(?:script|textarea|select|xmp|plaintext|noscript|iframe|template|link|form|input)\b"
)
# Styles with which the layout, or what is drawn, depends on a text or an attribute in other ways than line by line.
_TELLING_STYLES = re.compile(
    r"@import|@container|attr\(|content\(|string\(|string-set|target-|leader\(|running\(|element\(|"
    r"::?first-l|bookmark-l|:empty|:has\(|:contains|ellipsis|line-clamp|max-lines|\[\s*(?:\w*\|)?(?:alt|src)\b"
)
_STYLE_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|([^\n\r\f]))")
_STYLE_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FilledTemplate:
    """The template filled for one ticket; `qr_image` is the data URI in it of the picture `qr_png`."""

    html: str
    qr_image: str
    qr_png: bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """What is new. `texts` are by their place among the parts of the page, `alts` by the image's, counted from 0."""

    texts: Mapping[int, str]
    alts: Mapping[int, str]
    title: str | None


class Parts:
    """A filled template, split into its texts, at even places, and its tags, at odd ones."""

    def __init__(self, filled: FilledTemplate) -> None:
        self.filled = filled
        self.parts: Sequence[str] = _TAG.split(filled.html)

    def difference(self, other: "Parts") -> Difference:
        """Return what is new in the other. Raise NotStampable when more differs than a stamp can follow."""
        if len(self.parts) != len(other.parts):
            raise NotStampable("the page has other elements")
        texts: dict[int, str] = {}
        alts: dict[int, str] = {}
        title = None
        body = self.body
        for place, (old, new) in enumerate(zip(self.parts, other.parts, strict=True)):
            if old == new:
                continue
            if place % 2:
                if (alt := self._new_alt(old, new, other)) is not None:
                    alts[self.images.index(place)] = alt
            elif _TITLE.match(self.parts[place - 1]):
                title = plain(new)
            elif place < body:
                raise NotStampable("a text before the page's body differs")
            else:
                texts[place] = _new_text(old, new)
        return Difference(texts, alts, title)

    @cached_property
    def images(self) -> Sequence[int]:
        """The places of the images' tags."""
        return [place for place in range(1, len(self.parts), 2) if _IMAGE.match(self.parts[place])]

    @cached_property
    def body(self) -> int:
        """The place of the body's tag. Raise NotStampable when there is none."""
        for place in range(1, len(self.parts), 2):
            if _BODY.match(self.parts[place]):
                return place
        raise NotStampable("the page names no body")

    @property
    def title(self) -> str | None:
        """The document's title. Raise NotStampable when there are several."""
        titles = [text for tag, text in pairwise(self.parts) if _TITLE.match(tag)]
        if len(titles) > 1:
            raise NotStampable("the page has several titles")
        return unescape(titles[0]) if titles else None

    def require_usual_markup(self, styles: str) -> None:
        """Raise NotStampable when this page or its styles hold what makes more depend on a text than its own lines."""
        # Also in the page: it may have styles in an element of that name, or in attributes.
        if _UNUSUAL_MARKUP.search(self.filled.html.lower()):
            raise NotStampable("the page has markup that is not followed")
        if _TELLING_STYLES.search(_bare(styles)) or _TELLING_STYLES.search(_bare(unescape(self.filled.html))):
            raise NotStampable("the styles make more depend on a text than its own lines")

    def _new_alt(self, old: str, new: str, other: "Parts") -> str | None:
        """Return the new description of an image, if that is what differs besides the code's own picture."""
        if not _IMAGE.match(old):
            raise NotStampable("a tag differs")
        old = old.replace(self.filled.qr_image, "\0")
        new = new.replace(other.filled.qr_image, "\0")
        if old == new:
            return None
        was, now = _ALT.search(old), _ALT.search(new)
        if was is None or now is None or _ALT.sub(r"\1", old, count=1) != _ALT.sub(r"\1", new, count=1):
            raise NotStampable("an image differs in more than its code and its description")
        return plain(now[2])


def plain(text: str) -> str:
    """Return the text that a template escaped. Raise NotStampable when a parser might read it otherwise."""
    if _ODD.search(text) or "&" in _ESCAPED.sub("", text):
        raise NotStampable("a text has controls or markup")
    return unescape(text)


def core(text: str) -> str:
    """Return the text without outer white space."""
    return text.strip(_SPACES)


def _new_text(old: str, new: str) -> str:
    """Return the new text, without the white space around it, which must be that around the old one."""
    was, now = core(old), core(new)
    if not was or not now:
        raise NotStampable("a text came or went")
    if old.partition(was)[::2] != new.partition(now)[::2]:
        raise NotStampable("the space around a text differs")
    return one_line(now)


def one_line(text: str) -> str:
    """Return the text that a template escaped. Raise NotStampable when it has several lines or doubled spaces."""
    if "  " in text:
        raise NotStampable("a text has doubled spaces")
    return plain(text)


def _bare(styles: str) -> str:
    """Return the styles in lower case, without escapes and comments."""
    return _STYLE_ESCAPE.sub(_unescaped, _STYLE_COMMENT.sub("", styles)).lower()


def _unescaped(match: re.Match[str]) -> str:
    code = int(match[1], 16) if match[1] else 0
    return chr(code) if 0 < code <= sys.maxunicode else (match[2] or "")

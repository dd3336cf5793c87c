"""What a browser would make of a page: its tags, attributes and addresses."""

from __future__ import annotations

from html.parser import HTMLParser

TAGS = set(
    "html head meta title style body h1 h2 h3 p div b i br nav a span table tr th td details summary figure svg rect line "
    "figcaption ul li".split()
)


class Page(HTMLParser):
    """Collects what could run or reach outside, and the text that is shown."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.foreign: list[str] = []
        self.shown: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.foreign.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in ("src", "srcdoc", "action", "formaction", "data", "xlink:href"):
                self.foreign.append(f"{tag} {name}={value}")
            if name == "href" and not (value or "").startswith(("#", "sample-", "audit.html")):
                self.foreign.append(f"{tag} href={value}")
            if name == "style" and ("url(" in (value or "") or "expression" in (value or "")):
                self.foreign.append(f"{tag} style={value}")

    def handle_data(self, data: str) -> None:
        self.shown.append(data)

    @property
    def text(self) -> str:
        return "".join(self.shown)

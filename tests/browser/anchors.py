"""The anchors of a page: the ids that a link may have after its `#`."""

from functools import cache
from html.parser import HTMLParser


class Anchors(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = set()

    def handle_starttag(self, tag, attrs):
        self.found |= {value for name, value in attrs if name == "id" or (name == "name" and tag == "a")}


@cache
def anchors_of(file):
    anchors = Anchors()
    anchors.feed(file.read_text(encoding="utf-8"))
    return anchors.found

"""The summary that is printed after the browser tests: the numbers of pages, checks and bytes."""

from tests.browser.visit import VIEWS


class Summary:
    def __init__(self, folder):
        self.folder = folder
        self.findings = {}

    def add(self, findings):
        self.findings[findings.page] = findings

    def write(self, terminal):
        if self.findings:
            terminal.section(f"the site in {self.folder}")
            for line in self.lines():
                terminal.line(line)

    def lines(self):
        found = list(self.findings.values())
        views = len(found) * len(VIEWS)
        yield f"{len(found)} pages in {len(VIEWS)} views ({', '.join(map(str, VIEWS))}): {views} page views"
        yield f"{sum(each.checks for each in found):,} checks, {sum(len(each.problems) for each in found)} violations"
        yield self.bytes("the largest page", max(found, key=lambda each: each.bytes()))
        if home := self.findings.get("index.html"):
            yield self.bytes("Home's first view", home)

    @staticmethod
    def bytes(name, found):
        without = found.bytes(fonts=False)
        return (
            f"{name}: {found.page}, {found.bytes():,} bytes transferred, {without:,} of them no fonts"
            f" ({found.bytes(compressed=False):,} and {found.bytes(fonts=False, compressed=False):,} uncompressed)"
        )

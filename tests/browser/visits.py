"""Visits many pages with some browsers at a time."""

from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread

from tests.browser.built_site import prefix_of
from tests.browser.visit import a_visitor

BROWSERS = 2


class Visits:
    """Visits pages in the order given, from the moment that it is entered; `of` waits for the findings of one."""

    def __init__(self, folder, pages):
        self.folder = folder
        self.findings = {page: Future() for page in pages}
        self.waiting = SimpleQueue()
        for page in pages:
            self.waiting.put(page)

    def __enter__(self):
        self.threads = [Thread(target=self.work) for _ in range(min(BROWSERS, len(self.findings)))]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for _ in self.pages():  # a run that was stopped visits no more
            pass
        for thread in self.threads:
            thread.join()

    def of(self, page):
        return self.findings[page].result()

    def pages(self):
        while True:
            try:
                yield self.waiting.get_nowait()
            except Empty:
                return

    def work(self):
        try:
            with a_visitor(self.folder, prefix_of(self.folder)) as visitor:
                for page in self.pages():
                    self.visit(visitor, page)
        except Exception as error:  # noqa: BLE001  # no browser, no visits: each test says why
            for page in self.pages():
                self.findings[page].set_exception(error)

    def visit(self, visitor, page):
        try:
            self.findings[page].set_result(visitor.visit(page))
        except Exception as error:  # noqa: BLE001  # raised in the test of the page
            self.findings[page].set_exception(error)

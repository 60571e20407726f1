"""The built site: links, search, the Markdown for other programs, and publishing."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from html import unescape
from urllib.parse import urlsplit

import pytest
import yaml

import rnnkit
from docs.site.build import check_links
from docs.site.notebooks import TUTORIALS
from docs.site.page_markdown import page_markdown
from rnnkit import Cell, get_kind, list_kinds
from tests.helpers.pages import ROOT

LOCAL = "http://127.0.0.1:8000/rnnkit/"
OWN = [kind for kind in list_kinds() if rnnkit.current_catalog().distribution(kind) == "rnnkit"]
ERRORS = [name for name in rnnkit.__all__ if name.endswith(("Error", "Warning"))]
IN_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def run(*arguments, folder=ROOT, **variables):
    """Run a module of the site without the user's settings, and return its output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOCS_", "GIT_"))}
    environment = kept | {"NO_MKDOCS_2_WARNING": "1", "GIT_CONFIG_GLOBAL": os.devnull} | variables
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site as `make docs` builds it: strictly, so that a warning is an error. `make test-slow` may name it."""
    if built := os.environ.get("DOCS_BUILT_SITE"):
        return ROOT / built
    site = tmp_path_factory.mktemp("site")
    run(sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site)
    for module in ("docs.site.llms", "docs.site.notebooks"):
        run(sys.executable, "-m", module, site, "--base", LOCAL)
    run(sys.executable, "-m", "docs.site.social_cards", site)
    return site


@pytest.fixture(scope="session")
def pages(site):
    """The names of all pages but the one for what is not found."""
    return sorted({path.relative_to(site).as_posix() for path in site.rglob("*.html")} - {"404.html"})


# links


def test_links_and_anchors_are_valid(site):
    check_links(site)


def test_ids_are_unique_on_each_page(site):
    for path in site.rglob("*.html"):
        ids = Counter(re.findall(r'<\w[^>]* id="([^"]+)"', path.read_text("utf-8")))
        assert len(ids) > 5, path.name
        assert [name for name, count in ids.items() if count > 1] == [], path.name


FAULTS = {
    '<a href="other.html"></a>': "other.html",
    '<a href="sub/page.html#gone"></a>': "sub/page.html#gone",
    '<a href="#gone"></a>': "index.html#gone",
    '<a href="/sub/page.html"></a>': "Cannot resolve root-relative link '/sub/page.html'",
    '<img src="gone.svg">': "gone.svg",
    "<style>a { background: url('gone.png') }</style>": "gone.png",
    '<link rel="stylesheet" href="gone.css">': "gone.css",
}


@pytest.fixture
def small_site(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text('<a href="sub/page.html#there">a</a> <a href="https://b.example">b</a>')
    (tmp_path / "404.html").write_text('<a href="/docs/sub/page.html#there"></a>')
    (tmp_path / "sub/page.html").write_text('<h1 id="there"></h1><a href="../index.html"></a>')
    return tmp_path


def test_site_without_broken_links_passes(small_site):
    check_links(small_site)


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_link_is_found(fault, small_site, capfd):
    (small_site / "index.html").write_text(fault)
    with pytest.raises(subprocess.CalledProcessError):
        check_links(small_site)
    assert FAULTS[fault] in capfd.readouterr().out


def test_style_sheet_with_a_missing_file_is_found(small_site, capfd):
    (small_site / "sub/x.css").write_text("a { background: url(gone.png) }")
    with pytest.raises(subprocess.CalledProcessError):
        check_links(small_site)
    assert "sub/gone.png" in capfd.readouterr().out


# what MkDocs has built


def test_sitemap_has_all_pages(site, pages):
    listed = re.findall("<loc>(.+?)</loc>", (site / "sitemap.xml").read_text("utf-8"))
    assert sorted(listed) == [LOCAL + page for page in pages]


def test_404_page_works_at_any_address(site):
    text = (site / "404.html").read_text("utf-8")
    addresses = re.findall(r'<(?:a|link)\b[^>]* href="([^"]+)"|<script\b[^>]* src="([^"]+)"', text)
    paths = {urlsplit(first or second).path for first, second in addresses} - {""}
    assert {"/rnnkit/index.html", "/rnnkit/kinds/index.html", "/rnnkit/reference/index.html"} <= paths
    assert all(path.startswith("/rnnkit/") for path in paths)


@pytest.fixture(scope="session")
def titles(site):
    """The titles in the index of the search, and the pages where they stand."""
    index = json.loads((site / "search/search_index.json").read_text("utf-8"))
    return {(unescape(re.sub("<[^>]+>", "", entry["title"])), entry["location"]) for entry in index["docs"]}


@pytest.mark.parametrize("name", OWN)
def test_search_finds_a_kind_by_its_name(name, titles):
    assert (name, f"kinds/{name}.html") in titles


@pytest.mark.parametrize("name", ["register_kinds", "after_build"])
def test_search_finds_a_hook_by_its_name(name, titles):
    assert any(title.startswith(f"{name}(") and where.startswith("reference/hooks.html#") for title, where in titles)


@pytest.mark.parametrize("name", ERRORS)
def test_search_finds_an_error_by_its_name(name, titles):
    assert any(title.split()[-1] == name and where == f"reference/errors.html#rnnkit.{name}" for title, where in titles)


def test_search_works_from_disk(site):
    assert (site / "search/search_index.js").stat().st_size > 1000


# what other programs read


@pytest.fixture(scope="session")
def markdown(site, pages):
    """The Markdown beside each page."""
    return {page: (site / page).with_suffix(".md").read_text("utf-8") for page in pages}


def test_markdown_of_page_omits_site_markup(markdown):
    for page, text in markdown.items():
        words = IN_CODE.sub("", text)
        for leftover in ("--8<--", "\n::: ", "<svg", "<div", "<figure", "\x00", "][rnnkit."):
            assert leftover not in words, f"{page}: {leftover!r}"
        assert not text.startswith("---"), f"{page}: its front matter"
        assert len(re.findall(r"^# ", words, re.MULTILINE)) == 1, f"{page}: one heading"


def test_links_between_markdown_files_are_valid(site, markdown):
    links = [
        (page, urlsplit(target))
        for page, text in markdown.items()
        for target in re.findall(r"\]\(([^)\s]+)\)", IN_CODE.sub("``", text))
    ]
    own = [(page, target) for page, target in links if target.path and not target.scheme]
    assert len(own) > 300
    assert [each for each in own if not (site / each[0]).parent.joinpath(each[1].path).is_file()] == []


def test_markdown_has_every_code_block(markdown):
    source = (ROOT / "docs/reference/errors.md").read_text("utf-8")
    blocks = re.findall(r"^```.*?^```$", source, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 20
    assert all(block in markdown["reference/errors.html"] for block in blocks)


@pytest.mark.parametrize("own", OWN)
def test_equation_is_the_same_in_record_markdown_and_html(own, site, markdown):
    lines = [line.strip() for line in get_kind(own).equation.strip().splitlines()]
    html = unescape((site / f"kinds/{own}.html").read_text("utf-8"))
    for text in (markdown[f"kinds/{own}.html"], html, (site / "llms-full.txt").read_text("utf-8")):
        formulas = re.findall(r"\$\$(.*?)\$\$|\\\[(.*?)\\\]", text, re.DOTALL)
        found = [[line.strip() for line in "".join(each).strip().splitlines()] for each in formulas]
        assert not lines or any(_stands_in(lines, formula) for formula in found)


def _stands_in(lines, formula):
    return any(formula[start : start + len(lines)] == lines for start in range(len(formula)))


def test_latex_of_docstrings_is_unchanged_in_the_reference(site, markdown):
    [formula] = re.findall(r"\$(.+?)\$", Cell.__doc__)
    assert f"${formula}$" in markdown["reference/api/cells.html"]
    assert f"\\({formula}\\)" in unescape((site / "reference/api/cells.html").read_text("utf-8"))
    [symbol] = re.findall(r'r"(\\\w+)"', Cell.symbols.__doc__)
    assert f'r"{symbol}"' in markdown["reference/api/cells.html"]


def test_formula_is_unchanged():
    text = "$$\n<div>\n(x_{t}){ .d } = [a][b] <!-- c -->\n$$\n\n\\((y){.a}\\) and $(z){.b}$ and `(x){.c} [a][b]`\n"
    assert page_markdown(text, str, lambda _name: "c.md") == text


def test_drawing_becomes_its_alt_text():
    drawing = '<svg viewBox="0 0 1 1"><title>A cell</title><desc>It\n  reads &lt;x&gt;.</desc><path d="M0 0"/></svg>'
    page = f'One.\n\n<figure class="rnnkit-drawing">\n{drawing}\n</figure>\n\nTwo.\n'
    assert page_markdown(page, str, lambda _name: None) == "One.\n\n> Drawing: A cell. It reads <x>.\n\nTwo.\n"


def test_llms_txt_lists_every_page_once(site, markdown):
    text = (site / "llms.txt").read_text("utf-8")
    assert re.match(r"# rnnkit\n\n> [^\n]+\n\n## Get started\n\n- \[", text)
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sections == [*(next(iter(each)) for each in _nav()), "Changelog"]
    listed = re.findall(rf"^- \[[^\]]+\]\({LOCAL}(\S+)\.md\)", text, re.MULTILINE)
    assert sorted(listed) == [page.removesuffix(".html") for page in markdown]
    assert len(text.splitlines()) == 3 + len(listed) + 3 * len(sections)


def test_llms_txt_has_the_title_of_every_page(site):
    titles = re.findall(r"^- \[([^\]]+)\]", (site / "llms.txt").read_text("utf-8"), re.MULTILINE)
    assert "Example plugin: rnnkit-nbrc" in titles
    assert [title for title in titles if "/" in title or title.endswith(".md")] == []


DISTRIBUTION = re.compile(
    r"(?<![\w./-])([\w-]{2,})/[a-z]\w*\b(?![./-])"  # of a kind
    r"|\bdistribution '([\w-]+)'|\bdistribution ([\w-]+) \d|\b([\w-]+)==\d"
)
SHOWN = {"rnnkit", "local", "docs"}  # `docs` is a folder in a help text


def test_pages_show_no_distribution_of_the_tests(markdown):
    """Output on a page names rnnkit, installed tools, and plugins called `rnnkit-...`."""
    found = {}
    for page, text in markdown.items():
        for block in re.findall(r"^```(?:text|console)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            found |= {next(filter(None, each)): page for each in DISTRIBUTION.findall(block)}
    assert {"rnnkit-clockwork", "rnnkit-small", "rnnkit-gated"} <= found.keys()
    assert {name: page for name, page in found.items() if not name.startswith("rnnkit-")}.keys() <= SHOWN


def test_every_page_has_a_description(site):
    text = (site / "llms.txt").read_text("utf-8")
    assert re.findall(r"^- \[([^\]]+)\]\(\S+\)$", text, re.MULTILINE) == []


def _nav():
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    return yaml.safe_load(text[text.index("\nnav:") :])["nav"]


def test_llms_full_has_every_page_with_absolute_links(site, markdown):
    text = (site / "llms-full.txt").read_text("utf-8")
    headings = re.findall(r"^# .+$", IN_CODE.sub("", text), re.MULTILINE)
    assert len(headings) == len(markdown)
    targets = re.findall(r"\]\(([^)\s]+)\)", IN_CODE.sub("``", text))
    assert len(targets) > 100
    assert [target for target in targets if not urlsplit(target).scheme] == []


# publishing


FEW_PAGES = {
    "index.md": "Start",
    "kinds/index.md": "Models",
    "reference/index.md": "Reference",
    "reference/hooks.md": "Hooks",
    "cite.md": "Cite",
    "changelog.md": "Changelog",
    **{f"tutorials/{name}.md": "Tutorial" for name in TUTORIALS},  # which are notebooks as well
}


TOOLTIPS = "  - docs.site.glossary\n"  # which reads a page that is not there


def keep_few_pages(folder):
    """Replace the pages of a checkout: the larger part of the time of a build. `make docs-test` publishes them all."""
    for page in (folder / "docs").rglob("*.md"):
        page.unlink()
    for name, title in FEW_PAGES.items():
        (folder / "docs" / name).write_text(f"# {title}\n", encoding="utf-8")
    settings = folder / "mkdocs.yml"
    without_nav, nav, _ = settings.read_text("utf-8").replace(TOOLTIPS, "").partition("\nnav:\n")
    listed = "".join(f"  - {name}\n" for name in FEW_PAGES if name != "changelog.md")  # which is in the footer
    settings.write_text(without_nav + nav + listed, encoding="utf-8")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A repository with this checkout, but few pages, from which two versions were published to another one."""
    folder, origin = tmp_path_factory.mktemp("clone") / "clone", tmp_path_factory.mktemp("origin")
    kept_out = (".git", ".venv", "build", "shared", "results", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*kept_out))
    keep_few_pages(folder)
    person = {
        f"GIT_{role}_{what}": "someone@a.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    run("git", "init", "--quiet", "--bare", origin, folder=origin)
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "All"]):
        run("git", *command, folder=folder, **person)
    run("git", "remote", "add", "origin", origin, folder=folder)
    address = {"DOCS_SITE_URL": "https://a.example/rnnkit/"}
    for version in (["dev"], ["1.2.3", "latest"]):
        deploy = [sys.executable, "-m", "docs.site.deploy", *version, "--push"]
        run(*deploy, folder=folder, **person, **address)
    return lambda path: run("git", "show", f"gh-pages:{path}", folder=origin)


def test_published_site_is_not_built_for_reading_from_disk(published):
    assert "search_index.json" in published("latest/search/")
    assert "search_index.js\n" not in published("latest/search/")


def test_published_versions_are_kept_side_by_side(published):
    versions = json.loads(published("versions.json"))
    assert [(each["version"], each["aliases"]) for each in versions] == [("dev", []), ("1.2.3", ["latest"])]
    for version in ("dev", "1.2.3", "latest"):
        page = published(f"{version}/reference/index.html")
        config = json.loads(re.search(r'<script id="__config" type="application/json">(.+?)</script>', page)[1])
        assert config["version"] == {"alias": True, "default": "latest", "provider": "mike"}
        assert published(f"{version}/reference/index.md").startswith("# Reference\n")


def test_published_root_redirects_to_the_latest_version(published):
    assert 'url=latest/"' in published("index.html")
    assert "](https://a.example/rnnkit/1.2.3/reference/hooks.md)" in published("llms.txt")
    assert 'href="/rnnkit/latest/kinds/index.html"' in published("404.html")


def test_published_versions_have_their_own_urls(published):
    assert "](https://a.example/rnnkit/dev/reference/hooks.md)" in published("dev/llms.txt")
    canonical = '<link rel="canonical" href="https://a.example/rnnkit/{}/changelog.html">'
    assert canonical.format("dev") in published("dev/changelog.html"), "there was no latest then"
    assert canonical.format("latest") in published("1.2.3/changelog.html")


def workflow(name):
    return yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text("utf-8"))


def test_workflow_publishes_pushes_and_tags():
    docs = workflow("docs")
    on = docs[True]  # YAML reads `on` as a boolean
    assert on == {"push": {"branches": ["main"], "tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}
    [job] = docs["jobs"].values()
    assert job["permissions"] == {"contents": "write"}
    assert {"DOCS_SITE_URL", "DOCS_REPOSITORY_URL"} <= job["env"].keys()
    assert {"GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"} <= job["env"].keys()
    deploys = {step["if"]: step["run"] for step in job["steps"] if "if" in step}
    assert deploys == {
        "github.ref_type == 'branch'": ".venv/bin/python -m docs.site.deploy dev --push",
        "github.ref_type == 'tag'": '.venv/bin/python -m docs.site.deploy "${GITHUB_REF_NAME#v}" latest --push',
    }


def test_only_the_job_of_zensical_may_fail():
    jobs = workflow("ci")["jobs"]
    assert [name for name, job in jobs.items() if job.get("continue-on-error")] == ["zensical"]

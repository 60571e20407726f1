"""The plugin directory lists the plugins of `docs/examples`, with all of their kinds."""

import tomllib

from docs.site.plugin_directory import PAGE, PLUGINS, with_plugins


def test_directory_is_up_to_date():
    page = PAGE.read_text("utf-8")
    assert page == with_plugins(page), "if that is right: python -m docs.site.plugin_directory"


def test_directory_lists_every_kind():
    page = PAGE.read_text("utf-8")
    projects = [tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"] for folder in PLUGINS]
    assert len(projects) >= 3
    for project in projects:
        section = page.partition(f"\n## {project['name']}\n")[2].partition("\n## ")[0]
        kinds = project["entry-points"]["rnnkit"]
        assert [kind for kind in kinds if f"| `{kind}` |" not in section and f"| [`{kind}`](" not in section] == []

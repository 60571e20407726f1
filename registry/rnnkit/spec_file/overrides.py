"""Changes of a spec as people write them on a command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rnnkit.spec import RecurrentSpec
from rnnkit.spec_file.origin import Origin
from rnnkit.spec_file.spec_making import make_spec, parse_overrides
from rnnkit.unresolved import UnresolvedOptions


def override_spec(spec: RecurrentSpec[Any], overrides: Iterable[str]) -> RecurrentSpec[Any]:
    """A spec with other values, each as `KEY=VALUE`.

    ```python
    override_spec(spec, ["hidden_size=64", "options.nonlinearity=relu", "output_size=null"])
    ```

    A value is read as YAML 1.2 reads it: `64`, `1e-3`, `true`, `null`, `[64, 32]`, `{a: 1}`. Whatever is none of these
    is text, and so is `12` for a field that takes only text. `kind=gru` drops the options that have the defaults of the
    kind before; others stay, and are refused if the new kind has none of their name.

    Args:
        spec: stays as it is.
        overrides: applied one after the other.

    Raises:
        SpecFileError: an override is not of this form, or the spec would not be valid; lists all that is wrong.
        BlockedKindError, AmbiguousKindError, PluginError: as from making a spec.
    """
    plugin = spec.options.plugin if isinstance(spec.options, UnresolvedOptions) else None
    assignments, problems = parse_overrides(overrides, "spec")
    origin = Origin("spec", assignments=assignments, noted_plugin=plugin)
    stays_unresolved = isinstance(spec.options, UnresolvedOptions) and not origin.assigns_kind
    return make_spec(spec.to_dict(), origin, problems, allow_unresolved=stays_unresolved)

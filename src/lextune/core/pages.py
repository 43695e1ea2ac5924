"""HTML pages: templates of a package, escaped, and refused where they name what is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template


def page_template(package: str, name: str, *, lstrip: bool = True, **filters: Callable[..., Any]) -> Template:
    """Return the template `templates/NAME` of a package.

    Args:
        package: as it is imported.
        name: the file's name.
        lstrip: take white space away before a block's tag; not where the page shows text as it is.
        filters: of this template, by their names in it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=lstrip,
    )
    environment.filters.update(filters)
    return environment.get_template(name)

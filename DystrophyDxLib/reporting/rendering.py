"""HTML pages from the templates of the library."""

from __future__ import annotations


def rendered(template: str, **values: object) -> str:
    """The text of a page that stands alone: a file of `templates/`, with its values; what is missing is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)

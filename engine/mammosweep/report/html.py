"""Pages as files: templates, escaping, the content policy, and names no identifier can steer.

Jinja2's adapter. Pages hold their style and pictures themselves, load nothing and run no script; the content
security policy forbids both, whatever a header smuggled in.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mammosweep.report.atomic import write_text
from mammosweep.report.words import ABSENT, NOTICE, flag_words, plain, reason_words, status_words, type_words

__all__ = ["page_link", "slug", "write_page"]

PAGES = "pages"
"""The folder of the exams' pages, beside index.html and worklist.html."""


def slug(exam_id: str) -> str:
    """The file name of an exam's page without its suffix: 16 hexadecimal digits of the id's SHA-256.

    An id can hold anything, ``../`` too, so no path is ever built from it.
    """
    return hashlib.sha256(exam_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def page_link(out: Path, exam_id: str) -> str:
    """The link from a page in `out` to the exam's, empty where that was not written."""
    link = f"{PAGES}/{slug(exam_id)}.html"
    return link if (out / link).is_file() else ""


def write_page(path: Path, template: str, **content: object) -> None:
    """Fill a template of this package and write it whole.

    Raises:
        OSError: the folder cannot be written.
    """
    write_text(path, _environment().get_template(template).render(**content))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mammosweep.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    style = resources.files("mammosweep.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    environment.globals.update(style=Markup(style), policy=_policy(style), notice=NOTICE)
    environment.filters.update(
        flag_words=flag_words,
        reason_words=reason_words,
        status_words=status_words,
        type_words=type_words,
        figure=_figure,
        digest=lambda text: text[:12],
    )
    return environment


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _shown(value: object) -> object:
    if isinstance(value, Markup):
        return value
    return plain(value) if isinstance(value, str) else value


def _figure(value: float | None, digits: int = 3) -> str:
    return ABSENT if value is None else f"{value:.{digits}f}"

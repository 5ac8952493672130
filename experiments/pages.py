"""A run's report as one HTML page that needs nothing beside it, made from its Markdown."""

import base64
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.files import write_text

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
h1, h2 {{ line-height: 1.2; }}
table {{ border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; display: block;
  overflow-x: auto; }}
th, td {{ border-bottom: 1px solid #ccc; padding: 0.25rem 0.6rem; text-align: right; white-space: nowrap; }}
th:first-child, td:first-child {{ text-align: left; }}
img {{ max-width: 100%; }}
code, pre {{ font-size: 0.85rem; }}
pre {{ overflow-x: auto; background: #f6f6f6; padding: 0.7rem; }}
</style>
</head>
<body>
{body}
<h2>Manifest</h2>
<details><summary>What it takes to run this again</summary><pre>{manifest}</pre></details>
</body>
</html>
"""


def write_html(report: Path, manifest: Mapping[str, Any]) -> None:
    """Write report.html beside report.md: the same text, figures inside it, the manifest at its end."""
    from markdown_it import MarkdownIt

    text = report.read_text(encoding="utf-8")
    # what a report prints is text: a tag in a name or in an error is shown, not obeyed
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)

    def inlined(match: re.Match[str]) -> str:
        data = base64.b64encode((report.parent / match[1]).read_bytes()).decode()
        return f'<img src="data:image/png;base64,{data}"'

    body = re.sub(r'<img src="([^":]+\.png)"', inlined, body)
    heading = re.search(r"^# (.*)$", text, re.MULTILINE)
    page = _PAGE.format(
        title=html.escape(heading[1] if heading else report.parent.name),
        body=body,
        manifest=html.escape(json.dumps(dict(manifest), indent=2, sort_keys=True)),
    )
    write_text(report.with_suffix(".html"), page)


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; numbers to the right."""
    # a bar would be the edge of a cell, a line's end that of the row
    escaped = [[" ".join(cell.replace("|", "\\|").split("\n")) for cell in row] for row in [header, *rows]]
    lines = ["| " + " | ".join(row) + " |" for row in escaped]
    return "\n".join([lines[0], "|---|" + "---:|" * (len(header) - 1), *lines[1:]]) + "\n"

"""The API reference as one page of HTML, made from the OpenAPI document.

It needs no script, no other file and no internet: many operations centres have none.
"""

import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
details{border:1px solid #8884;border-radius:6px;margin:.5rem 0;padding:.5rem .8rem}
summary{cursor:pointer}code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:#8881;padding:.6rem;overflow:auto;border-radius:6px}
.method{display:inline-block;min-width:4.5rem;font-weight:700}
td,th{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top}
:root{color-scheme:light dark}
"""
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def reference_page(document: dict[str, Any]) -> str:
    """The page for an OpenAPI document."""
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>",
            f"<p>{escape(document['info'].get('description', ''))}</p>",
            '<p>For machines: <a href="/openapi.json">openapi.json</a>, ',
            '<a href="/openapi.yaml">openapi.yaml</a>.</p>',
            *_operations(document),
            "<h2>Schemas</h2>",
            *_schemas(document),
            "</body></html>",
        )
    )


def _operations(document: dict[str, Any]) -> Iterator[str]:
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                operation = methods[method]
                tag = (operation.get("tags") or ["other"])[0]
                by_tag.setdefault(tag, []).append(_operation(method, path, operation))
    for tag, parts in by_tag.items():
        yield f"<h2>{escape(tag)}</h2>"
        yield from parts


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    head = f'<span class="method">{method.upper()}</span> {escape(path)}'
    body = operation.get("requestBody", {}).get("content", {})
    return "".join(
        (
            f"<details><summary><code>{head}</code></summary>",
            f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>",
            _parameters(operation.get("parameters", [])),
            "".join(f"<p>Body, {escape(kind)}:</p>{_schema(item)}" for kind, item in body.items()),
            "".join(_response(code, item) for code, item in operation["responses"].items()),
            "</details>",
        )
    )


def _parameters(parameters: list[dict[str, Any]]) -> str:
    if not parameters:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(item['name'])}</code></td><td>{escape(item['in'])}</td>"
        f"<td>{'required' if item.get('required') else ''}</td>"
        f"<td>{escape(item.get('description', ''))}</td></tr>"
        for item in parameters
    )
    return f"<table>{rows}</table>"


def _response(code: str, response: dict[str, Any]) -> str:
    head = f"<p>{escape(code)}: {escape(response.get('description', ''))}</p>"
    return head + "".join(_schema(item) for item in response.get("content", {}).values())


def _schema(item: dict[str, Any]) -> str:
    schema = item.get("schema")
    return f"<pre>{escape(json.dumps(schema, indent=1))}</pre>" if schema else ""


def _schemas(document: dict[str, Any]) -> Iterator[str]:
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        text = escape(json.dumps(schema, indent=1))
        yield f"<details><summary><code>{escape(name)}</code></summary><pre>{text}</pre></details>"

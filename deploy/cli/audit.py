"""`audit`: the audit log of a tenant, as its administrator sees it."""

from pathlib import Path
from typing import Annotated, Any, BinaryIO
from urllib.parse import urlencode

import typer

from deploy.cli.session import fail, run, show, signed_in

As = Annotated[str | None, typer.Option("--as", help="Username of an administrator.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Where = Annotated[
    list[str],
    typer.Option("--where", help="A filter, such as operation=user.create or q=ana; repeatable."),
]
PAGE_ENTRIES = 200
"""Entries of the longest page that a gateway gives."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    audit = typer.Typer(no_args_is_help=True, help="Who did what in a tenant.")
    app.add_typer(audit, name="audit")
    audit.command("list")(list_entries)
    audit.command("export")(export)


def list_entries(
    user: As = None,
    where: Where = [],  # noqa: B006 -- typer reads it, nobody changes it
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """List what was done, the newest first."""

    async def work() -> None:
        query: dict[str, Any] = _filters(where)
        left = limit
        async with signed_in(user) as api:
            while left > 0:
                query["limit"] = min(left, PAGE_ENTRIES)
                page = await api.call("GET", f"/audit-logs?{urlencode(query)}")
                for entry in page["items"]:
                    show(entry, as_json=as_json, line=_line(entry))
                left -= len(page["items"])
                query["cursor"] = page["next"]
                if page["next"] is None:
                    return

    run(work)


def export(
    file: Annotated[Path, typer.Argument(help="Ends in .csv, .json or .xlsx; must not exist.")],
    user: As = None,
    where: Where = [],  # noqa: B006 -- typer reads it, nobody changes it
) -> None:
    """Write what was done to a file. That it was taken is recorded."""
    form = file.suffix.removeprefix(".")
    if form not in ("csv", "json", "xlsx"):
        raise typer.BadParameter("the file's name must end in .csv, .json or .xlsx")
    query = urlencode(_filters(where) | {"format": form})

    async def work(out: BinaryIO) -> None:
        async with signed_in(user) as api:
            await api.download(f"/audit-logs/export?{query}", out)

    try:
        out = file.open("xb")
    except OSError as error:
        fail(f"{file}: {error.strerror}", 2)
    with out:
        try:
            run(lambda: work(out))
        except BaseException:
            # Half of a log must not be taken for all of it.
            file.unlink()
            raise
    typer.echo(f"{file}  {file.stat().st_size} bytes")


def _filters(where: list[str]) -> dict[str, str]:
    pairs = [item.partition("=") for item in where]
    if any(not mark for _, mark, _ in pairs):
        raise typer.BadParameter("a filter reads name=value")
    return {name: value for name, _, value in pairs}


def _line(entry: dict[str, Any]) -> str:
    what = f"{entry['object']['type']} {entry['object']['id']}".strip()
    # Names may hold what moves a terminal's cursor; ids of people and objects don't, but may one day.
    text = f"{entry['at']}  {entry['outcome']:<7} {entry['actor']}  {entry['operation']}  {what}"
    return text.encode("ascii", "backslashreplace").decode().translate(_CONTROLS)


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)}

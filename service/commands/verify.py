"""`cleanplate verify`: shows the Content Credentials of a file and whether they are valid."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from service.errors import InputError, RequestError
from service.pipeline.provenance.provenance import Action, Credentials, Ingredient, Manifest, read
from service.source_type import short_name

UNTRUSTED: Final = "signingCredential.untrusted"
VERDICTS: Final = {
    "none": "no Content Credentials",
    "unreadable": "Content Credentials that cannot be read",
    "Invalid": "not valid: the file or its credentials were changed after signing",
    "Valid": "valid: the file is unchanged since it was signed; the signer is not on a trust list",
    "Trusted": "valid and trusted: the file is unchanged since it was signed, and the signer is trusted",
}

File = Annotated[Path, typer.Argument(metavar="FILE", help="A video or an image.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def verify(file: File, as_json: Json = False) -> int:
    """Show who signed a file, what was done to it and what it was made from. Exit 0 if the credentials are valid, else 3."""
    if not file.is_file():
        raise RequestError(f"{file.name}: no such file")
    credentials = read(file)
    typer.echo(
        json.dumps(asdict(credentials) | {"valid": credentials.valid}, indent=2) if as_json else "\n".join(_lines(file, credentials))
    )
    return 0 if credentials.valid else InputError.exit_code


def _lines(file: Path, credentials: Credentials) -> Iterator[str]:
    yield f"{file.name}: {VERDICTS[credentials.state]}"
    yield from (f"  problem: {problem}" for problem in credentials.problems if not (credentials.valid and problem == UNTRUSTED))
    for number, manifest in enumerate(credentials.manifests):
        yield "" if number else "this file"
        if number:
            yield "made from a file"
        yield from _manifest(manifest)


def _manifest(manifest: Manifest) -> Iterator[str]:
    yield f"  signed by  {manifest.signer or 'unknown'}" + (f" ({manifest.issuer})" if manifest.issuer != manifest.signer else "")
    yield f"  at         {manifest.signed_at or 'unknown: no time authority confirms it'}"
    yield f"  with       {manifest.program or 'unknown'}"
    yield from (f"  action     {_action(action)}" for action in manifest.actions)
    yield from (f"  made from  {_ingredient(part)}" for part in manifest.ingredients)


def _action(action: Action) -> str:
    kind = f"source type {short_name(action.digital_source_type)}" if action.digital_source_type else None
    return ", ".join(filter(None, (action.name, action.description, kind, action.when)))


def _ingredient(part: Ingredient) -> str:
    problems = [problem for problem in part.problems if problem != UNTRUSTED]
    credentials = "with Content Credentials" if part.has_credentials else "without Content Credentials"
    return ", ".join((part.title or "a file", part.relationship, credentials, *(f"problem: {problem}" for problem in problems)))

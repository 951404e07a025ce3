"""`cleanplate models`: lists, verifies and chooses the networks' weights."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from models import registry, spec
from service import settings
from service.commands.failure import fail
from service.commands.listing import AsJson, show
from service.errors import ModelError, RequestError
from service.inference import folder as folders
from service.inference import trial
from service.inference.device import choose_device

models = typer.Typer(help="List, verify and choose the networks' weights.", no_args_is_help=True)

COLUMNS: Final = ("network", "version", "precision", "file", "sha256", "bytes", "folder", "metrics")
MEANINGS: Final = {  # of the metrics, each measured on clips that training has not seen
    "loss": "what training lowers; to be compared within one network only",
    "f1": "how well the pixels of marks are found: 1 is all of them and no others",
    "wrong": "share of the pixels of unmarked pictures that are taken for a mark",
    "opacity_error": "mean error of a mark's opacity, which is between 0 and 1",
    "shape_error": "the same once the mark's mean opacity is right",
    "colour_error": "mean error of a mark's colour, which is between 0 and 1",
    "belongs_f1": "how well the pixels that belong to a mark are told from those beside it",
    "hides_f1": "how well the pixels are found at which a mark hides the scene altogether",
    "psnr": "how close the restored pixels are to the truth, in dB: 40 is hard to see",
    "over_fill": "how many dB of that are gained over filling the hole from its surroundings",
    "over_best": "the same over the better of filling and subtracting the mark",
}

Folder = Annotated[Path | None, typer.Argument(metavar="DIR", help="A folder with manifest.toml and weights/.", show_default=False)]
Shipped = Annotated[bool, typer.Option("--shipped", help="Return to the weights shipped with the program.")]


@models.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the files in use: network, version, precision, checksum, size, folder, and the metrics of their training run."""
    folder = folders.in_use(settings.read().weights)
    rows = list(_rows(folder))
    if as_json:
        show(COLUMNS, rows, as_json)
        return
    typer.echo(f"in use: {_name(folder)}")
    measured = dict.fromkeys(name for row in rows for name in row["metrics"])
    lines = [row | {"metrics": " ".join(f"{name}={value:g}" for name, value in row["metrics"].items())} for row in rows]
    show(COLUMNS, lines, as_json)
    typer.echo("\nThe metrics, on clips that training has not seen:")
    for name in measured:
        typer.echo(f"  {name:<14} {MEANINGS.get(name, 'as the training run names it')}")


@models.command("verify")
def verify(directory: Folder = None, as_json: AsJson = False) -> int:
    """Check files, contract and outputs of the networks in use, or of those in DIR. Exit 5 and one line if a check fails."""
    folder = directory or folders.in_use(settings.read().weights)
    if as_json:
        return _verify_as_json(folder)
    for checked in check_networks(folder):
        typer.echo(_intact(checked))
    return 0


def _verify_as_json(folder: Path) -> int:
    """Print what passed, and the first failure; return the exit code."""
    passed, error = list[dict[str, str]](), None
    try:
        passed.extend(check_networks(folder))
    except ModelError as failed:
        error = failed
    typer.echo(json.dumps({"valid": error is None, "passed": passed, "error": str(error) if error else None}, indent=2))
    return fail(str(error), error.exit_code) if error else 0


def _intact(checked: dict[str, str]) -> str:
    return "{network} {version} {precision}: intact, and its outputs are within their ranges".format_map(checked)


@models.command("use")
def use(directory: Folder = None, shipped: Shipped = False) -> None:
    """Verify DIR and use its networks from now on; those it lacks stay the shipped ones. CLEANPLATE_WEIGHTS takes precedence."""
    if (directory is None) is not shipped:
        raise RequestError("give either DIR or --shipped")
    if directory is not None:
        for checked in check_networks(directory):
            typer.echo(_intact(checked))
    folders.choose(directory)
    typer.echo(f"in use from now on: {_name(directory or registry.SHIPPED)}")
    if settings.read().weights is not None:
        typer.echo("note: CLEANPLATE_WEIGHTS is set and takes precedence", err=True)


def check_networks(folder: Path) -> Iterator[dict[str, str]]:
    """Check every file that the folder's networks may be loaded from; yield its network, version, precision and name.

    Raises ModelError at the first failure.
    """
    device = choose_device("cpu")  # raises RequestError without a runtime; listing and choosing need none
    from service.inference.onnx_runtime import OnnxSession

    for network in spec.NETWORKS:
        for weights, _ in _files(network, folder):
            trial.try_out(network, OnnxSession(weights.path, network, device, threads=1))
            yield {"network": network.name, "version": weights.version, "precision": weights.precision, "file": weights.path.name}


def _files(network: spec.NetworkSpec, folder: Path) -> Iterator[tuple[registry.Weights, registry.Entry]]:
    """The network's verified files, one per precision. Raises ModelError."""
    try:
        manifest = folders.manifest_of(network, folder)
        entry = registry.entry(network, manifest)
        for precision in entry.files:
            yield registry.find(network, manifest, precision), entry
    except registry.WeightsError as error:
        raise ModelError(str(error)) from error


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    for network in spec.NETWORKS:
        for weights, entry in _files(network, folder):
            yield {
                "network": network.name,
                "version": weights.version,
                "precision": weights.precision,
                "file": weights.path.name,
                "sha256": weights.sha256[:12],
                "bytes": weights.path.stat().st_size,
                "folder": "shipped" if weights.path.is_relative_to(registry.SHIPPED) else "own",
                "metrics": dict(entry.metrics) if weights.precision == "fp32" else {},
            }


def _name(folder: Path) -> str:
    return "the shipped weights" if folder == registry.SHIPPED else str(folder)

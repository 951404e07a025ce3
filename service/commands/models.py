"""`cleanplate models`: lists, verifies and chooses the networks' weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from models import registry, spec
from service import settings
from service.errors import ModelError, RequestError
from service.inference import folder as folders
from service.inference import trial
from service.inference.device import choose_device

models = typer.Typer(help="List, verify and choose the networks' weights.", no_args_is_help=True)

HEADINGS: Final = ("network", "version", "precision", "file", "sha256", "size", "folder", "metrics")

Folder = Annotated[Path | None, typer.Argument(metavar="DIR", help="A folder with manifest.toml and weights/.", show_default=False)]
Shipped = Annotated[bool, typer.Option("--shipped", help="Return to the weights shipped with the program.")]


@models.command("list")
def list_models() -> None:
    """List the files in use: network, version, precision, checksum, size, folder, and the metrics of their training run."""
    folder = folders.in_use(settings.read().weights)
    typer.echo(f"in use: {_name(folder)}")
    rows = [HEADINGS, *_rows(folder)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@models.command("verify")
def verify(directory: Folder = None) -> None:
    """Check files, contract and outputs of the networks in use, or of those in DIR. Exit 5 and one line if a check fails."""
    folder = directory or folders.in_use(settings.read().weights)
    for line in check_networks(folder):
        typer.echo(line)


@models.command("use")
def use(directory: Folder = None, shipped: Shipped = False) -> None:
    """Verify DIR and use its networks from now on; those it lacks stay the shipped ones. CLEANPLATE_WEIGHTS takes precedence."""
    if (directory is None) is not shipped:
        raise RequestError("give either DIR or --shipped")
    if directory is not None:
        for line in check_networks(directory):
            typer.echo(line)
    folders.choose(directory)
    typer.echo(f"in use from now on: {_name(directory or registry.SHIPPED)}")
    if settings.read().weights is not None:
        typer.echo("note: CLEANPLATE_WEIGHTS is set and takes precedence", err=True)


def check_networks(folder: Path) -> Iterator[str]:
    """Check every file that the folder's networks may be loaded from; yield a line for each. Raises ModelError at the first failure."""
    device = choose_device("cpu")  # raises RequestError without a runtime; listing and choosing need none
    from service.inference.onnx_runtime import OnnxSession

    for network in spec.NETWORKS:
        for weights, _ in _files(network, folder):
            trial.try_out(network, OnnxSession(weights.path, network, device, threads=1))
            yield f"{network.name} {weights.version} {weights.precision}: intact, and its outputs are within their ranges"


def _files(network: spec.NetworkSpec, folder: Path) -> Iterator[tuple[registry.Weights, registry.Entry]]:
    """The network's verified files, one per precision. Raises ModelError."""
    try:
        manifest = folders.manifest_of(network, folder)
        entry = registry.entry(network, manifest)
        for precision in entry.files:
            yield registry.find(network, manifest, precision), entry
    except registry.WeightsError as error:
        raise ModelError(str(error)) from error


def _rows(folder: Path) -> Iterator[tuple[str, ...]]:
    for network in spec.NETWORKS:
        for weights, entry in _files(network, folder):
            yield (
                network.name,
                weights.version,
                weights.precision,
                weights.path.name,
                weights.sha256[:12],
                f"{weights.path.stat().st_size / 1e6:.1f} MB",
                "shipped" if weights.path.is_relative_to(registry.SHIPPED) else "own",
                " ".join(f"{name}={value:g}" for name, value in entry.metrics.items()) if weights.precision == "fp32" else "",
            )


def _name(folder: Path) -> str:
    return "the shipped weights" if folder == registry.SHIPPED else str(folder)

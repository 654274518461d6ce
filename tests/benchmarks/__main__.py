"""Measure paypoll and print a table: `scripts/benchmark [NAME]... [--rounds N]`.

Figures of a machine are comparable with each other, not with those of another machine, nor with those of the same
one while it does something else. So every figure stands beside a limit, or beside another that was measured with it.
"""

import sys
import tempfile
from pathlib import Path

import click
from tests.benchmarks import measure
from tests.benchmarks.bed import Bed, FarSide, opened_server
from tests.benchmarks.long_ledger import ledger
from tests.benchmarks.measure import CORES
from tests.benchmarks.releases import without_pyc_ban
from tests.benchmarks.row import Row

MEASUREMENTS = {**measure.MEASUREMENTS, "ledger": ledger}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(MEASUREMENTS)), metavar="[NAME]...")
@click.option("--rounds", default=9, show_default=True, help="How often each thing is measured.")
def main(names: tuple[str, ...], rounds: int) -> None:
    """Measure what is named, or everything, and print the table as it grows."""
    without_pyc_ban()
    click.echo(f"On {CORES} cores, Python {sys.version.split()[0]}.\n")
    click.echo("| what | found | limit | reached | beside |\n|---|---|---|---|---|")
    with opened_server() as server, FarSide() as far, tempfile.TemporaryDirectory() as folder:
        for name in names or MEASUREMENTS:
            for row in MEASUREMENTS[name](lambda: Bed(server, far, Path(folder)), rounds):
                click.echo(_line(row))


def _line(row: Row) -> str:
    reached = {True: "yes", False: "**no**", None: ""}[row.reached]
    return f"| {row.what} | {row.found} | {row.limit} | {reached} | {row.beside} |"


if __name__ == "__main__":
    main()

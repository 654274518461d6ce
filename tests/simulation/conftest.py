"""The bench of the simulation: one PostgreSQL database, emptied between worlds, and three hosts."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
import structlog

# The parts of the simulation are modules of their own, and tests is no package that is installed.
sys.path.insert(0, str(Path(__file__).parents[2]))

if TYPE_CHECKING:
    from structlog.typing import EventDict
    from tests.conftest import Server
    from tests.simulation.bench import Bench


def _drop(_logger: object, _method: str, _event: object) -> NoReturn:
    raise structlog.DropEvent


# Not for the whole session: the bench stands in for the verify pool and for psycopg2's waiting, which others use too.
@pytest.fixture(scope="module")
def simulation_bench(server: "Server", tmp_path_factory: pytest.TempPathFactory) -> Iterator["Bench"]:
    """The machines on which worlds are lived through."""
    from tests.simulation.bench import Bench

    name = "simulation"
    server.run(f"CREATE DATABASE {name} TEMPLATE paypoll_template")
    server.run(f"ALTER DATABASE {name} SET synchronous_commit = off")
    made = Bench(
        tmp_path_factory.mktemp("simulation"), server.url(name), f"host={server.folder} user=postgres dbname={name}"
    )
    yield made
    made.close()
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def bench(simulation_bench: "Bench") -> Iterator["Bench"]:
    """The same, with paypoll's log turned off, because a world writes thousands of lines; a replay keeps them."""
    from tests.simulation.journal import is_replay

    before = structlog.get_config()

    def keep(_logger: object, method: str, event: "EventDict") -> NoReturn:
        rest = " ".join(f"{name}={value}" for name, value in event.items() if name not in ("event", "run"))
        simulation_bench.note(f"logs {method}: {event['event']} {rest}")
        raise structlog.DropEvent

    kept, level = (keep, "info") if is_replay() else (_drop, "critical")
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, kept] if kept is keep else [kept],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    yield simulation_bench
    simulation_bench.leave()
    structlog.configure(**before)

"""Stages for the acceptance tests."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.acceptance.shop_pages import blank_pages
from tests.acceptance.stage import Stage, opened_stage

if TYPE_CHECKING:
    from tests.conftest import Server

TEMPLATE = "paypoll_template"  # the root conftest's

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def new_stage(server: "Server", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Stage]]:
    """Makes stages that stand until the end of the session, for worlds that several tests look at."""
    with ExitStack() as stages:
        yield lambda: stages.enter_context(_opened(server, tmp_path_factory))


@pytest.fixture
def stage(server: "Server", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for this test alone."""
    with _opened(server, tmp_path_factory) as opened:
        yield opened


@contextmanager
def _opened(server: "Server", folders: pytest.TempPathFactory) -> Iterator[Stage]:
    name = f"acceptance_{next(_numbers)}"
    server.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    try:
        with opened_stage(server.url(name), folders.mktemp("stage")) as stage:
            yield stage
            assert not stage.pages_checked or blank_pages(stage.engine, stage.media) == []
    finally:
        server.run(f"DROP DATABASE {name} WITH (FORCE)")

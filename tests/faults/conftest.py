"""How many seeds the simulation plays, and which; how many of the crashes are played."""

from __future__ import annotations

import pytest

CHUNKS = 4
"""The seeds are split, so that both processes of a run have work."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=200, help="how many seeds the simulation plays")
    parser.addoption("--seed", type=int, default=None, help="the one seed to play again")
    parser.addoption(
        "--one-of",
        type=int,
        default=5,
        help="plays one of so many pairs of crashes, and of crashes before a call; 1: each",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" not in metafunc.fixturenames:
        return
    one, count = metafunc.config.getoption("--seed"), metafunc.config.getoption("--seeds")
    if one is not None:
        chunks = [range(one, one + 1)]
    else:
        size = max(1, -(-count // CHUNKS))
        chunks = [range(start, min(start + size, count)) for start in range(0, count, size)]
    metafunc.parametrize("seeds", chunks, ids=lambda chunk: f"{chunk.start}-{chunk.stop - 1}")

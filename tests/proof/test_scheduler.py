"""Runs side by side: each call of a port hands over, and a history decides what happens then."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from sslops.simulate.scheduler import Killed, Run
from tests.proof.life import Life

if TYPE_CHECKING:
    from collections.abc import Callable


class Book:
    """A port that writes down what is called."""

    def __init__(self) -> None:
        """Begin empty."""
        self.lines: list[str] = []
        self.price = 7

    def read(self, line: str) -> str:
        """Write down that it was read."""
        self.lines.append(f"read {line}")
        return line

    def put(self, line: str) -> None:
        """Write a line."""
        self.lines.append(f"put {line}")


def reader(book: Book, *names: str) -> Callable[[Run], list[str]]:
    """Return what reads and then writes under each of *names*, all at once."""

    def act(run: Run) -> list[str]:
        port = run.gate(book)

        def one(name: str) -> str:
            found = port.read(name)
            port.put(name)
            return found

        return run.at_once(one, names)

    return act


def test_a_run_that_nobody_interrupts_is_played_in_one_piece() -> None:
    """It costs no thread."""
    book, before = Book(), threading.active_count()
    run = Run(reader(book, "a", "b"))
    run.finish()

    assert ["read a", "put a", "read b", "put b"] == book.lines
    assert (["a", "b"], before) == (run.result, threading.active_count())


def test_strands_of_one_run_go_on_in_any_order() -> None:
    """What is done for two hosts at once interleaves as the history says."""
    book = Book()
    run = Run(reader(book, "a", "b"))
    run.begin()

    assert ("read", "read") == run.waits_before

    for strand in (1, 1, 0, 0):
        run.go_on(strand)

    assert ["read b", "put b", "read a", "put a"] == book.lines
    assert (True, ["a", "b"]) == (run.has_ended, run.result)


def test_a_killed_run_does_nothing_more_in_any_strand() -> None:
    """Not even what it would do on its way out."""
    book = Book()

    def act(run: Run) -> None:
        port = run.gate(book)
        try:
            run.at_once(port.read, ["a", "b"])
        finally:
            port.put("on the way out")

    run = Run(act)
    run.begin()
    run.go_on()
    run.kill()

    assert ["read a"] == book.lines
    assert (True, True) == (run.has_ended, run.is_killed)


def test_what_kills_one_strand_kills_the_process() -> None:
    """A machine does not lose a host only."""
    book = Book()

    def act(run: Run) -> None:
        port = run.gate(book)

        def one(name: str) -> None:
            port.read(name)
            if name == "a":
                raise Killed
            port.put(name)

        run.at_once(one, ["a", "b"])

    run = Run(act)
    run.begin()
    run.go_on(1)
    run.go_on(0)

    assert ["read b", "read a"] == book.lines
    assert (True, True) == (run.has_ended, run.is_killed)


def test_a_bug_in_a_run_reaches_whoever_plays() -> None:
    """As it is raised, also from a strand."""

    def fail(name: str) -> None:
        raise KeyError(name)

    def act(run: Run) -> None:
        run.at_once(fail, ["a", "b"])

    run = Run(act)

    with pytest.raises(KeyError, match="a"):
        run.begin()


def test_values_of_a_port_are_just_values() -> None:
    """Only calls hand over."""
    book = Book()

    assert book.price == Run(lambda _: None).gate(book).price


def test_the_runs_of_a_history_are_the_stages_of_production() -> None:
    """A deploy that begins stops before the first thing that it writes, and then at both hosts."""
    life = Life()
    life.make_key(next(iter(life.asks)))
    life.issue(next(iter(life.asks)))
    life.run("publish")
    life.load_all()
    life.run("publish")
    life.wait(1000)
    life.run("roll")
    run = life.begin("deploy")

    assert ["write_ledger"] == [*run.waits_before]

    life.go_on(run)

    assert ["put", "put"] == [*run.waits_before]

    life.end(run)

    assert {life.curr(service) for service in life.asks} == {
        generation for name in life.host_names for generation in life.world.hosts[name].serving.values()
    }

"""Programs in machine code: threads share out lists of kernel calls among themselves.

A *program* is a list of stages, a stage a list of pieces, a piece a list of kernel calls. Each
thread has a share of the pieces of a stage, which it takes one by one, and then what is left of the
others' shares; the next stage begins when all are done. So what a thread reads is what it made in
the stage before, as a rule, which is still in its cache; and nobody waits for a thread that has not
begun.

A thread that waits for its turn in Python sleeps, and waking it takes longer than many a
contraction. So a helper stays awake in machine code for a moment after its work, and watches.

Whoever leads comes back when all helpers have left the program: no step of Python lies in between,
so nothing can interrupt him while they work on memory that he gives back afterwards.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from contractconv.engines.llvm.kernels import (
    copy_loops,
    foreign_calls,
    pooling_loops,
    product_loops,
    tile_transforms,
)
from contractconv.engines.llvm.kernels.native import Native, build

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter
    from contractconv.engines.llvm.kernels.kernel_values import Int

# The arguments of any kernel.
WIDTH = max(
    room.ARGUMENTS
    for room in (copy_loops, foreign_calls, pooling_loops, product_loops, tile_transforms)
)
# A program as one thread sees it, its head: how many stages there are, how many shares a stage has,
# which of them is its own, and the addresses of these tables: the first piece of each share, and of
# the one after the last; the first call of each piece, likewise; for each call its kernel; its
# arguments; the number of the region of memory in which each argument is an address; counters; and
# where the regions begin, the same for all threads: the first one at 0, for arguments that are no
# addresses. Then the bytes into each region at which begins what the thread has of it.
STAGES, SHARES, SHARE, PIECES, CALLS, KERNELS, ARGUMENTS, REGIONS, COUNTERS, BASES, OWN = range(11)
# A counter, alone on a line of the cache: for each stage one of the pieces that were taken of each
# share, and one of those that are done.
COUNTER = 8
# The table of a helper: the head of a program that it may take part in, how many it took part in,
# how many it took, how often it looks before it sleeps, and whether it looks. Two helpers share no
# line.
JOB, LEFT, BEGUN, PATIENCE, AWAKE, WORDS = 0, 8, 9, 10, 11, 16
# The table of a leader: how many helpers there are, the addresses of their tables and of all
# heads, its own first, and the bytes from one head to the next.
TABLES, HEADS, HELPERS, HEAD_BYTES, LEADER = range(5)


@cache
def perform() -> Native:
    """The kernel that carries out a program, given its head."""
    return build("perform", "float32", lambda e: _perform(e, e.own()), "perform")


@cache
def lead() -> Native:
    """The kernel that carries out a program together with helpers."""
    return build("lead", "float32", _write_lead, "lead")


@cache
def serve() -> Native:
    """The kernel that takes part in what a helper is given, until nothing comes for a while."""
    return build("serve", "float32", _write_serve, "serve")


def _perform(e: Emitter, head: Int) -> None:
    pieces, counters = e.entry_of(head, PIECES), e.entry_of(head, COUNTERS)
    arguments = e.scratch(WIDTH)

    shares, mine = e.entry_of(head, SHARES), e.entry_of(head, SHARE)

    def stage(which: Int) -> None:
        first = which * shares
        own = counters + which * (shares + 1) * (COUNTER * 8)
        done = own + shares * (COUNTER * 8)

        def share(turn: Int) -> None:
            number = mine + turn
            number = e.chosen(number < shares, number, number - shares)
            begin = e.entry_of(pieces, first + number)
            count = e.entry_of(pieces, first + number + 1) - begin
            counter = own + number * (COUNTER * 8)

            def another() -> tuple[object, Int]:
                taken = e.increased(counter, 0)
                return taken < count, taken

            def piece(taken: Int | None) -> None:
                assert taken is not None
                _piece(e, head, begin + taken, arguments)
                e.increased(done, 0)

            e.as_long_as(another, piece)

        e.repeat(0, shares, share)
        whole = e.entry_of(pieces, first + shares) - e.entry_of(pieces, first)
        e.as_long_as(lambda: (e.watched(done, 0) < whole, None), lambda _: e.pause())

    e.repeat(0, e.entry_of(head, STAGES), stage)


def _piece(e: Emitter, head: Int, which: Int, arguments: Int) -> None:
    """Call the kernels of a piece one after the other."""
    kind = e.function.function_type.as_pointer()
    table = e.builder.inttoptr(arguments.value, e.function.args[0].type)
    calls, kernels, given, regions, bases = (
        e.entry_of(head, n) for n in (CALLS, KERNELS, ARGUMENTS, REGIONS, BASES)
    )

    def call(n: Int) -> None:
        def fill(place: Int) -> None:
            entry = n * WIDTH + place
            region = e.byte_of(regions, entry)
            base = e.entry_of(bases, region) + e.entry_of(head, region + OWN)
            e.set_entry(arguments, place, e.entry_of(given, entry) + base)

        e.repeat(0, WIDTH, fill)
        function = e.builder.inttoptr(e.entry_of(kernels, n).value, kind)
        e.builder.call(function, [table])

    e.repeat(e.entry_of(calls, which), e.entry_of(calls, which + 1), call)


def _write_lead(e: Emitter) -> None:
    own = e.own()
    helpers, tables, heads, step = (
        e.entry_of(own, n) for n in (HELPERS, TABLES, HEADS, HEAD_BYTES)
    )

    def table(n: Int) -> Int:
        return tables + n * (WORDS * 8)

    e.repeat(0, helpers, lambda n: e.announce(table(n), JOB, heads + step * (n + 1)))
    _perform(e, heads)

    def dismiss(n: Int) -> None:
        # What it has not taken yet it shall not take any more.
        missed = e.exchanged(table(n), JOB, 0)
        with e.builder.if_then(missed.equals(0)):
            e.set_entry(table(n), BEGUN, e.entry_of(table(n), BEGUN) + 1)

    e.repeat(0, helpers, dismiss)
    e.repeat(0, helpers, lambda n: _wait(e, table(n)))


def _wait(e: Emitter, table: Int) -> None:
    """Wait for a helper to leave what it has begun, in which nothing is left to do by then."""

    def test() -> tuple[object, None]:
        return e.watched(table, LEFT) < e.entry_of(table, BEGUN), None

    e.as_long_as(test, lambda _: e.pause())


def _write_serve(e: Emitter) -> None:
    own, looks = e.own(), e.scratch(1)
    patience = e.entry_of(own, PATIENCE)
    e.set_entry(looks, 0, patience)
    e.announce(own, AWAKE, e.whole(1))

    def test() -> tuple[object, None]:
        left = e.entry_of(looks, 0) - 1
        e.set_entry(looks, 0, left)
        return left >= 0, None

    def look(_: Int | None) -> None:
        e.when(e.watched(own, JOB).equals(0), e.pause, take)

    def take() -> None:
        job = e.exchanged(own, JOB, 0)
        with e.builder.if_then(e.builder.not_(job.equals(0))):
            _perform(e, job)
            e.increased(own, LEFT)
            e.set_entry(looks, 0, patience)

    e.as_long_as(test, look)
    # Whoever leads sees it at once, and not when Python's lock is free again: he would go on alone.
    e.announce(own, AWAKE, e.whole(0))
    look(None)

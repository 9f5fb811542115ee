"""Handing work from thread to thread without Python: a word in memory says that there is some.

A thread that waits for its turn in Python sleeps, and waking it takes longer than many a
contraction. So a helper stays awake in machine code for a moment after its work, and watches.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from contractconv.kernels.native import Native, build
from contractconv.kernels.transforms import call_each

if TYPE_CHECKING:
    from contractconv.kernels.emitter import Emitter

# Places in the table of a helper: how many jobs it was given, how many it has done, the job (how
# many calls, the addresses of the functions and of their tables), and how often it looks again.
GIVEN, DONE, COUNT, FUNCTIONS, TABLES, PATIENCE = range(6)
# Two helpers share no line of the cache.
WORDS = 16


@cache
def serve() -> Native:
    """The kernel that does what a helper is given, until nothing comes for a while."""
    return build("serve", "float32", _write_serve, "serve")


@cache
def give() -> Native:
    """The kernel that gives one more job to a helper."""
    return build("give", "float32", _write_give, "give")


@cache
def wait() -> Native:
    """The kernel that waits for a helper to be done, but not for ever."""
    return build("wait", "float32", _write_wait, "wait")


def _write_serve(e: Emitter) -> None:
    b, patience = e.builder, e.argument(PATIENCE)
    seen = e.watched(DONE)
    before = b.block
    head, look, work, idle, after = (
        e.function.append_basic_block(name) for name in ("head", "look", "work", "idle", "after")
    )
    b.branch(head)
    b.position_at_end(head)
    left, last = b.phi(patience.value.type), b.phi(seen.value.type)
    b.cbranch(b.icmp_signed(">", left, e.whole(0).value), look, after)
    b.position_at_end(look)
    given = e.watched(GIVEN)
    b.cbranch(b.icmp_signed("!=", given.value, last), work, idle)
    b.position_at_end(work)
    call_each(e, *(e.watched(place) for place in (COUNT, FUNCTIONS, TABLES)))
    e.announce(DONE, given)
    worked = b.block
    b.branch(head)
    b.position_at_end(idle)
    e.pause()
    fewer = b.sub(left, e.whole(1).value)
    b.branch(head)
    for phi, values in (
        (left, ((patience.value, before), (patience.value, worked), (fewer, idle))),
        (last, ((seen.value, before), (given.value, worked), (last, idle))),
    ):
        for value, block in values:
            phi.add_incoming(value, block)
    b.position_at_end(after)


def _write_give(e: Emitter) -> None:
    e.announce(GIVEN, e.watched(GIVEN) + 1)


def _write_wait(e: Emitter) -> None:
    b, given, patience = e.builder, e.watched(GIVEN), e.argument(PATIENCE)
    before = b.block
    head, again, after = (e.function.append_basic_block(n) for n in ("head", "again", "after"))
    b.branch(head)
    b.position_at_end(head)
    left = b.phi(patience.value.type)
    waiting = b.icmp_signed("!=", e.watched(DONE).value, given.value)
    more = b.and_(waiting, b.icmp_signed(">", left, e.whole(0).value))
    b.cbranch(more, again, after)
    b.position_at_end(again)
    e.pause()
    fewer = b.sub(left, e.whole(1).value)
    b.branch(head)
    left.add_incoming(patience.value, before)
    left.add_incoming(fewer, again)
    b.position_at_end(after)

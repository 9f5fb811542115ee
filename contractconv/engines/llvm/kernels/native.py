"""From LLVM's intermediate representation to functions, kept on disk for the next process."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from contractconv import disk_cache, notices
from contractconv.engines.llvm.kernels import self_check
from contractconv.engines.llvm.kernels.number_kinds import Number
from contractconv.machine.processor import is_arm
from contractconv.uninterrupted import enter, hold_while_forking, undisturbed

if TYPE_CHECKING:
    from contractconv.engines.llvm.kernels.emitter import Emitter

Native = Callable[[int], None]
Writer = Callable[["Emitter"], None]

_lock = threading.RLock()  # for what is built, one after the other
_known: dict[bytes, Native] = {}  # by the digest of its code
# Why no kernel can be made or run in this process; empty where llvmlite is not installed.
_obstacle: str | None = None
_tried = False


class UnfitError(Exception):
    """A kernel could not be made or loaded; from now on none is available."""


def available() -> bool:
    """Whether kernels can be compiled and run here, and are not switched off.

    The first who asks tries a tiny one. If llvmlite is installed but no kernel comes of it, a line
    on stderr says why.
    """
    if os.environ.get("CONTRACTCONV_KERNELS", "llvm") != "llvm":
        return False
    if not _tried:
        undisturbed(_try)
    return _obstacle is None


def _try() -> None:
    global _tried  # noqa: PLW0603 - a process is tried once
    with _lock:
        if not _tried:
            _refuse(_found_obstacle())
            _tried = True


def _refuse(reason: str | None) -> None:
    global _obstacle  # noqa: PLW0603
    _obstacle = reason
    if reason:
        notices.say("kernels", f"numpy does what kernels would do, only slower: {reason}")


def _found_obstacle() -> str | None:
    try:
        if _llvm() is None:
            return ""
        kernel = _made("trial", "float32", self_check.write, "trial", aloud=False)
        return (
            None
            if self_check.holds(kernel, number("float32").lanes)
            else "a kernel gave wrong sums"
        )
    except UnfitError as error:
        return str(error)
    except Exception as error:  # whatever is broken
        return _reason(error)


def _reason(error: Exception) -> str:
    return f"llvmlite does not work here ({type(error).__name__}: {error})"[:400]


@functools.cache
def _llvm() -> Any:
    try:
        enter("llvmlite.binding")
        from llvmlite import binding
    except ModuleNotFoundError as error:
        if error.name == "llvmlite":
            return None
        raise
    # Wherever its objects are let go, the compiler's own lock is taken.
    lock = binding.ffi.lib._lock
    hold_while_forking(lock.__enter__, lock.__exit__)
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@functools.cache
def _features() -> dict[str, bool]:
    try:
        return dict(_llvm().get_host_cpu_features())
    except RuntimeError:  # LLVM may know a processor by its name alone
        return {}


@functools.cache
def _processor() -> tuple[str, str]:
    """The processor's name, and what it has and has not."""
    features = (f"{'+' if has else '-'}{name}" for name, has in sorted(_features().items()))
    return _llvm().get_host_cpu_name(), ",".join(features)


def _machine() -> Any:
    """A target machine, to be used once: an engine owns the one that it is made with."""
    llvm = _llvm()
    name, features = _processor()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, opt=3, jit=True, reloc="default"
    )


@functools.cache
def registers() -> tuple[int, int]:
    """How many vector registers there are, and the bytes of one."""
    features = _features()
    if features.get("avx512f"):
        return 32, 64
    if features.get("avx2") or features.get("avx"):
        return 16, 32
    return (32, 16) if is_arm() else (16, 16)


def converts_halves() -> bool:
    """Whether the processor converts numbers of half precision; if not, a library would have to."""
    return is_arm() or any(_features().get(name, False) for name in ("f16c", "avx512f"))


def number(dtype: str) -> Number:
    """Numbers of this dtype in this machine's vectors."""
    return Number(dtype, registers()[1] // (4 if dtype == "float32" else 8))


def build(name: str, dtype: str, write: Writer, identity: object) -> Native:
    """Return a kernel, from the cache on disk if it has been compiled before.

    Args:
        identity: everything the body depends on, beside the sources of this package.

    Returns:
        A function of the address of a table of 64-bit integers; it runs without Python's lock.
    """
    return undisturbed(lambda: _built(name, dtype, write, identity))


def _built(name: str, dtype: str, write: Writer, identity: object) -> Native:
    with _lock:
        try:
            return _made(name, dtype, write, identity)
        except UnfitError as error:
            # What could be done when it was tried may be forbidden by now.
            _refuse(str(error))
            raise


def _made(name: str, dtype: str, write: Writer, identity: object, *, aloud: bool = True) -> Native:
    if not self_check.may_execute():
        raise UnfitError("this process may not make memory executable")
    key = _key(name, dtype, identity)
    code = disk_cache.kept(key)
    if code is None:
        if aloud:
            _tell()
        text = _written(name, dtype, write)
        with _by_llvm():
            code = _compiled(text)
        disk_cache.keep(key, code)
    with _by_llvm():
        return _loaded(name, code)


@contextmanager
def _by_llvm() -> Iterator[None]:
    """What the compiler cannot do is no fault of what was asked of it."""
    try:
        yield
    except (RuntimeError, OSError, AttributeError) as error:
        raise UnfitError(_reason(error)) from error


def _key(name: str, dtype: str, identity: object) -> str:
    parts = (name, dtype, repr(identity), *_fingerprint())
    return f"{name}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}.o"


@functools.cache
def _fingerprint() -> tuple[str, ...]:
    """What machine code depends on: the processor, the compiler, and what writes the kernels."""
    llvm = _llvm()
    import llvmlite

    rooms = sys.modules[__name__.rpartition(".")[0]].__path__
    writers = (f"{__package__}.{module.name}" for module in pkgutil.iter_modules(rooms))
    compiler = f"{llvmlite.__version__} {llvm.llvm_version_info}"
    return compiler, *_processor(), llvm.get_default_triple(), disk_cache.code_of(writers)


def _written(name: str, dtype: str, write: Writer) -> str:
    from contractconv.engines.llvm.kernels.emitter import Emitter

    emitter = Emitter(name, number(dtype))
    write(emitter)
    return emitter.finish()


def _compiled(text: str) -> bytes:
    llvm, machine = _llvm(), _machine()
    module = llvm.parse_assembly(text)
    module.triple = llvm.get_default_triple()
    module.verify()
    # Loops are written as they shall run: neither vectorised nor unrolled a second time.
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    code: bytes = machine.emit_object(module)
    return code


@functools.cache
def _tell() -> None:
    """Say, once for a machine, why the first contractions take so long."""
    machine = hashlib.sha256(repr(_processor()).encode()).hexdigest()[:16]
    if disk_cache.first(f"told-{machine}"):
        notices.say("compiling", "compiling kernels for this machine (once)")


def _loaded(name: str, code: bytes) -> Native:
    """The function that some code is, which is loaded once; it is never given back."""
    digest = hashlib.sha256(code).digest()
    if digest not in _known:
        _known[digest] = _load(name, code)
    return _known[digest]


def _load(name: str, code: bytes) -> Native:
    llvm = _llvm()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(name)
    if not address:
        raise RuntimeError(f"what was compiled has no function {name}")
    # Machine code stays where it is as long as the process lives: whoever has its address may keep
    # it, and a thread may run it while the interpreter ends.
    engine.detach()
    function: Native = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)
    return function


def _after_fork() -> None:
    # The thread that held the lock, if one did, is not in the child.
    global _lock  # noqa: PLW0603
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

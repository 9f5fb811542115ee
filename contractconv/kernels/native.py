"""From LLVM's intermediate representation to functions, kept on disk for the next process."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contractconv import cache
from contractconv.aside import enter, hold_while_forking, undisturbed
from contractconv.kernels.number import Number

if TYPE_CHECKING:
    from contractconv.kernels.emitter import Emitter

Native = Callable[[int], None]
Writer = Callable[["Emitter"], None]

_lock = threading.RLock()  # for what is built, one after the other
_known: dict[bytes, Native] = {}  # by the digest of its code
_told = False


def available() -> bool:
    """Whether kernels can be compiled: llvmlite is installed and they are not switched off."""
    if os.environ.get("CONTRACTCONV_KERNELS", "llvm") != "llvm":
        return False
    return _llvm() is not None


@functools.cache
def _llvm() -> Any:
    try:
        enter("llvmlite.binding")
        from llvmlite import binding
    except ImportError:
        return None
    # Wherever its objects are let go, the compiler's own lock is taken.
    lock = binding.ffi.lib._lock
    hold_while_forking(lock.__enter__, lock.__exit__)
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


def _machine() -> Any:
    """A target machine, to be used once: an engine owns the one that it is made with."""
    llvm = _llvm()
    target = llvm.Target.from_default_triple()
    features = llvm.get_host_cpu_features().flatten()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True, reloc="default"
    )


@functools.cache
def registers() -> tuple[int, int]:
    """How many vector registers there are, and the bytes of one."""
    features = _llvm().get_host_cpu_features()
    if features.get("avx512f"):
        return 32, 64
    if features.get("avx2") or features.get("avx"):
        return 16, 32
    return (32, 16) if "neon" in features or sys.platform == "darwin" else (16, 16)


def number(dtype: str) -> Number:
    """Numbers of this dtype in this machine's vectors."""
    return Number(dtype, registers()[1] // (4 if dtype == "float32" else 8))


def build(name: str, dtype: str, write: Writer, identity: object) -> Native:
    """Return a kernel, from the cache on disk if it has been compiled before.

    Args:
        name: the name of its function.
        dtype: ``"float32"`` or ``"float64"``.
        write: writes the body of the function.
        identity: everything the body depends on, beside the sources of this package.

    Returns:
        A function of the address of a table of 64-bit integers; it runs without Python's lock.
    """
    return undisturbed(lambda: _built(name, dtype, write, identity))


def _built(name: str, dtype: str, write: Writer, identity: object) -> Native:
    with _lock:
        key = _key(name, dtype, identity)
        code = cache.kept(key)
        if code is None:
            code = _compiled(name, dtype, write)
            cache.keep(key, code)
        return _loaded(name, code)


def _key(name: str, dtype: str, identity: object) -> str:
    parts = (name, dtype, repr(identity), *_fingerprint())
    return f"{name}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}.o"


@functools.cache
def _fingerprint() -> tuple[str, ...]:
    """What machine code depends on: the processor, the compiler, and what writes the kernels."""
    llvm = _llvm()
    import llvmlite

    sources = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        sources.update(path.read_bytes())
    processor = llvm.get_host_cpu_name() + llvm.get_host_cpu_features().flatten()
    return llvmlite.__version__, processor, llvm.get_default_triple(), sources.hexdigest()


def _compiled(name: str, dtype: str, write: Writer) -> bytes:
    from contractconv.kernels.emitter import Emitter

    _tell()
    llvm = _llvm()
    emitter = Emitter(name, number(dtype))
    write(emitter)
    machine = _machine()
    module = llvm.parse_assembly(emitter.finish())
    module.triple = llvm.get_default_triple()
    module.verify()
    # Loops are written as they shall run: neither vectorised nor unrolled a second time.
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    code: bytes = machine.emit_object(module)
    return code


def _tell() -> None:
    global _told  # noqa: PLW0603 - one notice for a process
    if not _told:
        _told = True
        print("contractconv: compiling kernels for this machine (once)", file=sys.stderr)


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

"""Words of memory that two threads may touch at once, and waiting for them, for compiled kernels."""

# mypy: disable-error-code="no-untyped-def"

import os
import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, extending, types  # type: ignore[attr-defined]
from numba.core import cgutils

intrinsic: Any = extending.intrinsic
_word = ir.IntType(64)
# What tells the core that the thread waits, so that its twin gets the execution units.
_hint = {"x86_64": "llvm.x86.sse2.pause", "AMD64": "llvm.x86.sse2.pause"}.get(platform.machine())


def _place(builder, args):
    return builder.inttoptr(args[0], _word.as_pointer())


@intrinsic
def load(typingctx, address):
    """Return the word at `address`; what its writer wrote before it is seen too."""

    def code(context, builder, signature, args):
        return builder.load_atomic(_place(builder, args), "acquire", 8)

    return types.int64(types.uintp), code


@intrinsic
def store(typingctx, address, value):
    """Write the word at `address`, after all that was written before."""

    def code(context, builder, signature, args):
        builder.store_atomic(args[1], _place(builder, args), "release", 8)
        return context.get_dummy_value()

    return types.void(types.uintp, types.int64), code


@intrinsic
def add(typingctx, address, value):
    """Add to the word at `address`; return what it was."""

    def code(context, builder, signature, args):
        return builder.atomic_rmw("add", _place(builder, args), args[1], "seq_cst")

    return types.int64(types.uintp, types.int64), code


@intrinsic
def swap(typingctx, address, old, new):
    """Write `new` to the word at `address` if it is `old`; return whether it was."""

    def code(context, builder, signature, args):
        found = builder.cmpxchg(_place(builder, args), args[1], args[2], "seq_cst", "seq_cst")
        return builder.extract_value(found, 1)

    return types.boolean(types.uintp, types.int64, types.int64), code


@intrinsic
def pause(typingctx):
    """Wait for a few cycles."""

    def code(context, builder, signature, args):
        if _hint:
            hint = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), []), _hint)
            builder.call(hint, [])
        return context.get_dummy_value()

    return types.void(), code


@intrinsic
def give_way(typingctx):
    """Let another thread have the core, if one waits for it (a system call)."""

    def code(context, builder, signature, args):
        if hasattr(os, "sched_yield"):
            function = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, function, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), code


@intrinsic
def core(typingctx):
    """Return the number of the core that this thread is on, -1 where one cannot know."""

    def code(context, builder, signature, args):
        if not hasattr(os, "sched_setaffinity"):
            return ir.Constant(ir.IntType(32), -1)
        function = ir.FunctionType(ir.IntType(32), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, function, "sched_getcpu"), [])

    return types.int32(), code


@intrinsic
def jump(typingctx, trampoline, function, block, start, stop, share):
    """Call a trampoline: see `npgan.backend.entries`."""

    def code(context, builder, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [_word, _word.as_pointer(), _word, _word, _word])
        target, function, block, *numbers = args
        block = builder.inttoptr(block, _word.as_pointer())
        builder.call(builder.inttoptr(target, kind.as_pointer()), [function, block, *numbers])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), code


@intrinsic
def _pointer(typingctx, address):
    def code(context, builder, signature, args):
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.uintp), code


def array_at(address, size, like):
    """Return the array of `size` elements at `address`, of the dtype of the array `like`."""
    raise NotImplementedError("for compiled code only")


@extending.overload(array_at, inline="always")
def _array_at(address, size, like):
    dtype = np.dtype(str(like.dtype))

    def found(address, size, like):
        return carray(_pointer(address), (size,), dtype)

    return found

"""Calls of compiled kernels from compiled code: where a kernel is, and a trampoline to it.

numba compiles a kernel to a function of flattened arguments: an array is seven words or more, a tuple its elements. A
trampoline has the five arguments that all have in common,

    function, block, start, stop, share

loads the kernel's own from a block of words, and calls it. The first word of the block is where the number goes that
the kernel returns. There is one trampoline for each list of types, and it takes a millisecond to compile.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.compiler_lock import global_compiler_lock

from npgan.backend.recording import CannotRecordError

_word, _real, _byte = ir.IntType(64), ir.DoubleType(), ir.IntType(8)
_TYPE = ir.FunctionType(ir.VoidType(), [_word, _word.as_pointer(), _word, _word, _word])


class Entry(NamedTuple):
    """A kernel compiled for some types of arguments.

    Attributes
    ----------
    address : int
        Of its function.
    context, arguments, result : object
        numba's: what it was compiled by, the types.
    """

    address: int
    context: Any
    arguments: tuple[Any, ...]
    result: Any


def entry_of(compiled: Any, arguments: tuple[Any, ...]) -> Entry:
    """Return a kernel for arguments of these types; it is compiled where it has not been called with them yet."""
    if arguments not in compiled.overloads:
        compiled.compile(arguments)
    found = compiled.overloads[arguments]
    if found.signature.return_type not in (types.none, types.float64):
        raise CannotRecordError(f"the kernel {compiled.__name__} returns {found.signature.return_type}")
    address = found.library.get_pointer_to_function(found.fndesc.llvm_func_name)
    return Entry(int(address), found.target_context, arguments, found.signature.return_type)


def words_of(kind: Any, value: Any) -> list[int]:
    """Return an argument of that numba type as the words that it is passed in."""
    if isinstance(kind, types.Array):
        return [0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides]
    if isinstance(kind, types.BaseTuple):
        kinds: Any = kind
        return [word for each, element in zip(kinds, value, strict=True) for word in words_of(each, element)]
    if isinstance(kind, types.NoneType):
        return [0]
    if isinstance(kind, types.Boolean | types.Integer):
        return [int(np.int64(np.uint64(int(value) & 0xFFFFFFFFFFFFFFFF)))]
    if kind is types.float64:
        return [int(struct.unpack("q", struct.pack("d", value))[0])]
    if kind is types.float32:
        return [int(struct.unpack("i", struct.pack("f", value))[0])]
    raise CannotRecordError(f"a kernel takes a {kind}")


class Trampolines:
    """Those of one step, compiled together."""

    def __init__(self) -> None:
        self._names: dict[Any, str] = {}
        self._entries: dict[str, tuple[Entry, int, tuple[int, ...]]] = {}

    def name(self, entry: Entry, leading: int, indirect: tuple[int, ...]) -> str:
        """Return the name of the trampoline to an entry.

        Parameters
        ----------
        entry : Entry
        leading : int
            How many of start, stop and share are the kernel's first arguments.
        indirect : tuple of int
            The words whose place in the block has the address of a float64 that is the argument.
        """
        kind = entry.context.call_conv.get_function_type(entry.result, entry.arguments)
        key = str(kind), str(entry.result), leading, indirect
        if key not in self._names:
            self._names[key] = f"npgan_step_{len(self._names)}"
            self._entries[self._names[key]] = entry, leading, indirect
        return self._names[key]

    def compile(self) -> tuple[dict[str, int], Any]:
        """Return the addresses by name, and what must be kept as long as they are called."""
        with global_compiler_lock:
            return self._compile()

    def _compile(self) -> tuple[dict[str, int], Any]:
        if not self._entries:
            return {}, None
        context = next(iter(self._entries.values()))[0].context
        library = context.codegen().create_library("npgan_step")
        module = library.create_ir_module("npgan_step")
        for name, (entry, leading, indirect) in self._entries.items():
            _emit(module, name, entry, leading, indirect)
        library.add_ir_module(module)
        library.finalize()
        return {name: int(library.get_pointer_to_function(name)) for name in self._entries}, library


def _emit(module: Any, name: str, entry: Entry, leading: int, indirect: tuple[int, ...]) -> None:
    kind = entry.context.call_conv.get_function_type(entry.result, entry.arguments)
    function = ir.Function(module, _TYPE, name)
    target, block, *numbers = function.args
    builder = ir.IRBuilder(function.append_basic_block())

    def load(place: int) -> Any:
        return builder.load(builder.gep(block, [ir.Constant(_word, place)]))

    result, problem, *wanted = kind.args
    to = builder.alloca(result.pointee) if entry.result is types.none else builder.inttoptr(load(0), result)
    given = [to, builder.alloca(problem.pointee), *numbers[:leading]]
    for place, argument in enumerate(wanted[leading:], 1):
        word = load(place)
        if place in indirect:
            word = builder.load(builder.inttoptr(word, _real.as_pointer()))
            given.append(word if argument == _real else builder.fptosi(word, argument))
        elif isinstance(argument, ir.PointerType):
            given.append(builder.inttoptr(word, argument))
        elif argument == _real:
            given.append(builder.bitcast(word, argument))
        elif isinstance(argument, ir.FloatType):
            given.append(builder.bitcast(builder.trunc(word, ir.IntType(32)), argument))
        else:
            given.append(word if argument == _word else builder.trunc(word, argument))
    builder.call(builder.inttoptr(target, kind.as_pointer()), given)
    builder.ret_void()

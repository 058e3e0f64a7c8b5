"""Which worker the next connection goes to, as a program that the kernel runs for every one. Pure.

The kernel spreads the connections of a shared port by a hash of their addresses: of 16 connections 11 or more land
on one of two workers every fifth time. A classic BPF program may choose instead (`SO_ATTACH_REUSEPORT_CBPF`,
socket(7)): it returns the place of a listening socket in its group. It has no memory, so it is written anew
whenever the counts change, to choose among the workers that hold the fewest connections.
"""

import struct
from collections.abc import Sequence

# linux/filter.h and linux/bpf_common.h: code, jump if true, jump if false, constant.
Instruction = tuple[int, int, int, int]
_LOAD_BYTE, _LOAD_HALF = 0x30, 0x28
_AND, _SHIFT_RIGHT, _DIVIDE, _REMAINDER = 0x54, 0x74, 0x34, 0x94
_JUMP, _JUMP_IF_EQUAL, _RETURN = 0x05, 0x15, 0x06
_NETWORK_HEADER = (-0x100000) & 0xFFFFFFFF
_IPV6, _PORT_IN_IPV4, _PORT_IN_IPV6 = 0x60, 20, 40
# Linux gives the connections of one client source ports that rise by 2 to 16: blocks of 8 alternate more evenly
# between workers than chance would.
_HALF, _BLOCK = 1, 4


def aimed(counts: Sequence[int], *, in_a_rush: bool = False) -> list[int]:
    """The places among which the next connection is spread: those with the fewest.

    In a rush all of them: connections come faster than they are counted, and would all go to the same one.
    """
    if in_a_rush:
        return list(range(len(counts)))
    fewest = min(counts)
    # With many connections one more or less is nothing, and needs no aim.
    near = fewest + (sum(counts) // len(counts)) // 10
    return [place for place, count in enumerate(counts) if count <= near]


def program(places: Sequence[int]) -> bytes:
    """A `struct sock_filter[]` that spreads connections over these places by their source port."""
    choices: list[Instruction] = []
    for number, place in enumerate(places[:-1]):
        choices += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, place)]
    code: list[Instruction] = [
        (_LOAD_BYTE, 0, 0, _NETWORK_HEADER),
        (_AND, 0, 0, 0xF0),
        (_JUMP_IF_EQUAL, 0, 2, _IPV6),
        (_LOAD_HALF, 0, 0, _NETWORK_HEADER + _PORT_IN_IPV6),
        (_JUMP, 0, 0, 1),
        (_LOAD_HALF, 0, 0, _NETWORK_HEADER + _PORT_IN_IPV4),
        (_SHIFT_RIGHT, 0, 0, _HALF),
        (_DIVIDE, 0, 0, _BLOCK),
        (_REMAINDER, 0, 0, len(places)),
        *choices,
        (_RETURN, 0, 0, places[-1]),
    ]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def removed(order: Sequence[int], gone: int) -> list[int]:
    """The group without one member, as the kernel closes the gap: the last one takes its place."""
    places = list(order)
    place = places.index(gone)
    last = places.pop()
    if place < len(places):
        places[place] = last
    return places

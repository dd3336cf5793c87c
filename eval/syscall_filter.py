"""The system calls that a program in the sandbox is refused, as a classic BPF program for ``bwrap --seccomp``.

It is the second line: namespaces and limits come first. It closes what they leave open: memory outside RLIMIT_AS
(System V segments, memfd, io_uring), reading another process of the same user (ptrace, process_vm_readv, pidfd_getfd),
new namespaces, kernel keys. Numbers are of the kernel's tables for x86-64 and aarch64; elsewhere there is no sandbox.
"""

from __future__ import annotations

import errno
import struct

_X86, _ARM = 0, 1
REFUSED: dict[str, tuple[int, int]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "io_uring_setup": (425, 425),
    "userfaultfd": (323, 282),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
}
_CLONE = (56, 220)
_CLONE3 = (435, 435)  # its flags are behind a pointer: unknown to it, libc takes clone
_NEW_NAMESPACE = 0x7E020000 | 0x00000080  # CLONE_NEW*: cgroup, uts, ipc, user, pid, net; mount; time
_MACHINES = {"x86_64": (_X86, 0xC000003E), "aarch64": (_ARM, 0xC00000B7)}
_X32 = 0x40000000  # x86-64 calls of the x32 table

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _MACHINE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16  # in struct seccomp_data, little-endian


def known(machine: str) -> bool:
    """Whether there is a table for a machine, by ``platform.machine()``'s name."""
    return machine in _MACHINES


def syscall_filter(machine: str) -> bytes:
    """Return the filter for a machine: an array of ``struct sock_filter``."""
    column, audit = _MACHINES[machine]
    refuse = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    absent = (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)
    steps = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_EQUAL, 1, 0, audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _X32),
        absent,
    ]
    for numbers in REFUSED.values():
        steps += [(_EQUAL, 0, 1, numbers[column]), refuse]
    steps += [(_EQUAL, 0, 1, _CLONE3[column]), absent]
    steps += [
        (_EQUAL, 0, 3, _CLONE[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_ANY_BIT, 0, 1, _NEW_NAMESPACE),
        refuse,
    ]
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *step) for step in steps)

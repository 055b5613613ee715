"""Which calls of the system a notebook's processes may make: a filter that the Linux kernel runs (seccomp).

What no notebook needs is denied, most of all what other graders were broken out of by: namespaces and mounts, tracing,
io_uring, userfaultfd, bpf, keys, modules, odd kinds of sockets. So is memory that belongs to no process, which no limit
on processes sees (memfd, System V, shared mappings without a file; files below /dev/shm are there for all that). What
is newer than this list does not exist here. The program is small enough to be written down as instructions.
"""

import ctypes
import errno
import platform
import struct
from collections.abc import Mapping

NEWEST = 462  # mseal; numbers from 424 on are the same everywhere
NUMBERS = {  # (x86-64, aarch64); -1: not there
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "setns": (308, 268),
    "unshare": (272, 97),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "userfaultfd": (323, 282),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "sched_setaffinity": (203, 122),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "acct": (163, 89),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "lookup_dcookie": (212, 18),
    "iopl": (172, -1),
    "ioperm": (173, -1),
    "modify_ldt": (154, -1),
    "uselib": (134, -1),
}
# Those that are looked at more closely.
CLONE, CLONE3 = (56, 220), (435, 435)
SOCKET, SOCKETPAIR = (41, 198), (53, 199)
MMAP, PERSONALITY, IOCTL, SECCOMP = (9, 222), (135, 92), (16, 29), (317, 277)
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # (column above, its name in a filter)

NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
SHARED_WITHOUT_FILE = 0x21  # MAP_SHARED | MAP_ANONYMOUS
Families = Mapping[int, int | None]  # {family of sockets: the one protocol that is allowed, None for all}
FAMILIES: Families = {
    1: None,
    2: None,
    10: None,
    16: 0,
}  # UNIX, INET, INET6, NETLINK: of that only ROUTE, which names interfaces
PERSONALITIES = (0, 0xFFFFFFFF)  # the usual one, and the question which it is
TYPE_INTO_TERMINAL = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

LOAD, EQUAL, GREATER, AND, RETURN = 0x20, 0x15, 0x25, 0x54, 0x06
ALLOW, ERROR = 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # where they stand in what a filter sees
SET_FILTER, KEEP_SPEED = 1, 4  # of seccomp(2): without the second, old kernels slow all arithmetic down


def install(families: Families = FAMILIES) -> None:
    """Put the filter on this process, and on all that it will start. families: of sockets. Raises OSError."""
    instructions = program(platform.machine(), families)
    code = ctypes.create_string_buffer(b"".join(instructions))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    column, _ = ARCHITECTURES[platform.machine()]
    if libc.syscall(ctypes.c_long(SECCOMP[column]), SET_FILTER, KEEP_SPEED, header):
        raise OSError(ctypes.get_errno(), "the filter of system calls was refused (seccomp)")


def program(machine: str, families: Families = FAMILIES) -> list[bytes]:
    """The filter's instructions. Raises OSError for a processor whose numbers are not known."""
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no filter of system calls is known for {machine}, only for x86_64 and aarch64")
    column, name = ARCHITECTURES[machine]
    clone = [_argument(0), _step(AND, NAMESPACES), *_if(EQUAL, 0, [_ALLOW]), *_refuse(errno.EPERM)]
    is_shared = _if(EQUAL, SHARED_WITHOUT_FILE, _refuse(errno.EPERM))
    types_into_terminal = [step for request in TYPE_INTO_TERMINAL for step in _if(EQUAL, request, _refuse(errno.EPERM))]
    looked_at = {
        CLONE: clone,
        MMAP: [_argument(3), _step(AND, SHARED_WITHOUT_FILE), *is_shared, _ALLOW],
        PERSONALITY: _one_of(0, PERSONALITIES, errno.EPERM),
        IOCTL: [_argument(1), *types_into_terminal, _ALLOW],
        SOCKET: _families(families),
        SOCKETPAIR: _families(families),
    }
    steps = [
        _load(ARCHITECTURE),
        *_unless(EQUAL, name, _refuse(errno.ENOSYS)),  # 32-bit programs have other numbers
        _load(NUMBER),
        *_if(GREATER, NEWEST, _refuse(errno.ENOSYS)),  # the x32 ones, over 2^30, too
        *_if(EQUAL, CLONE3[column], _refuse(errno.ENOSYS)),  # its flags are out of sight; libc takes clone instead
    ]
    for number in (numbers[column] for numbers in NUMBERS.values() if numbers[column] >= 0):
        steps += _if(EQUAL, number, _refuse(errno.EPERM))
    for call, closer_look in looked_at.items():
        steps += _if(EQUAL, call[column], closer_look)
    return [*steps, _ALLOW]


def _families(families: Families) -> list[bytes]:
    steps = [_argument(0)]
    for family, protocol in families.items():
        known = [_ALLOW] if protocol is None else _one_of(2, (protocol,), errno.EAFNOSUPPORT)
        steps += _if(EQUAL, family, known)
    return [*steps, *_refuse(errno.EAFNOSUPPORT)]


def _one_of(argument: int, values: tuple[int, ...], error: int) -> list[bytes]:
    return [_argument(argument), *(i for v in values for i in _if(EQUAL, v, [_ALLOW])), *_refuse(error)]


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """One instruction: jumps are counted from the next one."""
    return struct.pack("HBBI", code, then, otherwise, value)


_ALLOW = _step(RETURN, ALLOW)


def _refuse(error: int) -> list[bytes]:
    return [_step(RETURN, ERROR | error)]


def _load(place: int) -> bytes:
    return _step(LOAD, place)


def _argument(number: int) -> bytes:
    """Its lower half, which comes first on both processors; all that is asked for here stands in that."""
    return _load(ARGUMENTS + 8 * number)


def _if(test: int, value: int, do: list[bytes]) -> list[bytes]:
    return [_step(test, value, 0, len(do)), *do]


def _unless(test: int, value: int, do: list[bytes]) -> list[bytes]:
    return [_step(test, value, len(do), 0), *do]

"""Becomes another program that has no root rights and is told to stop when its starter ends.

Run by path in a process of its own (`python -I -S die_with_starter.py STARTER UID GID PROGRAM ARGS...`), because
the wish to be told must be made between fork and exec, where a process with threads must not run Python.
It imports nothing of ours: that keeps it at about 20 ms. Elsewhere than on Linux the program is not told;
the next start finds it and ends it (see leftovers.py).
"""

import ctypes
import os
import signal
import sys

# prctl(2): the signal a process gets when the thread that started it ends.
PR_SET_PDEATHSIG = 1


def become(starter: int, uid: int, gid: int, program: list[str]) -> None:
    """Never returns: this process is `program` afterwards, running as `uid` and `gid`."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and an ignored signal outlives exec
    if sys.platform == "linux":
        # Only after the change of user: the kernel forgets the wish when credentials change.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != starter:  # it ended before the wish was made, so no signal will come
            sys.exit("the process that wanted this server has ended")
    os.execv(program[0], program)  # noqa: S606 - no shell: that is the point


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])

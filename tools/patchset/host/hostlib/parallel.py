# SPDX-License-Identifier: GPL-2.0-only
"""Work that goes on side by side, mostly in children of this process."""

import contextlib
import os
import queue
import signal
import threading
import time
from pathlib import Path

POLL = 0.2


def _end_children():
    """Those of all threads; they may end by themselves meanwhile."""
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in listed.read_text(encoding="ascii").split():
                os.kill(int(child), signal.SIGTERM)


def _call(job, ended):
    try:
        job()
    except BaseException as failure:
        ended.put(failure)
    else:
        ended.put(None)


def run(jobs, giving_up=None):
    """Calls all functions, each in a thread, and waits for them.

    What the first one to fail raises ends the others: the event is set, and the
    children that they wait for are ended, until they have given up.  So does what
    interrupts this thread.
    """
    ended = queue.SimpleQueue()
    threads = [threading.Thread(target=_call, args=(job, ended))
               for job in jobs]
    try:
        for thread in threads:
            thread.start()
        for _ in threads:
            failure = ended.get()
            if failure:
                raise failure
    except BaseException:
        if giving_up:
            giving_up.set()
        while any(thread.is_alive() for thread in threads):
            _end_children()
            time.sleep(POLL)
        raise

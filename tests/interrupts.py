"""An interrupt as Ctrl-C sends it, for tests of long calls."""

import contextlib
import os
import signal
import threading
import time


@contextlib.contextmanager
def interrupt_soon():
    """Interrupt what runs in the block, half a second after its beginning."""

    def interrupt():
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a program in the background ignores
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        with contextlib.suppress(KeyboardInterrupt):  # if it is late
            thread.join()
        signal.signal(signal.SIGINT, before)

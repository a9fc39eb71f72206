"""`mdmot train` killed with -9 at twenty random moments: its model is that of a run left alone.

    python test_kills.py

is a server: it imports everything once, and for each line, the folder of a run, lets a child go on with it.
"""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from run_folders import numbers, weights

from mdmot.training import saved_steps

pytestmark = pytest.mark.slow

KILLS, STEPS, SAVE_EVERY, SECONDS = 20, 80, 2, 300
ARGUMENTS = ["--preset", "tiny", "--language", "arithmetic:digits=1", "--width", "8", "--batch", "4"]
ARGUMENTS += ["--steps", str(STEPS), "--log-every", "2", "--save-every", str(SAVE_EVERY)]
ARGUMENTS += ["--evaluated", "4", "--levels", "fitted", "--control-variate", "--resume-or-start"]


class Server:
    """Starts runs as processes of their own that need not import anything."""

    def __init__(self, cache):
        environment = dict(os.environ, JAX_PLATFORMS="cpu", JAX_COMPILATION_CACHE_DIR=str(cache))
        environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        environment["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, __file__], env=environment, **pipes)

    def start(self, folder):
        """The process that trains in a folder."""
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def ended(self):
        """How the last process has ended: its exit status, or minus the signal that killed it."""
        return int(self.process.stdout.readline())


@pytest.fixture
def server(tmp_path):
    found = Server(tmp_path / "cache")
    yield found
    found.process.stdin.close()
    found.process.stdout.close()
    found.process.wait(SECONDS)


def wait_for_more(folder, step):
    """Waits for a checkpoint behind a step."""
    deadline = time.monotonic() + SECONDS
    while max(saved_steps(folder / "checkpoints"), default=0) <= step:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_twenty_kills_change_no_bit_of_the_model(tmp_path, server):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    server.start(whole)
    wait_for_more(whole, 0)
    begun = time.monotonic()
    assert server.ended() == 0
    interval = (time.monotonic() - begun) * SAVE_EVERY / STEPS
    chance, reached, start_up = random.Random(0), [0], 0.0
    for number in range(KILLS):
        pid = server.start(killed)
        begun = time.monotonic()
        if number % 2 == 0:  # from a checkpoint on: in an export, a step, a measurement, a save
            wait_for_more(killed, reached[-1])
            start_up = time.monotonic() - begun
            time.sleep(chance.uniform(0, interval))
        else:  # anywhere up to the first checkpoint
            time.sleep(chance.uniform(0, start_up))
        os.kill(pid, signal.SIGKILL)
        assert server.ended() == -signal.SIGKILL
        reached.append(max(saved_steps(killed / "checkpoints"), default=0))
    assert reached == sorted(reached)
    assert len(set(reached)) > KILLS // 2  # each of the first kind has a checkpoint more
    assert reached[-1] < STEPS
    server.start(killed)
    assert server.ended() == 0
    assert weights(killed) == weights(whole)
    assert numbers(killed) == numbers(whole)
    assert saved_steps(killed / "checkpoints") == saved_steps(whole / "checkpoints")


def serve():
    import orbax.checkpoint  # noqa: F401

    import mdmot.training.data_source
    import mdmot.training.export
    import mdmot.training.run_folder  # noqa: F401
    from mdmot.cli import main

    log = os.open(os.devnull, os.O_WRONLY)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.dup2(log, 1)
            os.dup2(log, 2)
            os._exit(main.status(["train", *ARGUMENTS, "--out", line.strip()]))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()

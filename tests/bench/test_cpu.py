import os
import subprocess
import sys
import time

from bench import cpu

BUSY = "import time\nwhile time.process_time() < 0.3: pass\n"


def test_time_of_children_is_counted_while_they_run_and_afterwards() -> None:
    before = cpu.seconds(os.getpid())
    with subprocess.Popen([sys.executable, "-c", BUSY + "input()"], stdin=subprocess.PIPE) as child:
        while cpu.seconds(child.pid) < 0.25:  # it counts in hundredths
            time.sleep(0.01)
        while_running = cpu.seconds(os.getpid()) - before
    assert while_running >= 0.25
    assert cpu.seconds(os.getpid()) - before >= 0.25

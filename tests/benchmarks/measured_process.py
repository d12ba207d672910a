"""Run a command and print its seconds and its own peak of resident memory as JSON.

A process inherits the peak of the one that starts it (Linux keeps it across `exec`), so that measuring from a
benchmark that holds large arrays would measure these. This one is small, and stands in between.

    python -I -S measured_process.py COMMAND [ARGUMENT ...]
"""

import json
import os
import subprocess
import sys
import time


def main(words: list) -> int:
    start = time.perf_counter()
    child = subprocess.Popen(words, stdout=sys.stderr)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    found = {"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime}
    print(json.dumps(found | {"peak_mb": usage.ru_maxrss * unit / 1e6}))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(abs(main(sys.argv[1:])))

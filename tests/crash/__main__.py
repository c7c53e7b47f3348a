"""Kill a server hundreds of times, with each policy, and prove what it keeps.

    python -m tests.crash [--kills N] [--policy always|everysec|no ...] [--seed N]

Exit code 0: it kept all it had to. 1: it did not; the seed and the directory are printed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from .rounds import POLICIES, CrashTest


def main() -> int:
    """Run the kills that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash")
    parser.add_argument("--kills", type=int, default=300, help="in all (300)")
    parser.add_argument("--policy", nargs="*", default=list(POLICIES), choices=POLICIES)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    for policy in options.policy:
        directory = Path(tempfile.mkdtemp(prefix=f"vedette-crash-{policy}-"))
        kills = -(-options.kills // len(options.policy))
        began_s = time.monotonic()
        with CrashTest(directory, policy, options.seed) as test:
            try:
                for _ in range(kills):
                    test.run_round()
            except AssertionError as error:
                sys.stderr.write(
                    f"{policy}, kill {test.kill_count}: {error}\n"
                    f"again: python -m tests.crash --policy {policy} --seed {options.seed}"
                    f" --kills {kills}; files: {directory}\n"
                )
                return 1
        sys.stdout.write(
            f"{policy}: {test.kill_count} kills, {test.acknowledged_count} rounds of writes"
            f" acknowledged, all kept, {time.monotonic() - began_s:.0f} s\n"
        )
        for path in sorted(directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        directory.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main())

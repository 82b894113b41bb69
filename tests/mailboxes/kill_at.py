"""Kills the service in the midst of its work: once so many reports were acted on. While the number is looked at, nobody else writes.

Usage: kill_at.py DATABASE PROCESS COUNT; prints how many it were.
"""
import os
import signal
import sqlite3
import sys
import time

ledger = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
process, wanted = int(sys.argv[2]), int(sys.argv[3])
for _ in range(100_000):
    ledger.execute("begin immediate")
    count = ledger.execute("select count(*) from inbound_mails where subscriber_id is not null").fetchone()[0]
    if count >= wanted:
        os.kill(process, signal.SIGKILL)
    ledger.execute("rollback")
    if count >= wanted:
        print(count)
        sys.exit(0)
    time.sleep(0.0003)
sys.exit(1)

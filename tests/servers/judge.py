"""Holds what a server keeps against the ledger: prints a row of figures, what is wrong, and the mean size of a mail. Exit code 1 if wrong.

Usage: judge.py FORM FOLDER NANOSECONDS, in the folder of the sender. FORM tells how the server stores: `maildir` (files with Return-Path on
top), `sendmail` (its queue: qf and df files). Reads sent.json, audit.json, people.txt, complaints.txt and /tmp/known.
"""
import json
import os
import re
import subprocess
import sys
from collections import Counter

form, folder, took = sys.argv[1:]
# A failure that says nothing of whose mail it was: only the address that it came to does.
REPORT = """From: MAILER-DAEMON@mx.verdicts.example
Subject: Undelivered Mail
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.verdicts.example

Final-Recipient: rfc822; somebody@elsewhere.example
Action: failed
Status: 5.1.1

--b--
"""


def files(start):
    for at, _, names in os.walk(folder):
        for name in names:
            if name.startswith(start) and not name.startswith((".", "dovecot", "courier")):
                yield os.path.join(at, name)


def read(path):
    with open(path, "rb") as file:
        return file.read().replace(b"\r\n", b"\n").decode("utf-8", "replace")


def header(text, name):
    found = re.search(rf"^{name}:[ \t]*(?:\n[ \t]+)?(.*)$", text.split("\n\n")[0], re.I | re.M)
    return found.group(1).strip().strip("<>") if found else None


def mails():
    """Yields the envelope's sender and recipient (None where the server does not keep it) and the text of each mail."""
    if form == "sendmail":
        for path in files("qf"):
            lines = read(path).split("\n")
            sender = next((line[1:].strip("<>") for line in lines if line.startswith("S")), "")
            head = "\n".join(re.sub(r"^H\?.*?\?", "", line) for line in lines if line.startswith(("H", "\t", " ")))
            body = read(os.path.join(os.path.dirname(path), "df" + os.path.basename(path)[2:]))
            for line in lines:
                if line.startswith("R"):
                    yield sender, line.split(":")[-1].strip("<>"), head + "\n\n" + body
    else:
        for path in files(""):
            text = read(path)
            to = header(text, "X-Original-To") or header(text, "Envelope-To") or header(text, "Delivered-To")
            yield header(text, "Return-Path") or "", to, text


def readers_of(senders):
    """The reader of each return path, as the program itself reads it off a report that comes back to it."""
    os.mkdir("reports")
    for number, sender in enumerate(senders):
        with open(f"reports/{number}", "w") as report:
            report.write(f"Delivered-To: {sender}\n" + REPORT)
    names = [f"reports/{number}" for number in range(len(senders))]
    command = ["/usr/local/bin/verdicts", "--config", "verdicts.toml", "--json", "inbound", *names]
    read = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["mails"] if names else []
    return {senders[int(mail["file"].split("/")[1])]: mail["subscriber"] for mail in read}


by_reader, empty, wrong, sizes = Counter(), 0, [], 0
stored = list(mails())
readers = readers_of(sorted({sender for sender, _, _ in stored}))
for sender, recipient, text in stored:
    to = header(text, "To")
    if to is None:
        empty += 1
        wrong.append(f"an empty mail to {recipient} under the return path of {readers[sender]}")
        continue
    by_reader[to] += 1
    sizes += len(text)
    if readers[sender] != to:
        wrong.append(f"the mail to {to} went under {sender}, the return path of {readers[sender]}")
    if recipient and re.search("^(?!store).*@readers", recipient) and recipient.lower() != to.lower():
        wrong.append(f"the mail to {to} went to {recipient}")
    if not text.rstrip().endswith("--"):
        wrong.append(f"the mail to {to} has no end")

with open("sent.json") as file:
    counts = json.load(file)["deliveries"]
with open("/tmp/known") as file:
    known = {line.strip() for line in file}
gone, full = int(os.environ["gone"]), int(os.environ["full"])
wrong += [f"nothing is stored for {to}" for to in sorted(known - set(by_reader))[:3]]
wrong += [f"{to} is no reader" for to in sorted(set(by_reader) - known)[:3]]
wrong += [f"{count} copies for {to}" for to, count in by_reader.items() if count > 1][:3]
with open("people.txt") as file:
    wrong += [line for line in file if re.match(r"(bounced|complained|unsubscribed) ", line) and "-550@" not in line][:3]
with open("complaints.txt") as file:
    wrong += ["the server says: " + line for line in file if line.strip()][:5]
with open("audit.json") as file:
    wrong += [] if (audit := json.load(file))["holds"] else [f"audit: {json.dumps(audit)}"]
total, twice = sum(by_reader.values()), sum(1 for count in by_reader.values() if count > 1)
put_off = counts["queued"] + counts["sending"] + counts["uncertain"]
print("%6d %6d %7d %7d %5d %5d %8.0f" % (counts["sent"], total, counts["failed"], put_off, twice, empty, counts["sent"] / (int(took) / 1e9)))
if (counts["sent"], counts["failed"], put_off) != (len(known), gone, full):
    wrong.append(f"the ledger should say {len(known)} sent, {gone} refused, {full} put off: {json.dumps(counts)}")
for line in wrong[:12]:
    print("  " + line.strip()[:300])
print(sizes // max(total, 1))
sys.exit(bool(wrong))

"""Checks the DKIM signatures of the mail on standard input with dkimpy, asking no DNS but the JSON object (name to TXT
value) in the file that is named. Prints one JSON list: for each signature, in the order of the mail, its tags and whether it holds."""

import json
import sys

import dkim

with open(sys.argv[1], encoding="ascii") as file:
    records = json.load(file)
mail = sys.stdin.buffer.read()


def ask(name, timeout=5):
    return records[name.decode("ascii").rstrip(".")].encode("ascii")


count = sum(name.lower() == b"dkim-signature" for name, _ in dkim.DKIM(mail).headers)
found = []
for index in range(count):
    check = dkim.DKIM(mail)
    try:
        holds, why = check.verify(index, dnsfunc=ask), None
    except dkim.DKIMException as error:
        holds, why = False, str(error)
    tags = {name.decode("ascii"): value.decode("ascii") for name, value in (check.signature_fields or {}).items()}
    found.append({"holds": bool(holds), "why": why, "tags": tags})
json.dump(found, sys.stdout)

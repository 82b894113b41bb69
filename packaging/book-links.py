#!/usr/bin/env python3
"""A preprocessor of mdBook: a link to a file outside docs/ leads nowhere on the site, so its words stay and say where the file is."""
import json
import re
import sys

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(\.\./([^)#]+)[^)]*\)")


def walk(items):
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter:
            chapter["content"] = LINK.sub(lambda it: f"{it[1]} (`{it[2]}` in the source tree)", chapter["content"])
            walk(chapter["sub_items"])


if len(sys.argv) > 1 and sys.argv[1] == "supports":
    sys.exit(0)
_, book = json.load(sys.stdin)
walk(book.get("sections") or book["items"])
json.dump(book, sys.stdout)

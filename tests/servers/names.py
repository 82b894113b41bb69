"""A name server for the layer: verdicts.example and readers.example have an address and a mail server, 127.0.0.1; nothing else is there.

Usage: names.py, on UDP port 53 of 127.0.0.1.
"""
import socket
import struct

A, MX, ANY_NAME = 1, 15, b"\xc0\x0c"
KNOWN = ("verdicts.example", "readers.example")


def answer(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
        at += 1 + query[at]
    kind = struct.unpack("!H", query[at + 1:at + 3])[0]
    question = query[12:at + 5]
    is_known = ".".join(labels).endswith(KNOWN)
    data = {A: socket.inet_aton("127.0.0.1"), MX: struct.pack("!H", 10) + b"\x02mx\x08verdicts\x07example\0"}.get(kind) if is_known else None
    record = ANY_NAME + struct.pack("!HHIH", kind, 1, 60, len(data)) + data if data else b""
    flags = 0x8580 if is_known else 0x8583
    return query[:2] + struct.pack("!HHHHH", flags, 1, 1 if data else 0, 0, 0) + question + record


server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
while True:
    query, client = server.recvfrom(4096)
    server.sendto(answer(query), client)

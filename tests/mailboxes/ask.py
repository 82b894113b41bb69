"""Asks the server, as its own users do. Usage: ask.py PASSWORD append FILE | unread | count FOLDER"""
import imaplib
import sys

password, verb, *rest = sys.argv[1:]
with imaplib.IMAP4("127.0.0.1", 2643) as server:
    server.login("box", password)
    if verb == "append":
        with open(rest[0], "rb") as mail:
            answer, _ = server.append("INBOX", None, None, mail.read())
        assert answer == "OK", answer
    else:
        answer, words = server.select(rest[0] if rest else "INBOX", readonly=True)
        assert answer == "OK", words
        print(len(server.search(None, "UNSEEN" if verb == "unread" else "ALL")[1][0].split()))

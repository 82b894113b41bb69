"""Verifies what arrives at an endpoint with PyPI's standardwebhooks, by the very lines of docs/webhooks.md.

Usage: check.py PROGRAM FOLDER PAGE
"""

import base64
import http.server
import json
import os
import re
import subprocess
import sys
import threading

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

program, folder, page = sys.argv[1:]
received = []


class Sink(http.server.BaseHTTPRequestHandler):
    """Keeps what comes; refuses the first of every three."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        received.append((dict(self.headers.items()), body))
        self.send_response(500 if len(received) % 3 == 1 else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/verdicts"
variables = {
    **os.environ,
    "VERDICTS_DATABASE__URL": f"sqlite:{folder}/verdicts.db",
    "VERDICTS_WEBHOOKS_OUT__ALLOW_PRIVATE": "127.0.0.1",
}


def verdicts(*arguments, fails=False):
    done = subprocess.run([program, "--json", *arguments], cwd=folder, env=variables, capture_output=True, text=True)
    assert fails or done.returncode == 0, done.stderr
    return json.loads(done.stdout or "null")


# The lines that the page shows, which take a secret, a body and headers.
python = re.search(r"```python\n(.*?)```", open(page, encoding="utf-8").read(), re.S).group(1)


def verified(secret, headers, body):
    scope = {"secret": secret, "headers": {name.lower(): value for name, value in headers.items()}, "body": body}
    exec(python, scope)
    return scope["event"]


subprocess.run([program, "migrate"], cwd=folder, env=variables, check=True)
made = verdicts("webhooks", "add", "shop", url, "--kinds", "*", "--ed25519")
old = made["secret"]
assert len(base64.b64decode(old.removeprefix("whsec_"))) == 32
verdicts("webhooks", "test", "shop", fails=True)
verdicts("webhooks", "test", "shop")
new = verdicts("webhooks", "rotate", "shop")["secret"]
verdicts("webhooks", "test", "shop")
assert len(received) == 3 and old != new
for number, (headers, body) in enumerate(received):
    event = verified(old, headers, body)
    assert event["type"] == "webhook.test" and event["id"] == {k.lower(): v for k, v in headers.items()}["webhook-id"], event
    for secret, forged in ((new, body), (old, body + b" ")):
        try:
            verified(secret, headers, forged)
            assert secret == new and number == 2, "a wrong secret, or a changed body, was taken"
        except WebhookVerificationError:
            assert not (secret == new and number == 2), "both secrets sign after a rotation"
print(f"{len(received)} requests verified by standardwebhooks")

"""Makes every mail with the built program, the way readers get them, into a folder: NAME.eml and NAME.html.

    render.py PROGRAM FOLDER

The digest is a preview of the sample catalogue; the others are asked for at the program's own door and taken out of its
mailbox. Python's standard library alone.
"""

import email
import email.policy
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

PROGRAM, FOLDER = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
CONTENT = pathlib.Path(__file__).resolve().parents[2] / "content"
BASE = "https://news.example.org"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


PORT = free_port()
SETTINGS = {
    "SITE__BASE_URL": BASE,
    "SITE__LISTEN": f"127.0.0.1:{PORT}",
    "DATABASE__URL": f"sqlite:{FOLDER}/verdicts.db",
    "MAIL__TRANSPORT": f"mailbox:{FOLDER}/mailbox",
    "MAIL__FROM": "Ship or Skip <news@example.org>",
    "MAIL__RETURN_PATH": "bounces+{verp}@example.org",
    "MAIL__POSTAL_ADDRESS": "Ship or Skip, 1 Example Street, Exampletown",
}
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("VERDICTS_")}
ENVIRONMENT |= {f"VERDICTS_{name}": value for name, value in SETTINGS.items()}


def run(*arguments):
    subprocess.run([PROGRAM, *arguments], cwd=FOLDER, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)


def post(path, **fields):
    data = urllib.parse.urlencode(fields).encode()
    urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", data=data, timeout=10).read()


def mail_to(address, subject):
    """Waits for it in the mailbox."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for path in sorted((FOLDER / "mailbox").glob("new/*")) + sorted((FOLDER / "mailbox").glob("cur/*")):
            raw = path.read_bytes()
            mail = email.message_from_bytes(raw, policy=email.policy.default)
            if mail["To"] == address and mail["Subject"].startswith(subject):
                return raw
        time.sleep(0.2)
    raise SystemExit(f"no mail {subject!r} to {address} after 30 s")


def keep(name, raw):
    (FOLDER / f"{name}.eml").write_bytes(raw)
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    (FOLDER / f"{name}.html").write_text(mail.get_body(("html",)).get_content(), encoding="utf-8")


run("catalog", "import", str(CONTENT), "--dates-to-now")
run("digest", "preview", "--out", str(FOLDER))
keep("digest", (FOLDER / "digest.eml").read_bytes())

server = subprocess.Popen([PROGRAM, "serve", "--role", "web,deliver"], cwd=FOLDER, env=ENVIRONMENT, stderr=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL)
try:
    for _ in range(150):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=5).read()
            break
        except OSError:
            time.sleep(0.2)
    post("/subscribe", email="ada@example.org")
    confirmation = mail_to("ada@example.org", "Please confirm")
    keep("confirmation", confirmation)
    text = email.message_from_bytes(confirmation, policy=email.policy.default).get_body(("plain",)).get_content()
    post("/confirm/" + re.search(re.escape(BASE) + r"/confirm/(\S+)", text).group(1))
    keep("welcome", mail_to("ada@example.org", "You are in"))
    (FOLDER / "list.csv").write_text("email\nbob@example.org\n")
    run("subscribers", "import", "list.csv", "--consent", "Signed up at a fair", "--confirmed")
    post("/subscribe", email="bob@example.org")
    keep("already", mail_to("bob@example.org", "You get it already"))
finally:
    server.terminate()
    server.wait(60)

"""Makes every mail with the built program, the way readers get them, into a folder: NAME.eml and NAME.html.

    render.py PROGRAM FOLDER

The digest is a preview of the sample catalogue; the others are asked for at the program's own door and taken out of its
mailbox. "opening" is the digest a week later, as one reader gets it who voted, saved, and whose tools' verdicts turned: with
the longest opening that five comparisons can have. Python's standard library alone.
"""

import datetime
import email
import email.policy
import json
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
    "VOTES__PER_CLIENT": "100000",
}
READERS = [f"reader{n}@example.net" for n in range(7)]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("VERDICTS_")}
ENVIRONMENT |= {f"VERDICTS_{name}": value for name, value in SETTINGS.items()}


def run(*arguments):
    subprocess.run([PROGRAM, *arguments], cwd=FOLDER, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)


def post(path, **fields):
    data = urllib.parse.urlencode(fields).encode()
    urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", data=data, timeout=10).read()


def text_of(raw):
    return email.message_from_bytes(raw, policy=email.policy.default).get_body(("plain",)).get_content()


def paths_in(raw, start):
    """The links of a mail that begin so, without what they lead to: each once."""
    found = re.findall(re.escape(BASE) + re.escape(start) + r"\S*", text_of(raw))
    return list(dict.fromkeys(link.removeprefix(BASE) for link in found))


def mails_to(address, is_wanted):
    """Those in the mailbox, oldest first."""
    paths = [path for part in ("new", "cur") for path in (FOLDER / "mailbox" / part).glob("*")]
    mails = [path.read_bytes() for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)]
    headers = [(raw, email.message_from_bytes(raw, policy=email.policy.default)) for raw in mails]
    return [raw for raw, mail in headers if mail["To"] == address and is_wanted(mail)]


def wait_for(what, address, is_wanted, count=1):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = mails_to(address, is_wanted)
        if len(found) >= count:
            return found[count - 1]
        time.sleep(0.2)
    raise SystemExit(f"no {what} to {address} after 30 s")


def mail_to(address, subject):
    """The one whose subject begins so."""
    return wait_for(f"mail {subject!r}", address, lambda mail: mail["Subject"].startswith(subject))


def digest_to(address, count=1):
    """Somebody's digest, counted from their first."""
    return wait_for("digest", address, lambda mail: mail["List-Id"] is not None, count)


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
    post(paths_in(confirmation, "/confirm/")[0])
    keep("welcome", mail_to("ada@example.org", "You are in"))
    (FOLDER / "list.csv").write_text("\n".join(["email", *READERS]))
    run("subscribers", "import", "list.csv", "--consent", "Signed up at a fair", "--confirmed")
    post("/subscribe", email=READERS[0])
    keep("already", mail_to(READERS[0], "You get it already"))

    run("digest", "send")
    digests = [digest_to(reader) for reader in READERS]
    post(paths_in(digests[1], "/preferences/")[0] + "/link")
    account = mail_to(READERS[1], "The link to your data")
    keep("account", account)
    post(paths_in(account, "/account/")[0] + "/address", email="moved@example.net")
    new_address = mail_to("moved@example.net", "Please confirm your new address")
    keep("new_address", new_address)
    post(paths_in(new_address, "/move/")[0])
    keep("old_address", mail_to(READERS[1], "Your address was changed"))

    pairs = [link.split("/")[2] for link in paths_in(digests[0], "/choose/")]
    run("catalog", "export", "catalogue.json")
    catalogue = json.loads((FOLDER / "catalogue.json").read_text())
    comparisons = {pair.get("slug") or f"{pair['left']}-vs-{pair['right']}": pair for pair in catalogue["comparisons"]}
    voted_on = {comparisons[pair][side] for pair in pairs for side in ("left", "right")}
    for digest in digests:
        token = paths_in(digest, "/saved/")[0].split("/")[2]
        for tool in voted_on:
            post(f"/vote/{tool}/ship/{token}")
            if digest is digests[0]:
                post(f"/save/{tool}/{token}")
    for tool in catalogue["tools"]:
        if tool["slug"] in voted_on:
            tool["name"] = f"{tool['name']}, the edition whose name is as long as a mail shows"
            for review in tool["reviews"]:
                review["verdict"] = "skip" if review["verdict"] == "ship" else "ship"
    (FOLDER / "catalogue.json").write_text(json.dumps(catalogue))
    run("catalog", "import", "catalogue.json")
    next_week = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=7)
    year, week, _ = next_week.isocalendar()
    run("digest", "send", f"{year}-W{week:02}", "--other-week")
    keep("opening", digest_to(READERS[0], 2))
finally:
    server.terminate()
    server.wait(60)

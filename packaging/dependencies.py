#!/usr/bin/env python3
"""Lists of what the program is made of, from cargo's own list for this machine's target.

dependencies.py sbom        CycloneDX 1.5: each crate with its version, licence and checksum
dependencies.py licences    the licence texts of all crates
dependencies.py copyright   debian/copyright, in its machine-readable form
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

TARGET = f"{os.uname().machine}-unknown-linux-gnu"


def crates():
    """Crates that are compiled into the program, without what only tests or the build need."""
    call = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]
    data = json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in data["packages"]}
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    root, seen = data["resolve"]["root"], set()
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        for dependency in nodes[one]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    found = sorted((packages[one] for one in seen if one != root), key=lambda it: (it["name"], it["version"]))
    edges = {one: [d["pkg"] for d in nodes[one]["deps"] if d["pkg"] in seen] for one in seen}
    return packages[root], found, edges


def checksums():
    lock = pathlib.Path("Cargo.lock").read_text()
    pattern = r'name = "([^"]+)"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([0-9a-f]+)"'
    return {(name, version): checksum for name, version, checksum in re.findall(pattern, lock)}


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def licence(package):
    return (package["license"] or "see its sources").replace("/", " OR ")


def sbom():
    root, found, edges = crates()
    sums = checksums()
    names = {package["id"]: purl(package) for package in [root, *found]}
    moment = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))

    def component(package):
        it = {
            "type": "library",
            "bom-ref": purl(package),
            "name": package["name"],
            "version": package["version"],
            "purl": purl(package),
            "licenses": [{"expression": licence(package)}],
        }
        checksum = sums.get((package["name"], package["version"]))
        if checksum:
            it["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        if package["description"]:
            it["description"] = " ".join(package["description"].split())
        if package["repository"]:
            it["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
        return it

    return json.dumps(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)),
                "component": component(root) | {"type": "application"},
            },
            "components": [component(package) for package in found],
            "dependencies": [
                {"ref": names[one], "dependsOn": sorted({names[other] for other in others})}
                for one, others in sorted(edges.items(), key=lambda it: names[it[0]])
            ],
        },
        indent=1,
    )


def texts(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    files = [it for it in folder.iterdir() if re.match(r"(?i)(licen[cs]e|copying|notice|unlicense)", it.name) and it.is_file()]
    return [(it.name, it.read_text(errors="replace").strip()) for it in sorted(files)]


def licences():
    _, found, _ = crates()
    by_text = {}
    without = []
    for package in found:
        name = f"{package['name']} {package['version']}"
        own = texts(package)
        if not own:
            without.append(f"{name}: {licence(package)}, {package['repository'] or 'crates.io'}")
        for _, text in own:
            by_text.setdefault(text, []).append(name)
    parts = ["Licences of what is compiled into verdicts, each text with the crates that bring it.\n"]
    for text, names in sorted(by_text.items(), key=lambda it: it[1]):
        parts.append("=" * 100 + "\n" + ", ".join(names) + "\n" + "=" * 100 + "\n\n" + text + "\n")
    parts.append("Crates that bring no text of their own:\n" + "\n".join(without))
    return "\n".join(parts)


def copyright_file():
    _, found, _ = crates()
    mit = "\n".join(f" {line}" if line.strip() else " ." for line in pathlib.Path("LICENSE-MIT").read_text().strip().splitlines())
    used = sorted({licence(package) for package in found})
    return f"""Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: verdicts
Comment: The program holds crates under these licences, which let it be given away in binary form:
 {'; '.join(used)}.
 The list of all crates is the release's file in CycloneDX form, their texts are in its THIRD-PARTY-LICENSES.txt.

Files: *
Copyright: 2026 The verdicts developers
License: MIT or Apache-2.0

License: MIT or Apache-2.0
 On Debian systems, the text of the Apache license 2.0 is in /usr/share/common-licenses/Apache-2.0. The MIT license:
 .
{mit}
"""


if __name__ == "__main__":
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    commands = {"sbom": sbom, "licences": licences, "copyright": copyright_file}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    print(commands[sys.argv[1]]())

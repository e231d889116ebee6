"""What is in the binary, as CycloneDX 1.5: every package that it is built from, with its version, licence and checksum, as Cargo.lock and `cargo metadata` have them.

Usage: sbom.py [--target TRIPLE] > fanwire.cdx.json, at the root of the source. The same source gives the same bytes: nothing in it says when or where it was made.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tomllib


def metadata(target):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def host():
    said = subprocess.run(["rustc", "--version", "--verbose"], check=True, capture_output=True, text=True).stdout
    return next(line.removeprefix("host: ") for line in said.splitlines() if line.startswith("host: "))


def built_in(nodes, root):
    """The packages that end up in the binary: what is needed to build others (`build`) or to test (`dev`) does not."""
    found, left = set(), [root]
    while left:
        package = left.pop()
        if package in found:
            continue
        found.add(package)
        for of in nodes[package]["deps"]:
            if any(kind["kind"] is None for kind in of["dep_kinds"]):
                left.append(of["pkg"])
    return found


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--target", default=None)
    target = arguments.parse_args().target or host()
    said = metadata(target)
    packages = {package["id"]: package for package in said["packages"]}
    nodes = {node["id"]: node for node in said["resolve"]["nodes"]}
    with open("Cargo.lock", "rb") as file:
        locked = tomllib.load(file)["package"]
    checksums = {(one["name"], one["version"]): one["checksum"] for one in locked if "checksum" in one}
    root = next(one["id"] for one in said["packages"] if one["name"] == "fanwire" and one["source"] is None)
    inside = built_in(nodes, root)

    def component(id):
        package = packages[id]
        about = {"type": "library", "bom-ref": purl(package), "name": package["name"], "version": package["version"], "purl": purl(package)}
        if package["license"]:
            # Some write `MIT/Apache-2.0`, which is no expression any more.
            about["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        if checksum := checksums.get((package["name"], package["version"])):
            about["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        return about

    own = component(root) | {"type": "application"}
    others = sorted((component(id) for id in inside - {root}), key=lambda one: one["bom-ref"])
    dependencies = [
        {"ref": purl(packages[id]), "dependsOn": sorted(purl(packages[of["pkg"]]) for of in nodes[id]["deps"] if of["pkg"] in inside)}
        for id in sorted(inside, key=lambda id: purl(packages[id]))
    ]
    properties = [{"name": "cargo:target", "value": target}]
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": own, "properties": properties},
        "components": others,
        "dependencies": dependencies,
    }
    # Named after what it holds, so that the same source gives the same name.
    digest = hashlib.sha256(json.dumps(bom, sort_keys=True).encode()).hexdigest()
    serial = f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
    json.dump(bom | {"serialNumber": f"urn:uuid:{serial}"}, sys.stdout, indent=1, sort_keys=True)
    print()


main()

"""The package for Debian and the archive: made, installed in a scratch root, started under what a service manager says and hears, stopped, and removed. FANWIRE_BIN names the binary that goes into them.

Needs dpkg, systemd-analyze and cargo-deb, and no right that a user does not have."""

import ctypes
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

SOURCE = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("FANWIRE_BIN", SOURCE / "target/debug/fanwire")).resolve()
PATIENCE_S = 60


def run(*command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def confine(profile):
    """Lets this process, and what it becomes, make the system calls that a profile for containers allows, and no others: as Docker does, by the same library."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    allow, refuse = 0x7FFF0000, 0x00050000 | profile["defaultErrnoRet"]

    class Compared(ctypes.Structure):
        _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]

    filter_ = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(refuse)))
    for rule in profile["syscalls"]:
        compared = [Compared(one["index"], 4, one["value"], 0) for one in rule.get("args", [])]
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            # Below zero: there is no such call on this machine.
            if number < 0:
                continue
            array = (Compared * max(len(compared), 1))(*compared)
            done = library.seccomp_rule_add_array(filter_, ctypes.c_uint32(allow), number, len(compared), array)
            if done != 0:
                raise OSError(-done, name)
    if (done := library.seccomp_load(filter_)) != 0:
        raise OSError(-done, "seccomp_load")


class Package(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.folder = pathlib.Path(place.name)

    def test_the_profile_for_containers_has_all_that_a_server_needs(self):
        profile = json.loads((SOURCE / "packaging/container/seccomp.json").read_text())
        self.assertEqual(profile["defaultAction"], "SCMP_ACT_ERRNO")
        (self.folder / "fanwire.toml").write_text(
            'listen = "127.0.0.1:0"\nshards = 2\ndata_dir = "data"\nlog = "debug"\n[[history.durable]]\ntopics = ["kept/*"]\n'
            '[[table]]\nname = "public.cars"\ncolumns = ["id int key", "name text"]\n[tls]\nself_signed = ["localhost"]\nfolder = "tls"\nplain_listeners = ["listen"]\n'
        )
        for driver in ["epoll", "auto"]:
            for tables in ["own", "shared"]:
                with self.subTest(driver=driver, tables=tables):
                    self.serve_confined(profile, ["--driver", driver], tables)

    def serve_confined(self, profile, arguments, tables):
        config = self.folder / f"{tables}.toml"
        config.write_text(f'fd_tables = "{tables}"\n' + (self.folder / "fanwire.toml").read_text())
        command = [BINARY, "serve", "--config", config, *arguments]
        server = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True, cwd=self.folder, preexec_fn=lambda: confine(profile))
        self.addCleanup(server.stderr.close)
        self.addCleanup(lambda: server.poll() is None and (server.kill(), server.wait()))
        log = ""
        while "listening" not in log:
            line = server.stderr.readline()
            self.assertNotEqual(line, "", log)
            log += line
        address = re.search(r"listening.* address=(\S+)", log)[1]
        with urllib.request.urlopen(f"http://{address}/v1/sse?topic=kept/*&since=earliest", timeout=PATIENCE_S) as stream:
            for number in range(100):
                with urllib.request.urlopen(f"http://{address}/v1/publish/kept/a?ack=durable", data=json.dumps({"n": number}).encode(), timeout=PATIENCE_S) as answer:
                    self.assertEqual(json.load(answer)["accepted"], 1)
            heard = 0
            while heard < 100:
                line = stream.readline().decode()
                self.assertNotEqual(line, "")
                heard += line.startswith("data:") and '"payload"' in line
        server.send_signal(signal.SIGHUP)
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(timeout=PATIENCE_S), 0)
        self.assertNotIn("Operation not permitted", server.stderr.read() + log)

    def test_it_is_installed_started_and_removed(self):
        deb = self.make()
        root = self.folder / "root"
        dpkg = self.scratch(root)
        run(*dpkg, "--install", deb)
        installed = run(*dpkg, "--listfiles", "fanwire").splitlines()
        for path in ["/usr/bin/fanwire", "/lib/systemd/system/fanwire.service", "/etc/fanwire/fanwire.toml", "/usr/share/man/man1/fanwire-serve.1.gz",
                     "/usr/share/bash-completion/completions/fanwire", "/usr/share/doc/fanwire/OPERATING.md"]:
            here = path if path in installed else f"/usr{path}"
            self.assertIn(here, installed)
            self.assertTrue((root / here[1:]).is_file(), path)
        self.start(root)
        run(*dpkg, "--remove", "fanwire")
        self.assertFalse((root / "usr/bin/fanwire").exists())
        self.assertTrue((root / "etc/fanwire/fanwire.toml").exists(), "what an operator has written stays")
        run(*dpkg, "--purge", "fanwire")
        self.assertFalse((root / "etc/fanwire").exists())

    def make(self):
        """The package, of the binary that is there."""
        target = self.folder / "target"
        (target / "release").mkdir(parents=True)
        shutil.copy(BINARY, target / "release/fanwire")
        run("strip", target / "release/fanwire")
        for part in ["man", "completions"]:
            shutil.rmtree(SOURCE / "target/package" / part, ignore_errors=True)
        run("bash", SOURCE / "packaging/debian/prepare.sh", BINARY)
        environment = os.environ | {"CARGO_TARGET_DIR": str(target)}
        said = run("cargo", "deb", "--no-build", "--no-strip", "--fast", "--output", self.folder, cwd=SOURCE, env=environment)
        return pathlib.Path(said.strip().splitlines()[-1])

    def scratch(self, root):
        """A root of its own with nothing in it, and how dpkg is told to use it."""
        for part in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log"]:
            (root / part).mkdir(parents=True)
        (root / "var/lib/dpkg/status").write_text("")
        (root / "var/lib/dpkg/available").write_text("")
        # There is nothing in the root that a script could run with, nor a C library to depend on.
        return ["dpkg", f"--root={root}", f"--log={self.folder / 'dpkg.log'}", "--force-not-root", "--force-depends", "--force-script-chrootless", "--force-bad-path"]

    def start(self, root):
        """As systemd would: with a socket on which it is told what becomes of the service."""
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(str(self.folder / "notify"))
        manager.settimeout(PATIENCE_S)
        config = root / "etc/fanwire/fanwire.toml"
        text = config.read_text().replace('"127.0.0.1:8080"', '"127.0.0.1:0"').replace("/var/lib/fanwire", str(root / "var/lib/fanwire"))
        config.write_text(text)
        unit = next(root.glob("**/fanwire.service")).read_text()
        words = re.search(r"^ExecStart=(.*)$", unit, re.M)[1].split()
        command = [str(root / word[1:]) if word.startswith("/") else word for word in words]
        environment = {"NOTIFY_SOCKET": str(self.folder / "notify"), "WATCHDOG_USEC": "400000", "PATH": "/usr/bin:/bin"}
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=self.folder)
        self.addCleanup(server.stderr.close)
        self.addCleanup(lambda: server.poll() is None and (server.kill(), server.wait()))
        log = server.stderr.readline()
        address = re.search(r"address=(\S+)", log)[1]
        self.hear(manager, "READY=1")
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=PATIENCE_S) as answer:
            self.assertEqual(json.load(answer), {"status": "ready"})
        self.hear(manager, "WATCHDOG=1")
        self.hear(manager, "WATCHDOG=1")
        server.send_signal(signal.SIGHUP)
        self.assertRegex(self.hear(manager, "RELOADING=1"), r"MONOTONIC_USEC=\d+")
        self.hear(manager, "READY=1")
        server.send_signal(signal.SIGTERM)
        self.hear(manager, "STOPPING=1")
        self.assertEqual(server.wait(timeout=PATIENCE_S), 0)

    def hear(self, manager, word):
        """What the service says next that begins so."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            said = manager.recv(4096).decode()
            if said.startswith(word):
                return said
        raise AssertionError(f"{word} was not said")

    def test_the_unit_is_hardened(self):
        unit = SOURCE / "packaging/debian/fanwire.service"
        said = run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unit)
        self.assertLessEqual(float(re.search(r"exposure level for \S+: ([\d.]+)", said)[1]), 2.0, said)
        for wanted in ["Type=notify", "WatchdogSec=", "LimitNOFILE=", "SystemCallFilter=@system-service"]:
            self.assertIn(wanted, unit.read_text())

    def test_the_archive_is_the_same_whenever_and_wherever_it_is_made(self):
        made = []
        for turn in ["first", "second"]:
            said = run("bash", SOURCE / "packaging/archive.sh", BINARY, self.folder / turn, env=os.environ | {"TZ": f"UTC+{len(made)}", "SOURCE_DATE_EPOCH": "1700000000"})
            made.append(pathlib.Path(said.strip().splitlines()[-1]))
            time.sleep(1.1 - time.time() % 1 if not made[1:] else 0)
        first, second = (hashlib.sha256(path.read_bytes()).hexdigest() for path in made)
        self.assertEqual(first, second)
        self.assertEqual((made[0].parent / f"{made[0].name}.sha256").read_text().split()[0], first)
        run("tar", "--extract", "--file", made[0], "--directory", self.folder)
        [root] = self.folder.glob("fanwire-*/")
        self.assertRegex(run(root / "fanwire", "--version"), r"^fanwire \d")
        self.assertLessEqual((root / "fanwire").stat().st_size, 15_000_000 if "release" in str(BINARY) else 40_000_000)
        run("bash", "-n", root / "completions/fanwire.bash")
        bom = json.loads((root / "fanwire.cdx.json").read_text())
        names = {one["name"] for one in bom["components"]}
        self.assertLessEqual({"monoio", "rustls", "clap"}, names)
        self.assertTrue(names.isdisjoint({"criterion", "fastrand"}), "what tests are built with is not in the binary")
        self.assertTrue(all("hashes" in one for one in bom["components"]))
        refs = {one["bom-ref"] for one in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
        for of in bom["dependencies"]:
            self.assertLessEqual({of["ref"], *of["dependsOn"]}, refs)
        for page in ["fanwire.1", "fanwire-serve.1", "fanwire-admin-explain.1"]:
            self.assertIn(".TH", (root / "man" / page).read_text())

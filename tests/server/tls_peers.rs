//! TLS as others speak it: OpenSSL's own client, Python and Node ask a server whose certificate they check.
//!
//! A peer that is not on this machine is left out, and the run says so.

use std::io::ErrorKind;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use fanwire::config::Config;
use fanwire::server::Running;
use fanwire::server::Server;

use crate::secure::Folder;

fn start(folder: &Folder) -> Running {
    let text = format!(
        "listen = '127.0.0.1:0'\nshards = 2\npin = false\nconnections_max = 100\ntls.self_signed = ['localhost']\ntls.folder = '{}'\n",
        folder.path("")
    );
    Server::start(&Config::parse(&text, Path::new("fanwire.toml")).unwrap()).unwrap()
}

/// What a peer says when it has been given its input; `None`: there is no such peer here.
fn run(program: &str, arguments: &[&str], input: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("{program} is left out: it is not here");
            return None;
        }
        Err(error) => panic!("{program}: {error}"),
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text + &String::from_utf8_lossy(&output.stderr))
}

const REQUEST: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn with_server(ask: impl Fn(&str, &str)) {
    let folder = Folder::new();
    let running = start(&folder);
    ask(&running.address().to_string(), &folder.path("self-signed.crt"));
    running.stop();
    let _cut_off = running.join();
}

#[test]
fn openssl_in_both_versions_and_with_new_keys() {
    with_server(|address, certificate| {
        for version in ["-tls1_2", "-tls1_3"] {
            let arguments = [
                "s_client",
                "-connect",
                address,
                "-servername",
                "localhost",
                "-CAfile",
                certificate,
                "-verify_return_error",
                "-ign_eof",
                version,
            ];
            let Some(heard) = run("openssl", &arguments, REQUEST) else { return };
            assert!(heard.contains("HTTP/1.1 200 "), "{version}: {heard}");
            assert!(heard.contains("Verify return code: 0 (ok)"), "{version}: {heard}");
        }
        // A line with a capital K makes it ask for new keys on both sides first. It takes commands only at the beginning of what it reads at once,
        // and its errors are the one output that it does not hold back.
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", address, "-servername", "localhost"]);
        command.args(["-CAfile", certificate, "-verify_return_error", "-tls1_3", "-msg"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut errors = std::io::BufReader::new(child.stderr.take().unwrap());
        input.write_all(b"K\n").unwrap();
        until(&mut errors, "KEYUPDATE");
        input.write_all(REQUEST.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let heard = String::from_utf8_lossy(&output.stdout);
        assert!(heard.contains("HTTP/1.1 200 "), "{heard}");
        let is_answered = |line: &str| line.starts_with("<<<") && line.ends_with("KeyUpdate");
        assert!(heard.lines().any(is_answered), "{heard}");
    });
}

/// Reads lines until one has this in it.
fn until(output: &mut impl std::io::BufRead, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended before it said {text}");
    }
}

#[test]
fn python_checks_the_certificate_and_hears_the_end() {
    with_server(|address, certificate| {
        let script = "import socket, ssl, sys\n\
            host, port = sys.argv[1].rsplit(':', 1)\n\
            context = ssl.create_default_context(cafile=sys.argv[2])\n\
            context.set_alpn_protocols(['http/1.1'])\n\
            plain = socket.create_connection((host, int(port)), timeout=20)\n\
            with context.wrap_socket(plain, server_hostname='localhost', suppress_ragged_eofs=False) as tls:\n\
            \x20   tls.sendall(sys.argv[3].encode())\n\
            \x20   heard = b''\n\
            \x20   while part := tls.recv(65536): heard += part\n\
            \x20   print(heard.decode(), tls.version(), tls.selected_alpn_protocol())\n";
        let arguments = ["-c", script, address, certificate, REQUEST];
        let Some(heard) = run("python3", &arguments, "") else { return };
        assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
        assert!(heard.trim_end().ends_with("TLSv1.3 http/1.1"), "{heard}");
    });
}

#[test]
fn node_checks_the_certificate_and_resumes() {
    with_server(|address, certificate| {
        let script = "const https = require('https'), fs = require('fs');\n\
            const [address, ca] = process.argv.slice(1);\n\
            const [host, port] = address.split(':');\n\
            const agent = new https.Agent({ ca: fs.readFileSync(ca), keepAlive: false, maxCachedSessions: 10 });\n\
            const ask = () => new Promise((done, fail) => https.get({ host, port, servername: 'localhost', path: '/healthz', agent }, (answer) => {\n\
              const resumed = answer.socket.isSessionReused(); answer.resume(); answer.on('end', () => done(`${answer.statusCode} ${resumed}`)); }).on('error', fail));\n\
            (async () => { console.log(await ask()); await new Promise((r) => setImmediate(r)); console.log(await ask()); })();\n";
        let Some(heard) = run("node", &["-e", script, address, certificate], "") else { return };
        assert_eq!(heard, "200 false\n200 true\n");
    });
}

//! The crate's own client against the conformance script, by way of `fanwire client`.

use std::path::Path;
use std::process::Command;

#[test]
fn the_client_passes() {
    let fanwire = env!("CARGO_BIN_EXE_fanwire");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/conformance");
    let ran = Command::new("python3")
        .arg(script)
        .args(["--server", fanwire, "--", fanwire, "client"])
        .output()
        .expect("python3 is there");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.trim_end().ends_with(" passed, 0 failed"), "{said}");
}

#[test]
fn an_order_that_cannot_be_read_ends_it_with_its_number() {
    use std::io::Write;
    use std::process::Stdio;
    for (orders, told) in [
        ("{\"do\":\"dance\"}\n", "order 1: unknown variant `dance`"),
        ("{\"do\":\"token\",\"token\":\"x\"}\nwhat?\n", "order 2: expected value"),
        ("{\"do\":\"position\",\"id\":\"s\"}\n", "order 1: there is no subscription \"s\""),
        ("{\"do\":\"subscribe\",\"id\":\"s\",\"options\":{}}\n", "order 1: open comes first"),
        ("{\"do\":\"open\",\"url\":\"ftp://h\"}\n", "order 1: scheme `ftp` is not known"),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fanwire"))
            .arg("client")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(orders.as_bytes()).unwrap();
        let ran = child.wait_with_output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{orders}: {said}");
        assert!(said.contains(told), "{orders}: {said}");
    }
}

//! The secret that clients share: what is made of its file at the start.

use std::path::Path;

use fanwire::config::Config;
use fanwire::dialect::rtbdp;
use fanwire::server::Server;

//= rtbdp#4.1
//= type=test
//# At start the server makes
//# a token: URL-safe base64 (with padding, 88 chars) of `SHA-512(password ‖ 64 random bytes)`; new at each start.
#[test]
fn each_start_makes_a_token_of_its_own() {
    let path = std::env::temp_dir().join(format!("fanwire-rtbdp-secret-{}", std::process::id()));
    std::fs::write(&path, " open sesame \n").unwrap();
    let text = format!("[rtbdp]\nsecret_file = {:?}\n", path.to_str().unwrap());
    let config = Config::parse(&text, Path::new("f.toml")).unwrap();
    let secrets: Vec<_> = (0..2)
        .map(|_| {
            let settings = Server::shard_settings(&config, 1).unwrap();
            settings.views.of_protocol(&rtbdp::PROTOCOL).secret.clone().unwrap()
        })
        .collect();
    std::fs::remove_file(path).unwrap();
    assert_eq!(&*secrets[0].password, "open sesame");
    assert_ne!(secrets[0].token, secrets[1].token);
    for secret in secrets {
        assert_eq!(secret.token.len(), 88);
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=');
        assert!(secret.token.bytes().all(is_safe), "{}", secret.token);
        assert_eq!(format!("{secret:?}"), "Secret", "no log has it");
    }
}

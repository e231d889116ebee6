//! Control under load: how long it takes until whoever was thrown out is out.

use super::Attack;
use super::AttackError;
use super::Figure;
use super::Scale;
use super::crowd::Crowd;
use super::crowd::Group;
use super::peer::Peer;
use super::readers::Pace;
use super::server::Server;
use super::stage::Stage;
use crate::clock;
use crate::clock::MILLI;
use crate::clock::SECOND;
use crate::limits::READ_BYTES;
use crate::subject::Tools;

pub(super) const REVOKE: Attack = Attack {
    name: "revoke-under-load",
    about: "a token is revoked while publishers on two shards say more than can be told",
    run: revoke,
};

/// A secret for the admin endpoint, of this attack alone.
const SECRET: &str = "attack-attack-attack-attack-attack-attack";

/// Nanoseconds after which a revocation that closes nothing has failed.
const PATIENCE_NS: u64 = 20 * SECOND;

fn revoke(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let folder = std::env::temp_dir().join(format!("fanwire-attack-keys-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("secret");
    std::fs::write(&file, SECRET)?;
    let measured = revoke_with(tools, scale, &file);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn revoke_with(
    tools: &Tools,
    scale: Scale,
    secret: &std::path::Path,
) -> Result<Vec<Figure>, AttackError> {
    let secret = secret.display();
    let configuration = format!(
        "[auth]\nkey_file = \"{secret}\"\nadmin_secret_file = \"{secret}\"\nuser_connections = 100\n"
    );
    let server = &Server::start(tools, 2, &configuration)?;
    let mut stage = Stage::new()?;
    let readers = Group::of(scale.of(200, 2_000), Pace::Eager);
    stage.add_crowd(Crowd::gather(server.addr, "/v1/ws?topic=t/*", &[readers])?)?;
    stage.publish(server.native()?, scale.of(3_000, 20_000), 300, 64);
    stage.play(2 * SECOND)?;
    let mut longest_ns = 0;
    let mut out = 0;
    for turn in 0..5 {
        let user = format!("ada{turn}");
        let mut victim = Peer::connect(server.addr, None)?;
        victim.upgrade(
            "/v1/ws",
            &format!(
                "Authorization: Bearer {}\r\n",
                token(tools, secret.to_string().as_str(), &user)?
            ),
        )?;
        victim.wait_for("\"type\":\"welcome\"")?;
        // Apart from who publishes and reads: how long those take for a round of theirs is not the server's.
        let took_ns = std::thread::scope(|scope| {
            let revoking = scope.spawn(move || revoke_and_wait(server, victim, &user));
            while !revoking.is_finished() {
                stage.play(MILLI)?;
            }
            revoking.join().map_err(|_| AttackError::Unanswered { wanted: "a revocation" })?
        })?;
        out += u64::from(took_ns.is_some());
        longest_ns = longest_ns.max(took_ns.unwrap_or(PATIENCE_NS));
    }
    Ok(vec![
        Figure::time("from the revocation to the close, longest of 5", longest_ns, 50.0),
        Figure::none("never closed", 5 - out),
    ])
}

/// Revokes a user's tokens, and waits for the end of the one connection that was opened with them: nanoseconds, or `None` if that does not come.
fn revoke_and_wait(
    server: &Server,
    mut victim: Peer,
    user: &str,
) -> Result<Option<u64>, AttackError> {
    let body = format!("{{\"user\":\"{user}\"}}");
    let began_ns = clock::now_ns();
    let mut admin = Peer::connect(server.addr, None)?;
    admin.write(
        format!(
            "POST /v1/admin/revoke HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SECRET}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    )?;
    let mut buffer = vec![0; READ_BYTES];
    while victim.end.is_none() {
        if clock::now_ns() - began_ns >= PATIENCE_NS {
            return Ok(None);
        }
        victim.read(&mut buffer, READ_BYTES, &mut |_| {})?;
        clock::pause(MILLI / 10);
    }
    Ok(Some(clock::now_ns() - began_ns))
}

/// A token of a user, minted by the command line of the server.
fn token(tools: &Tools, secret: &str, user: &str) -> Result<String, AttackError> {
    let minted = std::process::Command::new(&tools.fanwire)
        .args([
            "token",
            "mint",
            "--secret-file",
            secret,
            "--user",
            user,
            "--subscribe",
            "**",
            "--expires",
            "1h",
        ])
        .output()?;
    let text = String::from_utf8_lossy(&minted.stdout).trim().to_owned();
    if text.is_empty() { Err(AttackError::Unanswered { wanted: "a token" }) } else { Ok(text) }
}

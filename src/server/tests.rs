//! Servers of echoing worlds, over real sockets and on both drivers.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;

use super::*;
use crate::config::DriverChoice;
use crate::config::FdTables;
use crate::config::Listen;
use crate::conn::echo::Echo;

const DRIVERS: [DriverChoice; 2] = [DriverChoice::IoUring, DriverChoice::Epoll];

fn config(driver: DriverChoice) -> Config {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Config {
        listen,
        driver,
        shards: 2,
        pin: false,
        fd_tables: FdTables::Shared,
        drain_timeout_s: 10,
        ..Config::default()
    }
}

/// No party but the shards.
fn none<M>() -> Parties<'static, M> {
    Parties { keeper: None, store: None, tables: None, hooks: None, sources: None }
}

fn echo(config: &Config) -> Running {
    let world =
        |id, shard_count, settings: Settings| Echo::new(id, shard_count, settings.connections_max);
    start(config, world, |_, _| {}, none(), (&RefCell::default(), None)).unwrap()
}

fn connect(running: &Running) -> TcpStream {
    let client = TcpStream::connect(running.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client
}

fn echoed(client: &mut TcpStream, bytes: &[u8]) {
    client.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    client.read_exact(&mut back).unwrap();
    assert!(back == bytes);
}

/// A sum of what the shards have noted on the board, as the metrics say it.
fn metric(running: &Running, name: &str) -> u64 {
    let page = running.board.metrics();
    let line = page.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Waits until something is so; the shards say how things stand ten times a second.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::start();
    while !is_so() {
        assert!(clock.now().mono_ms < 20_000, "still not so: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn two_shards_echo_and_stop() {
    for driver in DRIVERS {
        let running = echo(&config(driver));
        assert!(running.board.is_ready());
        let mut clients: Vec<_> = (0..64).map(|_| connect(&running)).collect();
        for round in 0..3_u8 {
            for (index, client) in (0_u8..).zip(&mut clients) {
                echoed(client, &[index + 128, round]);
            }
        }
        eventually("each shard told the other what it heard", || {
            metric(&running, "fanwire_fanned_out_total") == 64 * 3 * 2
        });
        assert_eq!(metric(&running, "fanwire_connections"), 64);
        running.stop();
        for client in &mut clients {
            assert_eq!(client.read(&mut [0]).unwrap(), 0, "the server has closed its half");
        }
        assert!(!running.board.is_ready());
        let address = running.address();
        drop(clients);
        assert_eq!(running.join(), 0);
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn a_peer_that_reads_late_gets_everything() {
    const LENGTH: usize = 4 << 20;
    for driver in DRIVERS {
        let running = echo(&Config { send_buffer_bytes: 64 * 1024, ..config(driver) });
        let mut client = connect(&running);
        let sent: Vec<u8> = (b'A'..=b'W').cycle().take(LENGTH).collect();
        let mut writer = client.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| writer.write_all(&sent).unwrap());
            let mut other = connect(&running);
            for _ in 0..100 {
                echoed(&mut other, b"others go on");
            }
            let mut back = vec![0; LENGTH];
            client.read_exact(&mut back).unwrap();
            assert!(back == sent);
        });
        running.stop();
        drop((client, writer));
        assert_eq!(running.join(), 0);
    }
}

#[test]
fn a_connection_that_was_paused_is_read_on() {
    for driver in DRIVERS {
        let running = echo(&config(driver));
        let mut client = connect(&running);
        echoed(&mut client, b"p");
        // These arrive while nobody reads, and the edge that says so is long past when reading goes on.
        echoed(&mut client, b"and on");
        client.write_all(b"p").unwrap();
        client.write_all(b"the end").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut back = String::new();
        client.read_to_string(&mut back).unwrap();
        assert_eq!(back, "pthe end");
        running.stop();
        assert_eq!(running.join(), 0);
    }
}

#[test]
fn the_last_bytes_of_a_closed_connection_arrive() {
    for driver in DRIVERS {
        let running = echo(&config(driver));
        let mut client = connect(&running);
        client.write_all(b"x").unwrap();
        // Nobody reads this; a close would answer it with a reset.
        let unread = client.write_all(&vec![b'y'; 100_000]);
        let mut back = Vec::new();
        client.read_to_end(&mut back).unwrap();
        assert_eq!(back.first(), Some(&b'x'), "{unread:?}");
        drop(client);
        running.stop();
        assert_eq!(running.join(), 0);
    }
}

#[test]
fn places_are_used_again_and_those_who_leave_are_noticed() {
    for driver in DRIVERS {
        let running = echo(&config(driver));
        for round in 0..20_u8 {
            let mut clients: Vec<_> = (0..50).map(|_| connect(&running)).collect();
            for client in &mut clients {
                echoed(client, &[round + 128]);
            }
            let (reset, closed) = clients.split_at(25);
            for client in reset {
                rustix::net::sockopt::set_socket_linger(client, Some(Duration::ZERO)).unwrap();
            }
            for client in closed {
                client.shutdown(Shutdown::Write).unwrap();
            }
        }
        eventually("everyone has left", || metric(&running, "fanwire_connections") == 0);
        echoed(&mut connect(&running), b"still here");
        running.stop();
        assert_eq!(running.join(), 0);
    }
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    for driver in DRIVERS {
        let running = echo(&Config { shards: 1, connections_max: 3, ..config(driver) });
        let mut clients: Vec<_> = (0..3).map(|_| connect(&running)).collect();
        for client in &mut clients {
            echoed(client, b"in");
        }
        let mut late = connect(&running);
        assert!(matches!(late.read(&mut [0]), Ok(0) | Err(_)));
        drop(clients.pop());
        eventually("its place is free", || metric(&running, "fanwire_connections") == 2);
        echoed(&mut connect(&running), b"in");
        running.stop();
        drop(clients);
        assert_eq!(running.join(), 0);
    }
}

#[test]
fn shards_with_tables_of_their_own_still_hear_one_another() {
    for driver in DRIVERS {
        let running = echo(&Config { fd_tables: FdTables::Own, shards: 3, ..config(driver) });
        let mut clients: Vec<_> = (0..48).map(|_| connect(&running)).collect();
        for client in &mut clients {
            echoed(client, b"hello");
        }
        eventually("each was told", || metric(&running, "fanwire_fanned_out_total") == 48 * 5);
        running.stop();
        drop(clients);
        assert_eq!(running.join(), 0);
    }
}

#[test]
fn two_servers_live_in_one_process_but_not_on_one_port() {
    let first = echo(&config(DriverChoice::Auto));
    let second = echo(&config(DriverChoice::Auto));
    assert_ne!(first.address(), second.address());
    echoed(&mut connect(&first), b"one");
    echoed(&mut connect(&second), b"two");
    let taken = Config { listen: first.address(), ..config(DriverChoice::Auto) };
    let error = start(
        &taken,
        |id, shard_count, _| Echo::new(id, shard_count, 1),
        |_, _| {},
        none(),
        (&RefCell::default(), None),
    )
    .unwrap_err();
    assert!(
        matches!(error, StartError::AddressInUse { address, .. } if address == first.address()),
        "{error}"
    );
    first.stop();
    second.stop();
    assert_eq!(first.join() + second.join(), 0);
}

#[test]
fn an_address_that_is_not_ours_is_refused() {
    let elsewhere = Config { listen: "192.0.2.1:0".parse().unwrap(), ..config(DriverChoice::Auto) };
    let error = start(
        &elsewhere,
        |id, shard_count, _| Echo::new(id, shard_count, 1),
        |_, _| {},
        none(),
        (&RefCell::default(), None),
    )
    .unwrap_err();
    assert!(matches!(error, StartError::Address { .. }), "{error}");
}

#[test]
fn who_does_not_leave_is_cut_off_in_time() {
    let running = echo(&Config { drain_timeout_s: 0, ..config(DriverChoice::Auto) });
    let mut client = connect(&running);
    echoed(&mut client, b"here");
    client.write_all(&vec![b'z'; 128 * 1024]).unwrap();
    running.stop();
    // Whether its echo was sent in full by then is chance; that stopping ends is not.
    assert!(running.join() <= 1);
}

#[test]
fn each_dialect_may_have_a_listener_of_its_own_on_every_shard() {
    for driver in DRIVERS {
        for fd_tables in [FdTables::Shared, FdTables::Own] {
            let mut config = Config { fd_tables, ..config(driver) };
            let any = vec![Listen::from(config.listen)];
            config.dialects.iter_mut().for_each(|dialect| dialect.view.listen.clone_from(&any));
            let running = echo(&config);
            let addresses: Vec<SocketAddr> = [
                Port::Shared,
                Port::Own("peat"),
                Port::Own("hyperbeam"),
                Port::Own("provisioning"),
            ]
            .map(|port| running.address_of(port).unwrap())
            .into();
            assert_eq!(addresses[0], running.address());
            let mut clients = Vec::new();
            for address in addresses.iter().flat_map(|address| [address; 16]) {
                let mut client = TcpStream::connect(address).unwrap();
                client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                echoed(&mut client, b"here");
                clients.push(client);
            }
            assert_eq!(metric(&running, "fanwire_shards"), 2);
            running.stop();
            for client in &mut clients {
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).unwrap();
                assert_eq!(rest, b"", "every listener's clients are told");
            }
            drop(clients);
            assert_eq!(running.join(), 0);
            for address in addresses {
                let error = TcpStream::connect(address).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            }
        }
    }
}

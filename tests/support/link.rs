//! A server to be talked to in bytes, whichever it is: the core alone, in virtual time, or a real one over loopback.
//!
//! Invariant: whoever waits does so for something to arrive, within a bound; never for time to pass.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fanwire::admin::Board;
use fanwire::admin::FrontDesk;
use fanwire::clock::Clock;
use fanwire::config::Config;
use fanwire::config::DriverChoice;
use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::home_of;
use fanwire::server::Running;
use fanwire::server::Server;
use fanwire::shard::Settings;
use fanwire::shard::Shard;
use rustls::ClientConfig;

use super::client::Client;
use super::client::Told;
use super::secure;
use super::secure::Folder;
use super::secure::Stream;
use super::world::Wire;
use super::world::World;

/// Shards of either kind of server.
pub const SHARDS: u16 = 2;
/// How long anyone waits for a real server.
const PATIENCE: Duration = Duration::from_secs(20);
/// Ticks of virtual time that may pass before something arrives: a quarter of an hour.
const TICKS_MAX: usize = 9_000;

/// Where connections are made.
pub trait Host {
    fn connect(&mut self) -> Box<dyn Link>;
    /// Begins to stop.
    fn stop(&mut self);
    /// What time it is there, in seconds since 1970.
    fn now_s(&self) -> i64;
    /// So many subscribers fall behind at once that sources must wait. Only in the core: elsewhere it depends on how fast anyone is.
    fn crowd(&mut self);
}

/// One connection.
pub trait Link {
    fn send(&mut self, bytes: &[u8]);
    /// What has arrived, as soon as something has; nothing: the server has closed the connection.
    fn receive(&mut self) -> Vec<u8>;
    /// Says no more, and still listens.
    fn half_close(&mut self);
}

/// The core alone.
#[derive(Debug)]
pub struct Core {
    world: Rc<RefCell<World>>,
    desk: Rc<FrontDesk>,
    connected: usize,
    /// Bytes that each socket takes unread.
    capacity: usize,
}

impl Core {
    pub fn new(settings: &[(String, String)]) -> Self {
        let world = World::new(SHARDS, &core_settings(settings));
        let board = Arc::new(Board::new(SHARDS));
        board.set_ready(true);
        let capacity = settings.iter().find(|(key, _)| key == "capacity");
        Self {
            world: Rc::new(RefCell::new(world)),
            desk: Rc::new(FrontDesk::new(ShardId(0), board)),
            connected: 0,
            capacity: capacity.map_or(64 << 20, |(_, value)| value.parse().unwrap()),
        }
    }
}

/// What a transcript sets, and nobody could of a real server: an outbox that is full after a few events.
fn core_settings(settings: &[(String, String)]) -> Settings {
    let mut config = Config { connections_max: 100_000, ..Config::default() };
    let mut outbox_bytes_max = None;
    for (key, value) in settings {
        match key.as_str() {
            "only-core" | "capacity" => {}
            "outbox_bytes_max" => outbox_bytes_max = Some(value.parse().unwrap()),
            _ => config.set(key, value).unwrap(),
        }
    }
    let settings = Server::shard_settings(&config, SHARDS).unwrap();
    Settings { outbox_bytes_max: outbox_bytes_max.unwrap_or(settings.outbox_bytes_max), ..settings }
}

/// Subscribers that make a crowd.
const CROWD: usize = 80;
/// Milliseconds after which every source must have been told to wait.
const CROWD_MS_MAX: u64 = 5_000;

/// Each publisher says something on a topic that its own shard orders.
fn say_to_every_home(world: &mut World, publishers: &mut [Client]) {
    for (shard, publisher) in (0..SHARDS).zip(publishers) {
        let topics = (0..).map(|number| format!("crowd/{number}"));
        let is_here = |topic: &String| home_of(&TopicName::new(topic).unwrap(), SHARDS).0 == shard;
        let topic = topics.into_iter().find(is_here).unwrap();
        for number in 0..8 {
            let event =
                serde_json::json!({"type": "publish", "id": number, "topic": topic, "payload": {}});
            publisher.say(world, &event);
        }
    }
}

impl Host for Core {
    fn now_s(&self) -> i64 {
        i64::try_from(self.world.borrow().now.wall_us / 1_000_000).unwrap()
    }

    fn crowd(&mut self) {
        let mut world = self.world.borrow_mut();
        let wish = serde_json::json!({"type": "subscribe", "id": 1, "topics": ["**"]});
        for index in 0..CROWD {
            let client = Client::connect(&mut world, index % usize::from(SHARDS), 600, false);
            client.say(&mut world, &wish);
        }
        world.settle();
        let mut publishers: Vec<Client> = (0..usize::from(SHARDS))
            .map(|shard| Client::connect(&mut world, shard, 64 << 20, false))
            .collect();
        for shard in &mut world.shards {
            shard.set_units(0);
        }
        // Events come faster than they are told, and nobody keeps up, until every shard tells nothing more.
        for _ in 0..CROWD_MS_MAX {
            say_to_every_home(&mut world, &mut publishers);
            world.pass_ms();
            if world.shards.iter().any(Shard::has_work) {
                continue;
            }
            // Time does not pass any more: what is said now waits, until there is no room for more.
            for _ in 0..CROWD_MS_MAX {
                publishers.iter_mut().for_each(|one| one.told.clear());
                say_to_every_home(&mut world, &mut publishers);
                world.settle();
                let is_refused = |publisher: &mut Client| {
                    publisher.read(&mut world, usize::MAX);
                    // A source waits if it is told so, or is not read.
                    if !world.wants_input(publisher.wire) {
                        return true;
                    }
                    let is_full =
                        |told: &Told| matches!(told, Told::Other(it) if it["code"] == "full");
                    publisher.told.iter().any(is_full)
                };
                if publishers.iter_mut().map(is_refused).fold(true, |all, is| all & is) {
                    return;
                }
            }
        }
        panic!("no source was told to wait");
    }

    fn connect(&mut self) -> Box<dyn Link> {
        let shard = self.connected % usize::from(SHARDS);
        self.connected += 1;
        let wire = self.world.borrow_mut().open(shard, self.capacity);
        Box::new(CoreLink { world: Rc::clone(&self.world), desk: Rc::clone(&self.desk), wire })
    }

    fn stop(&mut self) {
        let mut world = self.world.borrow_mut();
        let now = world.now;
        for shard in &mut world.shards {
            shard.stop(now);
        }
    }
}

struct CoreLink {
    world: Rc<RefCell<World>>,
    desk: Rc<FrontDesk>,
    wire: Wire,
}

impl CoreLink {
    /// Everything that is on its way arrives, and requests are answered.
    fn settle(&self) {
        let mut world = self.world.borrow_mut();
        loop {
            world.settle();
            let now = world.now;
            let mut any = false;
            for shard in &mut world.shards {
                while let Some((conn, request)) = shard.poll_admin() {
                    // Orders are answered at once, too: nobody takes them here.
                    if let Some(response) = self.desk.answer(conn, &request) {
                        shard.answer(conn, &response, now);
                    }
                    any = true;
                }
            }
            if !any {
                return;
            }
        }
    }
}

impl Link for CoreLink {
    fn send(&mut self, bytes: &[u8]) {
        // As much as a read of a socket brings, and only while the shard wants it.
        for piece in bytes.chunks(16 * 1024) {
            self.settle();
            self.world.borrow_mut().say(self.wire, piece);
        }
    }

    fn receive(&mut self) -> Vec<u8> {
        for _ in 0..TICKS_MAX {
            self.settle();
            let mut world = self.world.borrow_mut();
            let bytes = world.read(self.wire, usize::MAX);
            if !bytes.is_empty() || !world.is_open(self.wire) {
                return bytes;
            }
            world.advance(100);
            world.tick();
        }
        panic!("nothing came within a quarter of an hour of virtual time");
    }

    fn half_close(&mut self) {
        let mut world = self.world.borrow_mut();
        let now = world.now;
        world.shards[self.wire.shard].ended(fanwire::shard::ConnId(self.wire.id), now);
    }
}

impl Drop for CoreLink {
    fn drop(&mut self) {
        self.world.borrow_mut().vanish(self.wire);
    }
}

/// A real server.
#[derive(Debug)]
pub struct Real {
    running: Option<Running>,
    /// Whom its clients trust, if it speaks TLS.
    client: Option<Arc<ClientConfig>>,
}

impl Real {
    pub fn start(driver: DriverChoice, settings: &[(String, String)]) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let shards = u64::from(SHARDS);
        let mut config = Config {
            listen,
            driver,
            shards,
            pin: false,
            connections_max: 100,
            ..Config::default()
        };
        for (key, value) in settings.iter().filter(|(_, value)| !value.is_empty()) {
            config.set(key, value).unwrap();
        }
        Self { running: Some(Server::start(&config).unwrap()), client: None }
    }

    /// One that speaks TLS.
    pub fn start_secured(driver: DriverChoice, settings: &[(String, String)]) -> Self {
        let folder = Folder::new();
        let certificate = folder.certify("one", &["localhost"]);
        let mut settings = settings.to_vec();
        for (key, file) in [("certificate_file", "one.pem"), ("key_file", "one.key")] {
            settings.push((format!("tls.{key}"), folder.path(file)));
        }
        let mut started = Self::start(driver, &settings);
        started.client = Some(secure::trusting(&[certificate]));
        started
    }

    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().expect("it runs until it is dropped").address()
    }
}

impl Host for Real {
    fn now_s(&self) -> i64 {
        i64::try_from(Clock::start().now().wall_us / 1_000_000).unwrap()
    }

    fn crowd(&mut self) {
        panic!("only the core's time stands still");
    }

    fn connect(&mut self) -> Box<dyn Link> {
        let socket = TcpStream::connect(self.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        match &self.client {
            Some(client) => Box::new(secure::on(socket, "localhost", client)),
            None => Box::new(socket),
        }
    }

    fn stop(&mut self) {
        self.running.as_ref().expect("it runs until it is dropped").stop();
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
            // Whoever is still connected is the test's own client, and may be cut off.
            let _cut_off = running.join();
        }
    }
}

fn say(stream: &mut impl Write, bytes: &[u8]) {
    match stream.write_all(bytes).and_then(|()| stream.flush()) {
        // It has closed already, and what it said before is still to be read.
        Err(error)
            if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
        result => result.unwrap(),
    }
}

/// What has arrived; of a stream that is encrypted an end without a word is no end.
fn hear(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut bytes) {
            Ok(count) => bytes.truncate(count),
            // A thread that has had an io_uring is interrupted when the kernel puts it away.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => bytes.clear(),
            Err(error) => panic!("nothing came within {PATIENCE:?}: {error}"),
        }
        return bytes;
    }
}

impl Link for TcpStream {
    fn send(&mut self, bytes: &[u8]) {
        say(self, bytes);
    }

    fn receive(&mut self) -> Vec<u8> {
        hear(self)
    }

    fn half_close(&mut self) {
        self.shutdown(std::net::Shutdown::Write).unwrap();
    }
}

impl Link for Stream {
    fn send(&mut self, bytes: &[u8]) {
        say(self, bytes);
    }

    fn receive(&mut self) -> Vec<u8> {
        hear(self)
    }

    fn half_close(&mut self) {
        self.conn.send_close_notify();
        self.flush().unwrap();
    }
}

/// Which drivers this kernel allows; the one that every kernel has is always among them.
pub fn drivers() -> Vec<DriverChoice> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config {
        listen,
        shards: 1,
        pin: false,
        driver: DriverChoice::IoUring,
        ..Config::default()
    };
    let mut drivers = vec![DriverChoice::Epoll];
    match Server::start(&config) {
        Ok(running) => {
            running.stop();
            assert_eq!(running.join(), 0, "nobody was connected");
            drivers.push(DriverChoice::IoUring);
        }
        Err(error) => println!("io_uring is left out: {error}"),
    }
    drivers
}

//! A client of the protocol `fanwire.v1`: subscribe to topics, be told what happens, publish, and never mind the connection.
//!
//! Runs on `tokio`, as a task of the runtime in which [`Client::connect`] is called. Invariants: each subscription's events come in order, each once, and where
//! something is missing a [`Gap`] says so, also across lost connections and restarted servers; a publish is answered or it fails, and is never repeated. How a
//! client behaves stands in `docs/CLIENTS.md`; the script there is what this one is held to. Never imports anything of the server but what a moment is.
//!
//! ```no_run
//! use fanwire::client::{Client, Options, Publish, Since, Told, Wish, field};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(Options::new("http://127.0.0.1:8080")?);
//! let wish = Wish::of(["adsb/**"]).filter(field("altitude").lt(10_000)).since(Since::LAST);
//! let mut low = client.subscribe(wish).await?;
//! while let Some(told) = low.next().await {
//!     match told? {
//!         Told::Event(event) => println!("{} {}", event.key, event.payload.get()),
//!         Told::Gap(gap) => println!("{} {}..={} are not coming", gap.topic, gap.from, gap.to),
//!         Told::Live(live) => println!("live; all was recovered: {}", live.is_recovered()),
//!         Told::Skipped(skipped) => println!("{} were passed over", skipped.count),
//!     }
//! }
//! let hello = Publish::to("chat/lobby").key("ada").payload(&serde_json::json!({"text": "hello"}))?;
//! client.publish(hello).await?;
//! # Ok(())
//! # }
//! ```

pub(crate) mod connect;
mod driver;
mod end;
pub(crate) mod endpoint;
mod filter;
mod life;
pub(crate) mod limits;
mod link;
pub(crate) mod message;
pub(crate) mod position;
pub(crate) mod socket;
mod standing;
mod subscription;
mod talk;
mod told;
pub(crate) mod wait;
mod wish;

pub use connect::Trust;
pub use endpoint::Endpoint;
pub use endpoint::EndpointError;
pub use filter::Area;
pub use filter::Field;
pub use filter::Filter;
pub use filter::field;
pub use message::ClientError;
pub use position::Position;
pub use position::Since;
pub use position::SinceError;
pub use position::Word;
pub use subscription::Client;
pub use subscription::Control;
pub use subscription::Subscription;
pub use told::Cause;
pub use told::Event;
pub use told::Gap;
pub use told::Live;
pub use told::Lost;
pub use told::Published;
pub use told::Skipped;
pub use told::State;
pub use told::Told;
pub use wish::Options;
pub use wish::Publish;
pub use wish::Wish;

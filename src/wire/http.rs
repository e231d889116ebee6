//! HTTP/1.1 as a server needs it: request heads in, bodies in, replies out.
//!
//! Invariant: whatever could be read in two ways (RFC 9112 section 11.2, request smuggling) is refused, never guessed.
//! Never routes a request, never holds a byte of a body.

pub mod body;

pub mod date;

pub mod error;

pub mod fields;

pub mod forwarded;

pub mod head;

mod host;

pub mod known;

pub mod percent;

pub mod reply;

pub use body::BodyDecoder;
pub use body::Decoded;
pub use date::HttpDate;
pub use error::HttpError;
pub use forwarded::ForwardedBy;
pub use forwarded::Hop;
pub use head::Framing;
pub use head::Head;
pub use head::Method;
pub use head::Version;
pub use head::parse_head;
pub use known::Lookup;
pub use known::Name;
pub use reply::Answering;
pub use reply::CONTINUE;
pub use reply::Connection;
pub use reply::Reply;

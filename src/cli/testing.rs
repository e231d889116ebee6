//! A server that does as it is told, for the client's tests: real sockets on the loopback, one thread, no time.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::thread::JoinHandle;

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// What the server does with it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reaction {
    /// Status line and fields without the length, and the body.
    Answer(&'static str, &'static str),
    /// Closes the connection without a word.
    Vanish,
}

/// Reacts to one request after the other, whatever connections they come on, then goes away. Answers what it was sent.
pub(crate) fn scripted(script: Vec<Reaction>) -> (String, JoinHandle<Vec<Request>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::Builder::new().spawn(move || {
        let mut requests = Vec::new();
        let mut script = script.into_iter();
        while script.len() > 0 {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            while let Some(request) = next_request(&mut reader) {
                requests.push(request);
                match script.next() {
                    Some(Reaction::Answer(head, body)) => {
                        let length = body.len();
                        write!(
                            reader.get_mut(),
                            "HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}"
                        )
                        .unwrap();
                    }
                    Some(Reaction::Vanish) | None => break,
                }
                if script.len() == 0 {
                    break;
                }
            }
        }
        requests
    });
    (url, server.unwrap())
}

fn next_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .find_map(|field| field.strip_prefix("Content-Length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = head.lines().next()?.to_owned();
    Some(Request { line, head, body: String::from_utf8(body).unwrap() })
}

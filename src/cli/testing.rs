//! A server that does as it is told, for the client's tests: real sockets on the loopback, one thread, no time.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::thread::JoinHandle;

use crate::client::socket::accept_of;

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
    let length = field(&head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = head.lines().next()?.to_owned();
    Some(Request { line, head, body: String::from_utf8(body).unwrap() })
}

/// The value of a field, whatever the case of its name.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// What the server does on one WebSocket, in order; at the end it vanishes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Sends a text message.
    Say(&'static str),
    /// Waits for a message of the client's.
    Hear,
    /// Closes with a code and no reason, and waits for the answer.
    Close(u16),
}

/// Shakes hands and follows one script a connection. Answers what it heard.
pub(crate) fn talking(scripts: Vec<Vec<Step>>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/v1/ws", listener.local_addr().unwrap());
    let server = std::thread::Builder::new().spawn(move || {
        let mut heard = Vec::new();
        for script in scripts {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            shake_hands(&mut reader);
            for step in script {
                match step {
                    Step::Say(text) => {
                        reader.get_mut().write_all(&frame(0x81, text.as_bytes())).unwrap();
                    }
                    Step::Hear => heard.push(String::from_utf8(hear(&mut reader)).unwrap()),
                    Step::Close(code) => {
                        reader.get_mut().write_all(&frame(0x88, &code.to_be_bytes())).unwrap();
                        assert_eq!(hear(&mut reader), code.to_be_bytes());
                    }
                }
            }
        }
        heard
    });
    (url, server.unwrap())
}

fn shake_hands(reader: &mut BufReader<TcpStream>) {
    let request = next_request(reader).unwrap();
    let key = field(&request.head, "sec-websocket-key").unwrap();
    let accept = accept_of(key);
    write!(
        reader.get_mut(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: fanwire.v1\r\n\r\n"
    )
    .unwrap();
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let mut frame = vec![first];
    match u8::try_from(length) {
        Ok(short) if short < 126 => frame.push(short),
        _ => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// The payload of the client's next frame, which must be masked.
fn hear(reader: &mut BufReader<TcpStream>) -> Vec<u8> {
    let mut head = [0; 2];
    reader.read_exact(&mut head).unwrap();
    assert_eq!(head[1] & 0x80, 0x80, "a client masks its frames");
    let mut length = usize::from(head[1] & 0x7F);
    if length == 126 {
        let mut long = [0; 2];
        reader.read_exact(&mut long).unwrap();
        length = usize::from(u16::from_be_bytes(long));
    }
    let mut mask = [0; 4];
    reader.read_exact(&mut mask).unwrap();
    let mut payload = vec![0; length];
    reader.read_exact(&mut payload).unwrap();
    payload.iter_mut().zip(mask.into_iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    payload
}

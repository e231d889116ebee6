//! Whatever stands behind the question mark, each dialect has a request within its limits, or a reason.

use fanwire::dialect::View;
use fanwire::dialect::hyperbeam;
use fanwire::dialect::peat;
use fanwire::dialect::provisioning;
use fanwire::dialect::provisioning::Endpoint;
use fanwire::limits::BATCH_EVENTS_MAX;
use fanwire::limits::HYPERBEAM_TOPIC_BYTES_MAX;
use fanwire::limits::HYPERBEAM_TOPICS_MAX;
use fanwire::limits::PEAT_COLLECTIONS_MAX;
use fanwire::limits::PROVISIONING_TYPES_MAX;
use fanwire::wire::http::parse_head;

/// Holds the readers of parameters to it for one query.
pub(crate) fn hold(input: &[u8]) {
    let head = [b"GET /ws?", input, b" HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
    let Ok(Some((head, _))) = parse_head(&head) else { return };
    match peat::Request::of_query(head.query_pairs()) {
        Ok(request) => {
            assert!(request.collections.len() <= PEAT_COLLECTIONS_MAX);
            let is_trimmed = |name: &String| !name.is_empty() && name.trim() == name;
            assert!(request.collections.iter().all(is_trimmed), "{request:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let view = View::default();
    let options = hyperbeam::Options { derived: true, regex: true };
    match hyperbeam::of_query(&head.query_value("topic").unwrap_or_default(), options, &view) {
        Ok(topics) => {
            assert!(topics.len() <= HYPERBEAM_TOPICS_MAX);
            let is_good = |name: &String| {
                (1..=HYPERBEAM_TOPIC_BYTES_MAX).contains(&name.len()) && name.trim() == name
            };
            assert!(topics.iter().all(is_good), "{topics:?}");
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }

    for endpoint in [Endpoint::Events, Endpoint::Metrics, Endpoint::Logs] {
        match provisioning::Request::of_query(endpoint, head.query_pairs()) {
            Ok(request) => {
                assert!(request.events.len() <= PROVISIONING_TYPES_MAX);
                let size = request.batch.map_or(2, |batch| batch.events_max);
                assert!((2..=BATCH_EVENTS_MAX).contains(&size));
                match endpoint {
                    Endpoint::Events => assert_eq!(request.tail, None),
                    // What they are is not the URL's to say.
                    Endpoint::Metrics | Endpoint::Logs => assert!(request.events.is_empty()),
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

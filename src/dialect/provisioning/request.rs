//! What a URL asks for: event types, batches, compression, and on `/logs` which entries.

use std::fmt;

use super::filters::FilterFault;
use super::filters::Filters;
use super::selection::Selection;
use super::types;
use crate::dialect::Batch;
use crate::dialect::BatchForm;
use crate::dialect::View;
use crate::limits::BATCH_EVENTS_MAX;
use crate::limits::PROVISIONING_TYPES_MAX;

/// Milliseconds that an event may wait for its batch to fill.
//= provisioning#5.7
//# flushed
//# at batch_size or [choice] 100 ms; a flush of one event is still a batch frame for such clients.
const FLUSH_MS: u32 = 100;

/// Which of the three endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Events,
    Metrics,
    Logs,
}

impl Endpoint {
    /// The types beyond which nothing is heard here; `None`: there is no such bound.
    //= provisioning#5.7
    //# `/ws` restricted to `MetricUpdate` (+`SystemHealthUpdate` for admins) and
    //# `LogEntry`;
    pub(super) const fn types(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Events => None,
            Self::Metrics => Some(&[types::METRIC_UPDATE, types::SYSTEM_HEALTH_UPDATE]),
            Self::Logs => Some(&[types::LOG_ENTRY]),
        }
    }
}

/// A client's wishes as its URL has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub endpoint: Endpoint,
    /// Empty: all that the endpoint has.
    pub events: Vec<String>,
    pub batch: Option<Batch>,
    pub compression: bool,
    pub filters: Filters,
    /// So many of the last entries first.
    pub tail: Option<u32>,
}

/// Why there is no such request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    Filter(FilterFault),
    NotANumber { name: &'static str, text: Box<str> },
    NotABool { text: Box<str> },
    TooManyTypes,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(fault) => fault.fmt(f),
            Self::NotANumber { name, text } => write!(f, "{name} is not a number: {text}"),
            Self::NotABool { text } => write!(f, "compression is `true` or `false`, not `{text}`"),
            Self::TooManyTypes => write!(f, "more than {PROVISIONING_TYPES_MAX} event types"),
        }
    }
}

impl std::error::Error for RequestError {}

impl Request {
    /// Reads the parameters of a URL; `token` is not this module's, and what is not known is passed over.
    ///
    /// # Errors
    /// Which parameter is not understood.
    pub fn of_query<N: AsRef<str>, V: AsRef<str>>(
        endpoint: Endpoint,
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, RequestError> {
        let mut request = Self {
            endpoint,
            events: Vec::new(),
            batch: None,
            compression: false,
            filters: Filters::default(),
            tail: None,
        };
        for (name, value) in pairs {
            request.parameter(endpoint, name.as_ref(), value.as_ref())?;
        }
        if request.events.len() > PROVISIONING_TYPES_MAX {
            return Err(RequestError::TooManyTypes);
        }
        // A view that does not see deletes asks for one test more than others.
        let selection = Selection::of(endpoint.types(), &request.events, &request.filters);
        selection
            .subscriptions(None, &View { deletes: false, ..View::default() })
            .map_err(RequestError::Filter)?;
        Ok(request)
    }

    fn parameter(
        &mut self,
        endpoint: Endpoint,
        name: &str,
        value: &str,
    ) -> Result<(), RequestError> {
        match (name, endpoint) {
            ("events", Endpoint::Events) => {
                let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
                for name in names.map(types::of_name) {
                    if !self.events.iter().any(|own| own == name) {
                        self.events.push(name.to_owned());
                    }
                }
            }
            ("batch_size", _) => {
                let size: u64 = number("batch_size", value)?;
                //= provisioning#5.7
                //# **Unbatched unless `batch_size` is given in the URL and > 1**
                self.batch = (size > 1).then(|| Batch {
                    events_max: u16::try_from(size).unwrap_or(u16::MAX).min(BATCH_EVENTS_MAX),
                    delay_ms: FLUSH_MS,
                    form: BatchForm::Rows,
                });
            }
            ("compression", _) => {
                self.compression = match value {
                    "true" => true,
                    "false" => false,
                    text => return Err(RequestError::NotABool { text: text.into() }),
                }
            }
            ("since", _) => self.filters.set_since(value).map_err(RequestError::Filter)?,
            ("level" | "component", Endpoint::Logs) => {
                self.filters.add_parameter(name, value).map_err(RequestError::Filter)?;
            }
            ("search", Endpoint::Logs) => {
                self.filters.set_search(value).map_err(RequestError::Filter)?;
            }
            ("tail", Endpoint::Logs) => self.tail = Some(number("tail", value)?),
            _ => {}
        }
        Ok(())
    }
}

fn number<T: std::str::FromStr>(name: &'static str, text: &str) -> Result<T, RequestError> {
    text.parse().map_err(|_| RequestError::NotANumber { name, text: text.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(endpoint: Endpoint, query: &[(&str, &str)]) -> Result<Request, RequestError> {
        Request::of_query(endpoint, query.iter().copied())
    }

    #[test]
    fn aliases_and_exact_names_are_types() {
        let request =
            asked(Endpoint::Events, &[("events", " task,batch,,TaskStatusChanged,x,logs")]);
        assert_eq!(
            request.unwrap().events,
            ["TaskStatusChanged", "BatchOperationUpdate", "x", "LogEntry"]
        );
    }

    #[test]
    fn batches_are_for_those_who_ask_for_more_than_one() {
        let batch = |size: &str| {
            let request = asked(Endpoint::Events, &[("batch_size", size)]).unwrap();
            request.batch.map(|batch| batch.events_max)
        };
        assert_eq!(
            [batch("0"), batch("1"), batch("3"), batch("99999999")],
            [None, None, Some(3), Some(BATCH_EVENTS_MAX)]
        );
        for (name, value, reason) in [
            ("batch_size", "many", "batch_size is not a number: many"),
            ("batch_size", "-1", "batch_size is not a number: -1"),
            ("batch_size", "1.5", "batch_size is not a number: 1.5"),
            ("compression", "1", "compression is `true` or `false`, not `1`"),
            ("compression", "", "compression is `true` or `false`, not ``"),
        ] {
            let refused = asked(Endpoint::Events, &[(name, value)]).unwrap_err();
            assert_eq!(refused.to_string(), reason);
        }
    }

    #[test]
    fn logs_and_metrics_are_what_they_are_whatever_is_asked() {
        let logs =
            asked(Endpoint::Logs, &[("events", "task"), ("level", "error,warn"), ("tail", "5")]);
        let logs = logs.unwrap();
        assert_eq!((logs.events, logs.tail), (Vec::new(), Some(5)));
        let metrics = asked(Endpoint::Metrics, &[("level", "x"), ("tail", "x")]).unwrap();
        assert_eq!(metrics.events, [""; 0]);
        assert_eq!(metrics.filters, Filters::default());
        assert!(asked(Endpoint::Logs, &[("tail", "x")]).is_err());
        assert!(asked(Endpoint::Logs, &[("since", "x")]).is_err());
    }
}

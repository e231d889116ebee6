//! Tells a server about the fleet, over the public HTTP interface, as any publisher would.
//!
//! Each aircraft reports once a second, all of them spread over the second. One that has left is deleted. What the server refuses is not
//! sent again: in a second there is news. Ends when told to, or when the server is gone.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep_until;

use crate::cli::demo::TOPIC;
use crate::cli::demo::fleet::Aircraft;
use crate::cli::demo::fleet::Fleet;
use crate::cli::http::HttpClient;
use crate::cli::http::HttpError;
use crate::client::connect::Way;
use crate::client::endpoint::Endpoint;
use crate::clock::Clock;

/// Slots that a second is divided into; an aircraft reports in one of them.
const SLOTS: usize = 20;
const SLOT: Duration = Duration::from_millis(1000 / SLOTS as u64);
const MEDIA: &str = "application/x-ndjson";

/// Reports the fleet until `stopped`.
pub(crate) async fn feed(
    mut fleet: Fleet,
    endpoint: Endpoint,
    clock: Clock,
    stopped: Arc<AtomicBool>,
) -> Result<(), HttpError> {
    let upserts = endpoint.target(&format!("/v1/publish/{TOPIC}?key_field=icao24&ack=none"));
    let deletes =
        endpoint.target(&format!("/v1/publish/{TOPIC}?key_field=icao24&op=delete&ack=none"));
    let mut client = HttpClient::new(Way::plain(endpoint));
    let mut due = Instant::now();
    for slot in (0..SLOTS).cycle() {
        sleep_until(due).await;
        if stopped.load(Ordering::Relaxed) {
            return Ok(());
        }
        let timestamp_ms = clock.now().wall_us / 1000;
        let slot = step(&mut fleet, slot, timestamp_ms);
        for (target, body) in [(&upserts, slot.reports), (&deletes, slot.departures)] {
            if !body.is_empty() {
                client.post(target, MEDIA, body.as_bytes()).await?;
            }
        }
        // After a pause of the whole machine the missed slots are not made up for: they would all come at once.
        due = (due + SLOT).max(Instant::now());
    }
    Ok(())
}

/// What is to be told in one slot, as NDJSON.
#[derive(Debug, Default)]
struct Slot {
    reports: String,
    departures: String,
}

/// Moves the slot's aircraft on by a second.
fn step(fleet: &mut Fleet, slot: usize, timestamp_ms: u64) -> Slot {
    let mut told = Slot::default();
    for index in (slot..fleet.aircraft.len()).step_by(SLOTS) {
        if let Some(gone) = fleet.step(index, 1.0) {
            told.departures.push_str(&format!("{{\"icao24\":\"{gone:06x}\"}}\n"));
        }
        if let Some(aircraft) = fleet.aircraft.get(index) {
            report(aircraft, timestamp_ms, &mut told.reports);
        }
    }
    told
}

/// One line with the members, the units and the precision of real receivers.
fn report(aircraft: &Aircraft, timestamp_ms: u64, lines: &mut String) {
    let written = writeln!(
        lines,
        "{{\"icao24\":\"{:06x}\",\"callsign\":\"{}\",\"timestamp\":{timestamp_ms},\"latitude\":{:.5},\"longitude\":{:.5},\
         \"altitude\":{:.1},\"groundspeed\":{:.1},\"track\":{:.1},\"vertical_rate\":{:.1}}}",
        aircraft.address,
        aircraft.callsign,
        aircraft.latitude,
        aircraft.longitude,
        (aircraft.altitude / 25.0).round() * 25.0,
        aircraft.groundspeed,
        aircraft.track,
        (aircraft.vertical_rate / 64.0).round() * 64.0,
    );
    debug_assert!(written.is_ok(), "a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_aircraft_reports_once_a_second_with_the_members_of_the_real_ones() {
        let mut fleet = Fleet::new(3, 50);
        let told: Vec<Slot> =
            (0..SLOTS).map(|slot| step(&mut fleet, slot, 1_533_099_600_000)).collect();
        assert!(told.iter().all(|slot| (2..=3).contains(&slot.reports.lines().count())));
        let reports: Vec<serde_json::Value> = told
            .iter()
            .flat_map(|slot| slot.reports.lines())
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(reports.len(), 50);
        let members = [
            "icao24",
            "callsign",
            "timestamp",
            "latitude",
            "longitude",
            "altitude",
            "groundspeed",
            "track",
            "vertical_rate",
        ];
        for report in reports {
            assert!(members.iter().all(|member| report.get(member).is_some()), "{report}");
            assert_eq!(report.as_object().unwrap().len(), members.len(), "{report}");
        }
    }

    #[test]
    fn one_that_left_is_named_as_it_was() {
        let mut fleet = Fleet::new(3, 1);
        let address = fleet.aircraft[0].address;
        let departures =
            (0..20_000).map(|_| step(&mut fleet, 0, 0).departures).find(|gone| !gone.is_empty());
        assert_eq!(departures.unwrap(), format!("{{\"icao24\":\"{address:06x}\"}}\n"));
    }
}

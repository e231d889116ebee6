//! The live page and the client that it uses, as they lie in the source, compiled into the binary.
//!
//! Invariants: nothing is read from disk and nothing is fetched from elsewhere; what a path answers is the same for the life of the
//! process, so its tag is made once. Pure: a path in, bytes out.

/// One file.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    pub path: &'static str,
    pub content_type: &'static str,
    pub body: &'static [u8],
}

/// What a browser that opens the page may load and run: only what comes from here.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; \
     connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// A file of the page's own folder.
macro_rules! of_page {
    ($content_type:expr, $name:literal) => {
        Asset {
            path: concat!("/dashboard/", $name),
            content_type: $content_type,
            body: include_bytes!($name),
        }
    };
}

/// A file of the JavaScript client.
macro_rules! of_client {
    ($name:literal) => {
        Asset {
            path: concat!("/clients/js/", $name),
            content_type: SCRIPT,
            body: include_bytes!(concat!("../clients/js/", $name)),
        }
    };
}

/// The paths are those of the source tree under `src`, so that what one file imports of another is right in both places.
const PAGE: [Asset; 40] = [
    Asset { path: "/", content_type: HTML, body: include_bytes!("index.html") },
    of_page!(CSS, "style.css"),
    of_page!(CSS, "colours.css"),
    of_page!(CSS, "panels.css"),
    of_page!(CSS, "api.css"),
    of_page!(BYTES, "land.bin"),
    of_page!(SCRIPT, "app.js"),
    of_page!(SCRIPT, "api.js"),
    of_page!(SCRIPT, "area.js"),
    of_page!(SCRIPT, "attempt.js"),
    of_page!(SCRIPT, "charts.js"),
    of_page!(SCRIPT, "details.js"),
    of_page!(SCRIPT, "element.js"),
    of_page!(SCRIPT, "figures.js"),
    of_page!(SCRIPT, "happenings.js"),
    of_page!(SCRIPT, "land.js"),
    of_page!(SCRIPT, "lasts.js"),
    of_page!(SCRIPT, "map.js"),
    of_page!(SCRIPT, "metrics.js"),
    of_page!(SCRIPT, "operator.js"),
    of_page!(SCRIPT, "paint.js"),
    of_page!(SCRIPT, "panels.js"),
    of_page!(SCRIPT, "replay.js"),
    of_page!(SCRIPT, "schema.js"),
    of_page!(SCRIPT, "tail.js"),
    of_page!(SCRIPT, "topics.js"),
    of_page!(SCRIPT, "tracks.js"),
    of_page!(SCRIPT, "uplot.js"),
    of_page!(SCRIPT, "view.js"),
    of_client!("answers.js"),
    of_client!("columns.js"),
    of_client!("filters.js"),
    of_client!("forms.js"),
    of_client!("fanwire.js"),
    of_client!("hub.js"),
    of_client!("position.js"),
    of_client!("shared.js"),
    of_client!("shared-worker.js"),
    of_client!("subscription.js"),
    of_client!("token.js"),
];

/// What is said and called here, as documents; and the page that shows them.
const DOCUMENTS: [Asset; 3] = [
    Asset {
        path: "/openapi",
        content_type: JSON,
        body: include_bytes!("../../docs/api/openapi.json"),
    },
    Asset {
        path: "/asyncapi",
        content_type: JSON,
        body: include_bytes!("../../docs/api/asyncapi.json"),
    },
    Asset { path: "/openapi/ui", content_type: HTML, body: include_bytes!("api.html") },
];

/// Behind this path stands which layout the viewer has; `/openapi/ui` itself has the first.
pub const VIEWER: &str = "/openapi/ui/";

/// The layouts of the viewer, by the names that ResolveSpec has for them.
//= resolvespec#3E
//# UI handler serves HTML for `swagger-ui` (default), `rapidoc`, `redoc`, `scalar`; […] unknown type → 400 `Unsupported UI type`
pub const LAYOUTS: [&str; 4] = ["swagger-ui", "rapidoc", "redoc", "scalar"];

/// The paths of these files.
const fn paths_of<const COUNT: usize>(assets: &[Asset; COUNT]) -> [&'static str; COUNT] {
    let mut paths = [""; COUNT];
    let mut index = 0;
    while index < COUNT {
        paths[index] = assets[index].path;
        index += 1;
    }
    paths
}

/// The paths of the page's and the client's files.
pub const PATHS: [&str; PAGE.len()] = paths_of(&PAGE);

/// The paths of the documents and their viewer.
pub const DOCUMENT_PATHS: [&str; DOCUMENTS.len()] = paths_of(&DOCUMENTS);

/// The file at this path, if there is one.
#[must_use]
pub fn asset(path: &str) -> Option<&'static Asset> {
    let is_viewer = path.strip_prefix(VIEWER).is_some_and(|layout| LAYOUTS.contains(&layout));
    let path = if is_viewer { VIEWER.trim_end_matches('/') } else { path };
    PAGE.iter().chain(&DOCUMENTS).find(|asset| asset.path == path)
}

impl Asset {
    /// An entity tag: the same bytes have the same, and other bytes almost surely another.
    #[must_use]
    pub fn etag(&self) -> String {
        // FNV-1a: short, and no two versions of a file are made to collide.
        let hash = self.body.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("\"{hash:016x}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_names_is_there() {
        // Documents name files by themselves, behind their folder: those are held to the doors.
        let pages = DOCUMENTS.iter().filter(|asset| asset.content_type == HTML);
        for asset in PAGE.iter().chain(pages) {
            let Ok(text) = std::str::from_utf8(asset.body) else { continue };
            let folder = asset.path.rsplit_once('/').unwrap().0;
            for named in text
                .split(['\'', '"'])
                .filter(|text| [".js", ".css", ".bin"].iter().any(|end| text.ends_with(end)))
            {
                let path = match named.strip_prefix("./") {
                    Some(beside) => format!("{folder}/{beside}"),
                    None => named.replace("../", "/"),
                };
                assert!(
                    super::asset(&path).is_some(),
                    "{} names {named}, which would be {path}",
                    asset.path
                );
            }
        }
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        for asset in PAGE.iter().chain(&DOCUMENTS) {
            let Ok(text) = std::str::from_utf8(asset.body) else { continue };
            let elsewhere = text.match_indices("http").filter(|(at, _)| {
                let rest = text
                    .get(*at..)
                    .unwrap_or_default()
                    .trim_start_matches("https")
                    .trim_start_matches("http");
                // A namespace is a name, and `location` and examples in messages are of this host.
                rest.starts_with("://")
                    && !rest.starts_with("://www.w3.org/2000/svg")
                    && !rest.starts_with("://host")
            });
            assert_eq!(elsewhere.count(), 0, "{}", asset.path);
        }
    }

    #[test]
    fn the_viewer_has_the_layouts_that_resolvespec_names_and_no_other() {
        let viewer = asset("/openapi/ui").unwrap().etag();
        for layout in LAYOUTS {
            assert_eq!(asset(&format!("{VIEWER}{layout}")).unwrap().etag(), viewer, "{layout}");
        }
        for other in ["", "Redoc", "redoc/", "swagger"] {
            assert!(asset(&format!("{VIEWER}{other}")).is_none(), "{other}");
        }
    }

    #[test]
    fn other_paths_are_not_ours() {
        assert!(
            asset("/dashboard").is_none() && asset("").is_none() && asset("/index.html").is_none()
        );
        assert_ne!(asset("/").unwrap().etag(), asset("/dashboard/app.js").unwrap().etag());
    }
}

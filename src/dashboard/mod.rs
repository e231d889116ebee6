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

/// The paths are those of the source tree under `src`, so that what one file imports of another is right in both places.
const ASSETS: [Asset; 13] = [
    Asset { path: "/", content_type: HTML, body: include_bytes!("index.html") },
    Asset { path: "/dashboard/style.css", content_type: CSS, body: include_bytes!("style.css") },
    Asset { path: "/dashboard/app.js", content_type: SCRIPT, body: include_bytes!("app.js") },
    Asset {
        path: "/dashboard/figures.js",
        content_type: SCRIPT,
        body: include_bytes!("figures.js"),
    },
    Asset {
        path: "/dashboard/outline.js",
        content_type: SCRIPT,
        body: include_bytes!("outline.js"),
    },
    Asset { path: "/dashboard/paint.js", content_type: SCRIPT, body: include_bytes!("paint.js") },
    Asset { path: "/dashboard/tracks.js", content_type: SCRIPT, body: include_bytes!("tracks.js") },
    Asset { path: "/dashboard/view.js", content_type: SCRIPT, body: include_bytes!("view.js") },
    Asset { path: "/dashboard/replay.js", content_type: SCRIPT, body: include_bytes!("replay.js") },
    Asset {
        path: "/clients/js/answers.js",
        content_type: SCRIPT,
        body: include_bytes!("../clients/js/answers.js"),
    },
    Asset {
        path: "/clients/js/subscription.js",
        content_type: SCRIPT,
        body: include_bytes!("../clients/js/subscription.js"),
    },
    Asset {
        path: "/clients/js/fanwire.js",
        content_type: SCRIPT,
        body: include_bytes!("../clients/js/fanwire.js"),
    },
    Asset {
        path: "/clients/js/position.js",
        content_type: SCRIPT,
        body: include_bytes!("../clients/js/position.js"),
    },
];

/// The paths of all files.
pub const PATHS: [&str; ASSETS.len()] = {
    let mut paths = [""; ASSETS.len()];
    let mut index = 0;
    while index < paths.len() {
        paths[index] = ASSETS[index].path;
        index += 1;
    }
    paths
};

/// The file at this path, if there is one.
#[must_use]
pub fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
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
        for asset in &ASSETS {
            let text = std::str::from_utf8(asset.body).unwrap();
            let folder = asset.path.rsplit_once('/').unwrap().0;
            for named in text
                .split(['\'', '"'])
                .filter(|text| text.ends_with(".js") || text.ends_with(".css"))
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
        for asset in &ASSETS {
            let text = std::str::from_utf8(asset.body).unwrap();
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
    fn other_paths_are_not_ours() {
        assert!(
            asset("/dashboard").is_none() && asset("").is_none() && asset("/index.html").is_none()
        );
        assert_ne!(asset("/").unwrap().etag(), asset("/dashboard/app.js").unwrap().etag());
    }
}

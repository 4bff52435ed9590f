//! The dashboard's page: files that are part of the program. No path of a file system is ever made of a request.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response};

use crate::body::Body;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const ICON: &str = "image/svg+xml";

/// The page takes everything from here and nothing from elsewhere, runs no script but its own, and is framed by nobody.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

macro_rules! asset {
    ($kind:expr, $name:literal) => {
        (concat!("/assets/", $name), $kind, include_str!(concat!("page_assets/", $name)))
    };
}

const INDEX: &str = include_str!("page_assets/index.html");
const ASSETS: [(&str, &str, &str); 16] = [
    asset!(STYLE, "style.css"),
    asset!(STYLE, "panels.css"),
    asset!(ICON, "icon.svg"),
    asset!(SCRIPT, "app.js"),
    asset!(SCRIPT, "dom.js"),
    asset!(SCRIPT, "words.js"),
    asset!(SCRIPT, "live.js"),
    asset!(SCRIPT, "store.js"),
    asset!(SCRIPT, "actions.js"),
    asset!(SCRIPT, "chart.js"),
    asset!(SCRIPT, "overview.js"),
    asset!(SCRIPT, "quotas.js"),
    asset!(SCRIPT, "queue.js"),
    asset!(SCRIPT, "upstreams.js"),
    asset!(SCRIPT, "batches.js"),
    asset!(SCRIPT, "requests.js"),
];

/// The file at `path`, if it is one of the page's.
pub(super) fn find(path: &str) -> Option<Response<Body>> {
    if path == "/" {
        return Some(file(HTML, INDEX));
    }
    let (_, kind, text) = ASSETS.iter().find(|(known, ..)| *known == path)?;
    Some(file(kind, text))
}

fn file(kind: &'static str, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes::Bytes::from_static(text.as_bytes())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_its_own_files_is_found() {
        assert!(find("/").is_some());
        assert!(ASSETS.iter().all(|(path, ..)| find(path).is_some()));
        for path in ["", "/assets", "/assets/", "/assets/../app.js", "/assets/none.js", "/index.html", "//"] {
            assert!(find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn the_page_needs_nobody_else() {
        for (name, text) in ASSETS.iter().map(|(name, _, text)| (*name, *text)).chain([("/", INDEX)]) {
            let foreign = text.replace("http://www.w3.org/", "");
            assert!(!foreign.contains("http://") && !foreign.contains("https://"), "{name}");
            for unsafe_way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!text.contains(unsafe_way), "{name}: {unsafe_way}");
            }
        }
        for inline in ["style=", "<style", "onclick", "onload", "onerror", "javascript:", "<script>"] {
            assert!(!INDEX.contains(inline), "{inline}");
        }
    }
}

//! The page that shows the documents.

use crate::support::Engine;

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let engine = Engine::start(&[]);
    let nobody = engine.nobody();
    let page = nobody.get("/docs").await;
    let policy = page.header("Content-Security-Policy").unwrap().to_owned();
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    for path in ["/docs", "/docs/page.css", "/docs/page.js"] {
        let answer = nobody.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        for elsewhere in ["http://", "https://", "src=\"//", "url(//", "@import"] {
            assert!(!answer.text.contains(elsewhere), "{path} has {elsewhere}");
        }
    }
    for part in ["/docs/page.css", "/docs/page.js"] {
        assert!(page.text.contains(part), "the page does not use {part}");
    }
}

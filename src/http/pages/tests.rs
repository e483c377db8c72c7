use actix_web::App;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, call_service, init_service, read_body};

use super::*;

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: web::Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

async fn get(settings: &config::Pages, path: &str, headers: &[(&str, &str)]) -> Answer {
    let pages = Pages::new(settings);
    let app = init_service(App::new().configure(|app| configure(&pages, app))).await;
    let mut request = TestRequest::get().uri(path);
    for header in headers {
        request = request.insert_header(*header);
    }
    let response = call_service(&app, request.to_request()).await;
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: read_body(response).await,
    }
}

fn plain() -> config::Pages {
    config::Pages::default()
}

/// What the pages ask for from their head and their scripts.
fn files_of(page: &str) -> Vec<String> {
    let addresses = page.split('"').filter(|part| part.starts_with(ASSETS));
    addresses
        .filter(|part| part.contains('.'))
        .map(str::to_owned)
        .collect()
}

#[actix_web::test]
async fn each_page_finds_all_its_files_which_are_kept_for_ever() {
    for path in ["/", "/live/0123456789abcdef0123456789abcdef"] {
        let page = get(&plain(), path, &[]).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, "text/html; charset=utf-8")
        );
        assert!(!page.text().contains("{{"), "{}", page.text());
        let files = files_of(page.text());
        assert!(files.len() > 6, "{files:?}");
        for file in files {
            let asset = get(&plain(), &file, &[]).await;
            assert_eq!(asset.status, 200, "{file}");
            assert!(asset.header("cache-control").contains("immutable"), "{file}");
            assert_eq!(asset.header("x-content-type-options"), "nosniff");
        }
    }
}

#[actix_web::test]
async fn modules_import_only_files_that_are_there_and_preloaded() {
    let page = get(&plain(), "/live/x", &[]).await;
    let known = files_of(page.text());
    for file in known.iter().filter(|file| file.ends_with(".js")) {
        let script = get(&plain(), file, &[]).await;
        for line in script.text().lines().filter(|line| line.contains(" from \"")) {
            let name = line.split("\"./").nth(1).and_then(|rest| rest.split('"').next());
            let name = name.unwrap_or_else(|| panic!("{file} imports from elsewhere: {line}"));
            assert!(
                known.iter().any(|known| known.ends_with(&format!("/{name}"))),
                "{file}: {name}"
            );
        }
    }
}

#[actix_web::test]
async fn a_page_that_has_not_changed_is_not_sent_again() {
    let first = get(&plain(), "/", &[]).await;
    let etag = first.header("etag").to_owned();
    for known in [
        etag.clone(),
        format!("W/{etag}"),
        format!("\"x\", {etag}"),
        "*".into(),
    ] {
        let again = get(&plain(), "/", &[("if-none-match", &known)]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
        assert_eq!(again.header("etag"), etag);
        assert!(
            again
                .header("content-security-policy")
                .contains("default-src 'none'")
        );
    }
    assert_eq!(
        get(&plain(), "/", &[("if-none-match", "\"x\"")]).await.status,
        200
    );
    let tiled = config::Pages {
        tile_url: "/{z}/{x}/{y}".into(),
        ..plain()
    };
    let before = get(&plain(), "/live/x", &[]).await;
    let after = get(&tiled, "/live/x", &[("if-none-match", before.header("etag"))]).await;
    assert_eq!(after.status, 200, "a page with other settings is another page");
}

#[actix_web::test]
async fn who_takes_gzip_gets_it_and_nobody_else() {
    for (accepts, coding) in [
        ("gzip, br", "gzip"),
        ("br;q=1, gzip;q=0.5", "gzip"),
        ("gzip;q=0", ""),
        ("identity", ""),
    ] {
        let answer = get(&plain(), "/", &[("accept-encoding", accepts)]).await;
        assert_eq!(answer.header("content-encoding"), coding, "{accepts}");
        assert_eq!(answer.body.starts_with(&[0x1f, 0x8b]), coding == "gzip");
        assert!(answer.header("vary").eq_ignore_ascii_case("accept-encoding"));
    }
    assert_eq!(get(&plain(), "/", &[]).await.header("content-encoding"), "");
}

#[actix_web::test]
async fn the_map_comes_in_cells_and_where_there_is_sea_there_is_none() {
    let cell = |column, row| format!("{ASSETS}/{}/map/cell/{column}/{row}", assets::version());
    let manila = get(&plain(), &cell(30, 10), &[("accept-encoding", "gzip")]).await;
    assert_eq!((manila.status, manila.header("content-encoding")), (200, "gzip"));
    assert!(get(&plain(), &cell(30, 10), &[]).await.body.starts_with(b"MYM1"));
    assert_eq!(get(&plain(), &cell(5, 4), &[]).await.status, 404);
    assert_eq!(get(&plain(), &cell(300, 4), &[]).await.status, 404);
}

#[actix_web::test]
async fn files_of_another_build_are_asked_for_again() {
    let old = get(&plain(), "/assets/0000000000000000/style.css", &[]).await;
    assert_eq!((old.status, old.header("cache-control")), (200, "no-cache"));
    for path in [
        "/assets/x/none.js",
        "/assets/x/../Cargo.toml",
        "/assets/x/index.html",
        "/assets/x/",
    ] {
        assert_eq!(get(&plain(), path, &[]).await.status, 404, "{path}");
    }
}

#[actix_web::test]
async fn settings_reach_the_page_as_text_and_the_policy_as_an_origin() {
    let settings = config::Pages {
        tile_url: "https://tiles.example.org/{z}/{x}/{y}.png?a=1&b=2".into(),
        tile_attribution: "© \"Streets\" <script>alert(1)</script>".into(),
        tile_zoom_max: 17,
        ..plain()
    };
    let page = get(&settings, "/live/x", &[("host", "help.example.org")]).await;
    let text = page.text();
    assert!(text.contains("data-tile-url=\"https://tiles.example.org/{z}/{x}/{y}.png?a=1&amp;b=2\""));
    assert!(text.contains("© &quot;Streets&quot; &lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(text.contains("data-tile-zoom-max=\"17\""));
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("img-src 'self' https://tiles.example.org;"),
        "{policy}"
    );
    assert!(policy.contains("ws://help.example.org"), "{policy}");
}

#[actix_web::test]
async fn an_id_that_can_be_none_gets_the_page_with_404() {
    let answer = get(&plain(), "/live/%3Cscript%3E", &[]).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("<title>Incident · Mayday</title>"));
}

#[actix_web::test]
async fn pages_that_are_off_are_not_there() {
    let off = config::Pages {
        enabled: false,
        ..plain()
    };
    for path in ["/", "/live/x", "/assets/x/style.css"] {
        assert_eq!(get(&off, path, &[]).await.status, 404, "{path}");
    }
}

//! Street tiles from a server that the operator named.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::browser::{Browser, DESK};
use super::*;

/// One grey pixel.
const TILE: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0,
    0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 0x0a, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63,
    0x68, 0, 0, 0, 0x82, 0, 0x81, 0x77, 0xcd, 0x72, 0xb6, 0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42,
    0x60, 0x82,
];

/// A tile server: answers every request, and keeps its head.
fn tile_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let heads = Arc::clone(&heads);
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    head.push(byte[0]);
                }
                heads
                    .lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&head).into_owned());
                let length = TILE.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                let _ = stream
                    .write_all(answer.as_bytes())
                    .and_then(|()| stream.write_all(TILE));
            });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn tiles_come_from_the_server_in_the_settings_which_learns_no_incident() {
    let (tiles, asked) = tile_server();
    let url = format!("http://{tiles}/t/{{z}}/{{x}}/{{y}}.png");
    let engine = Engine::start(&[
        ("pages.tile_url", &url),
        ("pages.tile_attribution", "© The Street Mappers"),
    ]);
    let address = engine.address().to_string();
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    let browser = Browser::start(DESK).await;
    looks_at(&browser, &ana, &sos).await;
    browser.reads(".credit", "© The Street Mappers").await;
    let heads = eventually("tiles are asked for", || async {
        let heads = asked.lock().unwrap().clone();
        (heads.len() >= 6).then_some(heads)
    })
    .await;
    for head in &heads {
        // Zoom 16 in Manila.
        assert!(head.starts_with("GET /t/16/547"), "{head}");
        assert!(
            !head.contains(&sos),
            "the tile server learns the incident: {head}"
        );
    }
    browser.ends(&[&address, &tiles], &[]).await;
}

#[tokio::test]
async fn without_a_tile_server_the_map_asks_nobody_and_shows_the_coast() {
    let engine = Engine::start(&[]);
    let address = engine.address().to_string();
    let ana = engine.user("Ana");
    let sos = ana.raises(fire()).await;
    let browser = Browser::start(DESK).await;
    looks_at(&browser, &ana, &sos).await;
    let colours = "const c = document.querySelector('#mapCanvas');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const seen = new Set(); for (let n = 0; n < d.length; n += 4) seen.add(`${d[n]},${d[n+1]},${d[n+2]}`);
        return ['207,224,238', '243,241,234'].map((colour) => seen.has(colour)).join()";
    for _ in 0..6 {
        browser.clicks("#zoomOut").await;
    }
    // Sea and land, from what the program holds.
    browser
        .until(
            "the bay of Manila is drawn",
            &format!("const both = (() => {{ {colours} }})(); return both === 'true,true'"),
            vec![],
        )
        .await;
    let scale = browser.text("#mapScale").await;
    assert!(scale.ends_with("km"), "{scale}");
    browser.ends(&[&address], &[]).await;
}

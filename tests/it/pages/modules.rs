//! The pages' modules alone, in the browser that runs them.

use serde_json::{Value, json};

use super::browser::{Browser, DESK};
use super::*;

/// One browser for all of them: starting it takes longer than what it is asked.
#[tokio::test]
async fn the_modules_keep_their_promises_alone() {
    let engine = Engine::start(&[]);
    let browser = Browser::start(DESK).await;
    browser.opens(&format!("http://{}/", engine.address())).await;
    browser.reads("#healthWords", "ready").await;
    distances_and_directions_are_those_of_the_globe(&browser).await;
    what_is_known_of_an_incident_follows_its_log_in_whatever_order_it_is_read(&browser).await;
    a_screen_reader_is_told_much_news_in_few_words(&browser).await;
    browser.ends(&[&engine.address().to_string()], &[]).await;
}

async fn asks(browser: &Browser, module: &str, script: &str) -> Value {
    let load =
        format!("const m = await import(document.documentElement.dataset.assets + '/js/{module}.js');");
    browser.awaits(&format!("{load} {script}")).await
}

async fn distances_and_directions_are_those_of_the_globe(browser: &Browser) {
    let places = "const manila = {latitude: 14.5995, longitude: 120.9842}, cebu = {latitude: 10.3157, longitude: 123.8854};
        const fiji = [{latitude: -17, longitude: 179.9}, {latitude: -17, longitude: -179.9}];";
    let far = asks(browser, "geo", &format!("{places} return [m.distance(manila, cebu), m.bearing(manila, cebu), m.distance(...fiji), m.bearing(...fiji)]")).await;
    let far: Vec<f64> = far
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_f64().unwrap())
        .collect();
    assert!((far[0] - 571_700.0).abs() < 2_000.0, "{far:?}");
    assert!((far[1] - 146.5).abs() < 1.0, "{far:?}");
    // Across the antimeridian it is 21 km, not once round the world.
    assert!(
        (far[2] - 21_267.0).abs() < 50.0 && (far[3] - 90.0).abs() < 0.1,
        "{far:?}"
    );
    let words = "return [m.wind(0), m.wind(359), m.wind(46), m.metres(4.4), m.metres(128), m.metres(1240), m.metres(56700), m.coordinates({latitude: -1.5, longitude: 0.25})]";
    assert_eq!(
        asks(browser, "geo", words).await,
        json!([
            "north",
            "north",
            "north-east",
            "4 m",
            "130 m",
            "1.2 km",
            "57 km",
            "1.50000° S, 0.25000° E"
        ])
    );
    let round_trip = "const p = {latitude: -33.4, longitude: 151.2}, q = m.unproject(m.project(p));
        return Math.abs(p.latitude - q.latitude) + Math.abs(p.longitude - q.longitude) < 1e-9";
    assert_eq!(asks(browser, "geo", round_trip).await, true);
    for (typed, refusal) in [
        ("'', '1'", "Latitude"),
        ("'1', 'x'", "Longitude"),
        ("'90.1', '0'", "Latitude"),
        ("'0', '-181'", "Longitude"),
    ] {
        let script =
            format!("try {{ m.typedPosition({typed}); return 'taken' }} catch (e) {{ return e.message }}");
        let answer = asks(browser, "geo", &script).await;
        assert!(answer.as_str().unwrap().starts_with(refusal), "{typed}: {answer}");
    }
    assert_eq!(
        asks(browser, "geo", "return m.typedPosition('14,5', ' 121 ')").await,
        json!({"latitude": 14.5, "longitude": 121})
    );
}

/// `i` is an incident with Ana, who raised it, at seq 10; `joined` and so on make frames.
const INCIDENT: &str = "
    const at = (s) => new Date(Date.UTC(2026, 0, 1, 0, 0, s)).toISOString();
    const facts = (seq, status, people) => ({sosId: 'x', seq, status, createdAt: at(0), updatedAt: at(seq), creatorId: 'ana',
        messagesCount: 0, activeParticipants: people.map((id) => ({id, userType: 'CITIZEN', displayName: id, joinedAt: at(0)}))});
    const i = new m.Incident('x');
    i.learn(facts(10, 'ACTIVE', ['ana']));
    const joined = (seq, who) => i.frame({type: 'user-joined', roomId: 'x', seq, timestamp: at(seq), user: {id: who, name: who, role: 'ANON'}});
    const left = (seq, who) => i.frame({type: 'user-left', roomId: 'x', seq, timestamp: at(seq ?? 1), clientId: who, userName: who});
    const moved = (who) => i.frame({type: 'location-update', roomId: 'x', timestamp: at(1), data: {userId: who, userName: who, latitude: 1, longitude: 2, timestamp: at(1)}});
    const wrote = (seq, who, content) => i.frame({type: 'room-message', roomId: 'x', seq, id: 'm' + seq, timestamp: at(seq), userName: who, user: {id: who, name: who, role: 'ANON'}, content});
    const status = (seq, to) => i.frame({type: 'sos-status', roomId: 'x', sosId: 'x', seq, timestamp: at(seq), clientId: 'ana', from: 'ACTIVE', status: to});
    const names = () => i.active().map(({id}) => id);
";

async fn what_is_known_of_an_incident_follows_its_log_in_whatever_order_it_is_read(browser: &Browser) {
    let story = |script: &str| format!("{INCIDENT} {script}");
    let answers = [
        // Somebody comes, moves and goes; their position goes with them.
        (
            "joined(11, 'ben'); moved('ben'); const n = [names(), i.places().length]; left(12, 'ben'); return [...n, names(), i.places().length]",
            json!([["ana", "ben"], 1, ["ana"], 0]),
        ),
        // An event that comes twice counts once.
        (
            "wrote(11, 'ben', 'a'); wrote(11, 'ben', 'a'); return [i.log().length, i.facts.messagesCount]",
            json!([1, 1]),
        ),
        // The past, read later, brings back nobody and ends nothing.
        (
            "left(14, 'ben'); joined(5, 'ben'); wrote(4, 'ben', 'old'); return [names(), i.facts.messagesCount, i.log().map(({seq}) => seq)]",
            json!([["ana"], 0, [4, 5, 14]]),
        ),
        // Without a seq only their presence changed.
        (
            "joined(11, 'ben'); left(undefined, 'ben'); return [names(), i.people.get('ben').online]",
            json!([["ana", "ben"], false]),
        ),
        // At the end nobody is in it, nobody's place is known, and none is taken any more.
        (
            "joined(11, 'ben'); moved('ben'); status(12, 'RESOLVED'); moved('ben'); return [names(), i.places().length, i.facts.status, i.open]",
            json!([[], 0, "RESOLVED", false]),
        ),
        // An answer of REST that was overtaken by the socket changes nothing; a newer one says who has gone.
        (
            "joined(11, 'ben'); i.learn(facts(10, 'ACTIVE', ['ana'])); const n = names(); i.learn(facts(13, 'ACTIVE', ['ana'])); return [n, names()]",
            json!([["ana", "ben"], ["ana"]]),
        ),
        // Another room's news are none of this incident's.
        (
            "return i.frame({type: 'user-joined', roomId: 'y', seq: 11, user: {id: 'z'}})",
            json!(null),
        ),
        // Who is not inside keeps no position.
        (
            "i.seated('me'); joined(11, 'ben'); moved('ben'); i.unseated(); return [i.inside, i.places().length]",
            json!([false, 0]),
        ),
    ];
    for (script, expected) in answers {
        assert_eq!(
            asks(browser, "incident", &story(script)).await,
            expected,
            "{script}"
        );
    }
}

async fn a_screen_reader_is_told_much_news_in_few_words(browser: &Browser) {
    let script = "const region = document.createElement('p'); const a = new m.Announcer(region);
        for (let n = 1; n <= 10; n++) a.say('news ' + n);
        const before = region.textContent;
        const spoken = new Promise((done) => new MutationObserver(() => done(region.textContent)).observe(region, {childList: true}));
        return [before, await spoken]";
    assert_eq!(
        asks(browser, "announce", script).await,
        json!(["", "7 more. news 8. news 9. news 10"])
    );
}

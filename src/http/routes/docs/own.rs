//! Devices, and what is kept of whoever speaks.

use serde_json::{Value, json};

use super::operation::{Describer, Operation};
use super::people::LAST;
use crate::http::error::Code;
use crate::http::routes::devices::views::{
    DeviceView, ErasedView, ForgottenView, KeyView, OwnReport, OwnView, PushView, RegisteredView,
    SubjectView, Whereabouts,
};
use crate::wire::rest::{ContactsView, DeedView, LocationView};

const TAG: &str = "Your own data";
const DEVICE: &str = "0b8f9d4e-6a53-4c1f-9a77-3d2f1e5c8b60";

pub(super) fn describe(to: &mut Describer<'_>) {
    let registered = to.data::<RegisteredView>();
    let token = "d1.5f6d0c1e.1b1a4f0e8d2c7a9b3c4d5e6f0b8f9d4e6a534c1f9a773d2f1e5c8b60";
    to.add(
        Operation::new("POST", "/api/v1/devices", TAG, "registerDevice", "A device registers")
            .text(
                "Without a credential it gets a new id, with `X-Device-ID` the one it has. Registering again adds to the \
                 record: what is not named stays as it was.",
            )
            .optional_body(
                "DeviceInfo",
                &[("what an app tells", json!({"os": "Android 15", "appVersion": "4.1.0", "locale": "fil-PH"}))],
            )
            .answers(
                201,
                "Its id and the token that proves it.",
                registered,
                json!({"success": true, "data": {"deviceId": DEVICE, "deviceToken": token}}),
            ),
    );
    let own = to.data::<OwnView>();
    let mut kept = device();
    kept["subjects"] = json!([{"type": "DEVICE", "id": DEVICE}]);
    kept["counts"] = json!({
        "incidents": 1, "circles": 0, "participations": 2, "positions": 14, "idempotencyKeys": 1, "contacts": 0,
    });
    to.add(
        Operation::new("GET", "/api/v1/devices/me", TAG, "ownRecord", "What is kept of you, counted")
            .text("For devices and registered users. What is not known is null; `lastSeen` is right to within an hour.")
            .answers(200, "The record.", own, json!({"success": true, "data": kept})),
    );
    let erased = to.data::<ErasedView>();
    let example = json!({"participations": 2, "positions": 14, "others": 2, "connections": 1});
    to.add(
        Operation::new("DELETE", "/api/v1/devices/me", TAG, "eraseMe", "Erases all that is kept of you")
            .text(
                "What you did stays in the logs under pseudonyms that point nowhere; an incident that you raised stays \
                 open. Your connections are closed with 4500. Again, it finds nothing to erase.",
            )
            .answers(200, "How much was erased.", erased, json!({"success": true, "data": example})),
    );
    push(to);
    let (schema, example) = (export(to), exported());
    to.add(
        Operation::new(
            "GET",
            "/api/v1/devices/me/export",
            TAG,
            "exportMe",
            "Everything that is kept of you",
        )
        .text("Streamed, however much it is. One that does not end with `complete` was cut off: ask again.")
        .answers(200, "The document.", schema, example)
        .refuses(Code::Unavailable, "Too many exports are running"),
    );
}

fn device() -> Value {
    json!({
        "deviceId": DEVICE, "os": "Android 15", "appVersion": "4.1.0", "locale": "fil-PH", "firstSeen": LAST,
        "lastSeen": LAST,
    })
}

fn export(to: &mut Describer<'_>) -> Value {
    let list = |items: Value| json!({"type": "array", "items": items});
    let participation = json!({
        "type": "object",
        "required": ["place", "events", "reports"],
        "properties": {
            "place": to.schema::<Whereabouts>(),
            "events": list(to.schema::<DeedView>()),
            "reports": list(to.schema::<OwnReport>()),
        },
    });
    let members = json!({
        "exportedAt": {"type": "string", "format": "date-time"},
        "subjects": list(to.schema::<SubjectView>()),
        "device": to.schema::<DeviceView>(),
        "participations": list(participation),
        "positions": list(to.schema::<LocationView<'_>>()),
        "contacts": to.schema::<ContactsView<'_>>(),
        "pushTargets": list(to.schema::<PushView>()),
        "idempotencyKeys": list(to.schema::<KeyView>()),
        "complete": {"type": "boolean", "const": true},
    });
    let required: Vec<&String> = members
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys())
        .collect();
    let data = json!({"type": "object", "required": required, "properties": members});
    json!({
        "type": "object",
        "required": ["success", "data"],
        "properties": {"success": {"type": "boolean", "const": true}, "data": data},
    })
}

fn exported() -> Value {
    json!({"success": true, "data": {
        "exportedAt": LAST,
        "subjects": [{"type": "DEVICE", "id": DEVICE}],
        "device": device(),
        "participations": [{
            "place": {
                "roomId": "7b0d3a4f6d0e4a53b6c1f09a77a3d2f1", "kind": "sos", "participantId": "p-b447fcbc8b87f80c",
                "isOwner": false, "name": "Ben", "phone": null, "role": "ANON", "userType": "ANON_RESCUER",
                "joinedAt": LAST, "leftAt": null, "seenAt": null,
            },
            "reports": [],
            "events": [{"seq": 4, "at": LAST, "type": "message", "data": {"id": "m-1", "content": "I am coming"}}],
        }],
        "positions": [],
        "contacts": {"emergency_contacts": [], "dependent_contacts": []},
        "pushTargets": [],
        "idempotencyKeys": [],
        "complete": true,
    }})
}

fn push(to: &mut Describer<'_>) {
    let kept = to.data::<PushView>();
    let token = json!({"service": "FCM", "token": "fGz1:APA91bH-x"});
    let browser = json!({"service": "WEBPUSH", "subscription": {
        "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAA",
        "keys": {"p256dh": "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM",
                 "auth": "tBHItJI5svbpez7KI4CCXg"},
    }});
    to.add(
        Operation::new("PUT", "/api/v1/devices/me/push", TAG, "keepPushTarget", "Where your device is pushed to")
            .text(
                "Whoever lists the number that your credential vouches for as an emergency contact reaches you so, too. Say \
                 it again whenever the app starts: it is forgotten some time after that. Of too many devices, those that \
                 said so the longest ago are forgotten. A token belongs to whoever said it last.",
            )
            .body("PushTarget", &[("an app", token), ("a browser", browser)])
            .answers(
                200,
                "It is kept.",
                kept,
                json!({"success": true, "data": {"service": "FCM", "until": LAST}}),
            ),
    );
    let forgotten = to.data::<ForgottenView>();
    to.add(
        Operation::new(
            "DELETE",
            "/api/v1/devices/me/push",
            TAG,
            "dropPushTargets",
            "Not to be pushed to any more",
        )
        .text("One device by the body, or all of yours without one. Again, it finds nothing to forget.")
        .optional_body(
            "PushTarget",
            &[(
                "one of them",
                json!({"service": "FCM", "token": "fGz1:APA91bH-x"}),
            )],
        )
        .answers(
            200,
            "How many were forgotten.",
            forgotten,
            json!({"success": true, "data": {"forgotten": 1}}),
        ),
    );
}

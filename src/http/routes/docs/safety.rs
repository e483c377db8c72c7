//! What keeps people safe from whoever is beside them: PINs and check-ins.

use serde_json::{Value, json};

use super::incidents::data;
use super::operation::{Describer, Operation};
use crate::http::error::Code;
use crate::wire::rest::{CheckInEndedView, CheckInView, PinView};

const TAG: &str = "Your own data";
const NEEDED: &str = "The PIN is needed";
const WRONG: &str = "Wrong PIN; 4 more may be tried";

pub(super) fn describe(to: &mut Describer<'_>) {
    pin(to);
    check_ins(to);
}

fn pin(to: &mut Describer<'_>) {
    let view = to.data::<PinView>();
    let shown = |set: bool| data(json!({"set": set}));
    to.add(
        Operation::new("GET", "/api/v1/pin", TAG, "pin", "Whether you have a PIN")
            .text("Whether you have a duress PIN shows nowhere.")
            .answers(200, "Whether you have one.", view.clone(), shown(true)),
    );
    to.add(
        Operation::new("PUT", "/api/v1/pin", TAG, "setPin", "Set your PIN")
            .text(
                "With a PIN nobody but you and operators ends what you raise from then on, and your contacts hear of it \
                 when you could have called it off (`alerts.cancel_window_s`). Whoever types in the duress PIN instead is \
                 shown that it is over; operators are told, and it goes on. Whoever has a PIN names it as `currentPin`. \
                 Too many wrong ones in a row, and none is taken for a while (`[pins]`).",
            )
            .body(
                "SetPin",
                &[
                    ("the first one", json!({"pin": "4711", "duressPin": "1174"})),
                    ("another one", json!({"pin": "2580", "currentPin": "4711"})),
                ],
            )
            .refuses(Code::PinRequired, "currentPin is needed")
            .refuses(Code::WrongPin, WRONG)
            .answers(200, "It is set.", view.clone(), shown(true)),
    );
    to.add(
        Operation::new("DELETE", "/api/v1/pin", TAG, "dropPin", "To have no PIN any more")
            .text("Neither the one nor the other. What is open stays guarded. Again, there is none to take away.")
            .optional_body("CurrentPin", &[("yours", json!({"currentPin": "4711"}))])
            .refuses(Code::PinRequired, "currentPin is needed")
            .refuses(Code::WrongPin, WRONG)
            .answers(200, "You have none.", view, shown(false)),
    );
}

fn one() -> Value {
    json!({
        "id": "0b8f9d4e6a534c1f9a773d2f1e5c8b60", "dueAt": "2026-11-21T20:00:00.000Z", "grace": 300,
        "becomesSosAt": "2026-11-21T20:05:00.000Z", "message": "Walking home through the park", "location": null,
        "sosId": null,
    })
}

fn check_ins(to: &mut Describer<'_>) {
    let (view, views) = (to.data::<CheckInView>(), to.data::<Vec<CheckInView>>());
    let path = "/api/v1/checkins";
    to.add(
        Operation::new("GET", path, TAG, "checkIns", "Your check-ins")
            .text("Those that wait, the first one due first.")
            .answers(200, "The check-ins.", views, data(json!([one()]))),
    );
    let body =
        json!({"dueAt": "2099-11-21T20:00:00Z", "grace": 300, "message": "Walking home through the park"});
    to.add(
        Operation::new("POST", path, TAG, "beginCheckIn", "Say by when you will be well")
            .text(
                "If you do not confirm it by then you are reminded, on your devices or else by a text message, and after \
                 the grace it is an SOS of yours, restricted, of high severity. Acknowledged when it is on disk; it \
                 outlives restarts. Limits: `[checkins]`.",
            )
            .body("CheckIn", &[("on the way home", body)])
            .refuses(Code::Conflict, "At most 20 check-ins wait for one person")
            .answers(201, "It waits.", view, data(one())),
    );
    let ended = to.data::<CheckInEndedView>();
    let example = data(json!({"id": "0b8f9d4e6a534c1f9a773d2f1e5c8b60", "confirmed": true}));
    let end = |method: &'static str, path: &'static str, name: &'static str, title: &'static str| {
        Operation::new(method, path, TAG, name, title)
            .text(
                "Whoever has a PIN types it in. By the duress PIN the answer is the same, and it is a silent SOS at once.",
            )
            .optional_body("TypedPin", &[("with a PIN", json!({"pin": "4711"}))])
            .refuses(Code::NotFound, "There is no such check-in")
            .refuses(Code::Conflict, "It has become the SOS 7b0d3a4f6d0e4a53b6c1f09a77a3d2f1")
            .refuses(Code::PinRequired, NEEDED)
            .refuses(Code::WrongPin, WRONG)
            .answers(200, "Nobody is called.", ended.clone(), example.clone())
    };
    to.add(end(
        "DELETE",
        "/api/v1/checkins/{checkin}",
        "dropCheckIn",
        "Not to need it any more",
    ));
    to.add(end(
        "POST",
        "/api/v1/checkins/{checkin}/confirm",
        "confirmCheckIn",
        "You are well",
    ));
}

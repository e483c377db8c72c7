//! For circle clients: bare JSON.

use serde_json::{Value, json};

use super::operation::{Describer, Operation};
use super::people::{LAST, fix, fix_in_unix_time, seen};
use crate::http::error::Code;
use crate::http::routes::positions::OwnLocations;
use crate::wire::rest::schemas::{locations_query, rooms_query};
use crate::wire::rest::{BatchAnswer, ContactsView, LocationAnswer, LocationsByUser, RoomsInfo};

const TAG: &str = "Circles";
const CIRCLE: &str = "364ac461f8049bb1154b4caf7f112da1";

pub(super) fn describe(to: &mut Describer<'_>) {
    uploads(to);
    positions(to);
    contacts(to);
    let rooms = to.schema::<RoomsInfo<'_>>();
    let room = json!({
        "roomId": CIRCLE, "kind": "circle", "owner": "p-fdb208094e9b2779", "ownerName": "Ana", "isOwner": true,
        "active": true, "members": 2, "seq": 15, "createdAt": "2026-11-21T01:16:49.337Z",
    });
    to.add(
        Operation::new(
            "GET",
            "/api/rooms-info",
            TAG,
            "listRooms",
            "Rooms that are yours, or that you are in",
        )
        .text("For `ADMIN` every room in use on this node, with counts.")
        .query(rooms_query())
        .answers(200, "The rooms.", rooms, json!({"rooms": [room]}))
        .conditional(),
    );
}

fn uploads(to: &mut Describer<'_>) {
    let taken = to.schema::<LocationAnswer<'_>>();
    let mut with_room = fix_in_unix_time();
    with_room["roomId"] = CIRCLE.into();
    to.add(
        Operation::new(
            "POST",
            "/api/location",
            TAG,
            "uploadLocation",
            "Say where you are",
        )
        .text(
            "To one room, which must be yours or list you as a contact, or to every room that you are in. \
                 Acknowledged when what history keeps of it is on disk.",
        )
        .body("Fix", &[("to all", fix()), ("to one room", with_room)])
        .refuses(
            Code::Forbidden,
            "User is not authorized to broadcast to this room",
        )
        .refuses(Code::NotFound, "Room not found")
        .refuses(
            Code::Conflict,
            "User is not in any active room. Provide roomId for disconnected location updates.",
        )
        .answers(
            200,
            "Taken.",
            taken,
            json!({"success": true, "timestamp": LAST, "rooms": [CIRCLE]}),
        ),
    );
    let batch = to.schema::<BatchAnswer>();
    let wrong = json!({"latitude": 91, "longitude": 120.9839, "timestamp": LAST});
    to.add(
        Operation::new(
            "POST",
            "/api/location/batch",
            TAG,
            "uploadLocations",
            "What was queued while offline",
        )
        .text(
            "Each fix is judged alone. Older ones go to history and never move anybody back. Sending a batch \
                 again changes nothing that was taken.",
        )
        .body("FixBatch", &[("two", json!({"fixes": [fix(), wrong]}))])
        .answers(
            200,
            "How many were taken, and why others were not.",
            batch,
            json!({"accepted": 1, "rejected": [
                {"index": 1, "error": "latitude must be a number from -90 to 90 degrees"},
            ]}),
        ),
    );
}

fn positions(to: &mut Describer<'_>) {
    let own = to.schema::<OwnLocations<'_>>();
    to.add(
        Operation::new("GET", "/api/locations", TAG, "listOwnLocations", "Where you were")
            .text("Oldest first.")
            .query(locations_query(false))
            .answers(
                200,
                "A page of positions.",
                own,
                json!({"locations": [seen(None)], "nextCursor": null}),
            )
            .conditional(),
    );
    let contacts = to.schema::<LocationsByUser<'_>>();
    let mut of_ana = serde_json::Map::new();
    of_ana.insert(
        "p-b447fcbc8b87f80c".to_owned(),
        json!({"user_name": "Ana", "user_phone": "+639171234501", "locations": [seen(None)]}),
    );
    to.add(
        Operation::new(
            "GET",
            "/api/locations/contacts",
            TAG,
            "listContactLocations",
            "Where those are whose contact you are",
        )
        .text(
            "The last hour, unless `from` says otherwise. Whoever has more than `limit` has a `nextCursor`: ask on \
                 for them with it and their id as `subject`.",
        )
        .query(locations_query(true))
        .answers(
            200,
            "Positions by person.",
            contacts,
            json!({"locations_by_user": Value::from(of_ana)}),
        ).conditional());
}

fn contacts(to: &mut Describer<'_>) {
    let book = to.schema::<ContactsView<'_>>();
    let example = json!({
        "emergency_contacts": [{"name": "Ben", "phone_no": "+639171234502"}], "dependent_contacts": [],
    });
    to.add(
        Operation::new(
            "GET",
            "/api/contacts",
            TAG,
            "readContacts",
            "Your emergency contacts",
        )
        .answers(200, "The lists.", book.clone(), example.clone())
        .conditional(),
    );
    to.add(
        Operation::new(
            "PUT",
            "/api/contacts",
            TAG,
            "replaceContacts",
            "Change your emergency contacts",
        )
        .text("Both lists are replaced. A change reaches open rooms within a second.")
        .body("Contacts", &[("one", example.clone())])
        .refuses(Code::Conflict, "Contacts are kept by another service")
        .answers(200, "The lists as they are now.", book, example),
    );
}

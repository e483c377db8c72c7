//! What only the inside of the routes can show of devices.

use super::{Rig, device};

#[actix_web::test]
async fn exports_are_written_a_few_at_a_time() {
    let rig = Rig::with(|config| config.devices.exports_max = 2);
    let path = "/api/v1/devices/me/export";
    let running = rig.api.exports.clone().try_acquire_many_owned(2).unwrap();
    let refused = rig.get(&device(1), path).await;
    assert_eq!(refused.refusal(), (503, "UNAVAILABLE"));
    assert!(!refused.header("retry-after").is_empty());
    drop(running);
    for _ in 0..3 {
        let answer = rig.get(&device(1), path).await;
        assert_eq!((answer.status, &answer.data()["complete"]), (200, &true.into()));
    }
}

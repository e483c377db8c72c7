//! A full disk: nothing more is accepted, nothing is damaged, and it goes on as soon as there is room.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::{Engine, UNLIMITED, eventually, fire};

/// A small disk of memory; gone when this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, mib: u32) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test mounts a small tmpfs as its full disk: run it as root (sudo scripts/test)"
        );
        fs::create_dir_all(at).unwrap();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .output()
            .unwrap();
        let why = String::from_utf8_lossy(&mounted.stderr);
        assert!(
            mounted.status.success(),
            "this test needs the right to mount a tmpfs (CAP_SYS_ADMIN): {why}"
        );
        Self(at.to_path_buf())
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut filler = fs::File::create(self.0.join("filler")).unwrap();
        for size in [1 << 20, 4096, 1] {
            let block = vec![b'x'; size];
            while filler.write_all(&block).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_with_503_damages_nothing_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(&folder.path().join("disk"), 24);
    let data = disk.0.join("data");
    let mut settings = UNLIMITED.to_vec();
    settings.push(("locations.min_interval_ms", "0"));
    let mut engine = Engine::start_on(&data, &settings);
    let ana = engine.user("Ana");
    let mut at_ana = ana.connect().await;
    at_ana.creates("circle").await;
    let mut acknowledged = vec![ana.raises(fire()).await];
    let mut written = vec![at_ana.writes("circle", "before").await["seq"].as_u64().unwrap()];

    disk.fill();
    // What is left inside the files that are there already may take a few more.
    let mut refused = None;
    for _ in 0..20_000 {
        let answer = ana.post("/api/v1/sos", fire()).await;
        if answer.status == 201 {
            acknowledged.push(answer.data(201)["sosId"].as_str().unwrap().to_owned());
        } else {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a full disk took 20,000 incidents");
    assert!(refused.header("Retry-After").is_some());
    refused.refused(503, "UNAVAILABLE");
    at_ana
        .says(json!({"type": "room-message", "roomId": "circle", "content": "full", "id": "full"}))
        .await;
    at_ana.expect_error("STORE_FULL").await;
    at_ana.says(json!({"type": "emergency-sos"})).await;
    at_ana.expect_error("STORE_FULL").await;
    // It knows, and what it has can still be read.
    eventually("not ready", || async {
        (ana.get("/ready").await.status == 503).then_some(())
    })
    .await;
    engine.nobody().get("/health").await.ok(200);
    ana.get(&format!("/api/v1/sos/{}", acknowledged[0]))
        .await
        .data(200);

    disk.free();
    let sos = eventually("there is room again", || async {
        let answer = ana.post("/api/v1/sos", fire()).await;
        if answer.status == 201 {
            Some(answer.data(201))
        } else {
            None
        }
    })
    .await;
    acknowledged.push(sos["sosId"].as_str().unwrap().to_owned());
    eventually("ready again", || async {
        (ana.get("/ready").await.status == 200).then_some(())
    })
    .await;
    written.push(at_ana.writes("circle", "after").await["seq"].as_u64().unwrap());
    assert_eq!(
        written[1],
        written[0] + 1,
        "what was refused left a trace in the log"
    );
    at_ana.hears_nothing_more().await;

    // Full again, and the power goes as well.
    disk.fill();
    loop {
        let answer = ana.post("/api/v1/sos", fire()).await;
        if answer.status != 201 {
            answer.refused(503, "UNAVAILABLE");
            break;
        }
        acknowledged.push(answer.data(201)["sosId"].as_str().unwrap().to_owned());
    }
    engine.kill9();
    disk.free();
    // The start checks the whole file.
    engine.restart();
    for sos in &acknowledged {
        assert_eq!(
            ana.get(&format!("/api/v1/sos/{sos}")).await.data(200)["status"],
            "ACTIVE"
        );
    }
    let found: Vec<u64> = super::messages_of(&ana, "circle")
        .await
        .into_iter()
        .map(|(seq, _)| seq)
        .collect();
    assert_eq!(found, written);
    assert!(engine.terminate().success());
}

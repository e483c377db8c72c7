//! What a node refuses to start with when it is to be one of many.

use std::process::Output;

use crate::support::Engine;

const PASSWORD: &str = "hunter2-hunter2";

fn run(engine: &Engine, arguments: &[&str]) -> (Output, String) {
    let output = engine.command(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    (output, said)
}

#[test]
fn a_bus_without_a_store_that_nodes_share_is_refused_and_the_password_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("redis://:{PASSWORD}@127.0.0.1:6379");
    let engine = Engine::not_started(folder.path(), &[("bus.url", &url)]);
    for command in ["serve", "check"] {
        let (output, said) = run(&engine, &[command]);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("bus.url: ") && said.contains("store.url"), "{said}");
        assert!(said.contains("MAYDAY__BUS__URL"), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
}

#[test]
fn an_address_that_is_none_is_named_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    for url in [
        format!("redis://:{PASSWORD}@127.0.0.1:port"),
        format!("redis+sentinel://:{PASSWORD}@127.0.0.1:26379"),
        format!("amqp://:{PASSWORD}@127.0.0.1"),
    ] {
        let engine = Engine::not_started(folder.path(), &[("bus.url", &url)]);
        let (output, said) = run(&engine, &["check"]);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("bus.url: ") && !said.contains(PASSWORD), "{said}");
    }
}

#[test]
fn a_second_node_on_the_same_data_is_refused_and_the_first_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut first = Engine::start_on(&data, &[]);
    let second = Engine::not_started(&data, &[]);
    let (output, said) = run(&second, &["serve"]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("in use by another mayday") && said.contains("data.path"),
        "{said}"
    );
    assert!(first.terminate().success());
    // It let go of the folder, and would have if it had been killed.
    first.restart();
    first.kill9();
    first.restart();
}

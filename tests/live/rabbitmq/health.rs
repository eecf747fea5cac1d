//! What keeps a server from working, and who waits for it.

use std::time::Duration;

use dollop_engine::error::Failure;
use dollop_tests::cli::Project;

use super::bench::Bench;
use super::broker::Broker;

/// Waits until the server's own word on its alarms is `ok`, or is not.
fn alarmed(broker: &Broker, wanted: bool) {
    for _ in 0..300 {
        let answer = broker.get("health/checks/alarms");
        if (answer["status"] == "failed") == wanted && !answer["status"].is_null() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the alarm never is {wanted}");
}

/// A memory alarm stops `after_healthy`, and draining, until it is over.
#[tokio::test]
async fn an_alarm_is_told_and_waited_for() {
    let broker = Broker::ready("alarm");
    let bench = Bench::at(broker.port).await;
    let dial = &bench.registry.connection_kind("rabbitmq::server").unwrap().dial;
    dial.ready(&bench.server).await.unwrap();

    let server = format!(
        "let mq = rabbitmq::server(\"mq\", #{{ host: \"127.0.0.1\", port: {}, password: \"guest\" }});\n",
        broker.port
    );
    let queue = |more: &str| {
        format!("{server}mq.vhost(\"alarm\").queue(\"q\", #{{ migrate: \"drain\"{more} }});\n")
    };
    let project = Project::new("mq-alarm", &queue(""));
    let _ = project.run(&["apply", "--auto-approve"]).expect(0);

    broker.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    alarmed(&broker, true);
    let error = dial.ready(&bench.server).await.unwrap_err();
    assert_eq!(error.failure, Failure::Unreachable);
    assert!(
        error.message.contains("answers and does not work: an alarm for `memory` on `rabbit@"),
        "{error:?}"
    );
    assert!(error.hints.iter().any(|hint| hint.contains("free memory")), "{error:?}");

    let sick = project.run(&["health"]).expect(1).stdout;
    assert!(sick.contains("an alarm for `memory` on `rabbit@"), "{sick}");

    // A plan that would move messages says that they cannot be moved.
    project.write("stack.rhai", &queue(", max_length: 100"));
    let plan = project.run(&["plan"]).expect(1);
    assert!(
        plan.stderr.contains("messages cannot be moved: an alarm for `memory`"),
        "{}",
        plan.text()
    );

    // What comes after it waits, and goes on when the alarm is over.
    let after = format!(
        "{}local::file(\"f\", #{{ path: \"f\", content: \"x\", after_healthy: mq }});\n",
        queue("")
    );
    project.write("stack.rhai", &after);
    let running = project.start(&["apply", "--auto-approve"]);
    std::thread::sleep(Duration::from_secs(3));
    assert!(!project.folder().join("f").exists(), "it does not wait");
    broker.control(&["set_vm_memory_high_watermark", "0.6"]);
    alarmed(&broker, false);
    let _ = running.end().expect(0);
    assert_eq!(project.read("f"), "x");
    let well = project.run(&["health"]).expect(0).stdout;
    assert!(well.contains("all run"), "{well}");
    let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
}

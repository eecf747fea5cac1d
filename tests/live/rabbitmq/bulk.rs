//! Reading in bulk.

use dollop_tests::cli::Project;
use dollop_tests::topology;
use serde_json::json;

use super::bench::Bench;
use super::broker::Broker;
use super::counter;

/// A whole topology, read by the real binary.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_topology_costs_few_requests() {
    let counter = counter::start(Broker::shared().port).await;
    let project = Project::new("topology", &topology::script(counter.port, "bulk"));
    let (project, requests) = tokio::task::spawn_blocking(move || {
        let _ = project.run(&["apply", "--auto-approve"]).expect(0);
        // The fewest of several: while queues of other tests come and go, 3.10 now and then
        // answers 500, and is asked again.
        let plan = |_| {
            let before = counter.requests();
            let _ = project.run(&["plan", "--detailed-exitcode"]).expect(0);
            counter.requests() - before
        };
        let fewest = (0..5).map(plan).min().expect("one of them");
        (project, fewest)
    })
    .await
    .unwrap();
    println!(
        "plan of 10 vhosts, 20 users, 200 queues, 200 bindings, 50 policies: {requests} requests"
    );
    // The definitions, once for all kinds, and the vhosts.
    assert_eq!(requests, 2);
    tokio::task::spawn_blocking(move || {
        let _ = project.run(&["destroy", "--auto-approve"]).expect(0);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn reading_costs_one_request_whatever_the_number() {
    let counter = counter::start(Broker::shared().port).await;
    let bench = Bench::at(counter.port).await;
    bench.create("rabbitmq::vhost", "many", json!({})).await.unwrap();
    bench.create("rabbitmq::exchange", "x", json!({ "vhost": "many" })).await.unwrap();
    let mut queues = Vec::new();
    let mut bindings = Vec::new();
    for index in 0..50 {
        let queue = (format!("q{index}"), json!({ "vhost": "many" }));
        bench.create("rabbitmq::queue", &queue.0, queue.1.clone()).await.unwrap();
        let spec = json!({ "vhost": "many", "source": "x", "destination": queue.0 });
        bench.create("rabbitmq::binding", &queue.0, spec.clone()).await.unwrap();
        bindings.push((queue.0.clone(), spec));
        queues.push(queue);
    }
    let before = counter.requests();
    // At the same time, as a refresh does.
    let (queues, bindings) = tokio::join!(
        bench.read_all("rabbitmq::queue", &queues),
        bench.read_all("rabbitmq::binding", &bindings)
    );
    assert_eq!(queues.iter().flatten().count(), 50);
    assert_eq!(bindings.iter().flatten().count(), 50);
    assert_eq!(counter.requests() - before, 1);
}

/// 3.10 answers 500 to some lists of queues while queues are made.
#[tokio::test]
async fn reading_works_while_queues_come_and_go() {
    let bench = Bench::with_vhost("churn").await;
    let churn = async {
        loop {
            for queue_type in ["classic", "quorum", "stream"] {
                let spec = json!({ "vhost": "churn", "type": queue_type });
                bench.create("rabbitmq::queue", queue_type, spec.clone()).await.unwrap();
                bench.delete("rabbitmq::queue", queue_type, queue_type, spec).await;
            }
        }
    };
    let steady = json!({ "vhost": "churn" });
    bench.create("rabbitmq::queue", "steady", steady.clone()).await.unwrap();
    let read = async {
        for _ in 0..300 {
            let found = bench.read("rabbitmq::queue", "steady", steady.clone()).await;
            assert!(found.is_some());
        }
    };
    tokio::select! {
        () = churn => {}
        () = read => {}
    }
}

//! Readers of several keys while the kubelet swaps as fast as it can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use secrets_core::{Fetched, ReadRequest, Secret, SecretBackend};
use secrets_k8s::K8sBackend;

use crate::kubelet::{Kubelet, name, read};

const SWAPS: usize = 1_000;
const READERS: usize = 4;

fn text(secret: &Secret) -> String {
    secret.expose_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f1_readers_of_several_keys_see_all_old_or_all_new() {
    let kubelet = Arc::new(Kubelet::new());
    let swap = |kubelet: &Kubelet, number: usize| {
        let value = number.to_string();
        kubelet.mount(
            "smtp",
            &[
                ("a", value.as_bytes()),
                ("b", value.as_bytes()),
                ("c", value.as_bytes()),
            ],
        );
    };
    swap(&kubelet, 0);
    let done = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let backend = K8sBackend::new(kubelet.root()).unwrap();
            let (done, reads) = (done.clone(), reads.clone());
            tokio::spawn(async move {
                let names = ["smtp/a", "smtp/b", "smtp/c"].map(name);
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let values: Vec<String> = if reader % 2 == 0 {
                        let requests = names.each_ref().map(ReadRequest::new);
                        let read = backend.get_many(&requests).await.into_iter();
                        read.map(|result| match result.unwrap() {
                            Fetched::Value(secret) => text(&secret),
                            other => panic!("{other:?}"),
                        })
                        .collect()
                    } else {
                        let whole = read(&backend, "smtp").await.unwrap();
                        ["a", "b", "c"].map(|key| text(&whole.field(key).unwrap())).into()
                    };
                    assert!(values.iter().all(|value| *value == values[0]), "torn: {values:?}");
                    let number: usize = values[0].parse().unwrap();
                    assert!(number >= last, "{number} after {last}");
                    last = number;
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let kubelet_too = kubelet.clone();
    let swapping = tokio::task::spawn_blocking(move || {
        for number in 1..=SWAPS {
            swap(&kubelet_too, number);
        }
    });
    swapping.await.unwrap();
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    let backend = K8sBackend::new(kubelet.root()).unwrap();
    assert_eq!(text(&read(&backend, "smtp/b").await.unwrap()), SWAPS.to_string());
    assert!(reads.load(Ordering::Relaxed) > READERS, "they did read meanwhile");
}

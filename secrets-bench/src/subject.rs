//! What is measured, and how: subjects take turns in short rounds, so that what slows the machine down slows all.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::Barrier;

use crate::alloc;
use crate::report::Row;

/// Something that answers reads of the secrets 0 to `keys`.
pub(crate) trait Reads: Send + Sync + 'static {
    /// What a read gives. Peers that copy give a copy, those that share give a share; dropping it is part of the read.
    type Value<'a>: Send
    where
        Self: 'a;

    fn read(&self, key: usize) -> impl Future<Output = Self::Value<'_>> + Send;
}

/// Nanoseconds of one read, with this many tasks.
type Round = dyn Fn(&Runtime, usize) -> f64;

/// A subject of one comparison.
pub(crate) struct Subject {
    name: &'static str,
    round: Box<Round>,
    allocations: Box<dyn Fn(&Runtime) -> f64>,
}

impl Subject {
    /// A subject that is read in this order.
    pub(crate) fn new(name: &'static str, reads: impl Reads, order: &Arc<[usize]>) -> Self {
        let reads = Arc::new(reads);
        let (again, its_order) = (reads.clone(), order.clone());
        let order = order.clone();
        Self {
            name,
            round: Box::new(move |runtime, tasks| round(runtime, &reads, &order, tasks)),
            allocations: Box::new(move |runtime| allocations(runtime, &*again, &its_order)),
        }
    }
}

/// Lets the subjects take turns. One row for each, in their order.
pub(crate) fn compare(
    runtime: &Runtime,
    what: &str,
    tasks: usize,
    rounds: usize,
    subjects: &[Subject],
) -> Vec<Row> {
    // Once for the caches of the processor, uncounted.
    for subject in subjects {
        (subject.round)(runtime, tasks);
    }
    let mut times = vec![Vec::with_capacity(rounds); subjects.len()];
    for _ in 0..rounds {
        for (subject, times) in subjects.iter().zip(&mut times) {
            times.push((subject.round)(runtime, tasks));
        }
    }
    subjects
        .iter()
        .zip(times)
        .map(|(subject, times)| Row::new(what, subject.name, times, Some((subject.allocations)(runtime))))
        .collect()
}

/// Nanoseconds of one read, where each task makes all reads of the order.
fn round<R: Reads>(runtime: &Runtime, reads: &Arc<R>, order: &Arc<[usize]>, tasks: usize) -> f64 {
    let start = Arc::new(Barrier::new(tasks));
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let (reads, order, start) = (reads.clone(), order.clone(), start.clone());
            runtime.spawn(async move {
                // The subjects before this one have filled the processor's caches with their own.
                all(&*reads, &order[..order.len() / 4]).await;
                start.wait().await;
                let begun = Instant::now();
                all(&*reads, &order).await;
                begun.elapsed()
            })
        })
        .collect();
    let count = tasks.len() * order.len();
    let total: Duration = runtime.block_on(async {
        let mut total = Duration::ZERO;
        for task in tasks {
            total += task.await.expect("a subject answers every read");
        }
        total
    });
    total.as_nanos() as f64 / count as f64
}

/// Allocations of one read, on this thread alone.
fn allocations<R: Reads>(runtime: &Runtime, reads: &R, order: &[usize]) -> f64 {
    runtime.block_on(async {
        let before = alloc::count();
        all(reads, order).await;
        (alloc::count() - before) as f64 / order.len() as f64
    })
}

async fn all<R: Reads>(reads: &R, order: &[usize]) {
    for &key in order {
        black_box(reads.read(black_box(key)).await);
    }
}

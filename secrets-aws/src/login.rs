//! Where credentials come from, asked by requests of our own. The SDK's providers trace what they are shown and answered.

mod answer;
mod chain;
mod container;
mod instance;
mod plan;
mod process;
mod sts;

pub(crate) use chain::{Way, assume, credentials, region};

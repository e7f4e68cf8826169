//! Parameter Store.

mod backend;
mod batch;
mod builder;
mod list;
mod value;

pub use backend::ParameterStoreBackend;
pub use builder::ParameterStoreBuilder;

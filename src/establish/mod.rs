//! Establishment: who is at the other end, and what the connection is for. Follows spec 05.

mod machine;
mod surroundings;
mod wire;

pub use machine::{EstablishConfig, Established, Establishment};
pub use surroundings::{OnRecord, Surroundings};
pub use wire::{
    Group, connection_group, instance_id_object, keys_object, person_id_object,
    read_connection_group, read_instance_id_object, read_keys_object, read_person_id_object,
    read_sync, sync,
};

//! How many connections a node takes (docs/limits.md).

use chumwire::crypto::Nacl;
use chumwire::io::Machine;
use chumwire::node::{Node, NodeConfig};
use chumwire::time::Now;

use crate::support::people::made_up;

/// Each bound holds by itself, and so does a shutdown.
#[test]
fn connections_are_bounded_in_each_way() {
    let now = Now::default();
    for (half_open, max_connections, taken) in [(2, 99, 2), (99, 3, 3)] {
        let mut config = NodeConfig::new(made_up("alice"));
        (config.half_open, config.max_connections) = (half_open, max_connections);
        let mut node = Node::<Nacl>::new(config, [1; 32], now).unwrap();
        let accepted = (0..9).filter(|_| node.accept(now, Default::default()).is_some());
        assert_eq!(accepted.count(), taken);
    }
    let mut node = Node::<Nacl>::new(NodeConfig::new(made_up("alice")), [1; 32], now).unwrap();
    node.shutdown(now);
    assert_eq!(node.accept(now, Default::default()), None);
}

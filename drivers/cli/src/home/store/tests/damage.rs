//! A file that is not as it was written: a bit, a page, a piece, or its end.

use chumwire::crypto::Purpose;

use super::*;

/// In how many ways each.
const WAYS: usize = 500;

#[test]
fn what_is_damaged_is_told_or_was_nothing() {
    let image = before();
    let was = state(&open(&Disk::with(image.clone(), usize::MAX)).expect("a good disk"));
    let mut random = Random::new([9; 32]);
    let mut below = |most: usize| random.below(Purpose::Jitter, most as u64) as usize;
    let mut told = [0; 4];
    for n in 0..4 * WAYS {
        let (mut image, at) = (image.clone(), below(image.len()));
        let page = at / 4096 * 4096;
        match n % 4 {
            0 => image[at] ^= 1 << below(8),
            1 => image.truncate(at),
            2 => image[page..page + 4096].fill(0),
            _ => image
                .iter_mut()
                .skip(at)
                .take(64)
                .for_each(|byte| *byte = below(256) as u8),
        }
        match open(&Disk::with(image, usize::MAX)) {
            Ok(store) => {
                assert_eq!(state(&store), was, "case {n}");
                store.commit(&records()[0]).expect("it goes on");
            }
            Err(StoreError::Damaged(_)) => told[n % 4] += 1,
            Err(error) => panic!("case {n}: {error}"),
        }
    }
    // A good part of the pages holds nothing.
    assert_eq!(told[1], WAYS, "cut off");
    assert!(told.iter().all(|told| *told > WAYS / 20), "{told:?}");
}

//! Bytes that must not be seen, compared in constant time and wiped when they go.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::{Deref, DerefMut};

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes on the heap, so that moving them leaves no copy. Wiped on drop; equality takes the same time
/// whatever the contents; `Debug` shows a placeholder.
pub struct Secret<const N: usize>(Box<[u8; N]>, #[cfg(test)] super::live::Counted);

impl<const N: usize> Secret<N> {
    /// Takes `bytes` in and wipes what they were taken from.
    #[must_use]
    pub fn take(bytes: &mut [u8; N]) -> Self {
        let secret = Self::filled(|secret| secret.copy_from_slice(bytes));
        bytes.zeroize();
        secret
    }

    /// Filled by `fill`, without a copy elsewhere.
    pub(crate) fn filled(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut bytes = Box::new([0; N]);
        fill(&mut bytes);
        #[cfg(not(test))]
        let secret = Self(bytes);
        #[cfg(test)]
        let secret = Self(bytes, super::live::Counted::new());
        secret
    }

    /// A look at the bytes. Whoever copies them has to wipe the copy.
    #[must_use]
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> Clone for Secret<N> {
    fn clone(&self) -> Self {
        Self::filled(|bytes| bytes.copy_from_slice(self.expose()))
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> ZeroizeOnDrop for Secret<N> {}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> Hash for Secret<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A buffer whose contents may be confidential: wiped on drop, and shown as a length.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Wiped(Vec<u8>);

impl Wiped {
    /// Makes room for that many bytes. A buffer that grew would leave behind what was in it, so a longer one comes in
    /// the place of one that is too short, with some to spare, and what was in that is gone.
    pub(crate) fn make_room(&mut self, room: usize, spare: usize) {
        if self.0.capacity() < room {
            *self = Self(Vec::with_capacity(room + spare));
        }
    }
}

impl From<Vec<u8>> for Wiped {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Wiped {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_is_too_short_is_replaced_and_any_other_stays() {
        let mut buffer = Wiped::from(Vec::with_capacity(8));
        buffer.extend_from_slice(b"secret");
        let (before, capacity) = (buffer.as_ptr(), buffer.capacity());
        buffer.make_room(capacity, 100);
        assert_eq!(
            (buffer.as_ptr(), buffer.as_slice()),
            (before, &b"secret"[..])
        );
        buffer.make_room(capacity + 1, 100);
        assert!(buffer.is_empty() && buffer.capacity() > capacity + 100);
        buffer.extend_from_slice(b"abc");
        assert_eq!(alloc::format!("{buffer:?}"), "<3 bytes>");
    }
}

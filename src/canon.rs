//! Parts of a machine's state that do not count when two states are compared.

use core::hash::{Hash, Hasher};
use core::ops::{Deref, DerefMut};

/// Statistics, recycled buffers: compared, it is equal to any other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ignored<T>(pub(crate) T);

impl<T> PartialEq for Ignored<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Ignored<T> {}

impl<T> Hash for Ignored<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl<T> Deref for Ignored<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Ignored<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// Compares machines of one suite parameter, and hashes them, as if the latest input of each had come at time zero. All
/// fields have to be named. A machine that its parent has rebased is compared as it is.
macro_rules! compare_rebased {
    ($machine:ident { $($field:ident),+ $(,)? }) => {
        impl<S: Suite> $machine<S> {
            fn rebased(&self) -> alloc::borrow::Cow<'_, Self> {
                if self.latest == Micros::ZERO {
                    return alloc::borrow::Cow::Borrowed(self);
                }
                let mut view = self.clone();
                view.rebase(self.latest);
                alloc::borrow::Cow::Owned(view)
            }
        }

        impl<S: Suite> PartialEq for $machine<S> {
            fn eq(&self, other: &Self) -> bool {
                let (one, two) = (self.rebased(), other.rebased());
                let Self { $($field),+, latest: _ } = &*one;
                $(*$field == two.$field)&&+
            }
        }

        impl<S: Suite> Eq for $machine<S> {}

        impl<S: Suite> core::hash::Hash for $machine<S> {
            fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
                let Self { $($field),+, latest: _ } = &*self.rebased();
                $($field.hash(state);)+
            }
        }
    };
}
pub(crate) use compare_rebased;

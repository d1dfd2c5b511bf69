//! The links of a world by their numbers, found at once: numbers are never used again, and most links are young.

use std::collections::VecDeque;

use super::{Link, LinkId};

/// All links that are there.
#[derive(Default)]
pub(crate) struct Links {
    /// From number `gone` on.
    places: VecDeque<Option<Box<Link>>>,
    gone: u64,
}

impl Links {
    fn place(&self, id: LinkId) -> Option<usize> {
        usize::try_from(id.0.checked_sub(self.gone)?).ok()
    }

    /// Puts a link in, under the next number.
    pub(crate) fn add(&mut self, link: Link) -> LinkId {
        let id = LinkId(self.gone + self.places.len() as u64);
        self.places.push_back(Some(Box::new(link)));
        id
    }

    pub(crate) fn get(&self, id: LinkId) -> Option<&Link> {
        self.places.get(self.place(id)?)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        let place = self.place(id)?;
        self.places.get_mut(place)?.as_deref_mut()
    }

    pub(crate) fn remove(&mut self, id: LinkId) {
        if let Some(place) = self.place(id)
            && let Some(link) = self.places.get_mut(place)
        {
            *link = None;
        }
        // The youngest stays, so that its number is not given again.
        while self.places.len() > 1 && matches!(self.places.front(), Some(None)) {
            self.places.pop_front();
            self.gone += 1;
        }
    }

    /// All of them, in the order of the dialling.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        let numbered = (self.gone..).map(LinkId).zip(&self.places);
        numbered.filter_map(|(id, link)| Some((id, link.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use chumwire::io::ConnId;

    use super::*;
    use crate::link::Profile;
    use crate::party::PartyId;

    #[test]
    fn a_number_is_never_used_again() {
        let link = || Link::new(Profile::default(), (PartyId(0), ConnId(0)), None);
        let mut links = Links::default();
        let ids: Vec<LinkId> = (0..4).map(|_| links.add(link())).collect();
        for id in [0, 2, 3, 1] {
            assert!(links.get(ids[id]).is_some());
            links.remove(ids[id]);
            links.remove(ids[id]);
            assert!(links.get(ids[id]).is_none() && links.get_mut(ids[id]).is_none());
        }
        let id = links.add(link());
        assert_eq!(id, LinkId(4));
        let all: Vec<LinkId> = links.iter().map(|(id, _)| id).collect();
        assert_eq!(all, [id]);
    }
}

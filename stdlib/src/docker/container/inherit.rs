//! Telling what a container was given from what it has from its image.

/// What the image says about a setting.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inherited<T> {
    /// This.
    Says(T),
    /// It says nothing.
    Silent,
    /// The image is gone, so nobody knows.
    Gone,
}

impl<T> Inherited<T> {
    /// A part of it.
    pub(super) fn map<U>(self, part: impl FnOnce(T) -> Option<U>) -> Inherited<U> {
        match self {
            Self::Says(value) => part(value).map_or(Inherited::Silent, Inherited::Says),
            Self::Silent => Inherited::Silent,
            Self::Gone => Inherited::Gone,
        }
    }
}

impl<T: PartialEq + Clone> Inherited<T> {
    /// What is set beyond the image. What was asked for counts as set even when the image
    /// says the same; with the image gone, what was not asked for is taken as its.
    pub(super) fn beyond(self, actual: Option<T>, wanted: Option<&T>) -> Option<T> {
        if wanted.is_some() {
            return actual;
        }
        match self {
            Self::Says(image) if actual.as_ref() == Some(&image) => None,
            Self::Says(_) | Self::Silent => actual,
            Self::Gone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_image_does_not_say_is_set() {
        assert_eq!(Inherited::Says(1).beyond(Some(1), None), None);
        assert_eq!(Inherited::Says(1).beyond(Some(1), Some(&1)), Some(1));
        assert_eq!(Inherited::Says(1).beyond(Some(2), None), Some(2));
        assert_eq!(Inherited::Silent.beyond(Some(2), None), Some(2));
        assert_eq!(Inherited::Gone.beyond(Some(2), None), None);
        assert_eq!(Inherited::Gone.beyond(Some(2), Some(&1)), Some(2));
    }
}

//! Health checks.

use bollard::models::HealthConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::inherit::Inherited;
use super::units::{Span, Whole};
use super::words::Test;

/// The version of the API that knows [`Healthcheck::start_interval`].
pub(super) const START_INTERVAL: usize = 44;

/// How the engine finds out whether a container works. What is left out comes from the
/// image, or else from the engine (every 30 s, 30 s long, 3 times).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Healthcheck {
    /// The check, run in the container; 0 means healthy. A string goes to its shell:
    /// `"pg_isready -U app"`. A list starts with `CMD` or `CMD-SHELL`.
    pub test: Option<Test>,
    /// How long from one check to the next, `10s`.
    pub interval: Option<Span>,
    /// How long one check may take, `5s`.
    pub timeout: Option<Span>,
    /// How many failures in a row make it unhealthy.
    pub retries: Option<Whole>,
    /// How long after the start failures do not count, `30s`.
    pub start_period: Option<Span>,
    /// How long from one check to the next during that time, `2s`. Engines before 25.0 know
    /// `interval` alone, from the start on.
    pub start_interval: Option<Span>,
    /// No health check, although the image has one.
    pub disable: bool,
}

impl Healthcheck {
    /// `None` when it says nothing.
    pub(super) fn normal(mut self) -> Option<Self> {
        if self.test.as_ref().and_then(|test| test.0.first()).is_some_and(|word| word == "NONE")
        {
            self.disable = true;
        }
        if self.disable {
            return Some(Self { disable: true, ..Self::default() });
        }
        let nothing = |span: &Option<Span>| span.is_some_and(|span| span.0.is_zero());
        for span in [
            &mut self.interval,
            &mut self.timeout,
            &mut self.start_period,
            &mut self.start_interval,
        ] {
            if nothing(span) {
                *span = None;
            }
        }
        self.retries = self.retries.filter(|retries| retries.0 != 0);
        (self != Self::default()).then_some(self)
    }

    /// What the container has, without what comes from its image. `told` says that what is
    /// wanted is what the engine was told, or could be.
    pub(super) fn observed(
        actual: Option<&HealthConfig>,
        image: Inherited<&HealthConfig>,
        wanted: Option<&Self>,
        told: bool,
    ) -> Option<Self> {
        let empty = HealthConfig::default();
        let actual = actual.unwrap_or(&empty);
        let nothing = Self::default();
        let wanted = wanted.unwrap_or(&nothing);
        let span = |nanoseconds: Option<i64>| {
            nanoseconds.filter(|n| *n != 0).map(Span::from_nanoseconds)
        };
        let from_image =
            |part: fn(&HealthConfig) -> Option<i64>| image.map(|image| span(part(image)));
        let test = |health: &HealthConfig| {
            health.test.clone().filter(|words| !words.is_empty()).map(Test)
        };
        let retries = |times: Option<i64>| times.filter(|n| *n != 0).map(Whole);
        let found = Self {
            test: image.map(test).beyond(test(actual), wanted.test.as_ref()),
            interval: from_image(|health| health.interval)
                .beyond(span(actual.interval), wanted.interval.as_ref()),
            timeout: from_image(|health| health.timeout)
                .beyond(span(actual.timeout), wanted.timeout.as_ref()),
            retries: image
                .map(|image| retries(image.retries))
                .beyond(retries(actual.retries), wanted.retries.as_ref()),
            start_period: from_image(|health| health.start_period)
                .beyond(span(actual.start_period), wanted.start_period.as_ref()),
            start_interval: from_image(|health| health.start_interval)
                .beyond(span(actual.start_interval), wanted.start_interval.as_ref())
                // An engine that does not know it forgets it; a newer one on its place does not
                // make the container anew for that.
                .or(wanted.start_interval.filter(|_| told)),
            disable: false,
        };
        found.normal()
    }

    /// What the engine is told.
    pub(super) fn requested(&self) -> HealthConfig {
        if self.disable {
            let test = Some(vec!["NONE".to_owned()]);
            return HealthConfig { test, ..HealthConfig::default() };
        }
        HealthConfig {
            test: self.test.as_ref().map(|test| test.0.clone()),
            interval: self.interval.map(Span::nanoseconds),
            timeout: self.timeout.map(Span::nanoseconds),
            retries: self.retries.map(|retries| retries.0),
            start_period: self.start_period.map(Span::nanoseconds),
            start_interval: self.start_interval.map(Span::nanoseconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_an_old_engine_forgot_is_no_difference_while_it_was_told() {
        let wanted = Healthcheck {
            test: Some(Test(vec!["CMD-SHELL".to_owned(), "true".to_owned()])),
            start_interval: Some(Span(Duration::from_secs(2))),
            ..Healthcheck::default()
        };
        let kept = HealthConfig { start_interval: None, ..wanted.requested() };
        let seen =
            |told| Healthcheck::observed(Some(&kept), Inherited::Silent, Some(&wanted), told);
        assert_eq!(seen(true), Some(wanted.clone()));
        // Somebody else's, on an engine that could have kept it.
        assert_eq!(seen(false), Some(Healthcheck { start_interval: None, ..wanted.clone() }));
    }
}

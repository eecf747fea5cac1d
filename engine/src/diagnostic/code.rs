//! The code of every error and warning: stable, so that pages, filters and CI can name it.
//!
//! A code is never given another meaning and never used again. Each has a page in
//! `docs/diagnostics`, with a script that leads to it; a test runs them all.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Severity, did_you_mean};

macro_rules! codes {
    ($($name:ident $id:literal $title:literal)+) => {
        /// What kind of finding it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)+
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code as written: `E0102`.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// What it means, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

codes! {
    // E01: reading and running the script.
    Syntax "E0101" "the script cannot be read"
    UnknownVariable "E0102" "a variable that does not exist"
    UnknownFunction "E0103" "a function that does not exist"
    WrongArguments "E0104" "a function called with something it does not take"
    UnknownModule "E0105" "a module or provider that does not exist"
    UnknownKind "E0106" "a kind that does not exist"
    Reserved "E0107" "a name that is taken"
    LeftOut "E0108" "a part of Rhai that dollop leaves out"
    DefinedTwice "E0109" "a key or function defined twice"
    Constant "E0110" "a constant that is assigned to"
    WrongType "E0111" "a value of the wrong type"
    NoEntry "E0112" "an item, entry or property that is not there"
    Limit "E0113" "a script that takes too much"
    Thrown "E0114" "a script that gave up by itself"
    Runtime "E0115" "a script that failed"
    ImportCycle "E0116" "scripts that import each other"
    Unsettable "E0117" "an attribute set after the resource was declared"
    // E02: values that are not known while the script runs, and secrets.
    NotKnown "E0201" "a script that looks into a value not known yet"
    LooksIntoSecret "E0202" "a script that looks into a secret"
    NoSuchValue "E0203" "a resource that has no such value"
    NameNotKnown "E0204" "a name that must be known text"
    NoValue "E0205" "something that is no value"
    // E03: declarations.
    UnknownAttribute "E0301" "an attribute that does not exist"
    AttributeType "E0302" "an attribute of the wrong type"
    MissingAttribute "E0303" "an attribute that is missing"
    NotAChoice "E0304" "a word that is not one of the choices"
    WrongResource "E0305" "a resource of the wrong kind"
    DeclaredTwice "E0306" "an address declared twice"
    Reported "E0307" "an attribute that is reported, not set"
    WrongPlace "E0308" "a resource declared in the wrong place"
    Rule "E0309" "attributes that break a rule of their kind"
    Lifecycle "E0310" "a lifecycle key with a wrong value"
    DeclarationForm "E0311" "a declaration in the wrong form"
    NoSuchCall "E0312" "a resource that has no such function"
    LookupForm "E0313" "a look-up in the wrong form"
    NotDeclaredYet "E0314" "an override of something that is not declared"
    EphemeralKept "E0315" "an ephemeral value where it would be kept"
    // E04: parameters, outputs, files and functions.
    ParameterNotSet "E0401" "a parameter that is not set"
    ParameterValue "E0402" "a parameter with a value that does not fit"
    ParameterForm "E0403" "a parameter asked for in a wrong way"
    OutputForm "E0404" "an output declared in a wrong way"
    FileUnreadable "E0405" "a file that cannot be read"
    OutsideProject "E0406" "a path outside the project"
    FunctionFailed "E0407" "a function that cannot work on its arguments"
    CheckForm "E0408" "a check declared in a wrong way"
    MoveForm "E0409" "a move or forget that makes no sense"
    UnknownProfile "E0410" "a profile that does not exist"
    SecretUnusable "E0411" "a secret kept elsewhere that cannot be had"
    CommandForm "E0412" "a command published in a wrong way"
    DiscoveryForm "E0413" "a discovery asked for in a wrong way"
    NotDiscovered "E0414" "a discovery that nobody made"
    // E05: graph and plan.
    Undeclared "E0501" "an address nothing declares"
    Cycle "E0502" "resources that need each other in a circle"
    PreventDestroy "E0503" "a change that `prevent_destroy` forbids"
    ExistsAlready "E0504" "an object that exists already"
    Unreadable "E0505" "an object that cannot be read"
    ConnectionUnusable "E0506" "a server that does not answer or refuses the login"
    MissingFact "E0507" "a value the object does not report"
    KindGone "E0508" "a kind this dollop does not know"
    SameObject "E0509" "two resources that are one object"
    StepsWait "E0510" "steps that wait for each other"
    CheckFails "E0511" "a check that does not hold"
    LookupMissing "E0512" "something looked up that is not there"
    ReplaceUnknown "E0513" "a replacement of something that is not there"
    ProfileOff "E0514" "something planned that needs what a profile leaves off"
    DormantNeeds "E0515" "something that would go, and is needed by what stays"
    Impossible "E0516" "something that cannot be made where it is declared"
    DataLoss "E0517" "content that would be lost without consent"
    OtherVersion "E0520" "a server that could not use the files of its predecessor"
    NotSideBySide "E0521" "a successor that cannot stand beside what it replaces"
    // E06: resources that get in each other's way.
    PortConflict "E0601" "one host port published twice"
    AddressConflict "E0602" "one static address given twice"
    OutsideSubnet "E0603" "a static address outside its subnet"
    SubnetOverlap "E0604" "subnets that overlap"
    MissingSource "E0605" "a mount or build whose source does not exist"
    AnotherConnection "E0606" "a resource of another server"
    TlsFiles "E0607" "files for TLS that cannot be used"
    HostPortTaken "E0611" "a host port that somebody else has"
    HostLacks "E0612" "something the machine of the engine does not have"
    // E07: what services answer while a plan is applied.
    CallRefused "E0701" "a service that refused"
    CallUnreachable "E0702" "a service that did not answer"
    CallDenied "E0703" "a service that denied access"
    CallExists "E0704" "an object that stands in the way"
    CallTimedOut "E0705" "a call that took longer than its limit"
    // E08: commands.
    Usage "E0801" "a command line that makes no sense"
    Command "E0802" "a command that could not do its work"
    StateStore "E0803" "a state that cannot be used"
    Internal "E0901" "a mistake in dollop"
    // W01: what would work, and most likely is not meant.
    UnusedParameter "W0101" "a parameter nobody asks for"
    Unused "W0102" "a resource nothing uses"
    ClearSecret "W0103" "a secret in clear text"
    DefaultCredential "W0104" "a password everybody knows"
    FloatingImage "W0105" "an image without a fixed version"
    HealthAlwaysPasses "W0106" "a health check that cannot fail"
    SharedData "W0107" "one volume written by two databases"
    NoSharedNetwork "W0108" "containers that cannot reach each other"
    AliasTwice "W0109" "one name twice in a network"
    UnusedAllow "W0110" "an `allow` that silences nothing"
    ParameterUnread "W0111" "a parameter or secret nobody reads"
    MaybeMissingSource "W0112" "a bind mount whose source may not exist"
    DeprecatedParameter "W0113" "a parameter that should no longer be given"
    ConditionalConflict "W0114" "a conflict once a profile goes on"
    PlainText "W0115" "text that is not filled in"
    MissingFeature "W0120" "an extension the image does not have"
    UnfitSetting "W0121" "a setting its image does not know"
    UnknownHost "W0122" "a name that nobody answers to"
    UndeclaredLogin "W0123" "a login, database or vhost nobody declares"
    ItselfMeant "W0124" "this machine's address, told to a container"
    LoopbackOnly "W0125" "a server only its own container reaches"
    NamedByText "W0126" "a name where a resource is meant"
    FixedSetting "W0131" "a setting of a queue that a policy could change"
    Transient "W0132" "a queue that a restart removes"
    Mirrored "W0133" "mirrored classic queues"
    FallsBack "W0134" "a promise about dead letters that the server may not keep"
    Unverified "W0135" "a server whose certificate nobody checks"
    Misspelt "W0136" "an argument that looks misspelt"
    // W02: about the plan and the state.
    AnotherServer "W0201" "a connection that leads elsewhere now"
    StackRenamed "W0202" "a stack that is called otherwise now"
    StateNote "W0203" "something to know about the state"
    Hazard "W0204" "a change that is worth a thought"
    CheckWarns "W0205" "a check that does not hold and only warns"
    LikelyRename "W0206" "something that looks like a rename"
    DefaultStandsIn "W0207" "a discovery that is still to be made"
    HostTooSmall "W0211" "more than the machine of the engine has"
    HostMayLack "W0212" "something the machine of the engine may not have"
    HostTooOld "W0213" "something the engine is too old for, and does otherwise"
}

impl Code {
    /// How bad what it stands for is: the letter of the code.
    pub fn severity(self) -> Severity {
        if self.id().starts_with('W') { Severity::Warning } else { Severity::Error }
    }

    /// The code most like what was written.
    pub fn like(text: &str) -> Option<Self> {
        let text = text.to_uppercase();
        let near = did_you_mean(&text, Self::ALL.iter().map(|code| code.id()))?;
        near.parse().ok()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.id())
    }
}

/// Text that is no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no code `{0}`")]
pub struct UnknownCode(pub String);

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let found = Self::ALL.iter().find(|code| code.id().eq_ignore_ascii_case(text));
        found.copied().ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        let ids: Vec<_> = Code::ALL.iter().map(|code| code.id()).collect();
        let (errors, warnings): (Vec<_>, Vec<_>) =
            ids.into_iter().partition(|id| id.starts_with('E'));
        for part in [errors, warnings] {
            assert!(part.windows(2).all(|pair| pair[0] < pair[1]), "{part:?}");
        }
        let number = |id: &str| id.len() == 5 && id[1..].parse::<u16>().is_ok();
        assert!(Code::ALL.iter().all(|code| number(code.id())));
    }

    #[test]
    fn codes_are_read_as_written() {
        assert_eq!("E0102".parse(), Ok(Code::UnknownVariable));
        assert_eq!("w0105".parse(), Ok(Code::FloatingImage));
        assert!("E9999".parse::<Code>().is_err());
        assert_eq!(Code::like("E102"), Some(Code::UnknownVariable));
    }
}
